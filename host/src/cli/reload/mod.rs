//! `patchbay reload`: has a running host look at its plugins and configuration again.

mod report;

use clap::Args;
use reqwest::Method;

pub(super) use self::report::Report;
use super::Failure;
use super::output::{self, Paint};
use super::remote::{Remote, RemoteArgs};

/// Have a running host reload its plugins and configuration, and show what came of it
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  patchbay reload --dry-run\n  ADMIN_TOKEN=... patchbay reload --url https://gateway.example.com"
)]
pub(super) struct Reload {
    /// Only say what would change
    #[arg(long)]
    dry_run: bool,

    /// Print the host's answer as it is
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: RemoteArgs,
}

pub(super) async fn run(command: Reload) -> Result<u8, Failure> {
    let path = if command.dry_run { "/api/providers/reload?dry_run=true" } else { "/api/providers/reload" };
    let body = Remote::new(command.remote)?.send(Method::POST, path).await?;
    let report = Report::read(&body)?;
    if command.json {
        output::line(&String::from_utf8_lossy(&body));
    } else {
        output::line(&report.render(command.dry_run, Paint::for_stdout()));
    }
    Ok(if report.is_ok() { 0 } else { 1 })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::cli::CommandLine;

    /// Runs the command against a host that gives one answer; the request line it got, and the outcome.
    async fn reload(status: &str, body: &str, flags: &[&str]) -> (String, Result<String, Failure>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let host = tokio::spawn(async move {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let length = connection.read(&mut request).await.unwrap();
            connection.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&request[..length]).lines().next().unwrap().to_owned()
        });
        let arguments = ["patchbay", "reload", "--url", &url].into_iter().chain(flags.iter().copied());
        let command_line = CommandLine::try_parse_from(arguments).unwrap();
        let outcome = crate::cli::run(command_line, Default::default()).await.map(|code| format!("{code:?}"));
        (host.await.unwrap(), outcome)
    }

    #[tokio::test]
    async fn the_exit_code_says_whether_everything_was_reloaded() {
        let (request, outcome) = reload("200 OK", r#"{"status":"ok"}"#, &[]).await;
        assert_eq!(request, "POST /api/providers/reload HTTP/1.1");
        assert_eq!(outcome.unwrap(), "0");

        let (request, outcome) = reload("200 OK", r#"{"status":"partial"}"#, &["--dry-run", "--json"]).await;
        assert_eq!(request, "POST /api/providers/reload?dry_run=true HTTP/1.1");
        assert_eq!(outcome.unwrap(), "1");
    }

    #[tokio::test]
    async fn what_is_no_report_is_a_failure() {
        let (_, outcome) = reload("200 OK", "<html>", &[]).await;
        assert_eq!(outcome.unwrap_err().code(), 1);
        let (_, outcome) = reload("403 Forbidden", r#"{"error":"Forbidden"}"#, &[]).await;
        assert_eq!(outcome.unwrap_err().code(), 1);
    }
}
