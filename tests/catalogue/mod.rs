//! The vendors' lists of models: asked for seldom, kept over restarts, never made up, and what requests go by.

// The vendor that is asked.
mod vendor;
// How a list comes, stays and goes.
mod keeping;
// Having it asked for.
mod syncing;
// Who answers by it.
mod routing;
// What it says that answers cost.
mod prices;

use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Host, HostOptions, SECRET, libraries};
use vendor::Vendor;

/// A host that asks nobody unasked, with a provider for each vendor.
fn options(vendors: &[(&str, &Vendor)]) -> HostOptions {
    let options = HostOptions::default()
        .builtin(&libraries::openai_compatible())
        .section("health", json!({ "enabled": false }));
    vendors.iter().fold(options, |options, (name, vendor)| options.entry(name, entry(vendor)))
}

fn entry(vendor: &Vendor) -> Value {
    let config = json!({ "base_url": vendor.base_url(), "api_key": SECRET, "timeout": 60 });
    json!({ "plugin": "openai-compatible", "config": config })
}

async fn host(vendors: &[(&str, &Vendor)], data_dir: &Path) -> Host {
    Host::start(options(vendors).env("PATCHBAY_DATA_DIR", data_dir.as_os_str())).await
}

/// What the list of a provider is said to be.
async fn listed(host: &Host, provider: &str, query: &str) -> Value {
    let answer = host.get(&format!("/api/providers/{provider}/models{query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

fn ids(list: &Value) -> Vec<&str> {
    list["models"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect()
}

async fn sync(host: &Host, provider: &str, wish: Value) -> Value {
    let answer = host.post_json(&format!("/api/providers/{provider}/models/sync"), &wish).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

/// Changes the provider `up`.
async fn patched(host: &Host, change: Value) {
    let request = host.request(Method::PATCH, "/api/providers/up").header("content-type", "application/json");
    let changed = host.answer("/api/providers/up", request.body(change.to_string())).await;
    assert_eq!(changed.status, 200, "{}", changed.body);
}

/// The file with the list of a provider.
fn kept(data: &TempDir, provider: &str) -> PathBuf {
    data.path().join("model-lists").join(format!("{provider}.json"))
}
