//! The vendor that the guide shows whole is one: its very text is built, tested, loaded and asked.

use serde_json::json;

use super::new::{build, clone, kit};
use crate::harness::{Host, HostOptions, SECRET, Upstream};

/// The block of the guide that stands behind these words.
fn block(guide: &str, before: &str, language: &str) -> String {
    let (_, rest) = guide.split_once(before).unwrap_or_else(|| panic!("{before:?} is not in the guide"));
    let rest = rest.trim_start().strip_prefix(&format!("```{language}\n"));
    let rest = rest.unwrap_or_else(|| panic!("no {language} stands behind {before:?}"));
    rest.split_once("```").unwrap().0.to_owned()
}

#[tokio::test]
async fn the_guides_vendor_is_short_and_serves() {
    let guide = std::fs::read_to_string(clone().join("plugin-api/src/guide.md")).unwrap();
    let manifest = block(&guide, "`Cargo.toml`:", "toml");
    let code = block(&guide, "`src/lib.rs`:", "rust");
    let lines = manifest.lines().chain(code.lines()).count();
    assert!(lines < 40, "a vendor is a diff of {lines} lines");

    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().join("example");
    std::fs::create_dir_all(folder.join("src")).unwrap();
    std::fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    std::fs::write(folder.join("src/lib.rs"), code).unwrap();
    // The text is not touched: what it asks the registry for is found here.
    std::fs::create_dir(outside.path().join(".cargo")).unwrap();
    let sdk = json!(clone().join("plugin-api"));
    let patch = format!("[patch.crates-io]\npatchbay-plugin-api = {{ path = {sdk} }}\n");
    std::fs::write(outside.path().join(".cargo/config.toml"), patch).unwrap();
    let library = build(&folder, "example");
    kit(&folder, "takes no stream that ends early for a whole one");

    let upstream = Upstream::start().await;
    let host = Host::start(HostOptions::default()).await;
    host.install(&library, &library.file_name());
    let config = json!({ "base_url": upstream.base_url(), "api_key": SECRET });
    host.configure(json!({ "plugins": { "example": { "config": config } } }));
    host.reload().await;
    assert_eq!(host.ask("example", "hi").await.response(), "a b c");
    let (headers, sent) = upstream.requests().remove(0);
    assert_eq!(headers["authorization"], format!("Bearer {SECRET}"));
    assert_eq!(sent["model"], "example-1");
    host.stop().await;
}
