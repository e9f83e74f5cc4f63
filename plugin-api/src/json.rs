//! Reading and writing JSON the way the whole SDK does it.

use serde::de::MapAccess;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::{ProviderError, Result};

/// Writes a value whose maps all have strings as keys, as those of this crate do.
pub(crate) fn to_vec<T: Serialize>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    write(value, &mut out);
    out
}

/// The same as text. A value's own `to_string` would bring a second and a third writer into every plugin.
pub(crate) fn to_string<T: Serialize>(value: &T) -> String {
    String::from_utf8(to_vec(value)).expect("JSON is written in UTF-8")
}

/// Appends a value, see [`to_vec`].
pub(crate) fn write<T: Serialize>(value: &T, out: &mut Vec<u8>) {
    serde_json::to_writer(out, value)
        .expect("string keys and a vector to write to leave nothing that can fail");
}

/// Reads what a client sent; the error says which field is wrong and how.
pub(crate) fn read_input<'a, T: Deserialize<'a>>(what: &str, bytes: &'a [u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| unusable(what, bytes, &error))
}

#[inline(never)]
fn unusable(what: &str, bytes: &[u8], error: &serde_json::Error) -> ProviderError {
    let says = match path_of(bytes, error).as_str() {
        _ if !error.is_data() => "is not valid JSON".to_owned(),
        "" => "is not usable".to_owned(),
        path => format!("has an unusable `{path}`"),
    };
    ProviderError::invalid_input(format!("{what} {says}: {error}"))
}

/// Where in the text reading ended, as a path such as `messages[1].content`. Readers that keep track of it while they
/// read are a third of a plugin's code; what was read can be looked at again.
fn path_of(bytes: &[u8], error: &serde_json::Error) -> String {
    if error.line() == 0 {
        // Nothing was wrong with the text, but with what was made of it.
        return String::new();
    }
    let before: usize =
        bytes.split_inclusive(|byte| *byte == b'\n').take(error.line() - 1).map(<[u8]>::len).sum();
    let read = bytes[..bytes.len().min(before + error.column())].trim_ascii_end();
    // What is wrong with the last member is found after the end of what it is in; that something is missing, too, but
    // this is wrong with the whole.
    let is_whole = error.to_string().starts_with("missing field");
    let mut read = match read {
        [inside @ .., b','] => inside,
        [inside @ .., b'}' | b']'] if !is_whole => inside,
        all => all,
    };
    let mut path: Vec<Step<'_>> = Vec::new();
    while let [first, rest @ ..] = read {
        read = rest;
        match first {
            b'{' => path.push(Step::Member(None)),
            b'[' => path.push(Step::Item(0)),
            b'}' | b']' => drop(path.pop()),
            b',' => match path.last_mut() {
                Some(Step::Item(index)) => *index += 1,
                Some(Step::Member(name)) => *name = None,
                None => {}
            },
            b'"' => {
                let text;
                (text, read) = string(rest);
                if let Some(Step::Member(name @ None)) = path.last_mut() {
                    *name = Some(text);
                }
            }
            _ => {}
        }
    }
    path.iter().fold(String::new(), |path, step| match step {
        Step::Item(index) => format!("{path}[{index}]"),
        Step::Member(None) => path,
        Step::Member(Some(name)) if path.is_empty() => String::from_utf8_lossy(name).into_owned(),
        Step::Member(Some(name)) => format!("{path}.{}", String::from_utf8_lossy(name)),
    })
}

enum Step<'a> {
    Member(Option<&'a [u8]>),
    Item(usize),
}

/// The text up to a string's end, and what follows it.
fn string(text: &[u8]) -> (&[u8], &[u8]) {
    let mut escaped = false;
    let end = text.iter().position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    end.map_or((text, &[]), |end| (&text[..end], &text[end + 1..]))
}

// Once for every type in a library, not once for every field.
#[inline(never)]
pub(crate) fn member<'de, A: MapAccess<'de>, T: Deserialize<'de>>(
    members: &mut A,
) -> Result<Option<T>, A::Error> {
    members.next_value()
}

/// Reads an object of which `extra` keeps the members that have no field: what `serde(flatten)` does, in a fifth of
/// its code and without a second look at any of them. A field that is absent or `null` has its default: that of its
/// type, or what is given `or`; one that is `required` must be there.
macro_rules! open_object {
    ($name:ident { $($field:ident: $member:literal $($kind:ident $($default:expr)?)?,)+ }) => {
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
                struct Members;
                impl<'de> serde::de::Visitor<'de> for Members {
                    type Value = $name;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A>(self, mut members: A) -> std::result::Result<$name, A::Error>
                    where
                        A: serde::de::MapAccess<'de>,
                    {
                        $(let mut $field = None;)+
                        let mut extra = serde_json::Map::new();
                        while let Some(name) = members.next_key::<String>()? {
                            match name.as_str() {
                                $($member => $field = $crate::json::member(&mut members)?,)+
                                _ => drop(extra.insert(name, members.next_value()?)),
                            }
                        }
                        Ok($name {
                            $($field: $crate::json::open_object!(@field $field $member $($kind $($default)?)?),)+
                            extra,
                        })
                    }
                }
                deserializer.deserialize_map(Members)
            }
        }
    };
    (@field $field:ident $member:literal) => { $field.unwrap_or_default() };
    (@field $field:ident $member:literal or $default:expr) => { $field.unwrap_or_else($default) };
    (@field $field:ident $member:literal required) => {
        $field.ok_or_else(|| serde::de::Error::missing_field($member))?
    };
}
pub(crate) use open_object;

/// The values of a list, if all of them are what `read` reads.
pub(crate) fn all<T>(list: &[Value], read: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    list.iter().map(read).collect()
}

/// Reads an explicit `null` as if the field were not there.
pub(crate) fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// For `skip_serializing_if`: a switch that is off need not be written.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
pub(crate) fn is_false(value: &bool) -> bool {
    !*value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ChatRequest, EmbedRequest};

    #[test]
    fn the_path_leads_to_what_is_wrong() {
        for (body, path) in [
            (r#"{"a": {"b": 1}, "messages": [{"role": "user"}, {"role": 7}]}"#, "messages[1].role"),
            (r#"{"messages": [{"role": "user"}, {}]}"#, "messages[1]"),
            (
                "{\"x\": \"\\\"}\",\n \"messages\":\n\t[{\"role\": \"user\", \"content\": [\n{}\n]}]}",
                "messages[0].content[0]",
            ),
            (
                r#"{"messages": [{"role": "user", "content": [{}, {"type": "text", "text": ""}]}]}"#,
                "messages[0].content[0]",
            ),
            (r#"{"messages": [], "stop": 1, "n": 2}"#, "stop"),
            (r#"{"messages": [], "stop": [1], "n": 2}"#, "stop[0]"),
            (
                r#"{"messages": [], "tools": [{"function": {"name": "f"}}, {"function": {}}]}"#,
                "tools[1].function",
            ),
            (r#"{"tools": []}"#, ""),
            ("[]", ""),
        ] {
            let error = serde_json::from_str::<ChatRequest>(body).unwrap_err();
            assert_eq!(path_of(body.as_bytes(), &error), path, "{body}: {error}");
        }
        let error = serde_json::from_str::<EmbedRequest>(r#"{"input": [1, "a"]}"#).unwrap_err();
        assert_eq!(path_of(br#"{"input": [1, "a"]}"#, &error), "input");
    }
}
