//! `patchbay plugin test`: does a plugin do what every plugin must.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value};

use crate::cli::output::{self, Paint};
use crate::cli::{Failure, progress};
use crate::dev::{self, Places};
use crate::plugins::conformance::{self, Captures, Checked, Options, Outcome, Report};

/// Try a plugin against an upstream that does all that upstreams do
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  patchbay plugin test plugins/custom/libmock.so
  patchbay plugin test libhello.so --upstream hello/conformance --config '{\"region\": \"eu\"}'

Streams are cut at every byte, readers leave at every chunk, upstream fails in every way, and the library is loaded \
and unloaded again and again; no network is needed, and no key. A vendor whose dialect is not OpenAI's has its \
answers captured in files beside the crate's Cargo.toml: conformance/answer.json, stream.txt, models.json, \
health.json, embeddings.json, error.json, and kit.json with the \"text\" that answer and stream say, a \
\"stream_type\" and a \"config\". What is not there is not tested, and said to be so.")]
pub(super) struct Test {
    /// A library, or the folder of a crate, which is built first
    #[arg(value_name = "FILE|DIR")]
    subject: PathBuf,

    /// The folder with what upstream says [default: conformance in the crate's folder, else OpenAI's dialect]
    #[arg(long, value_name = "DIR")]
    upstream: Option<PathBuf>,

    /// What the provider is configured with, as a JSON object
    #[arg(long, value_name = "JSON", value_parser = object)]
    config: Option<Map<String, Value>>,

    /// How often it is loaded and unloaded
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    reloads: u32,

    /// The report as JSON
    #[arg(long)]
    json: bool,
}

fn object(text: &str) -> Result<Map<String, Value>, serde_json::Error> {
    serde_json::from_str(text)
}

pub(super) async fn run(command: Test) -> Result<u8, Failure> {
    let subject = &command.subject;
    if !subject.exists() {
        return Err(Failure::bad_input(format!("{} is not there", subject.display())));
    }
    let upstream = command.upstream.or_else(|| conformance::folder_of(subject));
    let captures = upstream.map_or_else(|| Ok(Captures::default()), |folder| Captures::read(&folder));
    let options = Options {
        captures: captures.map_err(|error| Failure::bad_input(error.to_string()))?,
        file: if subject.is_dir() { build(subject).await? } else { subject.clone() },
        config: command.config.unwrap_or_default(),
        reloads: command.reloads as usize,
    };
    let paint = Paint::for_stdout();
    if !command.json {
        output::line(&options.file.display().to_string());
    }
    let told = |checked: &Checked| {
        if !command.json {
            output::line(&render(checked, paint));
        }
    };
    let report = conformance::test(&options, told).await;
    if command.json {
        output::line(&serde_json::to_string(&report).map_err(|error| Failure::failed(error.to_string()))?);
    } else {
        output::line(&summary(&report));
    }
    Ok(if report.summary.failed == 0 { 0 } else { 1 })
}

/// The library of a crate.
async fn build(folder: &Path) -> Result<PathBuf, Failure> {
    if !folder.join("Cargo.toml").is_file() {
        let folder = folder.display();
        return Err(Failure::bad_input(format!(
            "{folder} has no Cargo.toml: name a crate's folder, or a library"
        )));
    }
    let places = Places::new(&[folder.to_path_buf()], folder)
        .map_err(|(dir, error)| Failure::bad_input(format!("{}: {error}", dir.display())))?;
    let found = places.find().await?;
    let [plugin] = &found.crates[..] else {
        return Err(Failure::bad_input(found.problems.join("; ")));
    };
    let built = progress::shown("building", dev::library(plugin)).await?;
    built.ok_or_else(|| Failure::failed(format!("{} does not build", plugin.name)))
}

fn render(checked: &Checked, paint: Paint) -> String {
    let name = &checked.name;
    match &checked.outcome {
        Outcome::Passed => format!("  {} {name}", paint.good("✓")),
        Outcome::NotTested { why } => format!("  {} {name}: not tested: {why}", paint.dim("-")),
        Outcome::Failed { findings } => {
            let findings: String =
                findings.iter().map(|finding| format!("\n      {}", plain(finding))).collect();
            format!("  {} {name}{findings}", paint.bad("✗"))
        }
    }
}

/// A plugin's words in one line, and nothing in them that moves a cursor.
fn plain(text: &str) -> String {
    text.replace(char::is_control, " ")
}

fn summary(report: &Report) -> String {
    let summary = report.summary;
    format!("{} passed, {} failed, {} not tested", summary.passed, summary.failed, summary.not_tested)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_a_line_of_its_own() {
        let render = |outcome| render(&Checked { name: "lists models".into(), outcome }, Paint::none());
        assert_eq!(render(Outcome::Passed), "  ✓ lists models");
        let why = "no list is known".to_owned();
        assert_eq!(render(Outcome::NotTested { why }), "  - lists models: not tested: no list is known");
        let findings = vec!["it tells\nnone".to_owned(), "it panicked".to_owned()];
        assert_eq!(
            render(Outcome::Failed { findings }),
            "  ✗ lists models\n      it tells none\n      it panicked"
        );
    }
}
