//! `patchbay models`: what can be asked for.

use clap::Args;
use futures_util::{StreamExt as _, stream};
use patchbay_plugin_api::Model;
use serde::{Deserialize, Serialize};

use super::Failure;
use super::output::{self, Paint};
use super::remote::{Remote, RemoteArgs, segment};
use super::table::{Table, or_dash};

/// So many providers are asked at a time.
const AT_ONCE: usize = 8;

/// List the models of a running host's providers
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  patchbay models
  patchbay models mock --json

--json prints {\"models\": [{\"provider\", \"id\", \"type\", \"capabilities\", and where known \"name\", \
\"context_length\", \"owner\", \"created\", \"pricing\"}], \"failed\": [{\"provider\", \"error\"}]}. \
Prices are US dollars per million tokens. The exit code is 1 when a provider could not be asked.")]
pub(super) struct Models {
    /// Only those of this provider
    #[arg(value_name = "PROVIDER")]
    provider: Option<String>,

    /// Print them as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: RemoteArgs,
}

#[derive(Debug, Deserialize)]
struct Providers {
    providers: Vec<Named>,
}

#[derive(Debug, Deserialize)]
struct Named {
    name: String,
}

#[derive(Debug, Deserialize)]
struct Answer {
    models: Vec<Model>,
}

#[derive(Debug, Default, Serialize)]
struct Listed {
    models: Vec<Offered>,
    failed: Vec<Silent>,
}

#[derive(Debug, Serialize)]
struct Offered {
    provider: String,
    #[serde(flatten)]
    model: Model,
}

#[derive(Debug, Serialize)]
struct Silent {
    provider: String,
    error: String,
}

pub(super) async fn run(command: Models) -> Result<u8, Failure> {
    let remote = Remote::new(command.remote)?;
    let listed = match command.provider {
        Some(provider) => {
            let models = ask(&remote, &provider).await?;
            Listed { models: offered(&provider, models).collect(), failed: Vec::new() }
        }
        None => ask_all(&remote).await?,
    };
    if command.json {
        // Strings and numbers can always be written.
        output::line(&serde_json::to_string(&listed).unwrap_or_default());
    } else {
        output::line(&listed.render(Paint::for_stdout()));
        for Silent { provider, error } in &listed.failed {
            output::note(&format!("{provider}: {error}"));
        }
    }
    Ok(if listed.failed.is_empty() { 0 } else { 1 })
}

async fn ask(remote: &Remote, provider: &str) -> Result<Vec<Model>, Failure> {
    let path = format!("/api/providers/{}/models", segment(provider));
    remote.read::<Answer>(&path).await.map(|(_, answer)| answer.models)
}

/// One that fails does not keep the others from being listed.
async fn ask_all(remote: &Remote) -> Result<Listed, Failure> {
    let (_, providers) = remote.read::<Providers>("/api/providers").await?;
    let names = providers.providers.into_iter().map(|provider| provider.name);
    let asked = stream::iter(names).map(async |name| (ask(remote, &name).await, name));
    let mut answers = asked.buffered(AT_ONCE);
    let mut listed = Listed::default();
    while let Some((answer, provider)) = answers.next().await {
        match answer {
            Ok(models) => listed.models.extend(offered(&provider, models)),
            Err(failure) => listed.failed.push(Silent { provider, error: failure.into_message() }),
        }
    }
    Ok(listed)
}

fn offered(provider: &str, models: Vec<Model>) -> impl Iterator<Item = Offered> {
    models.into_iter().map(move |model| Offered { provider: provider.to_owned(), model })
}

impl Listed {
    fn render(&self, paint: Paint) -> String {
        let mut table = Table::new(["PROVIDER", "MODEL", "TYPE", "CONTEXT", "PRICE", "CAPABILITIES"]);
        for Offered { provider, model } in &self.models {
            let price = model.pricing.map(|price| format!("${} / ${}", price.prompt, price.completion));
            table.row([
                provider.clone(),
                model.id.clone(),
                model.kind.clone(),
                or_dash(model.context_length),
                or_dash(price),
                model.capabilities.join(", "),
            ]);
        }
        table.render(paint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::{FakeHost, run};

    #[tokio::test]
    async fn a_provider_that_fails_leaves_the_others_listed() {
        let providers = r#"{"providers":[{"name":"a b"},{"name":"c"}]}"#;
        let models = r#"{"models":[{"id":"m"}]}"#;
        // Asked at once, they come in any order: the two answers are the same but for one of them.
        let host =
            FakeHost::start([("200 OK", providers), ("200 OK", models), ("502 Bad Gateway", "{}")]).await;
        assert_eq!(run(&host, &["models"]).await, Ok(1));
        let mut asked: Vec<String> = host.requests().into_iter().map(|request| request.line).collect();
        asked.sort();
        assert_eq!(
            asked[1..],
            ["GET /api/providers/a%20b/models HTTP/1.1", "GET /api/providers/c/models HTTP/1.1"]
        );

        let host = FakeHost::start([("404 Not Found", r#"{"error":"Unknown provider"}"#)]).await;
        assert_eq!(run(&host, &["models", "mokc"]).await.unwrap_err().code(), 1);
    }

    #[test]
    fn what_is_known_is_shown() {
        let answer: Answer = serde_json::from_str(
            r#"{"models":[{"id":"m","context_length":8000,"capabilities":["vision"],"pricing":{"prompt":0.5,"completion":2}}]}"#,
        )
        .unwrap();
        let listed = Listed { models: offered("p", answer.models).collect(), failed: Vec::new() };
        let expected = "PROVIDER  MODEL  TYPE  CONTEXT  PRICE      CAPABILITIES\n\
                        p         m      chat  8000     $0.5 / $2  vision";
        assert_eq!(listed.render(Paint::none()), expected);
    }
}
