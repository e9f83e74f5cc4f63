//! Providers while the host runs.

use serde_json::{Value, json};

use super::{PROVIDERS, example};
use crate::config::provider_entry;
use crate::http::error::Code;
use crate::http::openapi::Operation;
use crate::http::{credentials, models, providers};
use crate::plugins::ProviderView;

const UNKNOWN: &[Code] = &[Code::ProviderNotFound, Code::NotFound];

/// Why a provider cannot be made from what is configured.
const UNMADE: &[Code] = &[
    Code::ConfigurationInvalid,
    Code::ConfigurationRefused,
    Code::CreateFailed,
    Code::CreateHung,
    Code::CreatePanicked,
    Code::PluginMissing,
    Code::PluginRefused,
];

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
        .carries(201, &["etag", "location"])
        .refuses(400, &[Code::MissingField])
        .refuses(409, &[Code::ProviderExists])
}

pub(in crate::http) fn one(it: Operation<'_>) -> Operation<'_> {
    it.named(PROVIDERS, "getProvider", "One provider's configuration")
        .about("What is in force, with secrets masked, and where each value comes from.")
        .answers::<ProviderView>(200, "The configuration; `etag` is its version.", example!("getProvider"))
        .carries(200, &["etag"])
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
        .carries(200, &["etag"])
        .refuses(404, UNKNOWN)
}

pub(in crate::http) fn remove(it: Operation<'_>) -> Operation<'_> {
    if_match(it)
        .named(PROVIDERS, "removeProvider", "Take a provider away")
        .about(
            "For good; requests that are under way finish on it. One that `plugin_config.json` has stays away, too: that \
             file is left as it is, `providers.json` in the data directory keeps that it was removed, and neither a \
             reload nor a restart brings it back. It comes back when one of its name is made again, with what the file \
             says wherever the new entry says nothing, or when its name is taken out of `providers.json` while the \
             host is stopped.",
        )
        .answers_nothing(204, "It is gone.")
        .refuses(400, &[Code::InvalidIfMatch])
        .refuses(404, UNKNOWN)
        .refuses(409, &[Code::ConfigurationInvalid])
        .refuses(412, &[Code::StaleVersion])
        .refuses(422, &[Code::EntryInvalid])
        .refuses(422, UNMADE)
}

fn if_match(it: Operation<'_>) -> Operation<'_> {
    let schema = json!({ "type": "string", "pattern": "^(\\*|\"?[0-9]{1,18}\"?)$" });
    it.header("if-match", "Only this version of it, as its `etag` was.", schema)
        .refuses(400, &[Code::InvalidIfMatch])
        .refuses(412, &[Code::StaleVersion])
}

/// What comes of an entry that was changed.
fn edited(it: Operation<'_>) -> Operation<'_> {
    it.refuses(400, &[Code::InvalidJson])
        .refuses(409, &[Code::ConfigurationInvalid])
        .refuses(422, &[Code::EntryInvalid, Code::KeyNeeded])
        .refuses(422, UNMADE)
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
        .refuses(409, &[Code::ProviderChanged])
}

pub(in crate::http) fn sync_models(it: Operation<'_>) -> Operation<'_> {
    it.named(PROVIDERS, "syncProviderModels", "Ask a provider's vendor for its models again")
        .about("Unless the list is young. That it failed is an answer, too: what was known stays.")
        .may_take::<models::SyncWish>(example!("syncProviderModels.body"))
        .answers::<models::SyncReport>(200, "What came of it.", example!("syncProviderModels"))
        .refuses(400, &[Code::InvalidJson])
        .refuses(404, UNKNOWN)
        .refuses(422, &[Code::Unsupported])
}

pub(in crate::http) fn check(it: Operation<'_>) -> Operation<'_> {
    it.named(PROVIDERS, "checkProvider", "Check a provider now")
        .answers::<providers::Check<'_>>(200, "How it is.", example!("checkProvider"))
        .refuses(404, UNKNOWN)
        .refuses(422, &[Code::Unsupported])
}

pub(in crate::http) fn validate(it: Operation<'_>) -> Operation<'_> {
    it.named(PROVIDERS, "validateCredentials", "Whether a provider's keys are accepted")
        .about("Asks about every key now. Which one it is only its place says: a key is in no answer.")
        .answers::<credentials::Body>(200, "What was said of them.", example!("validateCredentials"))
        .refuses(404, UNKNOWN)
        .refuses(422, &[Code::Unsupported])
}
