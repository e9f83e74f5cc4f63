//! Secrets as they may be shown.

/// A key fit to be shown: enough to tell two apart, too little to use. Of a short one that would be most of it.
pub fn masked(secret: &str) -> String {
    const LONG_ENOUGH: usize = 16;
    let chars: Vec<char> = secret.chars().collect();
    if chars.len() < LONG_ENOUGH {
        return "***".to_owned();
    }
    let (head, tail) = (&chars[..3], &chars[chars.len() - 4..]);
    head.iter().chain(&['*'; 3]).chain(tail).collect()
}

/// Whether a key or header of this name holds a secret, as far as can be told without knowing it.
pub(super) fn sounds_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    ["key", "token", "secret", "password", "authorization", "cookie", "credential"]
        .iter()
        .any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_ends_of_long_keys_are_shown() {
        for (secret, shown) in [
            ("sk-abcdefghijkl1234", "sk-***1234"),
            ("0123456789abcdef", "012***cdef"),
            ("0123456789abcde", "***"),
            ("short", "***"),
            ("", "***"),
            ("ключ-из-кириллицы-1234", "клю***1234"),
        ] {
            assert_eq!(masked(secret), shown, "{secret}");
        }
    }

    #[test]
    fn names_tell() {
        for (name, secret) in [
            ("Authorization", true),
            ("X-Api-Key", true),
            ("client_secret", true),
            ("organization", false),
            ("base_url", false),
        ] {
            assert_eq!(sounds_secret(name), secret, "{name}");
        }
    }
}
