//! `patchbay log-level`: how much a running host logs.

use clap::{Args, ValueEnum};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Failure;
use super::output;
use super::remote::{Remote, RemoteArgs};

/// Show or change how much a running host logs
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  patchbay log-level
  patchbay log-level info,patchbay::plugins=debug --for 10m
  patchbay log-level --access-log on

A host that is started again has its configured level. --json prints the answer of GET or PUT /api/log: \
{\"level\", \"access_log\", \"configured\": {\"level\", \"access_log\"}, \"until\", \"then\": {\"level\", \"access_log\"}}.")]
pub(super) struct LogLevel {
    /// off, error, warn, info, debug or trace, or levels per module as in info,patchbay::plugins=debug
    filter: Option<String>,

    /// Have what held before come back after this time, as in 10m
    #[arg(long = "for", value_name = "TIME")]
    within: Option<String>,

    /// Whether the log has a line for each request
    #[arg(long, value_name = "WHETHER")]
    access_log: Option<Switch>,

    /// Print the host's answer as it is
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: RemoteArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

/// As far as it is shown.
#[derive(Debug, Deserialize)]
struct Log {
    #[serde(flatten)]
    now: Setting,
    configured: Setting,
    until: Option<String>,
    then: Option<Setting>,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Setting {
    level: String,
    access_log: bool,
}

const PATH: &str = "/api/log";

pub(super) async fn run(command: LogLevel) -> Result<u8, Failure> {
    let LogLevel { filter, within, access_log, json, remote } = command;
    let is_change = filter.is_some() || access_log.is_some();
    if within.is_some() && !is_change {
        return Err(Failure::bad_input(
            "--for needs something that is to hold for so long: a level, or --access-log",
        ));
    }
    let remote = Remote::new(remote)?;
    let body = if is_change {
        let level = filter.map(|filter| ("level", Value::from(filter)));
        let access_log = access_log.map(|switch| ("access_log", Value::from(switch == Switch::On)));
        let within = within.map(|within| ("for", Value::from(within)));
        let members = level.into_iter().chain(access_log).chain(within);
        let wanted: Map<String, Value> = members.map(|(name, value)| (name.to_owned(), value)).collect();
        remote.send_json(Method::PUT, PATH, &wanted.into(), None).await?
    } else {
        remote.send(Method::GET, PATH).await?
    };
    let log: Log = remote.understand(PATH, &body)?;
    output::answer(json, &body, |_| log.render());
    Ok(0)
}

impl Log {
    fn render(&self) -> String {
        let mut text = self.now.render();
        if let Some((until, then)) = self.until.as_ref().zip(self.then.as_ref()) {
            text.push_str(&format!("\nuntil {until}, then {}", then.render()));
        }
        if self.now != self.configured {
            text.push_str(&format!("\nwhen the host is started again: {}", self.configured.render()));
        }
        text
    }
}

impl Setting {
    fn render(&self) -> String {
        let Self { level, access_log } = self;
        format!("{level}, {} line for each request", if *access_log { "with a" } else { "without a" })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::cli::testing::{FakeHost, run};

    const BODY: &str = r#"{"level":"debug","access_log":true,"configured":{"level":"info","access_log":false},
        "until":"2026-01-01T00:00:00Z","then":{"level":"info","access_log":false}}"#;

    #[tokio::test]
    async fn it_asks_or_changes() {
        let host = FakeHost::start([("200 OK", BODY), ("200 OK", BODY), ("400 Bad Request", "{}")]).await;
        assert_eq!(run(&host, &["log-level"]).await, Ok(0));
        let change = ["log-level", "debug", "--for", "10m", "--access-log", "on", "--json"];
        assert_eq!(run(&host, &change).await, Ok(0));
        assert_eq!(run(&host, &["log-level", "loud"]).await.unwrap_err().code(), 1);
        assert_eq!(run(&host, &["log-level", "--for", "10m"]).await.unwrap_err().code(), 64);
        let requests = host.requests();
        assert_eq!(requests[0].line, "GET /api/log HTTP/1.1");
        assert_eq!(requests[1].line, "PUT /api/log HTTP/1.1");
        assert_eq!(requests[1].body, json!({"level": "debug", "access_log": true, "for": "10m"}));
        assert_eq!(requests.len(), 3);
    }

    #[test]
    fn it_is_shown_in_a_few_lines() {
        let log: super::Log = serde_json::from_str(BODY).unwrap();
        let expected = "debug, with a line for each request\n\
                        until 2026-01-01T00:00:00Z, then info, without a line for each request\n\
                        when the host is started again: info, without a line for each request";
        assert_eq!(log.render(), expected);
    }
}
