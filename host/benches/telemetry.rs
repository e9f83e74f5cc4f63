//! What telling of requests costs: the host's own computing for each of them, with traces off, with some and with all of
//! them, and with a line in the log. All the hosts take turns, so that what else the machine does hits them alike.
//!
//! `cargo bench -p patchbay --bench telemetry -- --rounds 20`

// Tables are what this program is for.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

#[allow(dead_code)]
mod house;
#[path = "../../tests/scenario/mod.rs"]
#[allow(dead_code)]
mod scenario;

use std::fs;
use std::time::Duration;

use house::{runtime, upstream};
use scenario::host::{Host, Place, chat};
use scenario::http::Connection;
use scenario::paint;
use serde_json::{Value, json};

/// In each round, of each host.
const REQUESTS: u32 = 2000;

/// Until the last batch of traces is on its way.
const GATHERED: Duration = Duration::from_secs(2);

fn main() {
    let (mut rounds, mut other) = (10, None);
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(name) = arguments.next() {
        let value = arguments.next();
        match (name.as_str(), value) {
            ("--rounds", Some(value)) => rounds = value.parse().unwrap(),
            ("--program", Some(program)) => other = Some(program),
            _ => panic!("--rounds N (10), --program FILE: another build of the host, to compare with"),
        }
    }
    let runtime = runtime();
    // Who answers everything takes traces, too.
    let address = upstream(&runtime);
    let traces =
        |share: f64| json!({"traces": {"otlp_endpoint": format!("http://{address}"), "sample": share}});
    let own = env!("CARGO_BIN_EXE_patchbay");
    let mut hosts = vec![
        ("traces off", own, json!({})),
        ("traces of 0 %", own, traces(0.0)),
        ("traces of 1 %", own, traces(0.01)),
        ("traces of all", own, traces(1.0)),
        ("a line each", own, json!({"access_log": true})),
    ];
    if let Some(program) = &other {
        hosts.insert(0, ("the other build", program, Value::Null));
    }
    let hosts: Vec<_> = hosts
        .into_iter()
        .map(|(name, program, telemetry)| (name, start(program, address, &telemetry)))
        .collect();
    let ask = |host: &Host| {
        let (mut connection, body) = (Connection::open(host.address).unwrap(), chat("up", "ping"));
        for _ in 0..REQUESTS {
            let (status, answer) = connection.ask("POST", "/api/chat/complete", &body).unwrap();
            assert!(status == 200 && answer.contains("pong"), "{answer}");
        }
    };
    hosts.iter().for_each(|(_, host)| ask(host));
    std::thread::sleep(GATHERED);
    let before: Vec<Duration> = hosts.iter().map(|(_, host)| computed(host)).collect();
    for _ in 0..rounds {
        hosts.iter().for_each(|(_, host)| ask(host));
    }
    std::thread::sleep(GATHERED);
    for ((name, host), before) in hosts.into_iter().zip(before) {
        let each = (computed(&host) - before).as_secs_f64() * 1e6 / f64::from(rounds * REQUESTS);
        println!("{name:>16} {each:>8.2} us a request");
        assert!(host.stop().unwrap().success());
    }
}

fn start(program: &str, upstream: std::net::SocketAddr, telemetry: &Value) -> Host {
    let mut place = Place::new().unwrap();
    place.install("openai_compatible", &paint::built("openai_compatible").unwrap()).unwrap();
    let config = json!({"base_url": format!("http://{upstream}/v1"), "model": "m"});
    let mut whole = json!({
        "plugins": {"up": {"plugin": "openai-compatible", "config": config}}, "health": {"enabled": false},
    });
    if !telemetry.is_null() {
        whole["telemetry"] = telemetry.clone();
    }
    fs::write(place.path().join("plugin_config.json"), whole.to_string()).unwrap();
    place.serve(program.as_ref()).unwrap()
}

/// The time that all of its threads have computed.
fn computed(host: &Host) -> Duration {
    let threads = fs::read_dir(format!("/proc/{}/task", host.id())).unwrap();
    let of_thread = |path: std::path::PathBuf| {
        let text = fs::read_to_string(path.join("schedstat")).unwrap_or_default();
        text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
    };
    Duration::from_nanos(threads.map(|thread| of_thread(thread.unwrap().path())).sum())
}
