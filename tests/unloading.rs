//! Libraries that are let go: unmapped when nothing of theirs is left, kept with the reason when something is, and
//! never a crash.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Host, HostOptions, Library, compile, eventually, libraries};

const ONE_THREAD: &str = "a thread that it started is still running";

fn options(library: &Library, config: Value) -> HostOptions {
    HostOptions::default().custom(library).provider("chameleon", config)
}

/// How this generation ended, and why that way.
async fn ending(host: &Host, generation: u64) -> (Value, Value) {
    eventually("the end of a generation", async || {
        let plugin = host.plugin("chameleon").await;
        let history = plugin["history"].as_array().unwrap();
        let load = history.iter().find(|load| load["generation"] == generation)?;
        let ended = load["state"] == "unloaded" || load["state"] == "resident";
        ended.then(|| (load["state"].clone(), load["reason"].clone()))
    })
    .await
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

/// A library that the plugin uses starts it, with a routine that is not the plugin's.
#[tokio::test]
async fn a_thread_that_a_dependency_starts_keeps_its_library() {
    let Some(dependency) = compile("starts-threads", "", &[]) else { return };
    let place = tempfile::tempdir().unwrap();
    let path = dependency.install(place.path(), "libstarts-threads.so");
    let library = libraries::chameleon().behaviour("asked_create_borrowed_thread");
    let mut host = Host::start(options(&library, json!({ "misbehave": path }))).await;
    for generation in 1..=3 {
        reload_by_name(&host).await;
        assert_eq!(ending(&host, generation).await, (json!("resident"), json!(ONE_THREAD)));
    }
    assert!(host.is_alive());
    host.stop().await;
}

/// Its function is called on threads that the C library starts without anybody's seeing it.
#[tokio::test]
async fn a_timer_that_calls_a_function_keeps_its_library() {
    let library = libraries::chameleon().behaviour("asked_create_timer");
    let mut host = Host::start(options(&library, json!({ "misbehave": true }))).await;
    for generation in 1..=3 {
        reload_by_name(&host).await;
        assert_eq!(ending(&host, generation).await, (json!("resident"), json!(ONE_THREAD)));
    }
    assert!(host.is_alive());
    host.stop().await;
}

/// Two generations: one that leaves nothing behind is unmapped, and one that leaves a thread is not. `between` is done
/// to the host's folder while the first serves.
async fn check_endings(data_dir: &str, between: impl FnOnce(&Path)) {
    let library = libraries::chameleon().behaviour("asked_call_thread");
    let host = Host::start(options(&library, json!({})).argument("--data-dir").argument(data_dir)).await;
    between(host.dir());
    reload_by_name(&host).await;
    assert_eq!(ending(&host, 1).await, (json!("unloaded"), Value::Null), "{data_dir:?}");
    assert_eq!(host.ask("chameleon", "misbehave").await.status, 200);
    reload_by_name(&host).await;
    assert_eq!(ending(&host, 2).await, (json!("resident"), json!(ONE_THREAD)), "{data_dir:?}");
    host.stop().await;
}

/// Whatever the kernel calls the copy by then.
#[tokio::test]
async fn a_library_is_found_wherever_its_copy_lies() {
    check_endings("data", |_| ()).await;
    check_endings("./data/../data", |_| ()).await;
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    check_endings(place.join("line\nbreak").to_str().unwrap(), |_| ()).await;
    check_endings(place.join("looks (deleted)").to_str().unwrap(), |_| ()).await;
    let target = place.join(OsStr::from_bytes(b"no text \xff"));
    fs::create_dir(&target).unwrap();
    symlink(target, place.join("link")).unwrap();
    check_endings(place.join("link").to_str().unwrap(), |_| ()).await;
}

#[tokio::test]
async fn a_library_is_found_when_its_copy_was_deleted_or_moved() {
    let copies = |dir: &Path| {
        let copies = fs::read_dir(dir.join("data/plugins/chameleon")).unwrap();
        let copies: Vec<_> = copies.map(|copy| copy.unwrap().path()).collect();
        assert_eq!(copies.len(), 1);
        copies
    };
    check_endings("data", |dir| copies(dir).iter().for_each(|copy| fs::remove_file(copy).unwrap())).await;
    check_endings("data", |dir| {
        copies(dir).iter().for_each(|copy| fs::rename(copy, dir.join("moved")).unwrap());
    })
    .await;
}
