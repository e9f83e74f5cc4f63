//! `patchbay provider set`: other values for a provider.

use clap::Args;
use reqwest::Method;
use serde::Deserialize;

use super::assign::{self, Assignment};
use super::key::KeyArgs;
use super::{note_remarks, path};
use crate::cli::remote::{Remote, RemoteArgs};
use crate::cli::{Failure, output};

/// Change values of a provider of a running host, which keeps them
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  patchbay provider set mock priority=10
  patchbay provider set mock enabled=false
  patchbay provider set mock model=mock-2 extra_headers.x-team=research
  patchbay provider set mock 'pricing.\"gpt-5.1\".prompt=1.25' 'pricing.\"gpt-5.1\".completion=10'
  pass show groq | patchbay provider set groq --key-stdin

KEY is priority, weight, enabled, or anything under config, as `patchbay provider show` writes it. VALUE is JSON where \
it can be read as such, else a string; null takes away what was set while the host ran. Who changes the same provider in the meantime is not overwritten: the change is \
then refused.")]
pub(super) struct Set {
    /// As `patchbay provider list` shows it
    #[arg(value_name = "NAME")]
    name: String,

    /// A value
    #[arg(value_name = "KEY=VALUE", required_unless_present_any = ["key_stdin", "key_env"])]
    values: Vec<Assignment>,

    #[command(flatten)]
    key: KeyArgs,

    #[command(flatten)]
    remote: RemoteArgs,
}

/// What a change is made to.
#[derive(Debug, Deserialize)]
struct Current {
    version: Version,
    #[serde(default)]
    values: Vec<Present>,
}

/// A value that is there.
#[derive(Debug, Deserialize)]
struct Present {
    key: String,
    source: Source,
}

#[derive(Debug, Deserialize)]
struct Source {
    layer: String,
}

/// The host's own affair: a number or a word.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Version {
    Number(u64),
    Word(String),
}

pub(super) async fn run(command: Set) -> Result<u8, Failure> {
    let remote = Remote::new(command.remote)?;
    let changed_key = command.key.is_given();
    let taken_away: Vec<String> = command.values.iter().filter_map(Assignment::taken_away).collect();
    let patch = assign::object(command.values, command.key.read()?);
    let path = path(&command.name);
    let (_, Current { version, values }) = remote.read::<Current>(&path).await?;
    if let Some(key) = taken_away.iter().find(|key| !was_set(&values, key)) {
        let name = &command.name;
        return Err(Failure::bad_input(format!(
            "nothing was set at {key} while the host ran, so there is nothing to take away: see `patchbay provider show \
             {name}`"
        )));
    }
    let version = match version {
        Version::Number(number) => number.to_string(),
        Version::Word(word) => word,
    };
    let answer = remote.send_json(Method::PATCH, &path, &patch.into(), Some(&version)).await?;
    let what = if changed_key { " and its key" } else { "" };
    output::line(&format!("changed {}{what}", command.name));
    note_remarks(&answer);
    Ok(0)
}

/// Whether there is something at this key, or below it, that was set while the host ran.
fn was_set(values: &[Present], key: &str) -> bool {
    values.iter().any(|Present { key: present, source }| {
        let below = present.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        below && source.layer == "runtime"
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use serde_json::json;

    use crate::cli::CommandLine;
    use crate::cli::testing::{FakeHost, run};

    #[tokio::test]
    async fn a_change_is_made_to_the_version_that_was_read() {
        let changed = ("412 Precondition Failed", r#"{"error":"Changed meanwhile"}"#);
        let answers =
            [("200 OK", r#"{"version":7}"#), ("200 OK", "{}"), ("200 OK", r#"{"version":"v8"}"#), changed];
        let host = FakeHost::start(answers).await;
        assert_eq!(run(&host, &["provider", "set", "mock", "priority=1", "model=m"]).await, Ok(0));
        let failure = run(&host, &["provider", "set", "mock", "enabled=false"]).await.unwrap_err();
        assert!(format!("{failure:?}").contains("Changed meanwhile"), "{failure:?}");
        let requests = host.requests();
        assert_eq!(requests[0].line, "GET /api/providers/mock HTTP/1.1");
        assert_eq!(requests[1].line, "PATCH /api/providers/mock HTTP/1.1");
        assert_eq!(requests[1].body, json!({"priority": 1, "config": {"model": "m"}}));
        assert!(requests[1].head.contains("if-match: \"7\""), "{requests:?}");
        assert!(requests[3].head.contains("if-match: \"v8\""), "{requests:?}");
    }

    #[tokio::test]
    async fn only_what_was_set_can_be_taken_away() {
        let body = r#"{"version":1,"values":[{"key":"model","source":{"layer":"file"}},
            {"key":"pricing.\"gpt-5.1\".prompt","source":{"layer":"runtime"}}]}"#;
        let answer = ("200 OK", body);
        let host =
            FakeHost::start([answer, answer, answer, ("200 OK", "{}"), answer, ("200 OK", "{}")]).await;
        for absent in ["model=null", "pricing.gpt-5=null"] {
            let failure = run(&host, &["provider", "set", "mock", "weight=1", absent]).await.unwrap_err();
            assert_eq!(failure.code(), 64, "{failure:?}");
        }
        assert_eq!(run(&host, &["provider", "set", "mock", "pricing.gpt-5.1=null"]).await, Ok(0));
        assert_eq!(run(&host, &["provider", "set", "mock", "pricing.gpt-5.1.prompt=null"]).await, Ok(0));
        assert_eq!(host.requests()[3].body, json!({"config": {"pricing": {"gpt-5.1": null}}}));
    }

    #[test]
    fn something_has_to_change() {
        let parse = |arguments: &[&str]| {
            CommandLine::try_parse_from([&["patchbay", "provider", "set"], arguments].concat())
        };
        assert!(parse(&["mock"]).is_err());
        assert!(parse(&["mock", "--key-stdin"]).is_ok());
        assert!(parse(&["mock", "--key-stdin", "--key-env", "KEY"]).is_err());
    }
}
