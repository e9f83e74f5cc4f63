//! Libraries that change under the host's hands: written slowly, removed, replaced, linked. Never a crash, never
//! half a file, at most one generation for each content.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Host, HostOptions, Library, eventually, libraries};

const FILE: &str = "libchameleon.so";

async fn host(watch: bool) -> Host {
    let options = HostOptions::default().custom(&libraries::mock()).custom(&libraries::chameleon());
    let options = options.provider("mock", json!({})).provider("chameleon", json!({}));
    // What takes long because the machine is busy is no broken library.
    let options = options.section("loader", json!({ "probe_timeout": 60, "load_timeout": 60 }));
    Host::start(if watch { options.watch() } else { options }).await
}

fn red() -> Library {
    libraries::chameleon().colour("red").version("1.0.1")
}

async fn colour(host: &Host) -> String {
    let said = host.ask("chameleon", "hello").await.response();
    let first = said.split(' ').next().unwrap_or_default().to_owned();
    assert_eq!(said, [first.as_str(); 5].join(" "), "an answer is of one version");
    first
}

async fn becomes(host: &Host, expected: &str) {
    eventually(expected, async || (colour(host).await == expected).then_some(())).await;
}

/// The generations of the plugin, newest first, with what they were made from.
async fn generations(host: &Host) -> Vec<(u64, String)> {
    let plugin = host.plugin("chameleon").await;
    let loads = plugin["history"].as_array().unwrap().clone();
    loads
        .iter()
        .map(|load| (load["generation"].as_u64().unwrap(), load["sha256"].as_str().unwrap().to_owned()))
        .collect()
}

async fn assert_one_generation_per_content(host: &Host, generations_expected: usize) {
    let generations = generations(host).await;
    let mut contents: Vec<&String> = generations.iter().map(|(_, content)| content).collect();
    contents.sort();
    contents.dedup();
    assert_eq!(
        (generations.len(), contents.len()),
        (generations_expected, generations_expected),
        "{generations:?}"
    );
}

/// Writes over the file in place, in pieces, as a slow copy does.
async fn copy_slowly(bytes: &[u8], to: &Path, mut meanwhile: impl AsyncFnMut()) {
    let mut file = File::create(to).unwrap();
    for piece in bytes.chunks(bytes.len() / 12 + 1) {
        file.write_all(piece).unwrap();
        file.sync_all().unwrap();
        meanwhile().await;
    }
}

#[tokio::test]
async fn a_file_that_is_written_slowly_counts_when_it_is_whole() {
    let host = host(true).await;
    let file = host.custom().join(FILE);
    let bytes = red().bytes().to_vec();
    let refusals = || host.log().matches("plugin refused").count();
    let mut refused = refusals();
    copy_slowly(&bytes, &file, async || {
        if fs::metadata(&file).unwrap().len() == bytes.len() as u64 {
            return;
        }
        // The watcher believes that this was the last piece.
        eventually("half a file to be refused", async || (refusals() > refused).then_some(())).await;
        refused = refusals();
        assert_eq!(colour(&host).await, "green");
    })
    .await;
    becomes(&host, "red").await;
    assert_one_generation_per_content(&host, 2).await;
    host.stop().await;
}

#[tokio::test]
async fn a_reload_in_the_middle_of_a_copy_keeps_what_serves() {
    let host = host(false).await;
    let file = host.custom().join(FILE);
    let bytes = red().bytes().to_vec();
    let mut pieces = 0;
    copy_slowly(&bytes, &file, async || {
        pieces += 1;
        let report = host.reload().await;
        let whole = fs::metadata(&file).unwrap().len() == bytes.len() as u64;
        let failed = &report["plugins"]["failed"];
        if whole {
            assert_eq!(failed, &json!([]), "{report}");
        } else {
            assert_eq!(
                (&failed[0]["id"], &failed[0]["kept_previous"]),
                (&json!("chameleon"), &json!(true)),
                "{report}"
            );
            assert_eq!(failed[0]["phase"], "discovery", "seen before anything of it was run: {report}");
        }
        assert_eq!(colour(&host).await, if whole { "red" } else { "green" });
    })
    .await;
    assert_eq!(pieces, 12);
    assert_one_generation_per_content(&host, 2).await;
    host.stop().await;
}

/// A file that is away for longer is removed.
const REMOVED: Duration = Duration::from_millis(600);

/// A host whose library was removed, and created again before anybody could take it for removed.
async fn recreated() -> Host {
    loop {
        let host = host(true).await;
        let (file, beside) = (host.custom().join(FILE), host.dir().join(FILE));
        fs::write(&beside, red().bytes()).unwrap();
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o644)).unwrap();
        let removed = Instant::now();
        fs::remove_file(&file).unwrap();
        fs::rename(&beside, &file).unwrap();
        if removed.elapsed() < REMOVED {
            return host;
        }
        // The machine is so busy that it was away for too long, so there is nothing to see here.
        host.stop().await;
    }
}

#[tokio::test]
async fn a_file_that_is_removed_and_created_again_never_leaves_a_gap() {
    let host = recreated().await;
    let file = host.custom().join(FILE);
    // `colour` fails when there is nobody to answer.
    becomes(&host, "red").await;
    assert_one_generation_per_content(&host, 2).await;

    fs::remove_file(&file).unwrap();
    eventually("the plugin to go", async || {
        let providers = host.get("/api/providers").await.json();
        let names: Vec<Value> =
            providers["providers"].as_array().unwrap().iter().map(|it| it["name"].clone()).collect();
        (names == [json!("mock")]).then_some(())
    })
    .await;
    host.stop().await;
}

#[tokio::test]
async fn a_file_that_is_replaced_by_rename_counts_at_once_and_once() {
    let host = host(true).await;
    red().install(&host.custom(), FILE);
    becomes(&host, "red").await;
    // The same bytes again are no new content, however they came.
    red().install(&host.custom(), FILE);
    fs::write(host.custom().join(FILE), red().bytes()).unwrap();
    assert_eq!(host.reload().await["plugins"]["unchanged"], json!(["chameleon", "mock"]));
    libraries::chameleon().install(&host.custom(), FILE);
    becomes(&host, "green").await;
    assert_eq!(generations(&host).await.len(), 3);
    host.stop().await;
}

#[tokio::test]
async fn a_hard_link_is_no_second_plugin_and_no_way_into_a_loaded_one() {
    let host = host(false).await;
    // As cargo leaves it: two names, one file.
    let elsewhere = host.dir().join("built.so");
    let file = host.custom().join(FILE);
    fs::write(&elsewhere, red().bytes()).unwrap();
    fs::set_permissions(&elsewhere, fs::Permissions::from_mode(0o644)).unwrap();
    fs::remove_file(&file).unwrap();
    fs::hard_link(&elsewhere, &file).unwrap();
    fs::hard_link(&elsewhere, host.custom().join("libsame.so")).unwrap();
    let report = host.reload().await;
    assert_eq!(report["plugins"]["reloaded"], json!([{ "id": "chameleon", "from": 1, "to": 2 }]), "{report}");
    let plugins = host.plugins().await;
    let states: Vec<_> =
        plugins["plugins"].as_array().unwrap().iter().map(|it| it["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["active", "shadowed", "active"], "{plugins}");
    fs::remove_file(host.custom().join("libsame.so")).unwrap();

    // What cargo does next: it writes into the file that the other name stands for. The host has its own copy.
    let open = host.stream("chameleon", "hello").await;
    File::create(&elsewhere).unwrap();
    assert_eq!(open.rest().await.unwrap(), "red red red red red");
    assert_eq!(colour(&host).await, "red");
    let report = host.reload().await;
    assert_eq!(report["plugins"]["failed"][0]["code"], "file_empty", "{report}");
    assert_eq!(colour(&host).await, "red");
    assert_one_generation_per_content(&host, 2).await;
    host.stop().await;
}
