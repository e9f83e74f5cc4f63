//! `patchbay keys create`: a new key, shown once.

use std::time::Duration;

use clap::{Args, ValueEnum};
use reqwest::Method;
use rust_decimal::Decimal;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;

use crate::cli::remote::{Remote, RemoteArgs};
use crate::cli::times::ahead;
use crate::cli::{Failure, output};

/// Give out a key; it is shown once and kept only as a hash
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  patchbay keys create web-team
  patchbay keys create nightly --model 'openai/*' --model llama-3.3-70b --expires-in 90d
  patchbay keys create interns --budget-per-day 5 --budget-per-month 60 --tokens-per-minute 20000
  patchbay keys create watcher --scope read --json

The key alone is printed to standard output, what is known of it to standard error. A model is allowed by its name, as \
PROVIDER/MODEL, or with a * at the end. --json prints the answer of POST /api/keys, which takes {\"name\", \"scopes\", \
\"models\", \"providers\", \"limits\": {\"requests_per_minute\", \"tokens_per_minute\", \"budget_usd_per_day\", \
\"budget_usd_per_month\", \"max_concurrent\"}, \"expires_in\"}: all but the name may be left out, and expires_in is in seconds.")]
pub(super) struct Create {
    /// Whose key it is, for people
    #[arg(value_name = "NAME")]
    name: String,

    /// What it is for; may be repeated
    #[arg(long = "scope", value_enum, value_name = "SCOPE", default_value = "chat")]
    scopes: Vec<Scope>,

    /// A model that it may ask for; all without any; may be repeated
    #[arg(long = "model", value_name = "MODEL")]
    models: Vec<String>,

    /// A provider that it may ask; all without any; may be repeated
    #[arg(long = "provider", value_name = "NAME")]
    providers: Vec<String>,

    /// Requests that it may make in any minute; as for everybody when left out
    #[arg(long, value_name = "N")]
    requests_per_minute: Option<std::num::NonZeroU32>,

    /// Tokens that it may take in any minute, read and written; as for everybody when left out
    #[arg(long, value_name = "N")]
    tokens_per_minute: Option<std::num::NonZeroU32>,

    /// US dollars that it may spend in a day of UTC, such as 5 or 0.50; as for everybody when left out
    #[arg(long, value_name = "USD", value_parser = Decimal::from_str_exact)]
    budget_per_day: Option<Decimal>,

    /// US dollars that it may spend in a month of UTC; as for everybody when left out
    #[arg(long, value_name = "USD", value_parser = Decimal::from_str_exact)]
    budget_per_month: Option<Decimal>,

    /// Requests that it may have under way at one time
    #[arg(long, value_name = "N")]
    max_concurrent: Option<std::num::NonZeroU32>,

    /// How long it can be used, such as 12h or 90d, or until which day or time, such as 2027-01-31; for ever when left
    /// out
    #[arg(long, value_name = "TIME", value_parser = ahead)]
    expires_in: Option<Duration>,

    /// Print the host's answer as it is
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: RemoteArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Scope {
    /// The routes of applications
    Chat,
    /// Looking at everything, changing nothing
    Read,
    /// Everything
    Admin,
}

#[derive(Debug, Deserialize)]
pub(super) struct Made {
    id: String,
    key: SecretString,
    expires_at: Option<String>,
    #[serde(default)]
    warnings: Vec<String>,
}

pub(super) async fn run(command: Create) -> Result<u8, Failure> {
    let remote = Remote::new(command.remote)?;
    let scopes: Vec<String> = command
        .scopes
        .iter()
        .filter_map(|scope| scope.to_possible_value().map(|value| value.get_name().to_owned()))
        .collect();
    let body = json!({
        "name": command.name,
        "scopes": scopes,
        "models": command.models,
        "providers": command.providers,
        "limits": {
            "requests_per_minute": command.requests_per_minute,
            "tokens_per_minute": command.tokens_per_minute,
            "budget_usd_per_day": command.budget_per_day.map(|dollars| dollars.to_string()),
            "budget_usd_per_month": command.budget_per_month.map(|dollars| dollars.to_string()),
            "max_concurrent": command.max_concurrent,
        },
        "expires_in": command.expires_in.map(|time| time.as_secs()),
    });
    let answer = remote.send_json(Method::POST, "/api/keys", &body, None).await?;
    let made: Made = remote.understand("/api/keys", &answer)?;
    made.show(command.json, &answer);
    Ok(0)
}

impl Made {
    /// The key alone as a result, and what is known of it for whoever looks on.
    pub(super) fn show(&self, as_json: bool, answer: &[u8]) {
        if !as_json {
            self.warnings.iter().for_each(|warning| output::note(warning));
            let end = self.expires_at.as_ref().map_or(String::new(), |end| format!(", until {end}"));
            output::note(&format!("{}{end}; this is the only time that the key is shown:", self.id));
        }
        output::answer(as_json, answer, |_| self.key.expose_secret().to_owned());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::cli::testing::{FakeHost, run};

    #[tokio::test]
    async fn what_was_given_is_sent() {
        let made = r#"{"id":"key_1","key":"pb-x","expires_at":null}"#;
        let host = FakeHost::start([("201 Created", made), ("422 Unprocessable", r#"{"error":"No"}"#)]).await;
        let create = ["keys", "create", "team", "--model", "a/*", "--scope", "chat", "--scope", "read"];
        assert_eq!(
            run(
                &host,
                &[
                    &create[..],
                    &["--expires-in", "1d", "--requests-per-minute", "5"],
                    &["--budget-per-day", "0.50"]
                ]
                .concat()
            )
            .await,
            Ok(0)
        );
        assert!(run(&host, &["keys", "create", "team"]).await.is_err());
        let requests = host.requests();
        assert_eq!(requests[0].line, "POST /api/keys HTTP/1.1");
        let expected = json!({
            "name": "team", "scopes": ["chat", "read"], "models": ["a/*"], "providers": [], "expires_in": 86400,
            "limits": {
                "requests_per_minute": 5, "tokens_per_minute": null, "max_concurrent": null,
                "budget_usd_per_day": "0.50", "budget_usd_per_month": null,
            },
        });
        assert_eq!(requests[0].body, expected);
        assert_eq!(requests[1].body["scopes"], json!(["chat"]));
    }
}
