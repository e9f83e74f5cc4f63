//! What else a manifest promises, and what a configuration must not be.

use bytes::Bytes;
use patchbay_plugin_api::ErrorKind;
use patchbay_plugin_api::abi::KEY_PLACEHOLDER;
use serde_json::{Map, Value, json};

use super::report::{Findings, Outcome};
use super::stand::Stand;
use super::upstream::Reply;
use crate::plugins::features::Feature;
use crate::plugins::job::Operation;

/// What the host reads of a configuration, and refuses itself where it is of another kind.
const THE_HOSTS: [&str; 22] = [
    "name",
    "api_key",
    "api_keys",
    "api_key_env",
    "model",
    "models",
    "extra_headers",
    "priority",
    "weight",
    "max_tokens",
    "temperature",
    "timeout",
    "connect_timeout",
    "chunk_timeout",
    "total_timeout",
    "retry_attempts",
    "max_concurrent",
    "requests_per_minute",
    "tokens_per_minute",
    "budget_usd_per_day",
    "budget_usd_per_month",
    "allow_http",
];

pub(super) async fn provider(stand: &Stand) -> Outcome {
    match stand.usual().await {
        Ok(_) => Outcome::Passed,
        Err(error) => Outcome::failed(format!(
            "none can be made of its defaults and its sample configuration: {error}; give the kit what is missing with \
             --config, or as \"config\" in conformance/kit.json"
        )),
    }
}

pub(super) async fn configuration(stand: &Stand) -> Outcome {
    let provider = match stand.usual().await {
        Ok(provider) => provider,
        Err(error) => return Outcome::failed(error.to_string()),
    };
    let usual = provider.settings.plugin_config.clone();
    let mut nonsense = vec![("{".to_owned(), b"{".to_vec())];
    nonsense.extend(variations(&known(stand, &usual), &usual));
    if nonsense.len() == 1 {
        return Outcome::not_tested(
            "what it takes is not known: describe it in the manifest's config_schema",
        );
    }
    let mut findings = Findings::default();
    for (shown, config) in nonsense {
        let address = stand.upstream.address();
        let problem = match stand.make(&stand.generation, &provider.settings, config, &address).await {
            Ok(_) => format!("{shown} is accepted: read it into a struct, or refuse it in `validate`"),
            Err(error) if error.kind == ErrorKind::InvalidInput => continue,
            Err(error) => format!("{shown} becomes {}, not invalid_input: {error}", error.kind),
        };
        if !findings.add(problem) {
            break;
        }
    }
    findings.outcome()
}

/// The members it takes, with a value that each may have.
fn known(stand: &Stand, usual: &Map<String, Value>) -> Map<String, Value> {
    let schema = stand.manifest.config_schema.as_ref();
    let properties = schema.and_then(|schema| schema.get("properties")?.as_object());
    let described = properties.into_iter().flatten().filter_map(|(name, property)| {
        let example = match property.get("type")?.as_str()? {
            "object" => json!({}),
            _ => json!(""),
        };
        Some((name.clone(), example))
    });
    let mut known: Map<String, Value> = described.collect();
    known.extend(usual.clone());
    known.retain(|name, _| !THE_HOSTS.contains(&name.as_str()));
    known
}

/// The usual configuration with one member that is of another kind.
fn variations(known: &Map<String, Value>, usual: &Map<String, Value>) -> Vec<(String, Vec<u8>)> {
    let vary = |(name, value): (&String, &Value)| {
        // That an address is a text is the host's business, that it is an address the plugin's.
        let is_text = value.is_object() || name == "base_url";
        let nonsense = if is_text { json!("nonsense") } else { json!({ "nonsense": [] }) };
        let mut config = usual.clone();
        config.insert(name.clone(), nonsense.clone());
        (json!({ name: nonsense }).to_string(), Value::Object(config).to_string().into_bytes())
    };
    known.iter().map(vary).collect()
}

fn promised(stand: &Stand, feature: Feature) -> Result<(), Outcome> {
    let word = feature.word();
    stand
        .manifest
        .supported_features
        .has(feature)
        .then_some(())
        .ok_or_else(|| Outcome::not_tested(format!("\"{word}\" is not among its features")))
}

/// The answer to an operation without a body, as JSON, or what is wrong.
async fn told(stand: &Stand, operation: Operation) -> Result<Value, String> {
    let provider = stand.usual().await.map_err(|error| error.to_string())?;
    let answer = stand.ask(&provider, operation, Bytes::new()).await;
    let answer = answer.map_err(|error| format!("{}: {error}", error.kind))?;
    serde_json::from_slice(&answer).map_err(|error| format!("its answer is not JSON: {error}"))
}

pub(super) async fn models(stand: &Stand) -> Outcome {
    if let Err(not_promised) = promised(stand, Feature::ModelList) {
        return not_promised;
    }
    let Some(captured) = &stand.captures.models else {
        return Outcome::not_tested("no list of models is known: capture one as conformance/models.json");
    };
    stand.upstream.answers(Reply::json(captured));
    match told(stand, Operation::Models).await {
        Err(problem) => Outcome::failed(problem),
        Ok(told) => {
            let models = told["models"].as_array().map(Vec::as_slice).unwrap_or_default();
            let nameless = models.iter().any(|model| model["id"].as_str().is_none_or(str::is_empty));
            match (models.is_empty(), nameless) {
                (true, _) => Outcome::failed("of the models that upstream lists it tells none"),
                (_, true) => Outcome::failed("a model has no id, so nobody can ask for it"),
                _ => Outcome::Passed,
            }
        }
    }
}

pub(super) async fn health(stand: &Stand) -> Outcome {
    if let Err(not_promised) = promised(stand, Feature::HealthCheck) {
        return not_promised;
    }
    let Some(captured) = &stand.captures.health else {
        return Outcome::not_tested(
            "what a healthy upstream says is not known: capture it as conformance/health.json",
        );
    };
    stand.upstream.answers(Reply::json(captured));
    let before = stand.upstream.asked();
    let well = told(stand, Operation::Health).await;
    let mut findings = Findings::default();
    if !well.as_ref().is_ok_and(|told| told["status"] == "available") {
        findings.add(format!("with upstream well it says {}", shown(&well)));
    }
    if stand.upstream.asked() > before {
        stand.upstream.answers(Reply::new(500, "application/json", stand.captures.failure(500)));
        let ill = told(stand, Operation::Health).await;
        if ill.as_ref().is_ok_and(|told| told["status"] == "available") {
            findings.add("with upstream answering 500 it says that it is available");
        }
    }
    findings.outcome()
}

pub(super) async fn credentials(stand: &Stand) -> Outcome {
    if let Err(not_promised) = promised(stand, Feature::CredentialsCheck) {
        return not_promised;
    }
    let Some(captured) = &stand.captures.health else {
        return Outcome::not_tested(
            "what upstream says to a good key is not known: capture it as conformance/health.json",
        );
    };
    stand.upstream.answers(Reply::json(captured));
    let before = stand.upstream.asked();
    let good = told(stand, Operation::Credentials).await;
    let mut findings = Findings::default();
    if !good.as_ref().is_ok_and(|told| told["status"] == "valid") {
        findings.add(format!("of a good key it says {}", shown(&good)));
    }
    if stand.upstream.asked() > before {
        // Who computes with the key may send what nobody knows it by.
        if !stand.upstream.saw_the_key() && !stand.manifest.secrets {
            findings.add(format!("it asks without the key: write {KEY_PLACEHOLDER} where it belongs"));
        }
        stand.upstream.answers(Reply::new(401, "application/json", stand.captures.failure(401)));
        let bad = told(stand, Operation::Credentials).await;
        if !bad.as_ref().is_ok_and(|told| told["status"] == "invalid") {
            findings.add(format!("of a key that upstream refuses with 401 it says {}", shown(&bad)));
        }
    }
    findings.outcome()
}

pub(super) async fn embeddings(stand: &Stand) -> Outcome {
    if let Err(not_promised) = promised(stand, Feature::Embeddings) {
        return not_promised;
    }
    let Some(captured) = &stand.captures.embeddings else {
        return Outcome::not_tested("no vectors are known: capture some as conformance/embeddings.json");
    };
    stand.upstream.answers(Reply::json(captured));
    let asked = async {
        let provider = stand.usual().await?;
        let body = Bytes::from_static(br#"{"model": "conformance", "input": ["a word"]}"#);
        stand.ask(&provider, Operation::Embed, body).await
    };
    match asked.await {
        Err(error) => Outcome::failed(format!("{}: {error}", error.kind)),
        Ok(answer) => {
            let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
            let is_vector =
                answer["data"][0]["embedding"].is_array() || answer["data"][0]["embedding"].is_string();
            if is_vector { Outcome::Passed } else { Outcome::failed("its answer holds no vector") }
        }
    }
}

fn shown(told: &Result<Value, String>) -> String {
    match told {
        Ok(told) => told.to_string(),
        Err(problem) => problem.clone(),
    }
}
