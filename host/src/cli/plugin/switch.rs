//! `patchbay plugin enable` and `disable`: whether a running host uses a plugin.

use clap::Args;
use reqwest::Method;

use crate::cli::Failure;
use crate::cli::output::{self, Paint};
use crate::cli::reload::Report;
use crate::cli::remote::{Remote, RemoteArgs};
use crate::segment::segment;

/// Have a running host use a plugin again
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  patchbay plugin enable mock")]
pub(super) struct Enable {
    /// As `patchbay plugin list` shows it
    #[arg(value_name = "ID")]
    id: String,

    #[command(flatten)]
    remote: RemoteArgs,
}

/// Have a running host use a plugin no more, until it is enabled or the host starts again
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  patchbay plugin disable mock\n\nWhat its providers have begun is finished."
)]
pub(super) struct Disable {
    /// As `patchbay plugin list` shows it
    #[arg(value_name = "ID")]
    id: String,

    #[command(flatten)]
    remote: RemoteArgs,
}

pub(super) async fn enable(command: Enable) -> Result<u8, Failure> {
    let report = switch(command.remote, &command.id, "enable").await?;
    Ok(if report.is_ok() { 0 } else { 1 })
}

pub(super) async fn disable(command: Disable) -> Result<u8, Failure> {
    let report = switch(command.remote, &command.id, "disable").await?;
    // That its providers are gone is what was asked for, though the host reports them as failed.
    Ok(if report.is_ok_for(&command.id) { 0 } else { 1 })
}

async fn switch(remote: RemoteArgs, id: &str, to: &str) -> Result<Report, Failure> {
    let path = format!("/api/plugins/{}/{to}", segment(id));
    let report = Report::read(&Remote::new(remote)?.send(Method::POST, &path).await?)?;
    output::line(&report.render(false, Paint::for_stdout()));
    Ok(report)
}

#[cfg(test)]
mod tests {
    use crate::cli::testing::{FakeHost, run};

    #[tokio::test]
    async fn each_has_its_route_and_its_idea_of_success() {
        let partial = ("200 OK", r#"{"status":"partial","plugins":{"failed":[{"id":"b","message":"x"}]}}"#);
        let host = FakeHost::start([partial; 3]).await;
        assert_eq!(run(&host, &["plugin", "enable", "a"]).await, Ok(1));
        assert_eq!(run(&host, &["plugin", "disable", "../a"]).await, Ok(0));
        assert_eq!(run(&host, &["plugin", "disable", "b"]).await, Ok(1));
        let lines: Vec<String> = host.requests().into_iter().map(|request| request.line).collect();
        assert_eq!(lines[0], "POST /api/plugins/a/enable HTTP/1.1");
        assert_eq!(lines[1], "POST /api/plugins/%2E%2E%2Fa/disable HTTP/1.1");
    }
}
