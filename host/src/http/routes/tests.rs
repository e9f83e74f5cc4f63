//! Every route there is against everybody who may ask, over the router itself.

use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use http::Version;
use http::header::WWW_AUTHENTICATE;
use secrecy::SecretString;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::access::{Scope, VirtualKey, testing};
use crate::accounts::Arrival;
use crate::config::ServerSettings;
use crate::http::connection::Connection;
use crate::http::{Parts, Server, all, layers};

/// A host, as far as it matters to who is let in.
#[derive(Clone, Copy, Debug)]
struct Host {
    address: &'static str,
    token: bool,
    keys: bool,
    open: bool,
}

/// Only this machine can connect, and nothing is configured.
const LOCAL: Host = Host { address: "127.0.0.1", token: false, keys: false, open: false };
const LOCAL_WITH_KEYS: Host = Host { keys: true, ..LOCAL };
const TOKENED: Host = Host { token: true, ..LOCAL_WITH_KEYS };
const LOCAL_WITH_TOKEN: Host = Host { token: true, ..LOCAL };
const PUBLIC: Host = Host { address: "0.0.0.0", token: true, ..LOCAL };
const OPEN: Host = Host { open: true, ..PUBLIC };

impl Host {
    fn state(self) -> AppState {
        let settings = ServerSettings {
            host: self.address.to_owned(),
            port: 0,
            open: self.open,
            max_body_bytes: 2000,
            keep_alive: Duration::from_secs(15),
            cors_origins: vec!["https://app.example".to_owned()],
            trusted_proxies: Vec::new(),
            admin_token: self.token.then(|| SecretString::from("s3cret")),
        };
        let key = |id: &str, scope| VirtualKey { scopes: vec![scope], ..testing::key(id, b"") };
        let keys = vec![
            ("pb-chat", key("chat", Scope::Chat)),
            ("pb-read", key("read", Scope::Read)),
            ("pb-admin", key("admin", Scope::Admin)),
            ("pb-over", VirtualKey { expires_at: Some(1), ..key("over", Scope::Admin) }),
        ];
        let book = testing::book(if self.keys { keys } else { Vec::new() });
        AppState::new(&settings, Parts::of(Arc::default(), book))
    }
}

/// What is to come of a request: a refusal, or that it is let in, whatever the handler then says.
type Expected = Option<u16>;
const IN: Expected = None;
const NO_TOKEN: Expected = Some(401);
const NOT_ALLOWED: Expected = Some(403);
const NO_JSON: Expected = Some(415);

/// Who asks, and what is said to them: for an application's route that looks and one that changes or asks, and
/// likewise for an operator's.
struct Case {
    host: Host,
    lines: &'static [&'static str],
    application: [Expected; 2],
    operators: [Expected; 2],
}

fn case(host: Host, lines: &'static [&'static str], expected: [Expected; 4]) -> Case {
    let [look, ask, admin_look, admin_change] = expected;
    Case { host, lines, application: [look, ask], operators: [admin_look, admin_change] }
}

/// The rules as documented under "Who may call what". `peer` and `body` are pseudo headers.
fn cases() -> Vec<Case> {
    const ALL: [Expected; 4] = [IN; 4];
    const NONE: [Expected; 4] = [NOT_ALLOWED; 4];
    vec![
        // Without a token: whoever is local, and nobody else.
        case(LOCAL, &["host: localhost:5000"], ALL),
        case(LOCAL, &["host: [::1]:5000", "peer: [::1]:9"], ALL),
        case(LOCAL, &["host: evil.example"], NONE),
        case(LOCAL, &["host: localhost", "host: evil.example"], NONE),
        case(LOCAL, &[], NONE),
        case(LOCAL, &["host: localhost", "peer: 192.168.1.7:9"], NONE),
        case(LOCAL, &["host: localhost", "forwarded: for=127.0.0.1"], NONE),
        case(LOCAL, &["host: localhost", "via: 1.1 proxy"], NONE),
        case(LOCAL, &["host: localhost", "x-real-ip: 127.0.0.1"], NONE),
        case(LOCAL, &["host: localhost", "x-forwarded-for: 127.0.0.1"], NONE),
        case(LOCAL, &["host: localhost", "x-forwarded-host: localhost"], NONE),
        case(LOCAL, &["host: localhost", "x-forwarded-proto: http"], NONE),
        case(LOCAL, &["host: localhost", "x-forwarded-port: 5000"], NONE),
        case(LOCAL, &["host: localhost", "x-forwarded: 127.0.0.1"], NONE),
        // Pages of other origins change nothing; those that are named may do what applications may.
        case(LOCAL, &["host: localhost", "origin: https://evil.example"], [IN, NOT_ALLOWED, IN, NOT_ALLOWED]),
        case(LOCAL, &["host: localhost", "origin: null"], [IN, NOT_ALLOWED, IN, NOT_ALLOWED]),
        case(LOCAL, &["host: localhost", "origin: https://app.example"], [IN, IN, IN, NOT_ALLOWED]),
        case(LOCAL, &["host: localhost:5000", "origin: http://localhost:5000"], ALL),
        // What a form can send is no change either.
        case(LOCAL, &["host: localhost", "body: text/plain"], [IN, NO_JSON, IN, NO_JSON]),
        case(LOCAL, &["host: localhost", "body: application/json"], ALL),
        // Where keys were given out, applications need one on this machine too.
        case(LOCAL_WITH_KEYS, &["host: localhost"], [NO_TOKEN, NO_TOKEN, IN, IN]),
        case(LOCAL_WITH_KEYS, &["host: localhost", "authorization: Bearer pb-guess"], [NO_TOKEN; 4]),
        // With a token: nobody without one, be they local or not.
        case(LOCAL_WITH_TOKEN, &["host: localhost"], [IN, IN, NO_TOKEN, NO_TOKEN]),
        case(TOKENED, &["host: localhost"], [NO_TOKEN; 4]),
        case(TOKENED, &["host: localhost", "authorization: Bearer s3cre"], [NO_TOKEN; 4]),
        case(TOKENED, &["host: localhost", "authorization: Basic s3cret"], [NO_TOKEN; 4]),
        case(TOKENED, &["host: localhost", "authorization: Bearer pb-over"], [NO_TOKEN; 4]),
        case(
            TOKENED,
            &["host: localhost", "authorization: Bearer pb-chat"],
            [IN, IN, NOT_ALLOWED, NOT_ALLOWED],
        ),
        case(
            TOKENED,
            &["host: localhost", "authorization: Bearer pb-read"],
            [IN, NOT_ALLOWED, IN, NOT_ALLOWED],
        ),
        case(TOKENED, &["host: localhost", "authorization: Bearer pb-admin"], ALL),
        case(TOKENED, &["host: gw.example", "peer: 10.0.0.1:2", "authorization: Bearer s3cret"], ALL),
        case(TOKENED, &["host: gw.example", "x-forwarded-for: 1.2.3.4", "authorization: Bearer s3cret"], ALL),
        case(
            TOKENED,
            &["host: gw.example", "authorization: Bearer s3cret", "origin: https://evil.example"],
            [IN, NOT_ALLOWED, IN, NOT_ALLOWED],
        ),
        case(PUBLIC, &["host: localhost"], [NO_TOKEN; 4]),
        case(PUBLIC, &["host: gw.example", "peer: 10.0.0.1:2"], [NO_TOKEN; 4]),
        case(OPEN, &["host: gw.example", "peer: 10.0.0.1:2"], [IN, IN, NO_TOKEN, NO_TOKEN]),
    ]
}

impl Case {
    fn expected(&self, route: &Route) -> Expected {
        let changes = usize::from(!route.method.is_safe());
        match route.audience {
            Audience::Asking | Audience::Telling => self.application[changes],
            Audience::Operators => self.operators[changes],
            Audience::Anyone => IN,
        }
    }

    fn request(&self, route: &Route) -> Request {
        let (mut peer, mut body) = ("127.0.0.1:1", Body::empty());
        let mut request = Request::builder().method(&route.method).uri(example(route.path));
        for line in self.lines {
            let (name, value) = line.split_once(": ").unwrap();
            match name {
                "peer" => peer = value,
                "body" => {
                    request = request.header("content-type", value);
                    body = Body::from("{}");
                }
                _ => request = request.header(name, value),
            }
        }
        let mut request = request.version(Version::HTTP_11).body(body).unwrap();
        request.extensions_mut().insert(Connection::new(peer.parse().unwrap(), Duration::MAX));
        request
    }
}

/// A path that a route takes.
fn example(path: &str) -> String {
    path.replace("{name}", "nobody").replace("{id}", "nothing").replace("{*id}", "some/model")
}

#[tokio::test]
async fn every_route_refuses_whom_it_is_not_for() {
    let routes = all();
    for case in cases() {
        let router = router(&routes, case.host.state());
        for route in &routes {
            let what = format!("{} {} on {:?} with {:?}", route.method, route.path, case.host, case.lines);
            let response = layers::answer(
                router.clone(),
                Arc::default(),
                Arrival::default(),
                case.request(route),
                pending(),
            )
            .await;
            let status = response.status().as_u16();
            match case.expected(route) {
                // Nobody answers for a provider or plugin that is not there; but that is no refusal, and no path
                // without a route either.
                None => assert!(![401, 403, 405, 415].contains(&status), "{status}: {what}"),
                Some(expected) => {
                    assert_eq!(status, expected, "{what}");
                    let asks = response.headers().get(WWW_AUTHENTICATE).is_some_and(|it| it == "Bearer");
                    assert_eq!(asks, expected == 401, "{what}");
                    let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
                    check_refusal(route, expected, &serde_json::from_slice(&body).unwrap());
                }
            }
        }
    }
}

/// In the words of whoever asks there.
fn check_refusal(route: &Route, status: u16, body: &Value) {
    let is_openai = route.path.starts_with("/v1/");
    let code = if is_openai { &body["error"]["code"] } else { &body["code"] };
    let expected = match status {
        401 if is_openai => "invalid_api_key",
        401 => "unauthorized",
        403 => "forbidden",
        _ => "unsupported_media_type",
    };
    assert_eq!(code, expected, "{} {}: {body}", route.method, route.path);
}

#[tokio::test]
async fn what_is_no_route_tells_nothing_of_itself() {
    let router = router(&all(), LOCAL.state());
    for (method, path, expected) in
        [("GET", "/api/nothing", 404), ("PUT", "/api/keys", 405), ("GET", "/v1/chat/completions", 405)]
    {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let status = layers::answer(router.clone(), Arc::default(), Arrival::default(), request, pending())
            .await
            .status();
        assert_eq!(status, expected, "{method} {path}");
    }
}

/// An address of this machine's by which another one would reach it, if it has any.
fn outward() -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // Nothing is sent: it only has the system choose a way.
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    let SocketAddr::V4(address) = socket.local_addr().ok()? else { return None };
    Some(*address.ip()).filter(|address| !address.is_loopback() && !address.is_unspecified())
}

/// The status that a request over this socket gets.
async fn status(mut socket: TcpStream, route: &Route) -> u16 {
    let (method, path) = (&route.method, example(route.path));
    let request = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut head = [0; 12];
    socket.read_exact(&mut head).await.unwrap();
    std::str::from_utf8(&head[9..]).unwrap().parse().unwrap()
}

#[tokio::test]
async fn the_peer_is_who_has_connected_and_not_who_it_says_it_is() {
    let server = Server::bind((Ipv4Addr::UNSPECIFIED, 0)).await.unwrap();
    let port = server.local_addr().unwrap().port();
    let shutdown = CancellationToken::new();
    let running =
        tokio::spawn(server.run(router(&all(), LOCAL.state()), shutdown.clone(), Duration::from_secs(5)));
    let outward = outward();
    if outward.is_none() {
        eprintln!("not tried from another address: this machine has none but loopback");
    }
    for route in all() {
        let near = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        let let_in = status(near, &route).await;
        assert!(![401, 403, 405].contains(&let_in), "{let_in}: {} {}", route.method, route.path);
        let Some(address) = outward else { continue };
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((address, 0).into()).unwrap();
        let far = socket.connect((address, port).into()).await.unwrap();
        let refused = status(far, &route).await == 403;
        assert_eq!(refused, route.audience != Audience::Anyone, "{} {}", route.method, route.path);
    }
    shutdown.cancel();
    running.await.unwrap();
}
