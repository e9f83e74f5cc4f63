//! Libraries that are let go: unmapped when nothing of theirs is left, kept with the reason when something is, and
//! never a crash.

use serde_json::{Value, json};

use crate::harness::{Host, HostOptions, Library, eventually, libraries};

const ONE_THREAD: &str = "a thread that it started is still running";

fn options(library: &Library, config: Value) -> HostOptions {
    HostOptions::default().custom(library).provider("chameleon", config)
}

async fn reload_by_name(host: &Host) {
    let answer = host.post("/api/plugins/chameleon/reload").await;
    assert_eq!((answer.status, &answer.json()["status"]), (200, &json!("ok")), "{}", answer.body);
}

/// The last thing that each generation does is to start a thread, which has had no time to begin when its library is
/// closed.
#[tokio::test]
async fn a_thread_that_has_not_begun_yet_keeps_its_library() {
    let library = libraries::chameleon().behaviour("asked_drop_thread");
    let mut host = Host::start(options(&library, json!({ "misbehave": true }))).await;
    for _ in 0..60 {
        reload_by_name(&host).await;
    }
    let plugin = eventually("every generation's end", async || {
        let plugin = host.plugin("chameleon").await;
        (plugin["resident"].as_array().unwrap().len() == 60).then_some(plugin)
    })
    .await;
    let resident = plugin["resident"].as_array().unwrap();
    assert!(resident.iter().all(|left| left["reason"] == ONE_THREAD), "{plugin}");
    assert!(host.is_alive());
    host.stop().await;
}
