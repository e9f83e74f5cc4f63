//! What becomes of everything else when a library is refused: nothing.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::broken::{AGAIN, EXPORT, FILE, IN_C, Problem, bytes, host, next};
use crate::harness::{Gate, Host, HostOptions, libraries};

/// A copy that broke off, wherever it did, is never loaded: neither one that ends there nor one with zeros from
/// there on, which is what a copy that reserves its room first leaves behind.
#[tokio::test]
async fn libraries_that_are_not_whole() {
    let mut host = host(json!({})).await;
    let whole = next();
    let size = whole.bytes().len();
    let lengths: Vec<usize> = (1..40).map(|part| size * part / 40).chain([64, 65, 4096, size - 1]).collect();
    for length in lengths {
        let mut zeroed = whole.bytes().to_vec();
        zeroed[length..].fill(0);
        // The last bytes of a library may be zeros anyway.
        let zeroed = Some(bytes(&zeroed)).filter(|zeroed| zeroed.bytes() != whole.bytes());
        for library in zeroed.into_iter().chain([whole.clone().truncate(length)]) {
            host.install(&library, FILE);
            let report = host.reload().await;
            let failed = &report["plugins"]["failed"][0];
            let code = failed["code"].as_str().unwrap_or_default();
            assert!(["file_truncated", "file_damaged"].contains(&code), "{length} of {size}: {report}");
            assert_eq!((&failed["step"], &failed["hint"]), (&json!("read"), &json!(AGAIN)), "{report}");
            assert_eq!(failed["kept_previous"], true, "{report}");
        }
    }
    assert!(host.is_alive());
    assert_eq!(host.ask("chameleon", "hello").await.response(), "green green green green green");
    host.install(&whole, FILE);
    assert_eq!(host.reload().await["status"], "ok");
    assert_eq!(host.ask("chameleon", "hello").await.response(), "red red red red red");
    host.stop().await;
}

/// Of two files with one id the better one is used, and the other is listed with the reason.
#[tokio::test]
async fn two_files_with_one_id() {
    let host = host(json!({})).await;
    let shadowed = async |name: &str| {
        let list = host.plugins().await;
        let file = host.custom().join(name);
        let entries = list["plugins"].as_array().unwrap();
        let entry = entries.iter().find(|entry| entry["file"] == file.to_str().unwrap()).unwrap();
        assert_eq!(entry["state"], "shadowed", "{entry}");
        Problem::of(&entry["problem"], host.dir().to_str().unwrap())
    };
    let says = |message: &str| Problem {
        at: ["validation", "metadata", "shadowed"].map(str::to_owned),
        message: message.to_owned(),
        hint: "remove the file that is not wanted".to_owned(),
    };
    // Another build of the same version: the first by name stays.
    host.install(&libraries::chameleon().colour("red"), "libother.so");
    let report = host.reload().await;
    assert_eq!(report["plugins"]["unchanged"], json!(["chameleon", "mock"]), "{report}");
    assert_eq!(host.ask("chameleon", "hello").await.response(), "green green green green green");
    assert_eq!(
        shadowed("libother.so").await,
        says(
            "DIR/plugins/custom/libchameleon.so holds another build of \"chameleon\" 1.0.0, and its name sorts \
             first: remove one of them"
        )
    );
    // A newer one wins.
    host.install(&next(), "libother.so");
    let report = host.reload().await;
    assert_eq!(report["plugins"]["reloaded"][0]["id"], "chameleon", "{report}");
    assert_eq!(host.ask("chameleon", "hello").await.response(), "red red red red red");
    assert_eq!(
        shadowed(FILE).await,
        says("DIR/plugins/custom/libother.so holds \"chameleon\" 1.0.1, which is newer than 1.0.0")
    );
    host.stop().await;
}

#[tokio::test]
async fn folders_and_other_names_are_passed_over() {
    let host = host(json!({})).await;
    std::fs::create_dir(host.custom().join("libfolder.so")).unwrap();
    next().install(&host.custom(), "notes.txt");
    next().install(&host.custom(), "half.so.part");
    let report = host.reload().await;
    assert_eq!(report["status"], "ok", "{report}");
    let list = host.plugins().await;
    let reason = |name: &str| {
        let file = host.custom().join(name);
        let ignored = list["ignored"].as_array().unwrap();
        let entry = ignored.iter().find(|entry| entry["file"] == file.to_str().unwrap());
        entry.unwrap_or_else(|| panic!("{name} is not in {list}"))["reason"].as_str().unwrap()
    };
    assert_eq!(reason("libfolder.so"), "it is a folder, and plugin folders are not searched recursively");
    assert_eq!(reason("notes.txt"), "its name does not end in .so, as libraries do here");
    assert_eq!(reason("half.so.part"), "its name is that of a temporary file");
    assert_eq!(list["total_count"], 2, "{list}");
    host.stop().await;
}

/// A name that is no text is shown as well as it can be, and hides nothing else.
#[tokio::test]
async fn names_that_are_no_text() {
    let options = HostOptions::default().custom(&libraries::mock()).provider("mock", json!({}));
    // Neither the data directory's, which the probe has to be told.
    let host = Host::start(options.env("PATCHBAY_DATA_DIR", OsStr::from_bytes(b"data\xff"))).await;
    for (name, place) in [(&b"lib\xff.so"[..], "failed"), (b"notes\xff", "ignored")] {
        let file = host.custom().join(OsStr::from_bytes(name));
        std::fs::write(&file, "junk").unwrap();
        let report = host.reload().await;
        assert_eq!(report["plugins"]["unchanged"], json!(["mock"]), "{report}");
        let list = host.plugins().await;
        let entries = if place == "failed" { &report["plugins"]["failed"] } else { &list["ignored"] };
        let shown = json!(file.to_string_lossy());
        assert!(entries.as_array().unwrap().iter().any(|it| it["file"] == shown), "{entries}");
    }
    assert_eq!(host.plugins().await["total_count"], 2);
    assert_eq!(host.ask("mock", "hello").await.response(), "You said: hello");
    host.stop().await;
}

/// Where there is nothing to keep, whoever asks is told why there is nothing.
#[tokio::test]
async fn a_first_load_that_fails() {
    let fresh = |word: &str| libraries::chameleon().id("fresh").behaviour(word);
    let options = HostOptions::default().custom(&libraries::mock()).custom(&fresh("create_panic"));
    let options = options.provider("mock", json!({})).provider("fresh", json!({ "misbehave": true }));
    let host = Host::start(options).await;

    let plugin = host.plugin("fresh").await;
    assert_eq!((&plugin["state"], &plugin["generation"]), (&json!("refused"), &Value::Null), "{plugin}");
    assert_eq!(plugin["problem"]["step"], "probe", "{plugin}");
    assert_eq!(host.ask("mock", "hello").await.response(), "You said: hello");
    let (status, code, _) = host.ask("fresh", "hello").await.error();
    assert_eq!((status, code.as_str()), (404, "provider_not_found"));

    // Loaded, but its provider cannot be made.
    let file = fresh("none").file_name();
    host.install(&fresh("asked_create_panic"), &file);
    let report = host.reload().await;
    let failed = &report["providers"]["failed"][0];
    assert_eq!((&failed["name"], &failed["kept_previous"]), (&json!("fresh"), &json!(false)), "{report}");
    let plugin = host.plugin("fresh").await;
    assert_eq!(plugin["state"], "unused", "{plugin}");
    assert_eq!(plugin["problem"]["phase"], "initialisation", "{plugin}");
    assert_eq!(plugin["problem"]["message"], failed["message"], "{plugin}");

    host.install(&fresh("none"), &file);
    let report = host.reload().await;
    assert_eq!(
        (&report["status"], &report["providers"]["created"]),
        (&json!("ok"), &json!(["fresh"])),
        "{report}"
    );
    assert_eq!(host.plugin("fresh").await["problem"], Value::Null);
    assert_eq!(host.ask("fresh", "hello").await.response(), "green green green green green");
    host.stop().await;
}

/// A file that holds another plugin than before: the one before is gone, and the new one is there.
#[tokio::test]
async fn another_plugin_in_the_same_file() {
    let host = host(json!({})).await;
    host.install(&libraries::chameleon().id("fresh"), FILE);
    let report = host.reload().await;
    assert_eq!(report["plugins"]["removed"], json!(["chameleon"]), "{report}");
    assert_eq!(report["plugins"]["loaded"], json!(["fresh"]), "{report}");
    assert_eq!(host.plugin("fresh").await["state"], "unused");
    assert_eq!(host.ask("chameleon", "hello").await.status, 404);
    host.stop().await;
}

/// A bad copy of a library is no reason to go back to one that it has replaced, nor to refuse who requires it.
#[tokio::test]
async fn a_bad_copy_brings_nothing_else_back() {
    let dependent = libraries::chameleon().id("dependent").requires(&["plugin:chameleon>=1.0.1"]);
    let options = HostOptions::default().builtin(&libraries::chameleon()).custom(&next()).custom(&dependent);
    let options = options.provider("chameleon", json!({})).provider("dependent", json!({}));
    let host = Host::start(options).await;
    assert_eq!(host.ask("chameleon", "hello").await.response(), "red red red red red");

    host.install(&bytes(b"Not found\n"), FILE);
    let report = host.reload().await;
    let failed = report["plugins"]["failed"].as_array().unwrap();
    assert_eq!((failed.len(), &failed[0]["kept_previous"]), (1, &json!(true)), "{report}");
    assert_eq!(report["plugins"]["unchanged"], json!(["dependent"]), "{report}");
    assert_eq!(host.ask("chameleon", "hello").await.response(), "red red red red red");
    let list = host.plugins().await;
    let builtin = host.dir().join("plugins/builtin").join(FILE);
    let plugins = list["plugins"].as_array().unwrap();
    let entry = plugins.iter().find(|entry| entry["file"] == builtin.to_str().unwrap()).unwrap();
    assert_eq!(entry["state"], "shadowed", "{entry}");
    assert_eq!(
        Problem::of(&entry["problem"], host.dir().to_str().unwrap()).message,
        "DIR/plugins/custom/libchameleon.so cannot be read now, and what was loaded from it goes on serving"
    );

    // Taking it away is another matter.
    std::fs::remove_file(host.custom().join(FILE)).unwrap();
    host.reload().await;
    assert_eq!(host.ask("chameleon", "hello").await.response(), "green green green green green");
    host.stop().await;
}

/// Looking at a library takes as long as it takes; nobody else waits for it.
#[tokio::test]
async fn a_reload_that_takes_long_holds_up_nobody() {
    let options = HostOptions::default().custom(&libraries::mock()).custom(&libraries::chameleon());
    let options = options.provider("mock", json!({})).provider("chameleon", json!({}));
    let host = Host::start(options.section("loader", json!({ "probe_timeout": 60 }))).await;
    let Some((waits, gate)) = Gate::new(host.dir(), IN_C) else { return };
    host.install(&waits, FILE);
    let meanwhile = async {
        let held = tokio::task::spawn_blocking(move || gate.reached()).await.unwrap();
        assert_eq!(host.ask("mock", "hello").await.response(), "You said: hello");
        assert_eq!(host.ask("chameleon", "hello").await.response(), "green green green green green");
        assert_eq!(host.plugin("chameleon").await["version"], "1.0.0");
        drop(held);
    };
    // Who asks for a reload while there is one gets the report of a run that saw what he saw.
    let (one, two, ()) = tokio::join!(host.reload(), host.reload(), meanwhile);
    for report in [one, two] {
        let failed = &report["plugins"]["failed"][0];
        assert_eq!(
            (&failed["code"], &failed["kept_previous"]),
            (&json!("not_a_plugin"), &json!(true)),
            "{report}"
        );
    }
    host.stop().await;
}

/// A system that makes room for itself says nothing about a library; one that was refused for what it is, is not
/// tried again for nothing, and whoever knows better is told how to have it tried.
#[tokio::test]
async fn a_probe_that_was_killed_is_tried_again() {
    let options = HostOptions::default().custom(&libraries::mock()).provider("mock", json!({}));
    let host = Host::start(options.section("loader", json!({ "probe_timeout": 60 }))).await;
    let Some((waits, gate)) = Gate::new(host.dir(), IN_C) else { return };
    host.install(&waits, FILE);
    let (gate, id) = (Arc::new(gate), host.process_id());
    let held_for = async |act: fn(u32)| {
        let gate = Arc::clone(&gate);
        let meanwhile = tokio::task::spawn_blocking(move || {
            let held = gate.reached();
            act(id);
            drop(held);
        });
        let (report, meanwhile) = tokio::join!(host.reload(), meanwhile);
        meanwhile.unwrap();
        report["plugins"]["failed"][0].clone()
    };
    let failed = held_for(kill_children).await;
    assert_eq!(failed["code"], "probe_killed", "{failed}");
    assert_eq!(
        failed["message"],
        "the probe process was killed (SIGKILL) in the library's constructors, before its header was read"
    );
    let failed = held_for(|_| ()).await;
    assert_eq!((&failed["code"], &failed["hint"]), (&json!("not_a_plugin"), &json!(EXPORT)), "{failed}");

    let report = host.reload().await;
    let again = "it is not tried again until its file changes: POST /api/plugins/chameleon/reload tries now";
    assert_eq!(report["plugins"]["failed"][0]["hint"], format!("{EXPORT}; {again}"), "{report}");
    host.stop().await;
}

fn kill_children(parent: u32) {
    let parent = format!("PPid:\t{parent}\n");
    for entry in std::fs::read_dir("/proc").unwrap().map(Result::unwrap) {
        // Those that end meanwhile are not meant.
        let status = std::fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        if status.contains(&parent) {
            let child = entry.file_name().to_str().unwrap().parse().unwrap();
            // SAFETY: a plain system call; the host waits for its children, and this one does not end by itself.
            assert_eq!(unsafe { libc::kill(child, libc::SIGKILL) }, 0);
        }
    }
}

/// Each try would leave a thread behind, so there is one, until something is different.
#[tokio::test]
async fn what_hung_is_not_tried_again_for_nothing() {
    let host = host(json!({ "misbehave": true })).await;
    host.install(&next().behaviour("asked_create_block"), FILE);
    for _ in 0..3 {
        let report = host.reload().await;
        assert_eq!(report["plugins"]["failed"][0]["code"], "create_hung", "{report}");
        let plugin = host.plugin("chameleon").await;
        assert_eq!(plugin["problem"]["code"], "create_hung", "{plugin}");
        assert_eq!(plugin["draining"].as_array().unwrap().len(), 1, "{plugin}");
    }
    let hint = host.plugin("chameleon").await["problem"]["hint"].clone();
    assert!(hint.as_str().unwrap().contains("until its file or the configuration changes"), "{hint}");
    host.configure(json!({ "plugins": { "mock": {}, "chameleon": {} } }));
    let report = host.reload().await;
    assert_eq!(report["status"], "ok", "{report}");
    assert_eq!(host.ask("chameleon", "hello").await.response(), "red red red red red");
    host.stop().await;
}

#[tokio::test]
async fn a_file_that_may_not_be_read() {
    let options = HostOptions::default().custom(&libraries::mock()).custom(&libraries::chameleon());
    let options = options.provider("mock", json!({})).provider("chameleon", json!({})).unprivileged();
    let host = Host::start(options).await;
    let file = host.install(&libraries::chameleon().colour("red"), "libchameleon.so");
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
    let report = host.reload().await;
    let failed = &report["plugins"]["failed"][0];
    assert_eq!((&failed["id"], &failed["kept_previous"]), (&json!("chameleon"), &json!(true)), "{report}");
    assert_eq!((&failed["step"], &failed["code"]), (&json!("file"), &json!("file_unreadable")), "{report}");
    assert_eq!(failed["message"], "the file cannot be read: Permission denied (os error 13)");
    assert_eq!(failed["hint"], "let the host's user read the file, or remove it");
    assert_eq!(host.ask("chameleon", "hi").await.response(), "green green green green green");
    host.stop().await;
}
