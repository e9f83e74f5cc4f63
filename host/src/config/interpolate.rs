//! `${VAR}`, `${VAR:-default}`, and `$${` for those who mean it literally.

use super::dotenv::is_name;
use super::secret::masked;

/// A text with its variables filled in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Filled {
    pub(super) text: String,
    /// The same with what came from variables masked.
    pub(super) shown: String,
}

/// Why a text could not be filled in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Missing(String),
    Unclosed,
    NoName,
}

/// None for a text in which there is nothing to fill in.
pub(super) fn fill<'a>(
    text: &str,
    variable: impl Fn(&str) -> Option<&'a str>,
) -> Result<Option<Filled>, Fault> {
    if !text.contains("${") {
        return Ok(None);
    }
    let mut filled = Filled { text: String::new(), shown: String::new() };
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, after) = (&rest[..at], &rest[at + 2..]);
        if let Some(before) = before.strip_suffix('$') {
            filled.both(before);
            filled.both("${");
            rest = after;
            continue;
        }
        filled.both(before);
        let (inside, after) = after.split_once('}').ok_or(Fault::Unclosed)?;
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        if !is_name(name) {
            return Err(Fault::NoName);
        }
        match (variable(name), default) {
            (Some(value), _) => {
                filled.text.push_str(value);
                filled.shown.push_str(&masked(value));
            }
            // It stands in the file for everybody to read.
            (None, Some(default)) => filled.both(default),
            (None, None) => return Err(Fault::Missing(name.to_owned())),
        }
        rest = after;
    }
    filled.both(rest);
    Ok(Some(filled))
}

impl Filled {
    fn both(&mut self, text: &str) {
        self.text.push_str(text);
        self.shown.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &Result<Option<(&str, &str)>, Fault>) {
        let variable = |name: &str| match name {
            "KEY" => Some("sk-abcdefghijkl1234"),
            "ODD" => Some("${KEY}"),
            _ => None,
        };
        let filled = fill(text, variable);
        let filled = filled.as_ref().map(|f| f.as_ref().map(|f| (f.text.as_str(), f.shown.as_str())));
        assert_eq!(filled, expected.as_ref().copied(), "{text}");
    }

    #[test]
    fn what_is_filled_in() {
        check("nothing $KEY here", &Ok(None));
        check("${KEY}", &Ok(Some(("sk-abcdefghijkl1234", "sk-***1234"))));
        check("Bearer ${KEY}!", &Ok(Some(("Bearer sk-abcdefghijkl1234!", "Bearer sk-***1234!"))));
        check("${NONE:-a b:-c}", &Ok(Some(("a b:-c", "a b:-c"))));
        check("${NONE:-}", &Ok(Some(("", ""))));
        check("${KEY:-x}", &Ok(Some(("sk-abcdefghijkl1234", "sk-***1234"))));
        check("$${KEY} ${NONE:-x}", &Ok(Some(("${KEY} x", "${KEY} x"))));
        // What a variable holds is not looked into.
        check("${ODD}", &Ok(Some(("${KEY}", "***"))));
    }

    #[test]
    fn what_cannot_be_filled_in() {
        check("${NONE}", &Err(Fault::Missing("NONE".into())));
        check("a ${KEY", &Err(Fault::Unclosed));
        check("${}", &Err(Fault::NoName));
        check("${not a name}", &Err(Fault::NoName));
    }
}
