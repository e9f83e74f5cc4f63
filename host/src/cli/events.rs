//! `patchbay events`: what happens to a running host, as it happens.

use std::fmt::Write as _;

use clap::Args;
use serde_json::Value;

use super::Failure;
use super::output;
use super::remote::{Remote, RemoteArgs};
use crate::providers::SseSplitter;

/// Show what happens to a running host: reloads, how its providers do, what becomes of plugins, who changes what
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  patchbay events
  patchbay events --types provider,plugin --json

First come the last few hundred events that the host has kept, then whatever happens, until Ctrl-C or until the host \
ends. A connection that is lost is made again, and goes on where it was.

--json prints one event per line: {\"id\", \"at\", \"type\", ...}; `missed` stands for events that the host had forgotten \
before they could be sent.")]
pub(super) struct Events {
    /// Only these: reload, provider, plugin, config, audit
    #[arg(long, value_name = "TYPE,...", value_delimiter = ',')]
    types: Vec<String>,

    /// Print each event as it is, one in a line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: RemoteArgs,
}

pub(super) async fn run(command: Events) -> Result<u8, Failure> {
    let remote = Remote::new(command.remote)?;
    let mut path = "/api/events".to_owned();
    let types: Vec<&str> =
        command.types.iter().map(|word| word.trim()).filter(|word| !word.is_empty()).collect();
    if let Some(odd) = types.iter().find(|word| !word.bytes().all(|byte| byte.is_ascii_lowercase())) {
        return Err(Failure::bad_input(format!("{odd:?} is no type of events, such as reload or provider")));
    }
    if !types.is_empty() {
        // Writing to a string does not fail.
        let _ = write!(path, "?types={}", types.join(","));
    }
    let mut heard = None;
    // One that is cut is made again at once; that fails where the host is gone.
    while follow(&remote, &path, &mut heard, command.json).await? == Ended::Cut {}
    Ok(0)
}

/// How a connection ended.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    /// The host was done, or nobody reads any more.
    Well,
    /// It is worth another try.
    Cut,
}

async fn follow(
    remote: &Remote,
    path: &str,
    heard: &mut Option<u64>,
    as_json: bool,
) -> Result<Ended, Failure> {
    let mut stream = remote.listen(path, *heard).await?;
    let mut events = SseSplitter::default();
    loop {
        let piece = match stream.next().await {
            Ok(Some(piece)) => piece,
            Ok(None) => return Ok(Ended::Well),
            Err(failure) => {
                output::note(&failure.into_message());
                return Ok(Ended::Cut);
            }
        };
        events.push(piece);
        let unreadable = |problem: &dyn std::fmt::Display| {
            Failure::failed(format!("what came from {} is no event: {problem}", remote.address()))
        };
        while let Some(data) = events.next_event().map_err(|error| unreadable(&error.message))? {
            let event: Value = serde_json::from_slice(&data).map_err(|error| unreadable(&error))?;
            *heard = event["id"].as_u64().or(*heard);
            let mut line = if as_json { String::from_utf8_lossy(&data).into_owned() } else { told(&event) };
            line.push('\n');
            if !output::piece(line.as_bytes()) {
                return Ok(Ended::Well);
            }
        }
    }
}

/// One event in a line: when, of what, about whom, and all that is said of it.
fn told(event: &Value) -> String {
    const BEFORE: [&str; 6] = ["id", "at", "type", "kind", "provider", "plugin"];
    let word = |name: &str| event[name].as_str().unwrap_or_default();
    let mut line = format!("{:<24} {:<8}", word("at"), word("type"));
    for name in ["provider", "plugin", "kind"] {
        // What a reload did to them all are numbers.
        if !word(name).is_empty() {
            let _ = write!(line, " {}", word(name));
        }
    }
    for (name, value) in event.as_object().into_iter().flatten() {
        let is_said = value.is_object() || !BEFORE.contains(&name.as_str());
        if !is_said || value.is_null() || value.as_array().is_some_and(Vec::is_empty) {
            continue;
        }
        let _ = match value {
            Value::String(text) => write!(line, " {name}={text}"),
            Value::Object(counts) if counts.values().all(Value::is_number) => {
                let counts = counts.iter().filter(|(_, count)| **count != 0);
                let counts: Vec<String> = counts.map(|(word, count)| format!("{count} {word}")).collect();
                write!(
                    line,
                    " {name}={}",
                    if counts.is_empty() { "none".to_owned() } else { counts.join("/") }
                )
            }
            other => write!(line, " {name}={other}"),
        };
    }
    // Names come from plugins and upstreams; what would move the cursor is not shown.
    line.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::testing::{FakeHost, run};

    const HEAD: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream\r\n";

    #[tokio::test]
    async fn a_cut_connection_goes_on_where_it_was() {
        let event = "id: 7\nevent: plugin\ndata: {\"id\":7,\"type\":\"plugin\",\"kind\":\"removed\"}\n\n";
        // One that promises more than comes is cut; one that ends with its connection is done.
        let (cut, whole) =
            (format!("{HEAD}content-length: 999\r\n\r\n{event}"), format!("{HEAD}\r\n{event}"));
        let host = FakeHost::raw(vec![cut, whole]).await;
        assert_eq!(run(&host, &["events", "--types", "plugin,reload", "--json"]).await, Ok(0));
        let requests = host.requests();
        assert_eq!(requests.len(), 2);
        for request in &requests {
            assert_eq!(request.line, "GET /api/events?types=plugin,reload HTTP/1.1");
        }
        assert!(!requests[0].head.contains("last-event-id"), "{}", requests[0].head);
        assert!(requests[1].head.contains("last-event-id: 7\r\n"), "{}", requests[1].head);
    }

    #[tokio::test]
    async fn what_cannot_be_listened_to_is_a_failure() {
        let host =
            FakeHost::start([("400 Bad Request", r#"{"error":"Invalid query","details":"no"}"#)]).await;
        assert_eq!(run(&host, &["events", "--types", "nothing"]).await.unwrap_err().code(), 1);
        assert_eq!(run(&host, &["events", "--types", "a&b"]).await.unwrap_err().code(), 64);
        // The one answer was given: the host is gone.
        assert_eq!(run(&host, &["events"]).await.unwrap_err().code(), 1);
    }

    #[test]
    fn a_line_says_all_that_is_known() {
        for (event, line) in [
            (
                json!({"id": 1, "at": "2026-01-02T03:04:05.678Z", "type": "provider", "provider": "p",
                       "kind": "condition", "from": "available", "to": "busy", "reason": null}),
                "2026-01-02T03:04:05.678Z provider p condition from=available to=busy",
            ),
            (
                json!({"id": 2, "at": "2026-01-02T03:04:05.678Z", "type": "reload", "status": "ok",
                       "plugins": {"added": 0, "unchanged": 2}, "providers": {"added": 0}, "failed": []}),
                "2026-01-02T03:04:05.678Z reload   plugins=2 unchanged providers=none status=ok",
            ),
            (
                json!({"at": "2026-01-02T03:04:05.678Z", "type": "plugin", "plugin": "\u{1b}[2J", "generation": 3}),
                "2026-01-02T03:04:05.678Z plugin    [2J generation=3",
            ),
        ] {
            assert_eq!(told(&event), line);
        }
    }
}
