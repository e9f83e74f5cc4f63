//! `patchbay provider show`: every value of a provider, and where it came from.

use clap::Args;
use serde::Deserialize;
use serde_json::Value;

use super::path;
use crate::cli::Failure;
use crate::cli::output::{self, Paint};
use crate::cli::remote::{Remote, RemoteArgs};
use crate::cli::table::Table;

/// Show a provider's values, and where each of them came from
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  patchbay provider show mock
  patchbay provider show mock --json

Secrets are masked by the host. --json prints the answer of GET /api/providers/NAME: {\"name\", \"plugin\", \
\"enabled\", \"priority\", \"weight\", \"version\", \"origin\", \"values\": [{\"key\", \"value\", \"origin\"}]}.")]
pub(super) struct Show {
    /// As `patchbay provider list` shows it
    #[arg(value_name = "NAME")]
    name: String,

    /// Print the host's answer as it is
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: RemoteArgs,
}

/// As far as it is shown.
#[derive(Debug, Deserialize)]
struct Shown {
    name: String,
    plugin: String,
    enabled: Value,
    priority: i64,
    weight: u64,
    origin: String,
    values: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    key: String,
    value: Value,
    origin: String,
}

pub(super) async fn run(command: Show) -> Result<u8, Failure> {
    let (body, shown) = Remote::new(command.remote)?.read::<Shown>(&path(&command.name)).await?;
    output::answer(command.json, &body, |paint| shown.render(paint));
    Ok(0)
}

impl Shown {
    fn render(&self, paint: Paint) -> String {
        let Self { name, plugin, enabled, priority, weight, origin, values } = self;
        let enabled = plain(enabled);
        let mut table = Table::new(["KEY", "VALUE", "ORIGIN"]);
        for Entry { key, value, origin } in values {
            table.row([key.clone(), plain(value), origin.clone()]);
        }
        format!(
            "{name}: plugin {plugin}, enabled {enabled}, priority {priority}, weight {weight}, from {origin}\n{}",
            table.render(paint)
        )
    }
}

/// As it would be typed: a string without its quotes.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::{FakeHost, run};

    const BODY: &str = r#"{"name":"groq","plugin":"groq","enabled":"auto","priority":50,"weight":1,"version":3,"origin":"file",
        "values":[{"key":"api_key","value":"****","origin":"environment"},{"key":"timeout","value":30,"origin":"default"}]}"#;

    #[tokio::test]
    async fn it_reads_one_provider() {
        let host = FakeHost::start([("200 OK", BODY), ("404 Not Found", "{}")]).await;
        assert_eq!(run(&host, &["provider", "show", "groq"]).await, Ok(0));
        assert_eq!(run(&host, &["provider", "show", "a/b", "--json"]).await.unwrap_err().code(), 1);
        let lines: Vec<String> = host.requests().into_iter().map(|request| request.line).collect();
        assert_eq!(lines, ["GET /api/providers/groq HTTP/1.1", "GET /api/providers/a%2Fb HTTP/1.1"]);
    }

    #[test]
    fn every_value_has_its_origin() {
        let shown: Shown = serde_json::from_str(BODY).unwrap();
        let expected = "\
groq: plugin groq, enabled auto, priority 50, weight 1, from file
KEY      VALUE  ORIGIN
api_key  ****   environment
timeout  30     default";
        assert_eq!(shown.render(Paint::none()), expected);
    }
}
