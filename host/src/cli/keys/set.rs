//! `patchbay keys set`: another name, other limits or another end for a key.

use std::num::NonZeroU32;

use clap::{ArgGroup, Args, ValueEnum as _};
use reqwest::Method;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::create::Scope;
use crate::cli::remote::{Remote, RemoteArgs};
use crate::cli::{Failure, output};
use crate::segment::segment;

/// Change a key; what is left out stays, and the key itself with it
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("change").required(true).multiple(true),
    after_help = "\
Examples:
  patchbay keys set key_1f6f0a4c2b9d8e77 --budget-per-day 10 --tokens-per-minute none
  patchbay keys set key_1f6f0a4c2b9d8e77 --model 'openai/*' --model 'groq/*' --expires-in 30d
  patchbay keys set key_1f6f0a4c2b9d8e77 --name web-team --all-models --expires-in never

It holds for the next request that comes with the key. Of --scope, --model and --provider all are named anew. --json \
prints the answer of PATCH /api/keys/ID."
)]
pub(super) struct Set {
    /// As `patchbay keys list` shows it
    #[arg(value_name = "ID")]
    id: String,

    /// Whose key it is, for people
    #[arg(long, value_name = "NAME", group = "change")]
    name: Option<String>,

    /// What it is for; may be repeated
    #[arg(long = "scope", value_enum, value_name = "SCOPE", group = "change")]
    scopes: Vec<Scope>,

    /// A model that it may ask for; may be repeated
    #[arg(long = "model", value_name = "MODEL", group = "change", conflicts_with = "all_models")]
    models: Vec<String>,

    /// Let it ask for all models
    #[arg(long, group = "change")]
    all_models: bool,

    /// A provider that it may ask; may be repeated
    #[arg(long = "provider", value_name = "NAME", group = "change", conflicts_with = "all_providers")]
    providers: Vec<String>,

    /// Let it ask all providers
    #[arg(long, group = "change")]
    all_providers: bool,

    /// Requests that it may make in any minute; `none`: as for everybody
    #[arg(long, value_name = "N", value_parser = count, group = "change")]
    requests_per_minute: Option<Value>,

    /// Tokens that it may take in any minute, read and written; `none`: as for everybody
    #[arg(long, value_name = "N", value_parser = count, group = "change")]
    tokens_per_minute: Option<Value>,

    /// US dollars that it may spend in a day of UTC, such as 5 or 0.50; `none`: as for everybody
    #[arg(long, value_name = "USD", value_parser = dollars, group = "change")]
    budget_per_day: Option<Value>,

    /// US dollars that it may spend in a month of UTC; `none`: as for everybody
    #[arg(long, value_name = "USD", value_parser = dollars, group = "change")]
    budget_per_month: Option<Value>,

    /// Requests that it may have under way at one time, or `none`
    #[arg(long, value_name = "N", value_parser = count, group = "change")]
    max_concurrent: Option<Value>,

    /// How long it can be used from now on, such as 12h or 90d, or `never` for a key without end
    #[arg(long, value_name = "TIME", value_parser = time, group = "change")]
    expires_in: Option<Value>,

    /// Print the host's answer as it is
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: RemoteArgs,
}

/// What the host takes for no limit.
fn or_none<E: ToString>(text: &str, read: impl FnOnce(&str) -> Result<Value, E>) -> Result<Value, String> {
    if text == "none" { Ok(Value::Null) } else { read(text).map_err(|error| error.to_string()) }
}

fn count(text: &str) -> Result<Value, String> {
    or_none(text, |text| text.parse::<NonZeroU32>().map(|count| json!(count)))
}

fn dollars(text: &str) -> Result<Value, String> {
    or_none(text, |text| Decimal::from_str_exact(text).map(|dollars| json!(dollars.to_string())))
}

fn time(text: &str) -> Result<Value, String> {
    if text == "never" {
        return Ok(Value::Null);
    }
    humantime::parse_duration(text).map(|time| json!(time.as_secs())).map_err(|error| error.to_string())
}

#[derive(Debug, Deserialize)]
struct Changed {
    #[serde(default)]
    warnings: Vec<String>,
}

pub(super) async fn run(mut command: Set) -> Result<u8, Failure> {
    let patch = Value::Object(command.patch());
    let path = format!("/api/keys/{}", segment(&command.id));
    let remote = Remote::new(command.remote)?;
    let answer = remote.send_json(Method::PATCH, &path, &patch, None).await?;
    let changed: Changed = remote.understand(&path, &answer)?;
    if !command.json {
        changed.warnings.iter().for_each(|warning| output::note(warning));
    }
    output::answer(command.json, &answer, |_| format!("changed {}", command.id));
    Ok(0)
}

impl Set {
    /// What was given.
    fn patch(&mut self) -> Map<String, Value> {
        let scopes = self.scopes.iter().filter_map(Scope::to_possible_value);
        let scopes: Vec<_> = scopes.map(|value| value.get_name().to_owned()).collect();
        let some = |all: &[String], or_all| (or_all || !all.is_empty()).then(|| json!(all));
        let limits = [
            ("requests_per_minute", self.requests_per_minute.take()),
            ("tokens_per_minute", self.tokens_per_minute.take()),
            ("budget_usd_per_day", self.budget_per_day.take()),
            ("budget_usd_per_month", self.budget_per_month.take()),
            ("max_concurrent", self.max_concurrent.take()),
        ];
        let limits = given(limits);
        given([
            ("name", self.name.take().map(Value::String)),
            ("scopes", some(&scopes, false)),
            ("models", some(&self.models, self.all_models)),
            ("providers", some(&self.providers, self.all_providers)),
            ("limits", Some(limits).filter(|limits| !limits.is_empty()).map(Value::Object)),
            ("expires_in", self.expires_in.take()),
        ])
    }
}

fn given<const N: usize>(members: [(&str, Option<Value>); N]) -> Map<String, Value> {
    members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::cli::testing::{FakeHost, run};

    #[tokio::test]
    async fn only_what_was_given_is_changed() {
        let changed = ("200 OK", r#"{"id":"key_1","warnings":[]}"#);
        let host = FakeHost::start([changed, changed, ("404 Not Found", r#"{"error":"Unknown key"}"#)]).await;
        let set = |arguments: &[&'static str]| [&["keys", "set", "key_1"], arguments].concat();
        let limits = ["--budget-per-day", "0.50", "--tokens-per-minute", "none", "--max-concurrent", "3"];
        assert_eq!(run(&host, &set(&limits)).await, Ok(0));
        let rest =
            ["--name", "crew", "--all-models", "--provider", "a", "--scope", "read", "--expires-in", "never"];
        assert_eq!(run(&host, &set(&rest)).await, Ok(0));
        assert!(run(&host, &set(&["--expires-in", "1h"])).await.is_err());
        let requests = host.requests();
        assert_eq!(requests[0].line, "PATCH /api/keys/key_1 HTTP/1.1");
        let limits = json!({ "budget_usd_per_day": "0.50", "tokens_per_minute": null, "max_concurrent": 3 });
        assert_eq!(requests[0].body, json!({ "limits": limits }));
        let rest = json!({
            "name": "crew", "models": [], "providers": ["a"], "scopes": ["read"], "expires_in": null,
        });
        assert_eq!(requests[1].body, rest);
        assert_eq!(requests[2].body, json!({ "expires_in": 3600 }));
    }

    #[test]
    fn something_has_to_change() {
        use clap::Parser as _;

        let parse = |arguments: &[&str]| {
            crate::cli::CommandLine::try_parse_from(
                [&["patchbay", "keys", "set", "key_1"], arguments].concat(),
            )
        };
        assert!(parse(&[]).is_err() && parse(&["--json"]).is_err());
        assert!(parse(&["--all-models"]).is_ok());
        assert!(parse(&["--all-models", "--model", "m"]).is_err());
        assert!(parse(&["--max-concurrent", "0"]).is_err());
    }
}
