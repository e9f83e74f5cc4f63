//! Finds the parts of JSON that was read before, and so is known to be JSON. Of anything else nothing is found that
//! makes sense, and nothing worse happens.

use memchr::memchr2;

/// The items of a list, as they were written; none of what is no list.
pub(super) struct Items<'a>(Parts<'a>);

/// The keys and values of an object, as they were written, the keys with their quotes; none of what is no object.
pub(super) struct Members<'a>(Parts<'a>);

impl<'a> Items<'a> {
    pub(super) fn of(json: &'a str) -> Self {
        Self(Parts::within(json, b'['))
    }
}

impl<'a> Members<'a> {
    pub(super) fn of(json: &'a str) -> Self {
        Self(Parts::within(json, b'{'))
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.0.next()
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<(&'a str, &'a str)> {
        Some((self.0.next()?, self.0.next()?))
    }
}

/// Whatever stands between brackets, one after the other.
struct Parts<'a> {
    json: &'a str,
    at: usize,
}

impl<'a> Parts<'a> {
    fn within(json: &'a str, bracket: u8) -> Self {
        // At the end there is nothing.
        let at = if json.as_bytes().first() == Some(&bracket) { 1 } else { json.len() };
        Self { json, at }
    }

    fn next(&mut self) -> Option<&'a str> {
        let bytes = self.json.as_bytes();
        // What separates two parts is known, so it need not be looked at.
        while matches!(bytes.get(self.at)?, b' ' | b'\n' | b'\r' | b'\t' | b',' | b':') {
            self.at += 1;
        }
        let from = self.at;
        self.at = end(bytes, from)?;
        self.json.get(from..self.at)
    }
}

/// Where the value ends that begins there; none where none begins.
fn end(json: &[u8], from: usize) -> Option<usize> {
    match json.get(from)? {
        b'"' => end_of_text(json, from),
        b'{' | b'[' => end_of_brackets(json, from),
        b'}' | b']' => None,
        _ => {
            let is_over =
                |byte: &u8| matches!(byte, b',' | b':' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t');
            Some(json[from..].iter().position(is_over).map_or(json.len(), |length| from + length))
        }
    }
}

fn end_of_text(json: &[u8], from: usize) -> Option<usize> {
    let mut at = from + 1;
    loop {
        at += memchr2(b'"', b'\\', json.get(at..)?)?;
        match json[at] {
            b'"' => return Some(at + 1),
            // Whatever is escaped, its first character ends nothing.
            _ => at += 2,
        }
    }
}

fn end_of_brackets(json: &[u8], from: usize) -> Option<usize> {
    let (mut at, mut depth) = (from, 0_usize);
    loop {
        match json.get(at)? {
            b'"' => {
                at = end_of_text(json, at)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn parts_are_as_they_were_written() {
        for (list, expected) in [
            (r#"[1, -2.5e3 ,true,null]"#, vec!["1", "-2.5e3", "true", "null"]),
            ("[ \n]", vec![]),
            ("[]", vec![]),
            (
                r#"["a,]", "\"]", "\\", {"b": "}"}, [[], [3]]]"#,
                vec![r#""a,]""#, r#""\"]""#, r#""\\""#, r#"{"b": "}"}"#, "[[], [3]]"],
            ),
            (r#"{"a": 1}"#, vec![]),
            ("3", vec![]),
        ] {
            assert_eq!(Items::of(list).collect::<Vec<_>>(), expected, "{list}");
        }
        for (object, expected) in [
            (r#"{"a" : 1 , "b":{"c": []}}"#, vec![(r#""a""#, "1"), (r#""b""#, r#"{"c": []}"#)]),
            ("{\t}", vec![]),
            ("[1]", vec![]),
            (r#""a""#, vec![]),
        ] {
            assert_eq!(Members::of(object).collect::<Vec<_>>(), expected, "{object}");
        }
    }

    /// Built again from its parts.
    fn built(json: &str) -> Value {
        match json.as_bytes()[0] {
            b'{' => Members::of(json)
                .map(|(key, value)| (serde_json::from_str::<String>(key).unwrap(), built(value)))
                .collect(),
            b'[' => Items::of(json).map(built).collect(),
            _ => serde_json::from_str(json).unwrap(),
        }
    }

    #[test]
    fn nothing_is_missed() {
        let value = json!({"a\"]": [[], {}, [{"b": "\\"}, "\u{e9}\n}"], -1.5e300], "": {"c": {"d": [null, true, "[,:"]}}});
        assert_eq!(built(&value.to_string()), value);
        assert_eq!(built(&serde_json::to_string_pretty(&value).unwrap()), value);
    }

    #[test]
    fn of_what_is_no_json_nothing_is_made() {
        let whole = r#"{"a": ["b\"", {"c": 1}], "d": "e", "f": -1.5}"#;
        for end in 0..whole.len() {
            for part in [&whole[..end], &whole[end..]] {
                Items::of(part).chain(Members::of(part).map(|(_, value)| value)).for_each(|found| {
                    assert!(part.contains(found));
                });
            }
        }
    }
}
