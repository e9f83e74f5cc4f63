//! Keys as people write them: names with dots in between, and in quotes where a name has dots itself, as models do.

use super::describe::is_price_key;
use super::pointer::segments;

/// The key that a JSON pointer stands for.
pub(crate) fn of_pointer(pointer: &str) -> String {
    written(&segments(pointer).collect::<Vec<_>>())
}

/// These names as one key.
pub(crate) fn written(names: &[String]) -> String {
    let name = |name: &String| {
        if name.is_empty() || name.contains(['.', '"']) { format!("\"{name}\"") } else { name.clone() }
    };
    names.iter().map(name).collect::<Vec<_>>().join(".")
}

/// The names in a key; none where it is no key.
pub(crate) fn names(key: &str) -> Option<Vec<String>> {
    let (mut names, mut rest) = (Vec::new(), key);
    loop {
        let (name, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => rest.split_at(rest.find('.').unwrap_or(rest.len())),
        };
        if name.is_empty() {
            return None;
        }
        names.push(name.to_owned());
        match after.strip_prefix('.') {
            Some(more) => rest = more,
            None if after.is_empty() => return Some(with_whole_model(names)),
            None => return None,
        }
    }
}

/// Shells take quotes away, and what stands between `pricing` and the price can be nothing but a model.
fn with_whole_model(names: Vec<String>) -> Vec<String> {
    let Some(place) = names.iter().take(2).position(|name| name == "pricing") else { return names };
    let has_price = names.len() > place + 2 && names.last().is_some_and(|name| is_price_key(name));
    let end = names.len() - usize::from(has_price);
    if end <= place + 1 {
        return names;
    }
    let model = names[place + 1..end].join(".");
    [&names[..=place], &[model], &names[end..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_dots_stand_in_quotes() {
        for (key, expected, again) in [
            ("model", &["model"][..], "model"),
            ("extra_headers.x-team", &["extra_headers", "x-team"], "extra_headers.x-team"),
            ("own.\"a.b\".c", &["own", "a.b", "c"], "own.\"a.b\".c"),
            ("own.a.b.c", &["own", "a", "b", "c"], "own.a.b.c"),
            ("pricing.\"gpt-5.1\".prompt", &["pricing", "gpt-5.1", "prompt"], "pricing.\"gpt-5.1\".prompt"),
            ("pricing.gpt-5.1.prompt", &["pricing", "gpt-5.1", "prompt"], "pricing.\"gpt-5.1\".prompt"),
            ("config.pricing.gpt-5.1", &["config", "pricing", "gpt-5.1"], "config.pricing.\"gpt-5.1\""),
            ("pricing.a.prompt", &["pricing", "a", "prompt"], "pricing.a.prompt"),
            ("pricing.prompt", &["pricing", "prompt"], "pricing.prompt"),
            ("pricing", &["pricing"], "pricing"),
        ] {
            let names = names(key).unwrap();
            assert_eq!(names, expected, "{key}");
            assert_eq!(written(&names), again, "{key}");
        }
        for bad in ["", "a..b", ".a", "a.", "\"a", "\"a\"b", "a.\"\""] {
            assert_eq!(names(bad), None, "{bad}");
        }
        assert_eq!(of_pointer("/pricing/gpt-5.1/prompt"), "pricing.\"gpt-5.1\".prompt");
        assert_eq!(of_pointer("/extra_headers/a~1b"), "extra_headers.a/b");
    }
}
