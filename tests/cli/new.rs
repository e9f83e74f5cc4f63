//! What `plugin new` makes builds, passes its test and answers, inside a clone and anywhere else.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::json;

use super::check;
use crate::harness::{Host, HostOptions, Library, Upstream};

pub(super) fn clone() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

pub(super) fn new(dir: &Path, arguments: &[&str], code: i32, expected: &[&str]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_patchbay"));
    command.args(["plugin", "new"]).args(arguments).current_dir(dir).env_clear();
    check(&command.output().unwrap(), code, expected);
}

/// Real cargo, without the network, and with what earlier runs have built.
fn cargo(folder: &Path, task: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugin-new");
    let mut command = Command::new(env!("CARGO"));
    command.args([task, "--offline"]).current_dir(folder).env("CARGO_TARGET_DIR", &target);
    // What the cargo of this test says of its own package is not said of the new one.
    for (name, _) in std::env::vars_os() {
        let name = name.into_string().unwrap();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
    check(&command.output().unwrap(), 0, &[]);
    target.join("debug")
}

/// Tests and builds it; the library.
pub(super) fn build(folder: &Path, name: &str) -> Library {
    cargo(folder, "test");
    let built = cargo(folder, "build");
    Library::from_file(&built.join(format!("lib{}.so", name.replace('-', "_"))))
}

#[tokio::test]
async fn outside_a_clone_it_is_tested_built_and_answers_after_one_reload() {
    let outside = tempfile::tempdir().unwrap();
    let sdk = clone().join("plugin-api");
    new(outside.path(), &["hello", "--sdk", sdk.to_str().unwrap()], 0, &["made hello", "cargo test"]);
    let library = build(&outside.path().join("hello"), "hello");
    kit(&outside.path().join("hello"), "answers whole, and the same again");

    let host = Host::start(HostOptions::default()).await;
    host.install(&library, &library.file_name());
    host.configure(json!({ "plugins": { "hello": { "config": { "greeting": "Hi" } } } }));
    assert_eq!(host.reload().await["plugins"]["loaded"], json!(["hello"]));
    assert_eq!(host.ask("hello", "there").await.response(), "Hi! You said: there");
    assert_eq!(host.stream("hello", "there").await.rest().await.unwrap(), "Hi! You said: there");
    host.stop().await;
}

#[tokio::test]
async fn inside_a_clone_it_takes_the_clones_plugin_api() {
    let target = clone().join("target");
    std::fs::create_dir_all(&target).unwrap();
    let inside = tempfile::tempdir_in(target).unwrap();
    new(inside.path(), &["my-service", "--kind", "openai"], 0, &["made my-service"]);
    let manifest = std::fs::read_to_string(inside.path().join("my-service/Cargo.toml")).unwrap();
    assert!(manifest.contains(r#"{ path = "../../../plugin-api" }"#), "{manifest}");
    let library = build(&inside.path().join("my-service"), "my-service");
    kit(&inside.path().join("my-service"), "says what upstream's failures mean");

    let upstream = Upstream::start().await;
    let host = Host::start(HostOptions::default()).await;
    host.install(&library, &library.file_name());
    let config = json!({ "base_url": upstream.base_url(), "model": "tiny" });
    host.configure(json!({ "plugins": { "my_service": { "config": config } } }));
    host.reload().await;
    assert_eq!(host.ask("my_service", "hi").await.response(), "a b c");
    assert_eq!(upstream.requests()[0].1["model"], "tiny");
    host.stop().await;
}

#[test]
fn one_with_a_dialect_of_its_own_brings_what_its_service_says() {
    let outside = tempfile::tempdir().unwrap();
    let sdk = clone().join("plugin-api");
    let arguments = ["own-words", "--kind", "http", "--sdk", sdk.to_str().unwrap()];
    new(outside.path(), &arguments, 0, &["made own-words", "patchbay plugin test own-words"]);
    build(&outside.path().join("own-words"), "own-words");
    kit(&outside.path().join("own-words"), "gives the same chunks wherever the network cuts a stream");
    // A crate that does not build is no library to test.
    std::fs::write(outside.path().join("own-words/src/lib.rs"), "fn broken(").unwrap();
    let output = run_kit(&outside.path().join("own-words"));
    check(&output, 1, &["unclosed delimiter", "own-words does not build"]);
}

/// `plugin test` of a crate, which builds it first.
fn run_kit(folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_patchbay"));
    command.args(["plugin", "test", "--reloads", "5"]).arg(folder).current_dir(folder);
    command.env("CARGO", env!("CARGO")).env("CARGO_NET_OFFLINE", "true");
    command.env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugin-new"));
    command.output().unwrap()
}

/// The kit finds nothing wrong with a new crate, and has tested this.
#[track_caller]
pub(super) fn kit(folder: &Path, check_name: &str) {
    check(&run_kit(folder), 0, &[&format!("✓ {check_name}"), ", 0 failed, "]);
}

#[test]
fn at_the_top_of_a_clone_it_is_made_among_the_plugins() {
    let top = tempfile::tempdir().unwrap();
    std::fs::create_dir(top.path().join("plugin-api")).unwrap();
    let manifest = "[package]\nname = \"patchbay-plugin-api\"\n";
    std::fs::write(top.path().join("plugin-api/Cargo.toml"), manifest).unwrap();
    new(top.path(), &["hello"], 0, &["made plugins/custom/hello", "patchbay dev\n"]);
    assert!(top.path().join("plugins/custom/hello/src/lib.rs").is_file());
    new(top.path(), &["hello"], 64, &["plugins/custom/hello is there already"]);
    new(top.path(), &["Hello World"], 64, &["cannot be a plugin's name"]);
    new(top.path(), &["other", "--sdk", "plugins"], 64, &["is not the folder of patchbay-plugin-api"]);
    assert!(!top.path().join("plugins/custom/other").exists());
}

#[test]
fn without_a_clone_the_published_plugin_api_is_used() {
    let outside = tempfile::tempdir().unwrap();
    new(outside.path(), &["hello"], 0, &["patchbay dev hello"]);
    let manifest = std::fs::read_to_string(outside.path().join("hello/Cargo.toml")).unwrap();
    assert!(manifest.contains("patchbay-plugin-api = \"1\"\n"), "{manifest}");
}
