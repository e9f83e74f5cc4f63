//! `patchbay provider add`: a new provider, kept by the host.

use clap::Args;
use reqwest::Method;
use serde_json::Value;

use super::assign::{self, Assignment};
use super::key::KeyArgs;
use super::note_remarks;
use crate::cli::remote::{Remote, RemoteArgs};
use crate::cli::{Failure, output};

/// Add a provider to a running host, which keeps it
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  patchbay provider add second --plugin mock --set priority=20 --set reply=hello
  patchbay provider add local --plugin openai-compatible --set base_url=http://127.0.0.1:8000/v1 --key-env LOCAL_KEY
  pass show groq | patchbay provider add groq --plugin groq --key-stdin

KEY is priority, weight, enabled, or anything under config, as `patchbay provider show` writes it. VALUE is JSON where it can be read as such, else a \
string. Nothing in it is filled in from the environment.")]
pub(super) struct Add {
    /// How requests will name it
    #[arg(value_name = "NAME")]
    name: String,

    /// The plugin that makes it
    #[arg(long, value_name = "ID")]
    plugin: String,

    /// A value of its configuration; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    values: Vec<Assignment>,

    #[command(flatten)]
    key: KeyArgs,

    #[command(flatten)]
    remote: RemoteArgs,
}

pub(super) async fn run(command: Add) -> Result<u8, Failure> {
    let remote = Remote::new(command.remote)?;
    let mut body = assign::object(command.values, command.key.read()?);
    body.insert("name".into(), command.name.as_str().into());
    body.insert("plugin".into(), command.plugin.into());
    body.entry("enabled").or_insert(true.into());
    body.entry("config").or_insert_with(|| Value::Object(serde_json::Map::new()));
    let answer = remote.send_json(Method::POST, "/api/providers", &body.into(), None).await?;
    output::line(&format!("added {}", command.name));
    note_remarks(&answer);
    Ok(0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::cli::testing::{FakeHost, run};

    #[tokio::test]
    async fn what_was_given_is_sent() {
        let host = FakeHost::start([("201 Created", "{}"), ("409 Conflict", r#"{"error":"Taken"}"#)]).await;
        // PATH is a variable that every environment has.
        let add = ["provider", "add", "mine", "--plugin", "mock", "--set", "priority=5", "--set", "a.b=c"];
        assert_eq!(run(&host, &[&add[..], &["--key-env", "PATH"]].concat()).await, Ok(0));
        let failure = run(&host, &["provider", "add", "mine", "--plugin", "mock"]).await.unwrap_err();
        assert!(format!("{failure:?}").contains("409 Conflict: Taken"), "{failure:?}");
        let requests = host.requests();
        assert_eq!(requests[0].line, "POST /api/providers HTTP/1.1");
        assert!(requests[0].head.contains("content-type: application/json"), "{requests:?}");
        let config = json!({"a": {"b": "c"}, "api_key": std::env::var("PATH").unwrap().as_str()});
        let expected =
            json!({"name": "mine", "plugin": "mock", "enabled": true, "priority": 5, "config": config});
        assert_eq!(requests[0].body, expected);
        assert_eq!(
            requests[1].body,
            json!({"name": "mine", "plugin": "mock", "enabled": true, "config": {}})
        );
    }
}
