//! `patchbay usage`: who used how much.

// Single requests.
mod requests;

use clap::{Args, Subcommand, ValueEnum};
use serde::Deserialize;
use serde_json::Value;

use super::Failure;
use super::keys;
use super::output::{self, Paint};
use super::remote::{Remote, RemoteArgs};
use super::table::{Table, or_dash};
use super::times::past;
use crate::segment::segment;

/// Show what requests took: tokens, cost, errors, latency
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  patchbay usage
  patchbay usage --since 7d --by provider,model
  patchbay usage --since 2026-11-01 --until 2026-12-01 --by key
  patchbay usage --since 24h --step hour --key key_1f6f0a4c2b9d8e77
  patchbay usage requests --failed --since 7d

Without --since it is the last 24 hours; dates are days of UTC. What costs the most is on top. A ? behind a cost says \
that not everything had a price, a ~ before it that some of it is estimated: what was cut off, or what upstream did not \
count, is taken for what its budget took it for. --json prints the answer of GET /api/usage: {\"from\", \"to\", \"by\", \"step\", \
\"totals\", \"groups\", \"groups_left_out\", \"series\"}, each with \"requests\", \"errors\", \"usage\", \"cost_usd\", ..."
)]
pub(super) struct Usage {
    #[command(subcommand)]
    single: Option<Single>,

    /// From when on: so long ago, such as 24h or 7d, or a date or time, such as 2026-11-01
    #[arg(long, value_name = "TIME", value_parser = past)]
    since: Option<String>,

    /// Until when, likewise; until now when left out
    #[arg(long, value_name = "TIME", value_parser = past)]
    until: Option<String>,

    /// What is told apart, with commas in between
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WHAT", default_value = "model")]
    by: Vec<By>,

    /// The length of one line of time, which is then told apart; with --by time alone one that fits
    #[arg(long, value_enum, value_name = "STEP")]
    step: Option<Step>,

    /// Only this provider
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,

    /// Only this model
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,

    /// Only this virtual key, by its id or name
    #[arg(long, value_name = "KEY")]
    key: Option<String>,

    /// So many lines of what is told apart
    #[arg(long, value_name = "N")]
    limit: Option<u32>,

    /// Print the host's answer as it is
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: RemoteArgs,
}

#[derive(Debug, Subcommand)]
enum Single {
    Requests(requests::Requests),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    Provider,
    Model,
    Key,
    Route,
    Time,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Step {
    Minute,
    Hour,
    Day,
}

fn word(value: &impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// As far as it is shown.
#[derive(Debug, Deserialize)]
struct Page {
    from: String,
    to: String,
    totals: Sums,
    groups: Vec<Line>,
    groups_left_out: u64,
    series: Option<Vec<Line>>,
}

#[derive(Debug, Deserialize)]
struct Line {
    at: Option<String>,
    provider: Option<String>,
    model: Option<String>,
    key: Option<Key>,
    route: Option<String>,
    #[serde(flatten)]
    sums: Sums,
}

#[derive(Debug, Deserialize)]
struct Key {
    id: String,
    name: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Sums {
    requests: u64,
    errors: u64,
    usage: Tokens,
    cost_usd: Value,
    unpriced_requests: u64,
    #[serde(default)]
    estimated_requests: u64,
    latency_ms: Times,
}

#[derive(Debug, Deserialize)]
struct Tokens {
    prompt_tokens: u64,
    completion_tokens: u64,
}

#[derive(Debug, Deserialize)]
struct Times {
    mean: Option<f64>,
    p95: Option<f64>,
}

pub(super) async fn run(mut command: Usage) -> Result<u8, Failure> {
    if let Some(Single::Requests(command)) = command.single {
        return requests::run(command).await;
    }
    // Lines of time without their times would be of no use.
    if command.step.is_some() && !command.by.contains(&By::Time) {
        command.by.push(By::Time);
    }
    let remote = Remote::new(command.remote.clone())?;
    if let Some(key) = &mut command.key {
        *key = keys::id_of(&remote, key).await?;
    }
    let (body, page) = remote.read::<Page>(&command.path()).await?;
    output::answer(command.json, &body, |paint| page.render(&command.by, paint));
    Ok(0)
}

impl Usage {
    fn path(&self) -> String {
        let by: Vec<_> = self.by.iter().map(word).collect();
        let filters = [
            ("from", self.since.clone()),
            ("to", self.until.clone()),
            ("step", self.step.as_ref().map(word)),
            ("provider", self.provider.clone()),
            ("model", self.model.clone()),
            ("key", self.key.clone()),
            ("limit", self.limit.map(|limit| limit.to_string())),
        ];
        format!("/api/usage?by={}{}", by.join(","), said(filters))
    }
}

/// Those that were given, as further members of a query.
fn said<const N: usize>(filters: [(&str, Option<String>); N]) -> String {
    let given = filters.into_iter().filter_map(|(name, value)| Some((name, value?)));
    given.map(|(name, value)| format!("&{name}={}", segment(&value))).collect()
}

impl Page {
    fn render(&self, by: &[By], paint: Paint) -> String {
        let mut table = Table::new([
            "WHAT",
            "REQUESTS",
            "ERRORS",
            "TOKENS IN",
            "TOKENS OUT",
            "COST USD",
            "MEAN MS",
            "P95 MS",
        ]);
        for line in self.series.as_ref().unwrap_or(&self.groups) {
            let what: Vec<_> = by.iter().map(|by| line.name(*by)).collect();
            table.row(line.sums.cells(what.join("  ")));
        }
        if !by.is_empty() {
            table.row(self.totals.cells("all".to_owned()));
        }
        let mut text = format!("{} to {}\n{}", short(&self.from), short(&self.to), table.render(paint));
        if self.groups_left_out > 0 {
            text.push_str(&format!("\n{} more with --limit", self.groups_left_out));
        }
        text
    }
}

/// Without what is always the same.
fn short(time: &str) -> &str {
    time.trim_end_matches(":00.000Z")
}

impl Key {
    /// Its id, where it has no name any more.
    fn name(&self) -> &str {
        self.name.as_ref().unwrap_or(&self.id)
    }
}

impl Line {
    fn name(&self, by: By) -> String {
        match by {
            By::Provider => or_dash(self.provider.as_ref()),
            By::Model => or_dash(self.model.as_ref()),
            By::Key => or_dash(self.key.as_ref().map(Key::name)),
            By::Route => or_dash(self.route.as_ref()),
            By::Time => or_dash(self.at.as_deref().map(short)),
        }
    }
}

impl Sums {
    fn cost(&self) -> String {
        let about = if self.estimated_requests > 0 { "~" } else { "" };
        let at_least = if self.unpriced_requests > 0 { "?" } else { "" };
        format!("{about}{}{at_least}", self.cost_usd)
    }

    fn cells(&self, what: String) -> [String; 8] {
        let millis = |time: Option<f64>| or_dash(time.map(f64::round));
        [
            what,
            self.requests.to_string(),
            self.errors.to_string(),
            self.usage.prompt_tokens.to_string(),
            self.usage.completion_tokens.to_string(),
            self.cost(),
            millis(self.latency_ms.mean),
            millis(self.latency_ms.p95),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::{FakeHost, run};

    const PAGE: &str = r#"{"from":"2026-11-01T00:00:00.000Z","to":"2026-11-02T00:00:00.000Z","by":["model","key"],
        "step":null,"groups_left_out":3,
        "totals":{"requests":12,"errors":1,"usage":{"prompt_tokens":100,"completion_tokens":50},
            "cost_usd":0.0123,"unpriced_requests":1,"estimated_requests":2,"latency_ms":{"mean":250.4,"p95":900.0}},
        "groups":[{"model":"m","key":{"id":"key_1","name":"team"},
            "requests":12,"errors":1,"usage":{"prompt_tokens":100,"completion_tokens":50},
            "cost_usd":0.0123,"unpriced_requests":0,"latency_ms":{"mean":null,"p95":null}}]}"#;

    #[test]
    fn a_group_is_a_line() {
        let page: Page = serde_json::from_str(PAGE).unwrap();
        let expected = "\
2026-11-01T00:00 to 2026-11-02T00:00
WHAT     REQUESTS  ERRORS  TOKENS IN  TOKENS OUT  COST USD  MEAN MS  P95 MS
m  team  12        1       100        50          0.0123    -        -
all      12        1       100        50          ~0.0123?  250      900
3 more with --limit";
        assert_eq!(page.render(&[By::Model, By::Key], Paint::none()), expected);
    }

    #[tokio::test]
    async fn what_is_wanted_is_asked_for() {
        let host = FakeHost::start([("200 OK", PAGE), ("200 OK", PAGE), ("400 Bad Request", "{}")]).await;
        assert_eq!(run(&host, &["usage"]).await, Ok(0));
        let wanted =
            ["usage", "--since", "2026-11-01", "--by", "provider,time", "--step", "day", "--model", "a/b c"];
        assert_eq!(run(&host, &wanted).await, Ok(0));
        assert!(run(&host, &["usage", "--json", "--limit", "0"]).await.is_err());
        let lines: Vec<_> = host.requests().iter().map(|request| request.line.clone()).collect();
        let second =
            "GET /api/usage?by=provider,time&from=2026-11-01T00%3A00%3A00Z&step=day&model=a%2Fb%20c HTTP/1.1";
        assert_eq!(lines[..2], ["GET /api/usage?by=model HTTP/1.1", second]);
    }

    #[tokio::test]
    async fn a_step_is_one_of_time() {
        let host = FakeHost::start([("200 OK", PAGE)]).await;
        assert_eq!(run(&host, &["usage", "--step", "hour"]).await, Ok(0));
        assert_eq!(host.requests()[0].line, "GET /api/usage?by=model,time&step=hour HTTP/1.1");
    }

    #[tokio::test]
    async fn a_key_is_known_by_its_name() {
        let keys = r#"{"keys":[{"id":"key_1","name":"team"},{"id":"key_2","name":"two"},{"id":"key_3","name":"two"}]}"#;
        let host =
            FakeHost::start([("200 OK", keys), ("200 OK", PAGE), ("200 OK", keys), ("200 OK", keys)]).await;
        assert_eq!(run(&host, &["usage", "--key", "team"]).await, Ok(0));
        assert_eq!(host.requests()[1].line, "GET /api/usage?by=model&key=key_1 HTTP/1.1");
        let failure = run(&host, &["usage", "--key", "alice"]).await.unwrap_err();
        assert_eq!(failure.code(), 64);
        assert!(failure.into_message().starts_with("no key has the id or name \"alice\""));
        let failure = run(&host, &["usage", "--key", "two"]).await.unwrap_err().into_message();
        assert!(failure.contains("key_2, key_3"), "{failure}");
    }
}
