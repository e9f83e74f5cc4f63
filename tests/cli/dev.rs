//! `patchbay dev`: what is saved is built and swapped in; what does not compile is shown and changes nothing.

use std::fs;

use serde_json::json;

use super::new::{build, clone, new};
use crate::harness::{Host, HostOptions, eventually};

#[tokio::test]
async fn an_edit_is_live_and_a_mistake_is_shown() {
    let outside = tempfile::tempdir().unwrap();
    new(
        outside.path(),
        &["edited", "--sdk", clone().join("plugin-api").to_str().unwrap()],
        0,
        &["made edited"],
    );
    let folder = outside.path().join("edited");
    // Dependencies are then built, as they are after anybody's first minute.
    build(&folder, "edited");

    let mut options = HostOptions::default().dev(&folder).provider("edited", json!({}));
    let target = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugin-new");
    options = options.env("CARGO", env!("CARGO")).env("CARGO_TARGET_DIR", target.to_str().unwrap());
    for name in ["PATH", "HOME", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"] {
        if let Ok(value) = std::env::var(name) {
            options = options.env(name, &value);
        }
    }
    let host = Host::start(options.env("CARGO_NET_OFFLINE", "true")).await;
    assert_eq!(host.ask("edited", "hi").await.response(), "Hello! You said: hi");

    let source = folder.join("src/lib.rs");
    let text = fs::read_to_string(&source).unwrap();
    fs::write(&source, text.replace("You said", "You wrote")).unwrap();
    let expected = "Hello! You wrote: hi";
    eventually(expected, async || (host.ask("edited", "hi").await.response() == expected).then_some(()))
        .await;
    let generation = host.plugin("edited").await["generation"].clone();

    fs::write(&source, text.replace("You said", "You meant").replace("fn create(", "fn create((")).unwrap();
    let mistake = "the previous library stays";
    eventually(mistake, async || host.log().contains(mistake).then_some(())).await;
    let said = host.log();
    assert!(said.contains("error: ") && said.contains("src/lib.rs"), "the compiler's own words: {said}");
    assert_eq!(host.ask("edited", "hi").await.response(), expected);
    assert_eq!(host.plugin("edited").await["generation"], generation);
    host.stop().await;
}
