//! Names as parts of paths.

use std::fmt::Write as _;

/// A name as one part of a path, whatever is in it: of a URL's, or of a file's.
pub(crate) fn segment(name: &str) -> String {
    let mut text = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
            text.push(char::from(byte));
        } else {
            // Writing to a string does not fail. Dots too: `..` would be another path.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_part_of_a_path() {
        for (name, expected) in
            [("mock-1", "mock-1"), ("a/b c", "a%2Fb%20c"), ("..", "%2E%2E"), ("é", "%C3%A9")]
        {
            assert_eq!(segment(name), expected);
        }
    }
}
