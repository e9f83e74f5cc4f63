//! Providers while the host runs.

use serde_json::{Value, json};

use super::{PROVIDERS, example};
use crate::config::provider_entry;
use crate::http::openapi::Operation;
use crate::http::{credentials, models, providers};
use crate::plugins::ProviderView;

const UNKNOWN: &[&str] = &["provider_not_found", "not_found"];

/// An entry as it stands in the file, where null is as good as nothing.
fn entry() -> Value {
    let mut entry = provider_entry();
    for member in entry["properties"].as_object_mut().into_iter().flat_map(serde_json::Map::values_mut) {
        let about = member.get("description").cloned().unwrap_or_default();
        *member = json!({ "description": about, "anyOf": [member.take(), { "type": "null" }] });
    }
    entry
}

/// The same with its name beside.
fn named_entry() -> Value {
    let mut entry = entry();
    entry["properties"]["name"] =
        json!({ "type": "string", "pattern": "^[A-Za-z0-9._-]+$", "description": "What it is called." });
    entry["required"] = json!(["name"]);
    entry
}

pub(in crate::http) fn create(it: Operation<'_>) -> Operation<'_> {
    edited(it)
        .named(PROVIDERS, "createProvider", "Make a provider")
        .about(
            "From an entry as it would stand in the configuration file, with its name beside. Values \
             are taken as they are: nothing is filled in from variables.",
        )
        .takes_this(named_entry(), true, &[("mock", example!("createProvider.body"))])
        .answers::<ProviderView>(201, "It was made, with this configuration.", example!("getProvider"))
        .refuses(400, &["missing_field"])
        .refuses(409, &["provider_exists"])
}

pub(in crate::http) fn one(it: Operation<'_>) -> Operation<'_> {
    it.named(PROVIDERS, "getProvider", "One provider's configuration")
        .about("What is in force, with secrets masked, and where each value comes from.")
        .answers::<ProviderView>(200, "The configuration; `etag` is its version.", example!("getProvider"))
        .refuses(404, UNKNOWN)
}

pub(in crate::http) fn patch(it: Operation<'_>) -> Operation<'_> {
    edited(if_match(it))
        .named(PROVIDERS, "changeProvider", "Change a provider")
        .about(
            "Only what is named is changed; null takes back what was changed before. Another origin in \
             `base_url` needs the key again, so that nobody can have a stored one sent elsewhere.",
        )
        .takes_this(entry(), true, &[("priority", example!("changeProvider.body"))])
        .answers::<ProviderView>(200, "It was changed; its configuration.", example!("getProvider"))
        .refuses(404, UNKNOWN)
}

pub(in crate::http) fn remove(it: Operation<'_>) -> Operation<'_> {
    if_match(it)
        .named(PROVIDERS, "removeProvider", "Take a provider away")
        .about("For good: one of the configuration file is left out until it is made again.")
        .answers_nothing(204, "It is gone.")
        .refuses(400, &["invalid_if_match"])
        .refuses(404, UNKNOWN)
        .refuses(409, &["configuration_invalid"])
        .refuses(412, &["stale_version"])
        .refuses_with_any(422, &["entry_invalid"])
}

fn if_match(it: Operation<'_>) -> Operation<'_> {
    let schema = json!({ "type": "string", "pattern": "^(\\*|\"?[0-9]{1,18}\"?)$" });
    it.header("if-match", "Only this version of it, as its `etag` was.", schema)
        .refuses(400, &["invalid_if_match"])
        .refuses(412, &["stale_version"])
}

/// What comes of an entry that was changed.
fn edited(it: Operation<'_>) -> Operation<'_> {
    it.refuses(400, &["invalid_json"])
        .refuses(409, &["configuration_invalid"])
        .refuses_with_any(422, &["entry_invalid", "key_needed"])
}

pub(in crate::http) fn list_models(it: Operation<'_>) -> Operation<'_> {
    it.named(PROVIDERS, "listProviderModels", "The models of a provider")
        .about(
            "From memory while they hold. Where its vendor cannot be asked, what was known is shown, \
             and said to be `stale`.",
        )
        .query::<models::ListQuery>()
        .answers::<models::Listed<'_>>(200, "The models.", example!("listProviderModels"))
        .asks_upstream()
        .refuses(404, UNKNOWN)
        .refuses(409, &["provider_changed"])
}

pub(in crate::http) fn sync_models(it: Operation<'_>) -> Operation<'_> {
    it.named(PROVIDERS, "syncProviderModels", "Ask a provider's vendor for its models again")
        .about("Unless the list is young. That it failed is an answer, too: what was known stays.")
        .may_take::<models::SyncWish>(example!("syncProviderModels.body"))
        .answers::<models::SyncReport>(200, "What came of it.", example!("syncProviderModels"))
        .refuses(400, &["invalid_json"])
        .refuses(404, UNKNOWN)
        .refuses(422, &["unsupported"])
}

pub(in crate::http) fn check(it: Operation<'_>) -> Operation<'_> {
    it.named(PROVIDERS, "checkProvider", "Check a provider now")
        .answers::<providers::Check<'_>>(200, "How it is.", example!("checkProvider"))
        .refuses(404, UNKNOWN)
        .refuses(422, &["unsupported"])
}

pub(in crate::http) fn validate(it: Operation<'_>) -> Operation<'_> {
    it.named(PROVIDERS, "validateCredentials", "Whether a provider's keys are accepted")
        .about("Asks about every key now. Which one it is only its place says: a key is in no answer.")
        .answers::<credentials::Body>(200, "What was said of them.", example!("validateCredentials"))
        .refuses(404, UNKNOWN)
        .refuses(422, &["unsupported"])
}
