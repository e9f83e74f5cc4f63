//! Configuration that changes while the host runs: what did not change is not touched, and what cannot be used
//! changes nothing.

use serde_json::{Value, json};

use crate::harness::{Host, HostOptions, Upstream, libraries, make_pipe};

async fn generation(host: &Host, provider: &str) -> Value {
    let list = host.get("/api/providers").await.json();
    let providers = list["providers"].as_array().unwrap();
    providers.iter().find(|it| it["name"] == provider).map_or(Value::Null, |it| it["generation"].clone())
}

#[tokio::test]
async fn an_edit_touches_only_the_providers_it_changes() {
    let upstream = Upstream::start().await;
    let options = HostOptions::default().custom(&libraries::mock()).builtin(&libraries::openai_compatible());
    let up = json!({ "plugin": "openai-compatible", "config": { "base_url": upstream.base_url(), "model": "gated" } });
    let host = Host::start(options.entry("up", up.clone()).provider("mock", json!({}))).await;
    upstream.release(1);
    let mut stream = host.stream("up", "hi").await;
    assert_eq!(stream.next().await.unwrap().as_deref(), Some("a"));

    host.configure(json!({ "plugins": { "up": up, "mock": { "config": { "reply": "changed" } }, "two": { "plugin": "mock" } } }));
    let report = host.reload().await;
    let providers = &report["providers"];
    assert_eq!(
        (&providers["created"], &providers["updated"], &providers["unchanged"]),
        (&json!(["two"]), &json!(["mock"]), &json!(["up"])),
        "{report}"
    );
    assert_eq!(report["plugins"]["unchanged"], json!(["mock", "openai-compatible"]), "{report}");
    assert_eq!((generation(&host, "up").await, generation(&host, "mock").await), (json!(1), json!(1)));
    assert_eq!(host.ask("mock", "hi").await.response(), "changed");
    upstream.release(10);
    assert_eq!(stream.rest().await.unwrap(), "a b c");
    host.stop().await;
}

#[tokio::test]
async fn an_edit_that_cannot_be_used_changes_nothing() {
    let options = HostOptions::default().custom(&libraries::mock()).provider("mock", json!({}));
    let host = Host::start(options.entry("two", json!({ "plugin": "mock" }))).await;

    std::fs::write(host.dir().join("plugin_config.json"), r#"{"plugins": {"mock": "#).unwrap();
    let report = host.reload().await;
    assert_eq!(report["status"], "failed", "{report}");
    assert!(report["config"]["message"].as_str().unwrap().contains("plugin_config.json"), "{report}");
    assert_eq!(host.ask("two", "hi").await.response(), "You said: hi");

    // One entry that the plugin refuses keeps what it had, the other one is made anew.
    host.configure(json!({ "plugins": {
        "mock": { "config": { "chunks": 0 } }, "two": { "plugin": "mock", "config": { "reply": "two" } },
    } }));
    let report = host.reload().await;
    assert_eq!(report["status"], "partial", "{report}");
    assert_eq!(report["providers"]["updated"], json!(["two"]), "{report}");
    let failed = &report["providers"]["failed"][0];
    assert_eq!((&failed["name"], &failed["kept_previous"]), (&json!("mock"), &json!(true)), "{report}");
    assert_eq!(failed["message"], "the provider \"mock\" could not be made: `chunks` must be at least 1");
    assert_eq!(host.ask("mock", "hi").await.response(), "You said: hi");
    assert_eq!(host.ask("two", "hi").await.response(), "two");
    host.stop().await;
}

/// Moved away to be written anew, by an editor or by hand: nobody wants to be served by the defaults meanwhile.
#[tokio::test]
async fn a_file_that_is_gone_changes_nothing() {
    let options = HostOptions::default().custom(&libraries::mock()).entry("two", json!({ "plugin": "mock" }));
    let host = Host::start(options).await;
    let (file, aside) = (host.dir().join("plugin_config.json"), host.dir().join("aside.json"));
    let fails = async |what: &str| {
        let report = host.reload().await;
        assert_eq!(report["status"], "failed", "{report}");
        assert!(report["config"]["message"].as_str().unwrap().contains(what), "{report}");
        assert_eq!(host.ask("two", "hi").await.response(), "You said: hi");
        assert_eq!(host.ask("mock", "hi").await.status, 404);
    };
    std::fs::rename(&file, &aside).unwrap();
    fails("plugin_config.json: is gone; what serves goes on serving").await;
    // Nor does a reload wait for somebody to write.
    make_pipe(&file);
    fails("plugin_config.json: cannot be read: it is not a regular file").await;
    std::fs::rename(&aside, &file).unwrap();
    assert_eq!(host.reload().await["status"], "ok");

    // The same holds for the variables beside it.
    let dotenv = host.dir().join(".env");
    std::fs::write(&dotenv, "TWO_MODEL=some\n").unwrap();
    assert_eq!(host.reload().await["providers"]["updated"], json!(["two"]));
    std::fs::remove_file(&dotenv).unwrap();
    fails(".env: is gone").await;
    make_pipe(&dotenv);
    fails(".env: cannot be read: it is not a regular file").await;
    host.stop().await;
}

#[tokio::test]
async fn a_new_version_that_refuses_a_new_setting_loses_nothing() {
    let options = HostOptions::default().custom(&libraries::chameleon()).provider("chameleon", json!({}));
    let host = Host::start(options).await;
    // Both at once: neither the new version with the old setting nor the other way round was ever tried.
    host.install(&libraries::chameleon().behaviour("create_fail").colour("red"), "libchameleon.so");
    host.configure(json!({ "plugins": { "chameleon": { "config": { "new": true } } } }));
    let report = host.reload().await;
    let failed = &report["providers"]["failed"][0];
    assert_eq!((&failed["name"], &failed["kept_previous"]), (&json!("chameleon"), &json!(true)), "{report}");
    assert_eq!(host.ask("chameleon", "hi").await.response(), "green green green green green");
    assert_eq!(generation(&host, "chameleon").await, 1);
    let plugin = host.plugin("chameleon").await;
    assert_eq!(plugin["draining"], json!([]), "what serves does not drain: {plugin}");

    host.install(&libraries::chameleon().colour("blue"), "libchameleon.so");
    host.reload().await;
    assert_eq!(host.ask("chameleon", "hi").await.response(), "blue blue blue blue blue");
    host.stop().await;
}

#[tokio::test]
async fn a_key_in_the_environment_is_a_configuration() {
    let upstream = Upstream::start().await;
    let key = "sk-environment-0123456789";
    let options = HostOptions::default().custom(&libraries::mock()).builtin(&libraries::openai_compatible());
    let options = options.env("OPENAI_COMPATIBLE_API_KEYS", key).secret(key);
    let options = options.env("OPENAI_COMPATIBLE_MODEL", "gated");
    let host = Host::start(options.env("OPENAI_COMPATIBLE_BASE_URL", upstream.base_url())).await;
    let list = host.get("/api/providers").await.json();
    let names: Vec<&str> =
        list["providers"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["openai-compatible"], "and nothing has to stand in for it");
    let shown = host.get("/api/providers/openai-compatible").await;
    assert_eq!(shown.status, 200, "{}", shown.body);
    let shown = shown.json();
    let model = shown["values"].as_array().unwrap().iter().find(|value| value["key"] == "model").unwrap();
    assert_eq!((&shown["origin"], &model["value"]), (&json!("environment"), &json!("gated")));
    assert_eq!(
        host.get("/api/providers/gemini").await.error().1,
        "provider_not_found",
        "there is no such plugin"
    );
    host.stop().await;
}

/// What nobody has written down is shown like anything else, and written down by whoever changes it.
#[tokio::test]
async fn a_provider_that_nobody_has_written_down_can_be_changed() {
    let shown = async |host: &Host, name: &str, key: &str| {
        let shown = host.get(&format!("/api/providers/{name}")).await;
        assert_eq!(shown.status, 200, "{}", shown.body);
        let shown = shown.json();
        let value = shown["values"].as_array().unwrap().iter().find(|value| value["key"] == key).unwrap();
        (shown["origin"].clone(), value["value"].clone())
    };
    let patch = async |host: &Host, name: &str, body: Value| {
        let request = host.request(reqwest::Method::PATCH, &format!("/api/providers/{name}"));
        host.answer("patch", request.header("content-type", "application/json").body(body.to_string())).await
    };
    let host = Host::start(HostOptions::default().custom(&libraries::mock())).await;
    assert_eq!(shown(&host, "mock", "priority").await, (json!("default"), json!(999)));
    assert_eq!(patch(&host, "mock", json!({ "priority": 10 })).await.status, 200);
    assert_eq!(shown(&host, "mock", "priority").await, (json!("runtime"), json!(10)));
    assert_eq!(host.chat("hi").await.response(), "You said: hi");
    host.stop().await;

    let (upstream, key) = (Upstream::start().await, "sk-environment-0123456789");
    let options = HostOptions::default().builtin(&libraries::openai_compatible()).secret(key);
    let options = options.env("OPENAI_COMPATIBLE_API_KEYS", key).env("OPENAI_COMPATIBLE_MODEL", "gated");
    let host = Host::start(options.env("OPENAI_COMPATIBLE_BASE_URL", upstream.base_url())).await;
    let name = "openai-compatible";
    for elsewhere in
        [json!({ "base_url": "https://elsewhere.example.com" }), json!({ "base_url": upstream.base_url() })]
    {
        let refused = patch(&host, name, json!({ "config": elsewhere })).await;
        assert_eq!((refused.status, refused.error().1.as_str()), (422, "key_needed"), "{elsewhere}");
    }
    let changed = patch(&host, name, json!({ "priority": 10 })).await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    for _ in 0..2 {
        assert_eq!(shown(&host, name, "priority").await, (json!("runtime"), json!(10)));
        assert_eq!(shown(&host, name, "model").await.1, "gated");
        assert_eq!(shown(&host, name, "enabled").await.1, "auto");
        let list = host.get("/api/providers").await.json();
        assert_eq!(list["providers"][0]["api_keys_count"], 1, "{list}");
        host.reload().await;
    }
    for elsewhere in ["https://elsewhere.example.com", upstream.base_url()] {
        let elsewhere = json!({ "config": { "base_url": elsewhere } });
        assert_eq!(patch(&host, name, elsewhere).await.error().1, "key_needed");
    }
    host.stop().await;
}

#[tokio::test]
async fn a_reload_reads_dotenv_again_and_tells_every_problem() {
    let options = HostOptions::default().custom(&libraries::mock());
    let entry = json!({ "plugin": "mock", "enabled": "auto", "config": { "api_key": "${KEY}", "reply": "${REPLY}" } });
    let host = Host::start(options.provider("mock", json!({})).entry("two", entry)).await;
    let health = host.get("/api/health").await.json();
    assert_eq!(health["providers"]["two"], "disabled", "it waits for its key: {health}");

    std::fs::write(host.dir().join(".env"), "KEY=some-key\nREPLY='from the file'\n").unwrap();
    let report = host.reload().await;
    assert_eq!(
        (&report["status"], &report["providers"]["created"]),
        (&json!("ok"), &json!(["two"])),
        "{report}"
    );
    assert_eq!(host.ask("two", "hi").await.response(), "from the file");

    std::fs::write(host.dir().join(".env"), "KEY=some-key\nREPLY='from the\nPORT=http\n").unwrap();
    let report = host.reload().await;
    let problems = report["config"]["problems"].as_array().unwrap_or_else(|| panic!("{report}"));
    assert_eq!(problems.len(), 2, "{report}");
    assert!(problems.iter().all(|it| it["file"].as_str().unwrap().ends_with("/.env")), "{report}");
    assert_eq!(problems[1]["pointer"], "/server/port", "{report}");
    assert_eq!(host.ask("two", "hi").await.response(), "from the file");
    host.stop().await;
}

#[tokio::test]
async fn what_needs_a_restart_is_said() {
    let options = HostOptions::default().custom(&libraries::mock()).provider("mock", json!({}));
    let host = Host::start(options).await;
    assert_eq!(host.reload().await.get("needs_restart"), None);
    host.configure(json!({ "server": { "max_body_bytes": 1000 }, "loader": { "stall_limit": 3 }, "plugins": { "mock": {} } }));
    let report = host.reload().await;
    assert_eq!(
        (&report["status"], &report["needs_restart"]),
        (&json!("ok"), &json!(["server", "loader"])),
        "{report}"
    );
    host.stop().await;
}
