//! What upstream says in its errors, made fit for a client: short, printable, and without anything like a key.

use std::borrow::Cow;

use patchbay_plugin_api::ProviderError;
use secrecy::{ExposeSecret as _, SecretString};

/// Characters that a client gets to see at most.
pub const MAX_CHARS: usize = 300;

const MASK: &str = "***";

/// Words of this length that look random are taken for keys. Shorter than any real key, longer than any word.
const TOKEN_CHARS: usize = 24;

/// Cuts `text` to size and takes control characters and everything that looks like a key out of it.
pub fn clean(text: &str, keys: &[SecretString]) -> String {
    // Cut before the work, generously: what is masked or squeezed below only makes it shorter.
    let text: String = text.chars().take(MAX_CHARS * 32).collect();
    let text = mask_exact(text, keys);
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let masked = mask_tokens(&text);
    cut(masked.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Only takes the keys themselves out, which most texts do not hold.
pub fn hide<'a>(text: &'a str, keys: &[SecretString]) -> Cow<'a, str> {
    if keys.iter().any(|key| text.contains(key.expose_secret())) {
        mask_exact(text.to_owned(), keys).into()
    } else {
        text.into()
    }
}

/// Takes an error's own words away that look like a key, or are one: half a code is none.
pub fn clean_words(error: &mut ProviderError, keys: &[SecretString]) {
    for word in [&mut error.code, &mut error.param] {
        word.take_if(|text| clean(text, keys) != *text);
    }
}

/// Replaces the keys themselves. Very short ones are left: replacing them would garble ordinary words.
fn mask_exact(mut text: String, keys: &[SecretString]) -> String {
    for key in keys {
        let key = key.expose_secret();
        if key.len() >= 6 && text.contains(key) {
            text = text.replace(key, MASK);
        }
    }
    text
}

fn cut(text: String) -> String {
    match text.char_indices().nth(MAX_CHARS) {
        None => text,
        Some(_) => {
            let mut short: String = text.chars().take(MAX_CHARS - 1).collect();
            short.push('…');
            short
        }
    }
}

/// Replaces whatever looks like a key, word by word.
fn mask_tokens(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut after_bearer = false;
    let mut rest = text;
    while !rest.is_empty() {
        let word_end = rest.find(|c| !is_token_char(c)).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(word_end);
        if !word.is_empty() {
            out.push_str(if after_bearer || looks_like_key(word) { MASK } else { word });
            after_bearer = word.eq_ignore_ascii_case("bearer");
        }
        let gap_end = tail.find(is_token_char).unwrap_or(tail.len());
        out.push_str(&tail[..gap_end]);
        rest = &tail[gap_end..];
    }
    out
}

fn is_token_char(c: char) -> bool {
    // `*` belongs to a word, so that what upstream half masked itself (`sk-ab****yz`) is one word too.
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '+' | '.' | '*')
}

fn looks_like_key(word: &str) -> bool {
    const PREFIXES: [&str; 11] =
        ["sk-", "sk_", "pk-", "rk-", "gsk_", "hf_", "xai-", "AIza", "ghp_", "eyJ", "r8_"];
    if word.len() >= 8 && PREFIXES.iter().any(|prefix| word.starts_with(prefix)) {
        return true;
    }
    word.split(['.', '+']).any(|part| part.len() >= TOKEN_CHARS && looks_random(part))
}

/// Hexadecimal, base64 and the like: digits and letters mixed, as no word or model name of that length is.
fn looks_random(part: &str) -> bool {
    let count = |of: fn(&u8) -> bool| part.bytes().filter(of).count();
    let digits = count(u8::is_ascii_digit);
    let letters = count(u8::is_ascii_alphabetic);
    let separators = part.len() - digits - letters;
    // Names such as `Llama-3-70b-instruct-fp8` have a separator every few letters; keys have long runs.
    let longest = part.split(['-', '_', '*']).map(str::len).max().unwrap_or(0);
    // Words in camel case have a capital in five or six letters; base64 has one in two.
    let capitals = count(u8::is_ascii_uppercase).min(count(u8::is_ascii_lowercase)) * 4 >= part.len();
    let mixed = letters >= 2 && (digits >= 2 || capitals);
    mixed && (longest >= TOKEN_CHARS - 4 || separators == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(clean(text, &[SecretString::from("my-own-key")]), expected, "for {text:?}");
    }

    #[test]
    fn keys_do_not_pass() {
        check("Incorrect API key provided: sk-proj-abcd1234.", "Incorrect API key provided: ***");
        check("bad key 'sk-ab****yz12'", "bad key '***'");
        check("Authorization: Bearer whatever", "Authorization: Bearer ***");
        check("you sent my-own-key!", "you sent ***!");
        check("token 0123456789abcdef0123456789abcdef is unknown", "token *** is unknown");
        check("token dGhpcyBpcyBhIGtleSBvZiAzMiBieXRlcw== is unknown", "token ***== is unknown");
        check("key=AIzaSyD-1234567890 refused", "key=*** refused");
    }

    #[test]
    fn a_code_that_is_a_key_is_none() {
        let keys = [SecretString::from("my-own-key")];
        for (code, kept) in [
            ("context_length_exceeded", true),
            ("my-own-key", false),
            ("sk-proj-abcd1234", false),
            ("key.my-own-key", false),
        ] {
            let mut error = ProviderError::invalid_input("no").with_code(code).with_param(code);
            clean_words(&mut error, &keys);
            let expected = kept.then_some(code);
            assert_eq!((error.code.as_deref(), error.param.as_deref()), (expected, expected), "{code}");
        }
    }

    #[test]
    fn only_the_keys_are_hidden() {
        let keys = [SecretString::from("my-own-key"), SecretString::from("")];
        assert_eq!(hide("my-own-key and sk-another-one", &keys), "*** and sk-another-one");
        assert!(matches!(hide("nothing of it", &keys[..1]), Cow::Borrowed("nothing of it")));
        assert_eq!(hide("nothing of it", &keys), "nothing of it");
    }

    #[test]
    fn ordinary_words_pass() {
        for text in [
            "The model `meta-llama/Meta-Llama-3.1-70B-Instruct-Turbo` does not exist",
            "This model's maximum context length is 128000 tokens, you asked for 130001",
            "internationalisation is too long a word",
            "max_tokens must be at least 1",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn control_characters_and_length_are_tamed() {
        check("line one\r\nline\u{1b}[31m two\0", "line one line [31m two");
        let long = clean(&"word ".repeat(1000), &[]);
        assert_eq!(long.chars().count(), MAX_CHARS);
        assert!(long.ends_with('…'));
    }
}
