//! What is misspelt, or cannot be meant, in a configuration: told wherever somebody looks.

use super::*;

async fn vendor_and_custom() -> Host {
    let options = HostOptions::default().custom(&libraries::chameleon()).provider("chameleon", json!({}));
    let options = options.builtin(&libraries::openai_compatible());
    let nowhere = json!({ "plugin": "openai-compatible", "config": { "base_url": "http://127.0.0.1:1/v1" } });
    Host::start(options.section("health", json!({ "enabled": false })).entry("vendor", nowhere)).await
}

/// A misspelt limit holds nobody back.
#[tokio::test]
async fn a_limit_that_is_misspelt_is_refused_or_remarked_on() {
    let host = vendor_and_custom().await;
    for (key, meant) in [
        ("buget_usd_per_day=1", "did you mean \"budget_usd_per_day\"?"),
        ("request_per_minute=1", "did you mean \"requests_per_minute\"?"),
        ("budget_usd_per_week=5", "did you mean \"budget_usd_per_day\"?"),
        ("pricng=3", "did you mean \"pricing\"?"),
        ("organisation=x", "did you mean \"organization\"?"),
        ("nonsense=1", "known are"),
    ] {
        let name = key.split('=').next().unwrap();
        let refused = format!("/plugins/vendor/config/{name}: unknown key \"{name}\": {meant}");
        check(&run(&host, &["provider", "set", "vendor", key], "").await, 1, &[&refused]);
        let add = ["provider", "add", "second", "--plugin", "openai-compatible", "--set", key];
        check(&run(&host, &add, "").await, 1, &[meant]);
    }
    // What says not what it takes may take this: whoever sets it is told.
    let doubt = "warning: changed at run time: /plugins/chameleon/config/buget_usd_per_day: \"buget_usd_per_day\" means";
    let set = ["provider", "set", "chameleon", "buget_usd_per_day=1", "entirely=its-own"];
    check(
        &run(&host, &set, "").await,
        0,
        &["changed chameleon", doubt, "did you mean \"budget_usd_per_day\"?"],
    );
    check(&run(&host, &["provider", "set", "chameleon", "buget_usd_per_day=null"], "").await, 0, &[]);

    let entry = |key: &str| json!({ "plugin": "openai-compatible", "config": { "base_url": "http://127.0.0.1:1/v1", key: 1 } });
    host.configure(json!({ "plugins": { "vendor": entry("request_per_minute"), "chameleon": { "config": { "pricng": 3 } } } }));
    let said = [
        "plugin_config.json: /plugins/vendor/config/request_per_minute: unknown key",
        "the previous one goes on serving",
        "/plugins/chameleon/config/pricng: \"pricng\" means nothing",
    ];
    check(&run(&host, &["reload", "--dry-run"], "").await, 1, &said);
    check(&run(&host, &["reload"], "").await, 1, &said);
    let report = host.reload().await;
    assert_eq!(report["warnings"][0]["pointer"], "/plugins/chameleon/config/pricng", "{report}");
    check(
        &run(&host, &["config", "check"], "").await,
        78,
        &[said[0], "did you mean \"requests_per_minute\"?"],
    );
    host.configure(json!({ "plugins": { "vendor": entry("requests_per_minute"), "chameleon": { "config": { "pricng": 3 } } } }));
    let said = ["nothing that a host refuses, and one thing to look at", "warning: ", said[2]];
    check(&run(&host, &["config", "check"], "").await, 0, &said);
    check(&run(&host, &["reload"], "").await, 0, &said[2..]);
    host.stop().await;
}

/// What `serve` refuses `config check` refuses, too; and what would go unnoticed it remarks on.
#[tokio::test]
async fn what_cannot_be_meant_is_found_before_a_host_starts() {
    let dir = tempfile::tempdir().unwrap();
    let patchbay = async |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_patchbay"));
        command.args(arguments);
        finish(command, dir.path(), "http://127.0.0.1:1", "").await
    };
    let configure =
        |config: Value| std::fs::write(dir.path().join("plugin_config.json"), config.to_string()).unwrap();
    for (config, said) in [
        (
            json!({ "telemetry": { "traces": { "otlp_endpoint": "localhost:4318" } } }),
            "is no http or https address",
        ),
        (
            json!({ "telemetry": { "traces": { "otlp_endpoint": "http://[::1]", "headers": { "a b": "c" } } } }),
            "headers",
        ),
        (json!({ "server": { "host": "0.0.0.0" } }), "ADMIN_TOKEN"),
    ] {
        configure(config);
        check(&patchbay(&["config", "check"]).await, 78, &[said]);
        check(&patchbay(&["serve", "--port", "0"]).await, 78, &[said]);
    }
    configure(json!({
        "routing": { "chains": { "fast": ["nobody/m", "mine/m", "vendor/listed", "m"] } },
        "server": { "cors_origins": ["*", "https://good.example.com", "https://slash.example.com/"] },
        "plugins": { "mine": { "config": { "base_url": "ftp://x", "models": ["vendor/listed"] } } },
    }));
    let said = [
        "nothing that a host refuses, and 4 things to look at",
        "/routing/chains/fast: \"nobody/m\": there is no provider \"nobody\"",
        "/plugins/mine/config/base_url: \"base_url\" is no http or https address",
        "/server/cors_origins: \"*\" is no origin",
        "/server/cors_origins: \"https://slash.example.com/\" is no origin",
    ];
    check(&patchbay(&["config", "check"]).await, 0, &said);
    let host =
        Host::start(HostOptions::default().custom(&libraries::mock()).provider("mock", json!({}))).await;
    host.configure(json!({ "plugins": { "mock": {} }, "routing": { "chains": { "fast": ["nobody/m"] } } }));
    check(&run(&host, &["reload"], "").await, 0, &["warning: ", said[1]]);
    host.stop().await;
}
