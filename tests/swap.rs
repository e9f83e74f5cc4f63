//! Swapping while clients are served: nobody notices, nobody waits, nothing is left behind.

use std::fs;
use std::sync::mpsc;

use crate::broken::IN_C;
use crate::harness::Gate;
use crate::scenario::host::{Place, chat};
use crate::scenario::http::Connection;
use crate::scenario::paint;
use crate::scenario::swap::{Extent, run};

const PROGRAM: &str = env!("CARGO_BIN_EXE_patchbay");

#[test]
fn streams_go_on_while_their_library_is_swapped_again_and_again() {
    let chameleon = paint::built("chameleon").unwrap();
    let extent = Extent { rounds: 60, clients: 12, row: 30 };
    let outcome = run(PROGRAM.as_ref(), &chameleon, extent, |_| ()).unwrap();
    assert!(outcome.resident.is_empty(), "{:?}", outcome.resident);
    let whole: u64 = outcome.rows.iter().map(|row| row.streams.whole).sum();
    let left: u64 = outcome.rows.iter().map(|row| row.streams.left).sum();
    assert!(whole > 0 && left > 0, "{whole} streams came whole, {left} were left");
}

#[test]
fn a_stream_finishes_on_the_generation_it_began_on() {
    let mock = paint::built("mock").unwrap();
    let mut place = Place::new().unwrap();
    place.install("mock", &mock).unwrap();
    // Nor does it matter how long it takes to take in as much as it is told below.
    let patient = r#"{"plugins": {"mock": {"config": {"timeout": 60}}}}"#;
    fs::write(place.path().join("plugin_config.json"), patient).unwrap();
    let mut host = place.serve(PROGRAM.as_ref()).unwrap();

    // The mock repeats what it is told. More than sockets hold: it can only end when it is read.
    let words: Vec<String> = (0..400).map(|n| format!("{n}-{}", "x".repeat(20_000))).collect();
    let said = words.join(" ");
    let mut reader = Connection::open(host.address).unwrap();
    reader.send("POST", "/api/chat", &chat("mock", &said)).unwrap();
    let head = reader.head().unwrap();
    assert_eq!(head.status, 200);
    let mut answer = reader.chunk().unwrap().unwrap();

    for version in 2..=6 {
        host.place.install("mock", &paint::of_version(&mock, version)).unwrap();
        let report = host.reload().unwrap();
        assert_eq!(report["status"], "ok", "{report:#}");
        assert_eq!(host.complete("mock", "hello").unwrap(), "You said: hello");
    }
    let view = host.ask("GET", "/api/plugins/mock", "").unwrap();
    assert_eq!((&view["generation"], &view["version"]), (&6.into(), &"6.0.0".into()), "{view:#}");
    let draining = view["draining"].as_array().unwrap().iter().find(|old| old["generation"] == 1);
    assert_eq!(draining.map(|old| &old["in_flight"]), Some(&1.into()), "{view:#}");
    assert!(host.mapped().unwrap().contains(&("mock".to_owned(), 1)));

    while let Some(chunk) = reader.chunk().unwrap() {
        answer.extend(chunk);
    }
    assert!(answer == format!("You said: {said}").as_bytes(), "{} bytes came back", answer.len());
    host.settled("mock").unwrap();
    assert_eq!(host.mapped().unwrap(), [("mock".to_owned(), 6)].into());
    let log = host.log();
    let status = host.stop().unwrap();
    assert!(status.success(), "{status}: {log}");
}

#[test]
fn no_request_waits_for_a_reload() {
    let mut place = Place::new().unwrap();
    place.install("mock", &paint::built("mock").unwrap()).unwrap();
    let config = place.path().join("plugin_config.json");
    fs::write(&config, r#"{"plugins": {"mock": {}}}"#).unwrap();
    let mut host = place.serve(PROGRAM.as_ref()).unwrap();

    let Some((waits, gate)) = Gate::new(host.place.path(), IN_C) else { return };
    host.place.install("waits", waits.bytes()).unwrap();
    fs::write(&config, r#"{"plugins": {"other": {"plugin": "mock"}}}"#).unwrap();
    let (done, report) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| done.send(host.reload()));
        let held = gate.reached();
        assert_eq!(host.complete("mock", "hello").unwrap(), "You said: hello");
        let mut connection = Connection::open(host.address).unwrap();
        let (status, text) = connection.ask("POST", "/api/chat", &chat("mock", "mock:tokens=2")).unwrap();
        assert_eq!((status, text.as_str()), (200, "word1 word2"));
        assert_eq!(host.ask("GET", "/api/plugins", "").unwrap()["total_count"], 1);
        assert_eq!(host.ask("GET", "/api/providers", "").unwrap()["total_count"], 1);
        assert!(report.try_recv().is_err(), "the reload did not wait for the library");

        drop(held);
        let report = report.recv().unwrap().unwrap();
        assert_eq!(report["plugins"]["failed"][0]["code"], "not_a_plugin", "{report:#}");
        assert_eq!(report["providers"]["created"][0], "other", "{report:#}");
    });
    let log = host.log();
    let status = host.stop().unwrap();
    assert!(status.success(), "{status}: {log}");
}
