//! Whether it is safe to listen where the settings say.

use std::net::IpAddr;

use secrecy::{ExposeSecret as _, SecretString};
use tracing::warn;

use crate::config::ServerSettings;

/// A shorter token can be guessed.
const SHORTEST_TOKEN: usize = 16;

/// The settings would let strangers in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "server.host is {host:?}, which other machines can reach, but {problem}: set one in the environment \
     (ADMIN_TOKEN=$(openssl rand -hex 32)), or listen on 127.0.0.1"
)]
pub struct StartError {
    host: String,
    problem: &'static str,
}

/// Whether it is safe to listen with these settings.
pub fn start_check(settings: &ServerSettings) -> Result<(), StartError> {
    let length = token_of(settings).map(|token| token.expose_secret().chars().count());
    let problem = match length {
        Some(SHORTEST_TOKEN..) => return Ok(()),
        Some(_) => "its admin token is shorter than 16 characters, and can be guessed",
        None => "there is no admin token",
    };
    if !is_loopback_name(&settings.host) {
        return Err(StartError { host: settings.host.clone(), problem });
    }
    if length.is_some() {
        warn!("ADMIN_TOKEN is shorter than {SHORTEST_TOKEN} characters, and can be guessed: make it longer");
    }
    Ok(())
}

pub(super) fn token_of(settings: &ServerSettings) -> Option<&SecretString> {
    settings.admin_token.as_ref().filter(|token| !token.expose_secret().is_empty())
}

pub(super) fn is_loopback_name(name: &str) -> bool {
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    match bare.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => bare.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::access::tests::settings;
    use super::*;

    #[test]
    fn listening_for_strangers_needs_a_token() {
        for (host, token, ok) in [
            ("127.0.0.1", None, true),
            ("localhost", None, true),
            ("::1", None, true),
            ("0.0.0.0", None, false),
            ("::", None, false),
            ("192.168.1.7", None, false),
            ("gw.example", None, false),
            ("0.0.0.0", Some("0123456789abcdef"), true),
            ("0.0.0.0", Some("0123456789abcde"), false),
            ("0.0.0.0", Some(""), false),
            // Who is on this machine already is warned.
            ("127.0.0.1", Some("x"), true),
        ] {
            for open in [false, true] {
                let outcome = start_check(&settings(host, token, open));
                assert_eq!(outcome.is_ok(), ok, "{host} {token:?}");
                if let Err(error) = outcome {
                    assert!(error.to_string().contains("ADMIN_TOKEN="), "{error}");
                }
            }
        }
    }
}
