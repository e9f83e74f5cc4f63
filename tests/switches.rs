//! Plugins that are switched off, moved, lost or wanted by others: what the host says of them is what it does.

use serde_json::{Value, json};

use crate::harness::{Host, HostOptions, libraries};

async fn host() -> Host {
    let options = HostOptions::default().custom(&libraries::mock()).custom(&libraries::chameleon());
    Host::start(options.provider("mock", json!({})).provider("chameleon", json!({}))).await
}

async fn health(host: &Host, provider: &str) -> Value {
    host.get("/api/health").await.json()["providers"][provider].clone()
}

#[tokio::test]
async fn a_plugin_is_switched_off_whatever_became_of_its_file_and_stays_so() {
    let host = host().await;
    std::fs::write(host.custom().join("libchameleon.so"), "garbage").unwrap();
    host.reload().await;
    assert_eq!(host.ask("chameleon", "hi").await.response(), "green green green green green");
    // Neither a bad library nor a bad configuration is in the way.
    std::fs::write(host.dir().join("plugin_config.json"), "{").unwrap();
    let report = host.post("/api/plugins/chameleon/disable").await.json();
    assert_eq!(
        (&report["status"], &report["plugins"]["removed"]),
        (&json!("ok"), &json!(["chameleon"])),
        "{report}"
    );
    assert_eq!(host.ask("chameleon", "hi").await.status, 404);
    assert_eq!(health(&host, "chameleon").await, "disabled");

    host.configure(json!({ "plugins": { "mock": {}, "chameleon": {} } }));
    libraries::chameleon().colour("red").install(&host.custom(), "libchameleon.so");
    let report = host.reload().await;
    assert_eq!(report["status"], "ok", "what is off on purpose is no failure: {report}");
    assert_eq!(host.plugin("chameleon").await["state"], "disabled");
    let kept = std::fs::read_to_string(host.dir().join(".patchbay/providers.json")).unwrap();
    assert!(kept.contains("\"chameleon\""), "a restart remembers it: {kept}");

    let report = host.post("/api/plugins/chameleon/enable").await.json();
    assert_eq!(report["plugins"]["loaded"], json!(["chameleon"]), "{report}");
    assert_eq!(host.ask("chameleon", "hi").await.response(), "red red red red red");
    host.stop().await;
}

#[tokio::test]
async fn what_serves_is_listed_and_can_be_managed_without_its_file() {
    let host = host().await;
    std::fs::remove_file(host.custom().join("libchameleon.so")).unwrap();
    for _ in 0..2 {
        let report = host.post("/api/plugins/chameleon/reload").await.json();
        assert_eq!(report["plugins"]["failed"][0]["code"], "file_gone", "{report}");
        let plugin = host.plugin("chameleon").await;
        assert_eq!(
            (&plugin["state"], &plugin["problem"]["code"]),
            (&json!("active"), &json!("file_gone")),
            "{plugin}"
        );
        assert_eq!(host.ask("chameleon", "hi").await.response(), "green green green green green");
    }
    // Reloading everything lets it go.
    assert_eq!(host.reload().await["plugins"]["removed"], json!(["chameleon"]));
    host.stop().await;
}

#[tokio::test]
async fn a_renamed_library_is_still_the_same_plugin() {
    let host = host().await;
    let (old, new) = (host.custom().join("libchameleon.so"), host.custom().join("renamed.so"));
    std::fs::rename(&old, &new).unwrap();
    assert_eq!(host.reload().await["plugins"]["unchanged"], json!(["chameleon", "mock"]));
    let report = host.post("/api/plugins/chameleon/reload").await.json();
    assert_eq!((&report["status"], &report["plugins"]["failed"]), (&json!("ok"), &json!([])), "{report}");
    std::fs::write(&new, "garbage").unwrap();
    let report = host.reload().await;
    assert_eq!(report["plugins"]["failed"][0]["kept_previous"], true, "{report}");
    assert_eq!(host.ask("chameleon", "hi").await.response(), "green green green green green");
    host.stop().await;
}

#[tokio::test]
async fn requirements_are_those_of_what_was_really_loaded() {
    let base = libraries::chameleon().id("base");
    let top = libraries::chameleon().id("top").requires(&["plugin:base>=1"]);
    let options = HostOptions::default().custom_as(&base, "libbase.so").custom_as(&top, "libtop.so");
    let host = Host::start(options.provider("base", json!({})).provider("top", json!({}))).await;
    // The new base looks good and then cannot be loaded; the new top asks for it.
    let bad = libraries::chameleon().id("base").version("2.0.0").behaviour("create_panic");
    host.install(&bad, "libbase.so");
    host.install(&libraries::chameleon().id("top").requires(&["plugin:base>=2"]).colour("red"), "libtop.so");
    let report = host.reload().await;
    let failed: Vec<_> =
        report["plugins"]["failed"].as_array().unwrap().iter().map(|it| (&it["id"], &it["code"])).collect();
    assert_eq!(
        failed,
        [(&json!("base"), &json!("panicked")), (&json!("top"), &json!("plugin_version"))],
        "{report}"
    );
    assert_eq!(report["plugins"]["reloaded"], json!([]), "{report}");
    assert_eq!(host.ask("top", "hi").await.response(), "green green green green green");
    host.stop().await;
}
