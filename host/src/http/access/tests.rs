use std::time::Duration;

use secrecy::SecretString;

use super::*;

pub(in crate::http) fn settings(host: &str, token: Option<&str>, open: bool) -> ServerSettings {
    ServerSettings {
        host: host.to_owned(),
        port: 0,
        open,
        max_body_bytes: 1000,
        keep_alive: Duration::from_secs(15),
        cors_origins: vec!["http://localhost:3000".to_owned()],
        trusted_proxies: Vec::new(),
        admin_token: token.map(SecretString::from),
    }
}

/// A request with lines `name: value`; `peer` is a pseudo header.
fn parts(method: &str, lines: &[&str]) -> Parts {
    let mut peer = "127.0.0.1:1";
    let mut builder = http::Request::builder().method(method).uri("/x");
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        if name == "peer" {
            peer = value;
        } else {
            builder = builder.header(name, value);
        }
    }
    let (mut parts, ()) = builder.body(()).unwrap().into_parts();
    parts.extensions.insert(Connection::new(peer.parse().unwrap(), Duration::MAX));
    parts
}

/// The statuses for application and admin routes; 200 for those let through.
fn statuses(settings: &ServerSettings, method: &str, lines: &[&str]) -> (u16, u16) {
    statuses_with(settings, Vec::new(), method, lines)
}

/// The same where there are keys.
fn statuses_with(
    settings: &ServerSettings,
    keys: Vec<(&str, VirtualKey)>,
    method: &str,
    lines: &[&str],
) -> (u16, u16) {
    use axum::response::IntoResponse as _;
    let access = Access::new(settings, crate::access::testing::book(keys));
    let parts = parts(method, lines);
    let status = |outcome: Result<(), ApiError>| {
        outcome.map_or_else(|e| e.into_response().status().as_u16(), |()| 200)
    };
    (status(access.application(&parts, false).map(|_| ())), status(access.admin(&parts, false).map(drop)))
}

#[test]
fn where_keys_were_given_out_applications_need_one() {
    let key = |id: &str, scope| VirtualKey { scopes: vec![scope], ..crate::access::testing::key(id, b"") };
    let keys = || {
        let over = VirtualKey { expires_at: Some(1), ..key("over", Scope::Admin) };
        vec![
            ("pb-chat", key("chat", Scope::Chat)),
            ("pb-read", key("read", Scope::Read)),
            ("pb-admin", key("admin", Scope::Admin)),
            ("pb-over", over),
        ]
    };
    let of = |settings: &ServerSettings, method: &str, token: &str| {
        let line = format!("authorization: Bearer {token}");
        let lines: &[&str] =
            if token.is_empty() { &["host: localhost"] } else { &["host: localhost", &line] };
        statuses_with(settings, keys(), method, lines)
    };
    let local = settings("127.0.0.1", None, false);
    let tokened = settings("127.0.0.1", Some("secret"), false);
    let open = settings("127.0.0.1", None, true);
    for (settings, method, token, expected) in [
        // Whoever gives out keys on this machine is still let in to give out more.
        (&local, "GET", "", (401, 200)),
        (&local, "POST", "", (401, 200)),
        (&local, "POST", "pb-chat", (200, 403)),
        (&local, "GET", "pb-read", (200, 200)),
        (&local, "POST", "pb-read", (403, 403)),
        (&local, "POST", "pb-admin", (200, 200)),
        (&local, "POST", "pb-over", (401, 401)),
        (&local, "POST", "pb-guess", (401, 401)),
        (&tokened, "GET", "", (401, 401)),
        (&tokened, "POST", "secret", (200, 200)),
        (&tokened, "POST", "pb-chat", (200, 403)),
        (&tokened, "POST", "pb-guess", (401, 401)),
        (&open, "POST", "", (200, 200)),
        (&open, "POST", "pb-guess", (401, 401)),
        (&open, "POST", "by-habit", (200, 401)),
        (&open, "POST", "pb-over", (401, 401)),
        (&open, "POST", "pb-chat", (200, 403)),
    ] {
        assert_eq!(of(settings, method, token), expected, "{method} {token:?}, open {}", settings.open);
    }
}

#[test]
fn on_loopback_without_a_token() {
    let settings = settings("127.0.0.1", None, false);
    for (lines, expected) in [
        (&["host: localhost:5000"][..], (200, 200)),
        (&["host: 127.0.0.1:5000"], (200, 200)),
        (&["host: [::1]:5000", "peer: [::1]:9"], (200, 200)),
        (&["host: 127.0.0.1", "peer: [::ffff:127.0.0.1]:9"], (200, 200)),
        // A token sent by habit (every SDK sends one) does no harm.
        (&["host: localhost", "authorization: Bearer x"], (200, 200)),
        (&["host: evil.example:5000"], (403, 403)),
        (&["host: localhost.evil.example"], (403, 403)),
        (&["host: localhost", "host: evil.example"], (403, 403)),
        (&[], (403, 403)),
        (&["host: localhost", "peer: 192.168.1.7:9"], (403, 403)),
        (&["host: localhost", "x-forwarded-for: 127.0.0.1"], (403, 403)),
        (&["host: localhost", "forwarded: for=127.0.0.1"], (403, 403)),
        (&["host: localhost", "x-real-ip: 127.0.0.1"], (403, 403)),
    ] {
        assert_eq!(statuses(&settings, "GET", lines), expected, "{lines:?}");
    }
}

#[test]
fn with_a_token() {
    for (host, local) in [("127.0.0.1", 200), ("0.0.0.0", 401)] {
        let settings = settings(host, Some("s3cret"), false);
        for (lines, expected) in [
            (&["host: localhost"][..], (local, 401)),
            (&["host: localhost", "authorization: Bearer s3cret"], (200, 200)),
            (&["host: localhost", "authorization: bearer s3cret"], (200, 200)),
            (&["host: gw.example", "peer: 10.0.0.1:2", "authorization: Bearer s3cret"], (200, 200)),
            (&["host: gw.example", "x-forwarded-for: 1.2.3.4", "authorization: Bearer s3cret"], (200, 200)),
            (&["host: gw.example", "authorization: Bearer s3cre"], (401, 401)),
            (&["host: gw.example", "authorization: Bearer "], (401, 401)),
            (&["host: gw.example", "authorization: Basic s3cret"], (401, 401)),
            (&["host: gw.example", "peer: 10.0.0.1:2"], (401, 401)),
        ] {
            assert_eq!(statuses(&settings, "GET", lines), expected, "{host}: {lines:?}");
        }
    }
}

#[test]
fn an_open_host_opens_only_application_routes() {
    let settings = settings("0.0.0.0", Some("s3cret"), true);
    assert_eq!(statuses(&settings, "GET", &["host: gw.example", "peer: 10.0.0.1:2"]), (200, 401));
}

#[test]
fn foreign_pages_change_nothing() {
    let settings = settings("127.0.0.1", None, false);
    for (origin, expected) in [
        ("http://localhost:5000", (200, 200)),
        ("http://localhost:3000", (200, 403)),
        ("http://localhost:4000", (403, 403)),
        ("https://evil.example", (403, 403)),
        ("null", (403, 403)),
        ("", (403, 403)),
    ] {
        let origin = format!("origin: {origin}");
        let lines = ["host: localhost:5000", &origin];
        assert_eq!(statuses(&settings, "POST", &lines), expected, "{origin}");
        assert_eq!(statuses(&settings, "GET", &lines), (200, 200), "{origin}");
    }
}

#[test]
fn bodies_are_json() {
    let access = Access::new(&settings("127.0.0.1", None, false), crate::access::testing::book(Vec::new()));
    for (content_type, ok) in [
        ("content-type: application/json", true),
        ("content-type: Application/JSON; charset=utf-8", true),
        ("content-type: text/plain", false),
        ("content-type: application/x-www-form-urlencoded", false),
        ("x-nothing: 1", false),
    ] {
        let parts = parts("POST", &["host: localhost", content_type]);
        assert_eq!(access.admin(&parts, true).is_ok(), ok, "{content_type}");
        assert_eq!(access.application(&parts, true).is_ok(), ok, "{content_type}");
        assert!(access.admin(&parts, false).is_ok());
    }
}
