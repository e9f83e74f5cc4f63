//! The page at `/`, as people see it: cases in `cases.mjs` drive a real browser, and have these tests do to the host
//! what they tell.

use axum::Router;
use axum::routing::{get, post};
use serde_json::{Value, json};

use crate::harness::{Host, HostOptions, Mortal, Upstream, libraries};

// The browser, and whoever drives it.
mod browser;

use browser::Browser;

const TOKEN: &str = "a-token-for-the-page-0123456789";

fn with_mock() -> HostOptions {
    HostOptions::default().custom(&libraries::mock()).section("health", json!({ "enabled": false }))
}

/// Nothing that happens here is asked for from outside.
async fn nothing(what: &str) {
    panic!("nobody knows what {what:?} is");
}

async fn shows(case: &str, options: HostOptions) {
    let Some(browser) = Browser::find().await else { return };
    let host = Host::start(options).await;
    browser.play(case, host.address(), nothing).await;
    host.stop().await;
}

#[tokio::test]
async fn everything_is_there_by_day_and_night_on_a_desk_and_a_phone() {
    let options = with_mock().provider("mock", json!({}));
    let options = options.entry("spare", json!({ "plugin": "mock" }));
    shows("load", options.entry("resting", json!({ "plugin": "mock", "enabled": false }))).await;
}

#[tokio::test]
async fn the_page_needs_no_mouse() {
    shows("keyboard", with_mock().provider("mock", json!({}))).await;
}

#[tokio::test]
async fn a_provider_is_switched_off_and_on() {
    let options = with_mock().provider("mock", json!({}));
    shows("switching", options.entry("spare", json!({ "plugin": "mock" }))).await;
}

#[tokio::test]
async fn the_page_has_the_colours_that_are_wanted() {
    shows("colours", with_mock().provider("mock", json!({}))).await;
}

#[tokio::test]
async fn an_empty_page_says_what_to_do() {
    shows("empty", HostOptions::default()).await;
}

#[tokio::test]
async fn a_provider_that_fails_is_seen_at_once() {
    let Some(browser) = Browser::find().await else { return };
    let answer = json!({ "id": "a", "object": "chat.completion", "created": 1, "model": "m", "choices":
        [{ "index": 0, "message": { "role": "assistant", "content": "hi" }, "finish_reason": "stop" }] });
    let router = Router::new()
        .route("/v1/chat/completions", post(async move || axum::Json(answer)))
        .route("/v1/models", get(async || axum::Json(json!({ "data": [] }))));
    let mut upstream = Mortal::start(router);
    let base_url = format!("http://{}/v1", upstream.address());
    let config = json!({ "base_url": base_url, "model": "m", "retry_attempts": 0 });
    let options = with_mock().builtin(&libraries::openai_compatible()).provider("mock", json!({}));
    let host =
        Host::start(options.entry("flaky", json!({ "plugin": "openai-compatible", "config": config }))).await;
    assert_eq!(host.ask("flaky", "hello").await.status, 200);
    browser
        .play("failing", host.address(), async |what| match what {
            "kill" => {
                upstream.kill().await;
                assert_eq!(host.ask("flaky", "hello").await.status, 502);
            }
            "revive" => {
                upstream.revive();
                assert_eq!(host.ask("flaky", "hello").await.status, 200);
            }
            other => nothing(other).await,
        })
        .await;
    host.stop().await;
}

#[tokio::test]
async fn a_reload_says_beforehand_what_it_will_do_and_why_not_all_of_it() {
    let Some(browser) = Browser::find().await else { return };
    let config = |providers: Value| json!({ "plugins": providers, "health": { "enabled": false } });
    let host = Host::start(with_mock().provider("mock", json!({}))).await;
    browser
        .play("reload", host.address(), async |what| {
            assert_eq!(what, "break");
            host.install(&libraries::mock().truncate(10_000), "libmock.so");
            let red = libraries::chameleon().colour("red");
            host.install(&red, &red.file_name());
            host.configure(config(json!({ "mock": {}, "chameleon": {} })));
        })
        .await;
    host.stop().await;
}

#[tokio::test]
async fn what_was_replaced_is_seen_to_finish() {
    let Some(browser) = Browser::find().await else { return };
    let host = Host::start(with_mock().provider("mock", json!({}))).await;
    let mut open = None;
    browser
        .play("draining", host.address(), async |what| match what {
            // Far longer than anybody looks.
            "occupy" => open = Some(host.stream("mock", "mock:slow=100 mock:tokens=20000").await),
            "replace" => drop(host.install(&libraries::mock().version("1.0.1"), "libmock.so")),
            "let go" => open = None,
            other => nothing(other).await,
        })
        .await;
    drop(open);
    host.stop().await;
}

#[tokio::test]
async fn an_answer_is_seen_as_it_comes() {
    let Some(browser) = Browser::find().await else { return };
    let upstream = Upstream::start().await;
    let pricing = json!({ "gated": { "prompt": 1_000_000, "completion": 2_000_000 }, "fails": {} });
    let config = json!({ "base_url": upstream.base_url(), "models": ["gated", "fails"], "pricing": pricing,
                         "retry_attempts": 0 });
    let options = HostOptions::default().builtin(&libraries::openai_compatible());
    let options = options.entry("up", json!({ "plugin": "openai-compatible", "config": config }));
    let host = Host::start(options.section("health", json!({ "enabled": false }))).await;
    browser
        .play("chat", host.address(), async |what| match what {
            "release" | "release one more" => upstream.release(1),
            "release the rest" => upstream.release(3),
            "see that it ended" => upstream.open_streams(0).await,
            other => nothing(other).await,
        })
        .await;
    let (_, asked) = upstream.requests().swap_remove(0);
    assert_eq!((&asked["temperature"], &asked["max_tokens"]), (&json!(0.5), &json!(1000)), "{asked}");
    let (_, next) = upstream.requests().swap_remove(1);
    let said: Vec<_> = next["messages"].as_array().unwrap().iter().map(|it| &it["content"]).collect();
    assert_eq!(said, ["What comes after a?", "a b c", "And after that?"]);
    host.stop().await;
}

#[tokio::test]
async fn what_was_used_shows_up_by_itself() {
    let Some(browser) = Browser::find().await else { return };
    let upstream = Upstream::start().await;
    let provider = |model: &str| {
        let pricing = json!({ model: { "prompt": 1_000_000, "completion": 2_000_000 } });
        let config = json!({ "base_url": upstream.base_url(), "model": model, "models": [model], "pricing": pricing,
                             "retry_attempts": 0 });
        json!({ "plugin": "openai-compatible", "config": config })
    };
    let options = HostOptions::default().builtin(&libraries::openai_compatible());
    let options = options.entry("up", provider("plain")).entry("down", provider("fails"));
    let host = Host::start(options.section("health", json!({ "enabled": false }))).await;
    browser
        .play("usage", host.address(), async |what| {
            assert_eq!(what, "ask");
            for _ in 0..3 {
                assert_eq!(host.ask("up", "hello").await.status, 200);
            }
            assert_eq!(host.ask("down", "hello").await.status, 502);
        })
        .await;
    host.stop().await;
}

#[tokio::test]
async fn a_page_that_cannot_hear_the_host_says_so() {
    let Some(browser) = Browser::find().await else { return };
    let host = Host::start(with_mock().provider("mock", json!({}))).await;
    browser
        .play("away", host.address(), async |what| match what {
            // It stands still, as one does whose machine sleeps; and it hears and says nothing.
            "stop" => host.signal(libc::SIGSTOP),
            "start" => host.signal(libc::SIGCONT),
            other => nothing(other).await,
        })
        .await;
    host.stop().await;
}

#[tokio::test]
async fn a_token_is_asked_for_once() {
    let options = with_mock().provider("mock", json!({})).argument("--host").argument("0.0.0.0");
    shows("token", options.env("ADMIN_TOKEN", TOKEN).secret(TOKEN)).await;
}

#[tokio::test]
async fn what_may_be_asked_is_there_to_be_read() {
    shows("docs", with_mock().provider("mock", json!({}))).await;
}

#[tokio::test]
async fn the_files_of_the_page_are_kept_and_asked_about() {
    let host = Host::start(HostOptions::default()).await;
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/docs", "text/html; charset=utf-8"),
        ("/assets/main.js", "text/javascript; charset=utf-8"),
        ("/assets/base.css", "text/css; charset=utf-8"),
        ("/assets/icon.svg", "image/svg+xml"),
    ] {
        let first = host.get(path).await;
        assert_eq!((first.status, first.header("content-type")), (200, Some(kind)), "{path}");
        assert_eq!(first.header("cache-control"), Some("no-cache"), "{path}");
        let policy = first.header("content-security-policy").unwrap();
        for directive in
            ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"]
        {
            assert!(policy.contains(directive), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        // The client takes it packed, and unpacks it by itself.
        let tag = first.header("etag").unwrap();
        let strong = tag.strip_prefix("W/").unwrap();
        for (known, status) in
            [(tag, 304), (strong, 304), ("W/\"other\"", 200), (&format!("\"other\", {tag}"), 304)]
        {
            let request = host.request(reqwest::Method::GET, path).header("if-none-match", known);
            let again = host.answer(path, request).await;
            assert_eq!((again.status, again.header("etag")), (status, Some(tag)), "{path} {known}");
            assert_eq!(again.body.is_empty(), status == 304, "{path}");
        }
    }
    assert_eq!(host.get("/assets/nothing.js").await.status, 404);
    assert_eq!(host.get("/assets/..%2fmod.rs").await.status, 404);
    assert_eq!(host.post("/").await.status, 405);
    host.stop().await;
}
