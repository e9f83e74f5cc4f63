//! `patchbay plugin list`: the libraries that a running host knows.

use clap::Args;
use serde::Deserialize;

use crate::cli::Failure;
use crate::cli::output::{self, Paint};
use crate::cli::remote::{Remote, RemoteArgs};
use crate::cli::table::{Table, or_dash};

/// List the libraries that a running host knows, also those that it refused
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  patchbay plugin list
  patchbay plugin list --json

--json prints the answer of GET /api/plugins: {\"plugins\": [{\"id\", \"version\", \"state\", \"generation\", \
\"in_flight\", \"file\", \"providers\", \"problem\", ...}], \"total_count\"}.")]
pub(super) struct List {
    /// Print the host's answer as it is
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: RemoteArgs,
}

/// As far as it is shown.
#[derive(Debug, Deserialize)]
struct Plugins {
    plugins: Vec<Plugin>,
}

#[derive(Debug, Deserialize)]
struct Plugin {
    id: Option<String>,
    version: Option<String>,
    state: String,
    generation: Option<u64>,
    in_flight: u64,
    file: String,
    providers: Vec<String>,
    problem: Option<Problem>,
}

#[derive(Debug, Deserialize)]
struct Problem {
    message: String,
    #[serde(default)]
    hint: String,
}

pub(super) async fn run(command: List) -> Result<u8, Failure> {
    let (body, plugins) = Remote::new(command.remote)?.read::<Plugins>("/api/plugins").await?;
    output::answer(command.json, &body, |paint| plugins.render(paint));
    Ok(0)
}

impl Plugins {
    fn render(&self, paint: Paint) -> String {
        let mut table = Table::new(["ID", "VERSION", "STATE", "GENERATION", "RUNNING", "PROVIDERS", "FILE"]);
        for plugin in &self.plugins {
            table.row([
                or_dash(plugin.id.as_ref()),
                or_dash(plugin.version.as_ref()),
                plugin.state.clone(),
                or_dash(plugin.generation),
                plugin.in_flight.to_string(),
                or_dash((!plugin.providers.is_empty()).then(|| plugin.providers.join(", "))),
                plugin.file.clone(),
            ]);
        }
        let mut text = table.render(paint);
        for plugin in &self.plugins {
            let Some(Problem { message, hint }) = &plugin.problem else { continue };
            let name = plugin.id.as_ref().unwrap_or(&plugin.file);
            text = format!("{text}\n{}: {message}", paint.bad(name));
            if !hint.is_empty() {
                text = format!("{text}\n  hint: {hint}");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_stands_below_the_table() {
        let plugins: Plugins = serde_json::from_str(
            r#"{"plugins":[
            {"id":"mock","version":"1.0.0","state":"active","generation":3,"in_flight":1,"file":"libmock.so","providers":["mock"],"problem":null},
            {"id":null,"version":null,"state":"refused","generation":null,"in_flight":0,"file":"half.so","providers":[],
             "problem":{"message":"the file is cut short","hint":"copy it again","code":"file_truncated"}}]}"#,
        )
        .unwrap();
        let expected = "\
ID    VERSION  STATE    GENERATION  RUNNING  PROVIDERS  FILE
mock  1.0.0    active   3           1        mock       libmock.so
-     -        refused  -           0        -          half.so
half.so: the file is cut short
  hint: copy it again";
        assert_eq!(plugins.render(Paint::none()), expected);
    }
}
