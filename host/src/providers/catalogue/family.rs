//! Versions of one model: vendors list it under a date or a tag, and serve it under shorter names that they do not list.

/// What the name of a model has in common with those of its other versions: it ends before a tag, a date or `latest`.
/// Good enough to choose who is asked; what the name means is for them to say.
pub(in crate::providers) fn family(model: &str) -> &str {
    let untagged = model.find([':', '@']).and_then(|end| model.get(..end)).unwrap_or(model);
    let plain = untagged.strip_suffix("-latest").unwrap_or(untagged);
    let dates = ["-####-##-##", "-########"];
    dates.iter().find_map(|date| without(plain, date)).unwrap_or(plain)
}

/// The name without an end of this shape, where `#` is a digit.
fn without<'a>(name: &'a str, shape: &str) -> Option<&'a str> {
    let rest = name.len().checked_sub(shape.len())?;
    let end = name.as_bytes().get(rest..)?;
    let fits = |(byte, shape): (&u8, u8)| *byte == shape || (shape == b'#' && byte.is_ascii_digit());
    end.iter().zip(shape.bytes()).all(fits).then(|| name.get(..rest)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_one_model_are_a_family() {
        for (model, expected) in [
            ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
            ("claude-sonnet-4-5", "claude-sonnet-4-5"),
            ("claude-3-7-sonnet-latest", "claude-3-7-sonnet"),
            ("claude-3-5-sonnet@20240620", "claude-3-5-sonnet"),
            ("gpt-4o-2024-08-06", "gpt-4o"),
            ("gpt-4-0613", "gpt-4-0613"),
            ("llama3:latest", "llama3"),
            ("meta-llama/llama-3.3-70b-instruct:nitro", "meta-llama/llama-3.3-70b-instruct"),
            ("20240620", "20240620"),
            ("é-20240620", "é"),
            ("", ""),
        ] {
            assert_eq!(family(model), expected);
        }
    }
}
