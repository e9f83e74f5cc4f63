//! `.env`: one `NAME=value` a line.
//!
//! `export` before it, `#` comments, and quotes around the value are understood. Single quotes keep everything as it
//! is; in double quotes `\n`, `\t`, `\"`, `\\` and `\$` are what they are elsewhere. A value ends with its line.

use super::problem::ConfigProblem;

/// One variable, and the line it is on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Assignment {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) line: usize,
}

/// Everything that could be read, and everything that could not.
pub(super) fn parse(file: &str, text: &str) -> (Vec<Assignment>, Vec<ConfigProblem>) {
    let (mut assignments, mut problems) = (Vec::new(), Vec::new());
    // Some editors begin a file with a mark of how it is encoded.
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        match assignment(line) {
            Ok(None) => {}
            Ok(Some((name, value))) => {
                assignments.push(Assignment { name: name.to_owned(), value, line: index + 1 });
            }
            Err((reason, hint)) => {
                let reason = format!("line {}: {reason}", index + 1);
                problems.push(ConfigProblem::new(file, "", reason, hint));
            }
        }
    }
    (assignments, problems)
}

/// What is wrong, and how to mend it. Never with the line's text: there are keys in it.
type Fault = (&'static str, &'static str);

fn assignment(line: &str) -> Result<Option<(&str, String)>, Fault> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let line = match line.strip_prefix("export") {
        Some(rest) if rest.starts_with([' ', '\t']) => rest.trim_start(),
        _ => line,
    };
    let (name, value) = line
        .split_once('=')
        .ok_or(("there is no \"=\"", "write NAME=value, or begin the line with \"#\""))?;
    let name = name.trim_end();
    if !is_name(name) {
        return Err(("what is before \"=\" is no name", "use letters, digits and \"_\", no digit first"));
    }
    Ok(Some((name, value_of(value.trim_start())?)))
}

/// Whether a variable can have this name.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn value_of(text: &str) -> Result<String, Fault> {
    match text.chars().next() {
        Some(quote @ ('"' | '\'')) => quoted(&text[1..], quote),
        // A "#" within a word belongs to it, as in a URL.
        _ => {
            let comment =
                text.match_indices('#').find(|(at, _)| text[..*at].ends_with([' ', '\t']) || *at == 0);
            Ok(text[..comment.map_or(text.len(), |(at, _)| at)].trim_end().to_owned())
        }
    }
}

fn quoted(text: &str, quote: char) -> Result<String, Fault> {
    let mut value = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            c if c == quote => {
                let rest = chars.as_str().trim_start();
                return if rest.is_empty() || rest.starts_with('#') {
                    Ok(value)
                } else {
                    Err(("there is something after the closing quote", "put \"#\" before a comment"))
                };
            }
            '\\' if quote == '"' => match chars.next() {
                Some('n') => value.push('\n'),
                Some('t') => value.push('\t'),
                Some(c @ ('"' | '\\' | '$')) => value.push(c),
                Some(c) => value.extend(['\\', c]),
                None => value.push('\\'),
            },
            c => value.push(c),
        }
    }
    Err((
        "the closing quote is missing",
        "close it on the same line; for a line break write \\n in double quotes",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_say_something() {
        for (line, name, value) in [
            ("A=1", "A", "1"),
            ("  A = 1  ", "A", "1"),
            ("export A=1", "A", "1"),
            ("exported=1", "exported", "1"),
            ("A=", "A", ""),
            ("A=a=b==", "A", "a=b=="),
            ("A=two words # and a comment", "A", "two words"),
            ("A=# nothing", "A", ""),
            ("A=https://host/#fragment", "A", "https://host/#fragment"),
            ("A='$x \\n # \"'", "A", "$x \\n # \""),
            (r#"A="a\nb \"c\" \\ \$d # e" # comment"#, "A", "a\nb \"c\" \\ $d # e"),
            (r#"A="""#, "A", ""),
            (r#"A=it"s"#, "A", "it\"s"),
            ("A=ключ", "A", "ключ"),
        ] {
            let expected = Assignment { name: name.into(), value: value.into(), line: 2 };
            assert_eq!(parse(".env", &format!("\n{line}\r\n")), (vec![expected], vec![]), "{line}");
        }
        assert_eq!(parse(".env", "\u{feff}# only\n\n   # comments\n"), (vec![], vec![]));
    }

    #[test]
    fn lines_that_cannot_be_read() {
        for (line, expected) in [
            (
                "GROQ_API_KEY",
                ".env: line 2: there is no \"=\": write NAME=value, or begin the line with \"#\"",
            ),
            (
                "2FAST=1",
                ".env: line 2: what is before \"=\" is no name: use letters, digits and \"_\", no digit first",
            ),
            (
                "A=\"multi",
                ".env: line 2: the closing quote is missing: close it on the same line; for a line break write \\n in double quotes",
            ),
            (
                "A='a'b",
                ".env: line 2: there is something after the closing quote: put \"#\" before a comment",
            ),
        ] {
            let (read, problems) = parse(".env", &format!("B=1\n{line}\nC=1"));
            assert_eq!(read.len(), 2, "{line}: the others are read");
            assert_eq!(problems.iter().map(ToString::to_string).collect::<Vec<_>>(), [expected]);
        }
    }
}
