//! `patchbay provider list`: who may answer.

use clap::Args;
use serde::Deserialize;

use crate::cli::Failure;
use crate::cli::output::{self, Paint};
use crate::cli::remote::{Remote, RemoteArgs};
use crate::cli::table::{Table, or_dash};

/// List the providers of a running host, those that are tried first on top
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  patchbay provider list
  patchbay provider list --json

--json prints the answer of GET /api/providers: {\"providers\": [{\"name\", \"plugin\", \"plugin_version\", \
\"generation\", \"status\", \"reason\", \"until\", \"priority\", \"default_model\", \"in_flight\", \"requests_total\", \"errors_total\", \
...}], \"total_count\", \"healthy_count\", \"default_strategy\"}.")]
pub(super) struct List {
    /// Print the host's answer as it is
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: RemoteArgs,
}

/// As far as it is shown.
#[derive(Debug, Deserialize)]
struct Providers {
    providers: Vec<Provider>,
}

#[derive(Debug, Deserialize)]
struct Provider {
    name: String,
    plugin: String,
    plugin_version: String,
    generation: u64,
    status: String,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    until: Option<String>,
    priority: i64,
    default_model: Option<String>,
    in_flight: u64,
    requests_total: u64,
    errors_total: u64,
}

pub(super) async fn run(command: List) -> Result<u8, Failure> {
    let (body, providers) = Remote::new(command.remote)?.read::<Providers>("/api/providers").await?;
    output::answer(command.json, &body, |paint| providers.render(paint));
    Ok(0)
}

impl Providers {
    fn render(&self, paint: Paint) -> String {
        let mut table = Table::new([
            "NAME",
            "STATUS",
            "PRIORITY",
            "PLUGIN",
            "GENERATION",
            "MODEL",
            "RUNNING",
            "REQUESTS",
            "ERRORS",
            "WHY",
        ]);
        for provider in &self.providers {
            table.row([
                provider.name.clone(),
                provider.status.clone(),
                provider.priority.to_string(),
                format!("{} {}", provider.plugin, provider.plugin_version),
                provider.generation.to_string(),
                or_dash(provider.default_model.as_ref()),
                provider.in_flight.to_string(),
                provider.requests_total.to_string(),
                provider.errors_total.to_string(),
                provider.why(),
            ]);
        }
        table.render(paint)
    }
}

impl Provider {
    /// Why it is not available, and until when, as far as that is known.
    fn why(&self) -> String {
        match (&self.reason, &self.until) {
            (Some(reason), Some(until)) => format!("{reason} (until {until})"),
            (reason, _) => or_dash(reason.as_ref()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_a_line() {
        let providers: Providers = serde_json::from_str(
            r#"{"providers":[{"name":"mock","plugin":"mock","plugin_version":"1.0.0","generation":2,"status":"available",
            "priority":999,"default_model":"mock-1","in_flight":0,"requests_total":7,"errors_total":1,"new":true},
            {"name":"b","plugin":"b","plugin_version":"1.0.0","generation":2,"status":"busy","priority":1,"default_model":null,
            "in_flight":0,"requests_total":7,"errors_total":1,"reason":"it rests","until":"2026-01-02T03:04:05Z"}]}"#,
        )
        .unwrap();
        let expected = "\
NAME  STATUS     PRIORITY  PLUGIN      GENERATION  MODEL   RUNNING  REQUESTS  ERRORS  WHY
mock  available  999       mock 1.0.0  2           mock-1  0        7         1       -
b     busy       1         b 1.0.0     2           -       0        7         1       it rests (until 2026-01-02T03:04:05Z)";
        assert_eq!(providers.render(Paint::none()), expected);
    }
}
