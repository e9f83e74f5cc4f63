//! The trail of what operators change: whole, in three places, and without a secret in any.

use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Host, HostOptions, Upstream, eventually, libraries};

const TOKEN: &str = "operator-token-DO-NOT-SHOW-51c0ffee";
/// Values under names that say what they are, wherever they stand.
const API_KEY: &str = "sk-live-DO-NOT-SHOW-0123456789abcdef";
const NEXT_KEY: &str = "sk-next-DO-NOT-SHOW-fedcba9876543210";
const HEADER: &str = "Basic RE8tTk9ULVNIT1ctMTIzNDU2Nzg5";

async fn start(upstream: &Upstream, data: &Path) -> Host {
    Host::start(options(upstream, data)).await
}

fn options(upstream: &Upstream, data: &Path) -> HostOptions {
    let options = HostOptions::default().custom(&libraries::mock()).builtin(&libraries::openai_compatible());
    let config = json!({ "base_url": upstream.base_url(), "model": "m" });
    let options = options.entry("first", json!({ "plugin": "openai-compatible", "config": config }));
    let options = options.section("health", json!({ "enabled": false }));
    let options = options.env("PATCHBAY_DATA_DIR", data).env("ADMIN_TOKEN", TOKEN);
    [TOKEN, API_KEY, NEXT_KEY, HEADER].into_iter().fold(options, HostOptions::secret)
}

async fn ask(host: &Host, token: &str, method: Method, path: &str, body: Value) -> Answer {
    let request = host.request(method, path).bearer_auth(token);
    let request = if body.is_null() {
        request
    } else {
        request.header("content-type", "application/json").body(body.to_string())
    };
    host.answer(path, request).await
}

/// The trail, newest first.
async fn trail(host: &Host) -> Vec<Value> {
    let answer = ask(host, TOKEN, Method::GET, "/api/audit?limit=100", Value::Null).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let trail = answer.json();
    assert_eq!(trail["next_before"], Value::Null);
    trail["entries"].as_array().unwrap().clone()
}

#[tokio::test]
async fn every_change_is_there_after_a_restart_and_no_secret_with_it() {
    let (upstream, data) = (Upstream::start().await, tempfile::tempdir().unwrap());
    let host = start(&upstream, data.path()).await;
    let admin = async |method: Method, path: &str, body: Value| ask(&host, TOKEN, method, path, body).await;
    let made = json!({ "name": "second", "plugin": "openai-compatible", "config": {
        "base_url": upstream.base_url(), "model": "m", "api_key": API_KEY,
        "extra_headers": { "x-proxy-authorization": HEADER, "x-team": "web" } } });
    assert_eq!(admin(Method::POST, "/api/providers", made).await.status, 201);
    let patch = json!({ "priority": 5, "config": { "api_key": NEXT_KEY } });
    assert_eq!(admin(Method::PATCH, "/api/providers/second", patch).await.status, 200);
    assert_eq!(admin(Method::DELETE, "/api/providers/second", Value::Null).await.status, 204);
    assert_eq!(admin(Method::POST, "/api/plugins/mock/disable", Value::Null).await.status, 200);
    assert_eq!(admin(Method::POST, "/api/providers/reload", Value::Null).await.status, 200);
    let key = admin(Method::POST, "/api/keys", json!({ "name": "looks", "scopes": ["read"] })).await.json();
    let (id, key) = (key["id"].as_str().unwrap(), key["key"].as_str().unwrap());
    let refused = ask(&host, key, Method::DELETE, "/api/providers/first", Value::Null).await;
    assert_eq!(refused.status, 403);
    assert_eq!(admin(Method::DELETE, &format!("/api/keys/{id}"), Value::Null).await.status, 204);

    let entries = trail(&host).await;
    let told: Vec<String> = entries
        .iter()
        .rev()
        .map(|entry| {
            let word = |name: &str| entry[name].as_str().unwrap_or("-").to_owned();
            assert!(word("at").ends_with('Z') && word("request_id").starts_with("req-"), "{entry}");
            assert_eq!(word("address"), "127.0.0.1");
            let target = word("target").replace(id, "ID");
            format!("{} {} {target} {} {}", word("who"), word("route"), word("outcome"), entry["status"])
        })
        .collect();
    assert_eq!(
        told,
        [
            "admin_token POST /api/providers second done 201",
            "admin_token PATCH /api/providers/{name} second done 200",
            "admin_token DELETE /api/providers/{name} second done 204",
            "admin_token POST /api/plugins/{id}/disable mock done 200",
            "admin_token POST /api/providers/reload - done 200",
            "admin_token POST /api/keys ID done 201",
            "key DELETE /api/providers/{name} first refused 403",
            "admin_token DELETE /api/keys/{id} ID done 204",
        ]
    );
    check_changes(&entries, id);

    // The log has the same, line by line, under a target of its own.
    host.logs("patchbay::audit", "route=\"PATCH /api/providers/{name}\"").await;
    host.logs("admin request refused", id).await;
    // And so has whoever listens: what is a secret is in neither.
    let path = "/api/events?types=audit";
    let mut listening = host.begin(path, host.request(Method::GET, path).bearer_auth(TOKEN)).await.unwrap();
    while listening.text.matches("event: audit\n").count() < told.len() {
        listening.next().await.unwrap();
    }
    let log = host.log();
    for (place, text) in
        [("log", log.as_str()), ("events", &listening.text), ("trail", &Value::Array(entries).to_string())]
    {
        for secret in [TOKEN, API_KEY, NEXT_KEY, HEADER, key] {
            assert!(!text.contains(secret), "{secret} is in the {place}");
        }
    }
    drop(listening);

    // What was acknowledged a moment before the end is there after it.
    assert_eq!(admin(Method::POST, "/api/plugins/mock/enable", Value::Null).await.status, 200);
    host.stop().await;
    for file in ["store.sqlite", "store.sqlite-wal"] {
        let kept = std::fs::read(data.path().join(file)).unwrap_or_default();
        for secret in [TOKEN, API_KEY, NEXT_KEY, HEADER, key] {
            let is_there = kept.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!is_there, "{secret} is in {file}");
        }
    }
    let host = start(&upstream, data.path()).await;
    let entries = trail(&host).await;
    assert_eq!(entries.len(), told.len() + 1);
    assert_eq!(entries[0]["route"], "POST /api/plugins/{id}/enable");
    check_pages(&host, &entries).await;
    host.stop().await;
}

/// What was before and after, newest first.
fn check_changes(entries: &[Value], key: &str) {
    let of = |place: usize| (&entries[place]["before"], &entries[place]["after"]);
    let (before, after) = of(0);
    assert_eq!((&before["id"], &before["name"], after), (&json!(key), &json!("looks"), &Value::Null));
    assert_eq!(of(2).0, &Value::Null, "{:?}", of(2));
    assert_eq!(of(2).1["scopes"], json!(["read"]));
    // Nothing had changed.
    assert_eq!(of(3), (&Value::Null, &Value::Null));
    let (before, after) = of(4);
    assert_eq!(before["plugins"]["mock"]["generation"], 1, "{before} {after}");
    assert_eq!(after["plugins"]["mock"]["state"], "disabled", "{before} {after}");
    assert_eq!(of(5).1, &Value::Null);
    let (before, after) = of(6);
    assert_eq!(
        (&before["values"]["priority"], &after["values"]["priority"]),
        (&json!(50), &json!(5)),
        "{before} {after}"
    );
    assert_eq!(before["plugin"], Value::Null, "what is as it was is left out: {before}");
    let (before, after) = (&before["values"]["api_key"], &after["values"]["api_key"]);
    assert!(
        before.is_string() && after.is_string() && before != after,
        "masked, and not alike: {before} {after}"
    );
    let (before, after) = of(7);
    assert_eq!((before, &after["values"]["extra_headers.x-team"]), (&Value::Null, &json!("web")), "{after}");
}

/// Page by page it is the same.
async fn check_pages(host: &Host, entries: &[Value]) {
    let (mut seen, mut before) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/audit?limit=2{before}");
        let page = ask(host, TOKEN, Method::GET, &path, Value::Null).await.json();
        seen.extend(page["entries"].as_array().unwrap().clone());
        let Some(next) = page["next_before"].as_i64() else { break };
        before = format!("&before={next}");
    }
    assert_eq!(seen, entries);
    for bad in ["limit=0", "limit=501", "befor=1", "before=x"] {
        let answer = ask(host, TOKEN, Method::GET, &format!("/api/audit?{bad}"), Value::Null).await;
        assert_eq!((answer.status, answer.error().1.as_str()), (400, "invalid_query"), "{bad}");
    }
}

/// What is changed by hand, and then reloaded, is changed all the same.
#[tokio::test]
async fn a_reload_says_what_it_brought_and_whether_it_did() {
    let (upstream, data) = (Upstream::start().await, tempfile::tempdir().unwrap());
    let host = start(&upstream, data.path()).await;
    let plugin = |key: &str| json!({ "plugin": "openai-compatible", "config": { "base_url": upstream.base_url(), "api_key": key } });
    let reload = async |config: &str| {
        std::fs::write(host.dir().join("plugin_config.json"), config).unwrap();
        ask(&host, TOKEN, Method::POST, "/api/providers/reload", Value::Null).await.json()
    };
    let config = json!({ "plugins": { "first": plugin(API_KEY) }, "limits": { "max_concurrent": 7 }, "server": { "max_body_bytes": 1000 } });
    let report = reload(&config.to_string()).await;
    let setting = |report: &Value, pointer: &str| {
        let settings = report["settings"].as_array().unwrap().clone();
        settings
            .into_iter()
            .find(|it| it["pointer"] == pointer)
            .unwrap_or_else(|| panic!("{pointer}: {report}"))
    };
    let expected =
        json!({ "pointer": "/limits/max_concurrent", "before": null, "after": 7, "needs_restart": false });
    assert_eq!(setting(&report, "/limits/max_concurrent"), expected);
    let waiting = setting(&report, "/server/max_body_bytes");
    assert_eq!((&waiting["after"], &waiting["needs_restart"]), (&json!(1000), &json!(true)), "{report}");
    // What waits is said again; who has brought it is noted once.
    let config = json!({ "plugins": { "first": plugin(NEXT_KEY) }, "limits": { "max_concurrent": 8 }, "server": { "max_body_bytes": 1000 } });
    assert_eq!(setting(&reload(&config.to_string()).await, "/server/max_body_bytes"), waiting);
    assert_eq!(reload("{\"limits\": 3}").await["status"], "failed");
    // A look changes nothing.
    std::fs::write(host.dir().join("plugin_config.json"), "{}").unwrap();
    let look =
        ask(&host, TOKEN, Method::POST, "/api/providers/reload?dry_run=true", Value::Null).await.json();
    assert_eq!(setting(&look, "/limits/max_concurrent")["after"], Value::Null, "{look}");

    let entries = trail(&host).await;
    let told: Vec<Value> = entries
        .iter()
        .map(|entry| {
            let settings = (&entry["before"]["settings"], &entry["after"]["settings"]);
            json!([entry["outcome"], entry["code"], settings.0, settings.1])
        })
        .collect();
    assert_eq!(told[0], json!(["done", null, null, null]));
    assert_eq!(told[1], json!(["failed", "configuration_invalid", null, null]));
    assert_eq!(
        (&told[2][2]["/limits/max_concurrent"], &told[2][3]["/limits/max_concurrent"]),
        (&json!(7), &json!(8))
    );
    let key = "/plugins/first/config/api_key";
    assert_eq!((&told[2][2][key], &told[2][3][key]), (&json!("sk-***cdef"), &json!("sk-***3210")));
    assert_eq!(told[2][3].get("/server/max_body_bytes"), None, "{told:?}");
    assert_eq!(
        (&told[3][2]["/limits/max_concurrent"], &told[3][3]["/server/max_body_bytes"]),
        (&Value::Null, &json!(1000))
    );
    host.stop().await;
}

/// As if somebody had asked for it; but where nothing has come of a file that was written, nobody has changed anything.
#[tokio::test]
async fn a_reload_that_nobody_asked_for_says_what_has_caused_it() {
    let (upstream, data) = (Upstream::start().await, tempfile::tempdir().unwrap());
    let host = Host::start(options(&upstream, data.path()).watch()).await;
    let config = |limit: u32| json!({ "plugins": { "mock": {} }, "limits": { "max_concurrent": limit } });
    let reloads = || host.log().matches("reload done reason=\"watch\"").count();
    let written = async |text: String| {
        let before = reloads();
        let aside = host.dir().join("aside.json");
        std::fs::write(&aside, text).unwrap();
        std::fs::rename(aside, host.dir().join("plugin_config.json")).unwrap();
        eventually("a reload", async || (reloads() > before).then_some(())).await;
    };
    written(config(7).to_string()).await;
    written(format!("{:#}", config(7))).await;
    written("{\"limits\": 3}".to_owned()).await;
    written(config(7).to_string()).await;
    let reloads_by_signal = async || {
        let entries = trail(&host).await;
        (entries[0]["who"] == "signal").then_some(entries)
    };
    host.signal(libc::SIGHUP);
    let entries = eventually("the reload by signal", reloads_by_signal).await;
    let told: Vec<Value> = entries
        .iter()
        .map(|entry| {
            assert_eq!((&entry["address"], &entry["request_id"]), (&Value::Null, &Value::Null), "{entry}");
            assert_eq!(
                (&entry["route"], &entry["status"]),
                (&json!("POST /api/providers/reload"), &json!(200))
            );
            let limit = &entry["after"]["settings"]["/limits/max_concurrent"];
            json!([entry["who"], entry["outcome"], entry["code"], limit])
        })
        .collect();
    assert_eq!(
        told,
        [
            json!(["signal", "done", null, null]),
            json!(["watch", "failed", "configuration_invalid", null]),
            json!(["watch", "done", null, 7]),
        ]
    );
    assert_eq!(entries[2]["after"]["plugins"]["mock"]["state"], "active", "{}", entries[2]);
    host.logs("patchbay::audit", "who=\"signal\"").await;
    host.stop().await;
}
