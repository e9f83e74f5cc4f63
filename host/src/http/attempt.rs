//! What whoever has started a host may try next.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::safety::{is_loopback_name, token_of};
use crate::access::KeyBook;
use crate::config::ServerSettings;

/// A command that is answered, where it is given on this machine; with a place for the key where one is needed.
pub fn attempt(mut address: SocketAddr, settings: &ServerSettings, keys: &KeyBook) -> String {
    // Where a host listens on every address, that is none to ask.
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    let needs_one = !settings.open && (keys.is_in_use() || !is_loopback_name(&settings.host));
    let (header, note) = match (needs_one, token_of(settings).is_some()) {
        (false, _) => ("", ""),
        (true, true) => ("-H \"authorization: Bearer $ADMIN_TOKEN\" \\\n       ", ""),
        (true, false) => (
            "-H 'authorization: Bearer pb-...' \\\n       ",
            "\n     with a key in place of pb-...: `patchbay keys create NAME` prints one",
        ),
    };
    format!(
        "try: curl -N http://{address}/api/chat -H 'content-type: application/json' \\\n       \
         {header}-d '{{\"messages\": [{{\"role\": \"user\", \"content\": \"hello\"}}]}}'{note}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::testing;

    #[test]
    fn what_is_said_to_try_brings_what_it_needs() {
        const TOKEN: &str = "authorization: Bearer $ADMIN_TOKEN";
        const KEY: &str = "authorization: Bearer pb-...";
        for (host, port, token, keys, open, begins, header) in [
            ("127.0.0.1", "127.0.0.1:80", false, false, false, "curl -N http://127.0.0.1:80/", None),
            ("127.0.0.1", "127.0.0.1:80", true, false, false, "curl -N http://127.0.0.1:80/", None),
            ("127.0.0.1", "127.0.0.1:80", false, true, false, "curl -N http://127.0.0.1:80/", Some(KEY)),
            ("127.0.0.1", "127.0.0.1:80", true, true, false, "curl -N http://127.0.0.1:80/", Some(TOKEN)),
            ("127.0.0.1", "127.0.0.1:80", true, true, true, "curl -N http://127.0.0.1:80/", None),
            ("0.0.0.0", "0.0.0.0:80", true, false, false, "curl -N http://127.0.0.1:80/", Some(TOKEN)),
            ("::", "[::]:80", true, false, true, "curl -N http://[::1]:80/", None),
        ] {
            let settings = crate::http::access::tests::settings(host, token.then_some("s3cret"), open);
            let key = testing::key("k", b"");
            let book = testing::book(if keys { vec![("pb-k", key)] } else { Vec::new() });
            let said = attempt(port.parse().unwrap(), &settings, &book);
            assert!(said.contains(begins), "{said}");
            let shown = [TOKEN, KEY].into_iter().find(|header| said.contains(header));
            assert_eq!(shown, header, "{host} {token} {keys} {open}: {said}");
        }
    }
}
