//! `patchbay usage requests`: single requests, such as those that failed.

use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use serde_json::Value;

use super::{Key, said};
use crate::cli::output::{self, Paint};
use crate::cli::remote::{Remote, RemoteArgs};
use crate::cli::table::{Table, or_dash};
use crate::cli::times::past;
use crate::cli::{Failure, keys};

/// Show single requests, such as those that failed or were slow, the latest on top
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  patchbay usage requests
  patchbay usage requests --failed --since 7d
  patchbay usage requests --slow 2s --provider mock --limit 50
  patchbay usage requests --error timed_out --key key_1f6f0a4c2b9d8e77 --json

Requests lie by their time alone: whoever looks for few of them looks at many, up to 200000 for one answer. What was not \
reached then is found with --before, or with a --since that is not as long ago. --json prints the answer of GET \
/api/usage/requests: {\"requests\": [{\"at\", \"request_id\", \"key\", \"route\", \"provider\", \"model\", \"status\", \"error\", \
\"attempts\", \"latency_ms\", \"first_token_ms\", \"usage\", \"cost_usd\", ...}], \"looked_at\", \"next\"}.")]
pub(super) struct Requests {
    /// Those that ended in an error, or were cut by one
    #[arg(long)]
    failed: bool,

    /// Those that ended with this code; abandoned are those whose client left
    #[arg(long, value_name = "CODE")]
    error: Option<String>,

    /// Those that took so long, or longer, such as 2s or 500ms
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    slow: Option<Duration>,

    /// From when on: so long ago, such as 24h or 7d, or a date or time, such as 2026-11-01
    #[arg(long, value_name = "TIME", value_parser = past)]
    since: Option<String>,

    /// Until when, likewise; until now when left out
    #[arg(long, value_name = "TIME", value_parser = past)]
    until: Option<String>,

    /// Only this provider
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,

    /// Only this model
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,

    /// Only this virtual key, by its id or name
    #[arg(long, value_name = "KEY")]
    key: Option<String>,

    /// So many of them, up to 1000
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: u32,

    /// Those that came before: the last answer's next
    #[arg(long, value_name = "NEXT")]
    before: Option<String>,

    /// Print the host's answer as it is
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: RemoteArgs,
}

/// As far as it is shown.
#[derive(Debug, Deserialize)]
struct Page {
    requests: Vec<Request>,
    looked_at: u64,
    next: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Request {
    at: String,
    request_id: String,
    key: Option<Key>,
    provider: Option<String>,
    model: Option<String>,
    status: Option<u16>,
    error: Option<String>,
    attempts: u32,
    latency_ms: f64,
    usage: Option<super::Tokens>,
    cost_usd: Option<Value>,
}

pub(super) async fn run(mut command: Requests) -> Result<u8, Failure> {
    let remote = Remote::new(command.remote.clone())?;
    if let Some(key) = &mut command.key {
        *key = keys::id_of(&remote, key).await?;
    }
    let (body, page) = remote.read::<Page>(&command.path()).await?;
    output::answer(command.json, &body, |paint| page.render(paint));
    if let (Some(next), false) = (&page.next, command.json) {
        let looked_at = page.looked_at;
        output::note(&format!("looked at {looked_at} requests; those before them: --before {next}"));
    }
    Ok(0)
}

impl Requests {
    fn path(&self) -> String {
        let filters = [
            ("failed", self.failed.then(|| true.to_string())),
            ("error", self.error.clone()),
            ("min_latency_ms", self.slow.map(|time| time.as_millis().to_string())),
            ("from", self.since.clone()),
            ("to", self.until.clone()),
            ("provider", self.provider.clone()),
            ("model", self.model.clone()),
            ("key", self.key.clone()),
            ("before", self.before.clone()),
        ];
        format!("/api/usage/requests?limit={}{}", self.limit, said(filters))
    }
}

impl Page {
    fn render(&self, paint: Paint) -> String {
        if self.requests.is_empty() {
            return "no such request".to_owned();
        }
        let mut table = Table::new([
            "TIME",
            "REQUEST",
            "KEY",
            "PROVIDER",
            "MODEL",
            "STATUS",
            "ERROR",
            "TRIES",
            "MS",
            "TOKENS IN",
            "TOKENS OUT",
            "COST USD",
        ]);
        for request in &self.requests {
            let tokens = |of: fn(&super::Tokens) -> u64| or_dash(request.usage.as_ref().map(of));
            table.row([
                request.at.clone(),
                request.request_id.clone(),
                or_dash(request.key.as_ref().map(Key::name)),
                or_dash(request.provider.as_ref()),
                or_dash(request.model.as_ref()),
                or_dash(request.status),
                or_dash(request.error.as_ref()),
                request.attempts.to_string(),
                request.latency_ms.round().to_string(),
                tokens(|usage| usage.prompt_tokens),
                tokens(|usage| usage.completion_tokens),
                or_dash(request.cost_usd.as_ref()),
            ]);
        }
        table.render(paint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::{FakeHost, run};

    const PAGE: &str = r#"{"requests":[{"at":"2026-11-01T00:00:00.000Z","request_id":"r","key":{"id":"key_1","name":null},
        "route":"/v1/chat/completions","provider":"up","model":"m","streamed":false,"status":504,"error":"timed_out",
        "attempts":2,"latency_ms":2000.4,"first_token_ms":null,"usage":null,"cost_usd":null}],
        "looked_at":9,"next":"1-2"}"#;

    #[test]
    fn a_request_is_a_line() {
        let page: Page = serde_json::from_str(PAGE).unwrap();
        let expected = "\
TIME                      REQUEST  KEY    PROVIDER  MODEL  STATUS  ERROR      TRIES  MS    TOKENS IN  TOKENS OUT  COST USD
2026-11-01T00:00:00.000Z  r        key_1  up        m      504     timed_out  2      2000  -          -           -";
        assert_eq!(page.render(Paint::none()), expected);
    }

    #[tokio::test]
    async fn what_is_looked_for_is_asked_for() {
        let host = FakeHost::start([("200 OK", PAGE), ("200 OK", PAGE)]).await;
        assert_eq!(run(&host, &["usage", "requests"]).await, Ok(0));
        let wanted =
            ["usage", "requests", "--failed", "--slow", "2s", "--since", "2026-11-01", "--key", "key_1"];
        assert_eq!(run(&host, &wanted).await, Ok(0));
        let lines: Vec<_> = host.requests().iter().map(|request| request.line.clone()).collect();
        let second = "GET /api/usage/requests?limit=20&failed=true&min_latency_ms=2000&from=2026-11-01T00%3A00%3A00Z\
                      &key=key_1 HTTP/1.1";
        assert_eq!(lines, ["GET /api/usage/requests?limit=20 HTTP/1.1", second]);
    }
}
