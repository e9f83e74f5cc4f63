//! The key's way into a request: only here it leaves its type.

use std::borrow::Cow;
use std::fmt::Write as _;

use patchbay_plugin_api::ProviderError;
use patchbay_plugin_api::abi::KEY_PLACEHOLDER;
use secrecy::{ExposeSecret as _, SecretString};

/// A header's value, ready to be sent.
pub(super) struct Filled<'a> {
    pub(super) value: Cow<'a, str>,
    /// Whether the key is in it.
    pub(super) secret: bool,
}

/// Puts the key into a header's value; none when the header asks for a key and there is none.
pub(super) fn fill_header<'a>(template: &'a str, key: Option<&SecretString>) -> Option<Filled<'a>> {
    if !template.contains(KEY_PLACEHOLDER) {
        return Some(Filled { value: Cow::Borrowed(template), secret: false });
    }
    let value = template.replace(KEY_PLACEHOLDER, key?.expose_secret());
    Some(Filled { value: Cow::Owned(value), secret: true })
}

/// Puts the key into a URL's query. Anywhere else in a URL it would reach logs of proxies and other hosts.
pub(super) fn fill_query<'a>(
    url: &'a str,
    key: Option<&SecretString>,
) -> Result<Cow<'a, str>, ProviderError> {
    if !url.contains(KEY_PLACEHOLDER) {
        return Ok(Cow::Borrowed(url));
    }
    match url.split_once('?') {
        Some((address, query)) if !address.contains(KEY_PLACEHOLDER) => {
            let key = key.map(|key| percent_encoded(key.expose_secret())).unwrap_or_default();
            Ok(Cow::Owned(format!("{address}?{}", query.replace(KEY_PLACEHOLDER, &key))))
        }
        _ => Err(super::misconfigured("a key can stand in a header or in a URL's query, nowhere else")),
    }
}

fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}
