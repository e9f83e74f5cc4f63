//! `patchbay models`: what can be asked for.

use clap::Args;
use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

// Having the vendors asked.
mod sync;

use self::sync::Synced;
use super::Failure;
use super::output::{self, Paint};
use super::remote::{Remote, RemoteArgs};
use super::table::{Table, or_dash};
use crate::segment::segment;

/// So many providers are asked at a time.
const AT_ONCE: usize = 8;

/// The feature of those that have something to list.
const MODEL_LIST: &str = "model_list";

/// List the models of a running host's providers
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  patchbay models
  patchbay models mock --refresh
  patchbay models --sync
  patchbay models mock --json

A host keeps each vendor's list for a day. --refresh has it ask again, whatever it knows; --sync only those whose list \
is older than twelve hours.

--json prints {\"models\": [{\"provider\", \"id\", \"type\", \"capabilities\", and where known \"name\", \
\"context_length\", \"owner\", \"created\", \"pricing\"}], \"failed\": [{\"provider\", \"error\"}]}, and after --sync \
\"synced\": [{\"provider\", \"status\", \"reason\", \"models_synced\"}]. Prices are US dollars per million tokens. The \
exit code is 1 when a provider could not be asked; those that have no list are left out.")]
pub(super) struct Models {
    /// Only those of this provider
    #[arg(value_name = "PROVIDER")]
    provider: Option<String>,

    /// Have the vendors asked again first
    #[arg(long)]
    refresh: bool,

    /// Have those vendors asked first whose list is not fresh, and say what came of it
    #[arg(long, conflicts_with = "refresh")]
    sync: bool,

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
    #[serde(default)]
    features: Vec<String>,
    #[serde(default)]
    models: Vec<String>,
}

impl Named {
    fn can_ask_vendor(&self) -> bool {
        self.features.iter().any(|feature| feature == MODEL_LIST)
    }

    /// Whether there is anything to ask it for: without a vendor to ask, what is configured.
    fn has_list(&self) -> bool {
        self.can_ask_vendor() || !self.models.is_empty()
    }
}

#[derive(Debug, Deserialize)]
struct Answer {
    models: Vec<Model>,
    /// Why they are not those of now.
    error: Option<String>,
}

/// What is shown of a model, and whatever else the host says of it.
#[derive(Debug, Deserialize, Serialize)]
struct Model {
    id: String,
    r#type: String,
    context_length: Option<u64>,
    capabilities: Vec<String>,
    pricing: Option<Price>,
    #[serde(flatten)]
    more: Map<String, Value>,
}

/// In US dollars for a million tokens.
#[derive(Debug, Deserialize, Serialize)]
struct Price {
    prompt: Option<Number>,
    completion: Option<Number>,
    #[serde(flatten)]
    more: Map<String, Value>,
}

#[derive(Debug, Default, Serialize)]
struct Listed {
    models: Vec<Offered>,
    failed: Vec<Silent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    synced: Option<Vec<Synced>>,
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
    let providers = match &command.provider {
        Some(provider) => {
            let features = vec![MODEL_LIST.to_owned()];
            vec![Named { name: provider.clone(), features, models: Vec::new() }]
        }
        None => remote.read::<Providers>("/api/providers").await?.1.providers,
    };
    let (providers, left_out): (Vec<_>, Vec<_>) = providers.into_iter().partition(Named::has_list);
    for Named { name, .. } in left_out {
        output::note(&format!(
            "{name}: left out, for its plugin cannot list models: to have some, set \"models\" in its config"
        ));
    }
    let mut listed = Listed::default();
    if command.sync {
        let able = providers.iter().filter(|provider| provider.can_ask_vendor());
        listed.synced = Some(sync::sync(&remote, able.map(|provider| provider.name.clone()).collect()).await);
    }
    if command.provider.is_some() {
        // Without that one there is nothing to list.
        for Named { name, .. } in providers {
            let answer = ask(&remote, &name, command.refresh).await?;
            listed.add(&name, answer);
        }
    } else {
        ask_all(&remote, providers, command.refresh, &mut listed).await;
    }
    if command.json {
        // Strings and numbers can always be written.
        output::line(&serde_json::to_string(&listed).unwrap_or_default());
    } else {
        output::line(&listed.render(Paint::for_stdout()));
        for Silent { provider, error } in &listed.failed {
            output::note(&format!("{provider}: {error}"));
        }
    }
    let not_synced = listed.synced.iter().flatten().any(Synced::has_failed);
    Ok(if listed.failed.is_empty() && !not_synced { 0 } else { 1 })
}

async fn ask(remote: &Remote, provider: &str, refresh: bool) -> Result<Answer, Failure> {
    let query = if refresh { "?refresh=true" } else { "" };
    let path = format!("/api/providers/{}/models{query}", segment(provider));
    remote.read::<Answer>(&path).await.map(|(_, answer)| answer)
}

/// One that fails does not keep the others from being listed.
async fn ask_all(remote: &Remote, providers: Vec<Named>, refresh: bool, listed: &mut Listed) {
    let asked = stream::iter(providers).map(async |Named { name, .. }| {
        let answer = ask(remote, &name, refresh).await;
        (answer, name)
    });
    let mut answers = asked.buffered(AT_ONCE);
    while let Some((answer, provider)) = answers.next().await {
        match answer {
            Ok(answer) => listed.add(&provider, answer),
            Err(failure) => listed.failed.push(Silent { provider, error: failure.into_message() }),
        }
    }
}

impl Listed {
    fn add(&mut self, provider: &str, answer: Answer) {
        let offered = |model| Offered { provider: provider.to_owned(), model };
        self.models.extend(answer.models.into_iter().map(offered));
        let failed = answer.error.map(|error| Silent {
            provider: provider.to_owned(),
            error: format!("these are its models of before, for it could not be asked: {error}"),
        });
        self.failed.extend(failed);
    }

    fn render(&self, paint: Paint) -> String {
        let mut table = Table::new(["PROVIDER", "MODEL", "TYPE", "CONTEXT", "PRICE", "CAPABILITIES"]);
        for Offered { provider, model } in &self.models {
            let dollars =
                |price: &Option<Number>| price.as_ref().map_or("?".to_owned(), |price| format!("${price}"));
            let price = model.pricing.as_ref();
            let price =
                price.map(|price| format!("{} / {}", dollars(&price.prompt), dollars(&price.completion)));
            table.row([
                provider.clone(),
                model.id.clone(),
                model.r#type.clone(),
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
        let providers = r#"{"providers":[{"name":"a b","features":["model_list"],"models":[]},
                                         {"name":"c","features":["model_list"],"models":["m"]}]}"#;
        let models = r#"{"models":[{"id":"m","type":"chat","capabilities":[]}]}"#;
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

    #[tokio::test]
    async fn what_is_synced_is_listed_and_a_failure_is_a_failure() {
        // The last one would answer 422: it is not asked.
        let providers = r#"{"providers":[{"name":"a","features":["model_list"],"models":[]},
                                         {"name":"b","features":["streaming"],"models":["m"]},
                                         {"name":"c","features":["streaming"],"models":[]}]}"#;
        let models = r#"{"models":[{"id":"m","type":"chat","capabilities":[]}]}"#;
        let synced = |status: &str| format!(r#"{{"status":"{status}","reason":null,"models_synced":1}}"#);
        for (status, code) in [("success", 0), ("skipped", 0), ("error", 1)] {
            let (ok, synced) = ("200 OK", synced(status));
            let host = FakeHost::start([(ok, providers), (ok, &synced), (ok, models), (ok, models)]).await;
            assert_eq!(run(&host, &["models", "--sync"]).await, Ok(code), "{status}");
            let mut asked: Vec<String> = host.requests().into_iter().map(|request| request.line).collect();
            assert_eq!(asked[1], "POST /api/providers/a/models/sync HTTP/1.1");
            asked[2..].sort();
            assert_eq!(
                asked[2..],
                ["GET /api/providers/a/models HTTP/1.1", "GET /api/providers/b/models HTTP/1.1"]
            );
        }
    }

    #[tokio::test]
    async fn models_of_before_are_listed_and_are_a_failure() {
        let answer =
            r#"{"models":[{"id":"m","type":"chat","capabilities":[]}],"stale":true,"error":"because"}"#;
        let host = FakeHost::start([("200 OK", answer)]).await;
        assert_eq!(run(&host, &["models", "p", "--refresh"]).await, Ok(1));
        assert_eq!(host.requests()[0].line, "GET /api/providers/p/models?refresh=true HTTP/1.1");
    }

    #[test]
    fn what_is_known_is_shown() {
        let answer: Answer = serde_json::from_str(
            r#"{"models":[{"id":"m","type":"chat","context_length":8000,"capabilities":["vision"],"pricing":{"prompt":0.5,"completion":null}}]}"#,
        )
        .unwrap();
        let mut listed = Listed::default();
        listed.add("p", answer);
        let expected = "PROVIDER  MODEL  TYPE  CONTEXT  PRICE     CAPABILITIES\n\
                        p         m      chat  8000     $0.5 / ?  vision";
        assert_eq!(listed.render(Paint::none()), expected);
    }
}
