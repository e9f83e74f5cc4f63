use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use super::*;
use crate::ErrorKind;
use crate::host::Level;

fn host() -> (TestHost, Host) {
    let host = TestHost::with_config(r#"{"a":1}"#);
    (host, Host::new(host.services()))
}

#[test]
fn requests_are_recorded_and_answered_in_order() {
    let (script, host) = host();
    script.reply(Reply::json("first").byte_by_byte()).reply(Reply::new(404).header("x-a", "b"));
    let ask = |path: &str| HttpRequest::post(format!("http://x/{path}")).header("accept", "*").body("sent");
    let first = block_on(host.http(&call(), ask("1"))).unwrap();
    assert_eq!(first.header("content-type"), Some("application/json"));
    assert_eq!(block_on(first.body.collect(100)).unwrap(), b"first");
    let second = block_on(host.http(&call(), ask("2"))).unwrap();
    assert_eq!((second.status, second.header("x-a")), (404, Some("b")));
    let third = block_on(host.http(&call(), ask("3"))).unwrap_err();
    assert_eq!(third.message, "the test's script has no reply for POST http://x/3");
    assert_eq!(
        script.requests().iter().map(|sent| &*sent.url).collect::<Vec<_>>(),
        ["http://x/1", "http://x/2", "http://x/3"]
    );
    assert_eq!(script.requests()[0].request, ask("1"));
    assert_eq!(script.requests()[0].call, call().id());
}

#[test]
fn failures_are_scripted_too() {
    let (script, host) = host();
    let ask = || HttpRequest::get("http://x");
    script.reply(Reply::unreachable()).reply(Reply::silence());
    assert_eq!(block_on(host.http(&call(), ask())).unwrap_err().kind, ErrorKind::Connection);
    let call = call();
    let mut silent = pin!(host.http(&call, ask()));
    for _ in 0..3 {
        assert!(poll_once(silent.as_mut()).is_pending());
    }

    script.reply(Reply::json("{").then_breaks()).reply(Reply::json("{").then_hangs());
    let broken = block_on(host.http(&call, ask())).unwrap();
    assert_eq!(block_on(broken.body.collect(10)).unwrap_err().kind, ErrorKind::BrokenStream);
    let hanging = block_on(host.http(&call, ask())).unwrap();
    let mut all = pin!(hanging.body.collect(10));
    for _ in 0..5 {
        assert_eq!(poll_once(all.as_mut()), Poll::Pending);
    }
}

#[test]
fn a_body_is_read_to_its_bound() {
    let (script, host) = host();
    for limit in [4, 5] {
        script.reply(Reply::json("12345").byte_by_byte());
        let response = block_on(host.http(&call(), HttpRequest::get("http://x"))).unwrap();
        let read = block_on(response.body.collect(limit));
        assert_eq!(read.is_ok(), limit == 5, "{read:?}");
    }
    script.reply(Reply::json("12345").then_breaks());
    let response = block_on(host.http(&call(), HttpRequest::get("http://x"))).unwrap();
    assert_eq!(block_on(response.body.beginning(3)), b"123");
}

#[test]
fn time_passes_only_in_sleep() {
    let (script, host) = host();
    let (began, clock) = (host.now(), host.monotonic());
    assert!(began > SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    assert_eq!(host.now(), began);
    let hour = Duration::from_secs(3600);
    block_on(host.sleep(hour));
    assert_eq!(host.now().duration_since(began).unwrap(), hour);
    assert_eq!((host.monotonic() - clock, script.slept()), (hour, hour));
}

#[test]
fn the_rest_is_recorded() {
    let (script, host) = host();
    host.log(Level::Warn, "odd", &serde_json::json!({"a": 1}));
    host.counter("tries", &[("why", "x")], 2.0);
    assert_eq!(script.logs()[0].message, "odd");
    assert_eq!(script.logs()[0].fields, r#"{"a":1}"#);
    assert_eq!((&*script.metrics()[0].name, script.metrics()[0].value), ("tries", 2.0));
    assert_eq!(host.config(), br#"{"a":1}"#);
    let bytes = |host: &Host| {
        let mut bytes = [0; 16];
        host.random(&mut bytes);
        bytes
    };
    let other = self::host().1;
    assert_eq!(bytes(&host), bytes(&other), "random bytes must be the same in every run");
    assert_ne!(bytes(&host), [0; 16]);
}
