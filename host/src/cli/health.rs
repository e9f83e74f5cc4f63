//! `patchbay health`: can a running host serve, and who of its providers can.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use reqwest::StatusCode;
use serde::Deserialize;

use super::Failure;
use super::output::{self, Paint};
use super::remote::{Remote, RemoteArgs};
use super::table::Table;

/// Show how a running host and its providers do
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  patchbay health
  patchbay health --json

--json prints the answer of GET /api/health: {\"status\", \"timestamp\", \"version\", \"uptime_seconds\", \
\"providers\": {NAME: STATUS}, \"summary\": {\"total\", \"available\", \"busy\", ...}}. \
The exit code is 1 when the host cannot serve.")]
pub(super) struct Health {
    /// Print the host's answer as it is
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: RemoteArgs,
}

/// As far as it is shown.
#[derive(Debug, Deserialize)]
pub(super) struct Overview {
    pub(super) status: String,
    version: String,
    uptime_seconds: u64,
    pub(super) providers: BTreeMap<String, String>,
}

pub(super) const PATH: &str = "/api/health";

pub(super) async fn run(command: Health) -> Result<u8, Failure> {
    let remote = Remote::new(command.remote)?;
    let (status, body, overview) = remote.read_any::<Overview>(PATH).await?;
    output::answer(command.json, &body, |paint| overview.render(paint));
    Ok(if status == StatusCode::OK { 0 } else { 1 })
}

impl Overview {
    fn render(&self, paint: Paint) -> String {
        let uptime = humantime::format_duration(Duration::from_secs(self.uptime_seconds));
        let summary = format!("{}, version {}, up {uptime}", paint.state(&self.status), self.version);
        if self.providers.is_empty() {
            return summary;
        }
        let mut table = Table::new(["PROVIDER", "STATUS"]);
        for (name, status) in &self.providers {
            table.row([name.clone(), status.clone()]);
        }
        format!("{summary}\n{}", table.render(paint))
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::testing::{FakeHost, run};

    const BODY: &str =
        r#"{"status":"healthy","version":"0.1.0","uptime_seconds":61,"providers":{"mock":"available"}}"#;

    #[tokio::test]
    async fn the_exit_code_says_whether_it_serves() {
        let host = FakeHost::start([
            ("200 OK", BODY),
            ("503 Service Unavailable", BODY),
            ("502 Bad Gateway", "<html>"),
        ])
        .await;
        assert_eq!(run(&host, &["health"]).await, Ok(0));
        assert_eq!(run(&host, &["health", "--json"]).await, Ok(1));
        assert_eq!(run(&host, &["health"]).await.unwrap_err().code(), 1);
        assert_eq!(host.requests()[0].line, "GET /api/health HTTP/1.1");
    }

    #[test]
    fn it_is_shown_in_a_few_lines() {
        let overview: super::Overview = serde_json::from_str(BODY).unwrap();
        let expected = "healthy, version 0.1.0, up 1m 1s\nPROVIDER  STATUS\nmock      available";
        assert_eq!(overview.render(super::Paint::none()), expected);
    }
}
