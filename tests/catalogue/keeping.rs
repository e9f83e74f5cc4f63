//! How a list comes, stays and goes.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::time::timeout;

use super::vendor::{Vendor, list};
use super::{entry, host, ids, kept, listed, options, patched, sync};
use crate::harness::{Host, Library, PATIENCE, SECRET, libraries, make_pipe};

#[tokio::test]
async fn a_list_is_asked_for_once_and_outlives_the_host() {
    let (vendor, data) = (Vendor::listing(&["vendor/m-1", "m-2"]).await, tempfile::tempdir().unwrap());
    let first = host(&[("up", &vendor)], data.path()).await;
    assert_eq!(vendor.asked(), 0, "nobody wanted to know");
    let known = listed(&first, "up", "").await;
    assert_eq!(ids(&known), ["m-2", "vendor/m-1"]);
    let expected = json!({
        "id": "m-2", "name": "m-2", "type": "chat", "capabilities": ["chat_completion"], "context_length": 4096,
        "owner": null, "created": null, "pricing": null,
        "pricing_source": null,
    });
    assert_eq!(known["models"][0], expected);
    assert_eq!(
        (&known["source"], &known["stale"], &known["error"], &known["total_count"]),
        (&json!("vendor"), &json!(false), &Value::Null, &json!(2))
    );
    let times = ["cached_at", "cached_until"]
        .map(|name| humantime::parse_rfc3339(known[name].as_str().unwrap()).unwrap());
    assert_eq!(times[1].duration_since(times[0]).unwrap(), Duration::from_secs(24 * 60 * 60));
    assert_eq!(known["last_sync"], known["cached_at"]);
    assert_eq!(listed(&first, "up", "").await, known);
    // Neither a reload nor other settings of the same vendor are a reason to ask again.
    first.reload().await;
    patched(&first, json!({ "priority": 7 })).await;
    assert_eq!(listed(&first, "up", "").await, known);
    first.stop().await;

    let second = host(&[("up", &vendor)], data.path()).await;
    let named = second.get("/v1/models/vendor/m-1").await.json();
    assert_eq!(
        (&named["id"], &named["owned_by"]),
        (&json!("vendor/m-1"), &json!("up")),
        "before anybody asks"
    );
    assert_eq!(listed(&second, "up", "").await, known);
    assert_eq!(vendor.asked(), 1);
    vendor.lists(&["m-3"]);
    assert_eq!(ids(&listed(&second, "up", "?refresh=true").await), ["m-3"]);
    assert_eq!(vendor.asked(), 2);
    second.stop().await;
}

#[tokio::test]
async fn what_makes_no_sense_leaves_what_was_known() {
    let (vendor, data) = (Vendor::listing(&["m-1", "m-2"]).await, tempfile::tempdir().unwrap());
    let host = host(&[("up", &vendor)], data.path()).await;
    let known = listed(&host, "up", "").await;
    let on_disk = std::fs::read(kept(&data, "up")).unwrap();
    let refused = format!(r#"{{"error":{{"message":"not with {SECRET}"}}}}"#);
    let twice = r#"{"data":[{"id":"m"},{"id":"m","context_length":7}]}"#;
    let endless: Vec<String> = (0..10_001).map(|n| n.to_string()).collect();
    let endless = list(&endless.iter().map(String::as_str).collect::<Vec<_>>());
    for (status, answer, why) in [
        (200, "<html>", "the provider's list of models cannot be read"),
        (200, r#"{"data":7}"#, "the provider's list of models cannot be read"),
        (200, twice, "\"m\" is there twice, and not the same"),
        (200, r#"{"data":[{"id":"a\u0007"}]}"#, "an id has control characters in it"),
        (200, &list(&[]), "the provider lists no models any more, where there were 2"),
        (200, &endless, "more than 10000 models"),
        (500, "", "the provider answered 500"),
        (401, &refused, "the provider answered 401: not with ***"),
    ] {
        vendor.answers(status, answer);
        let mut shown = listed(&host, "up", "?refresh=true").await;
        let error = shown["error"].take();
        assert!(error.as_str().unwrap().contains(why), "{why}: {error}");
        assert_eq!(shown["stale"].take(), true);
        assert_eq!((&shown["models"], &shown["cached_at"]), (&known["models"], &known["cached_at"]), "{why}");
        let report = sync(&host, "up", json!({ "force": true })).await;
        assert_eq!((&report["status"], &report["models_synced"]), (&json!("error"), &json!(0)), "{report}");
        assert!(report["reason"].as_str().unwrap().contains(why), "{why}: {report}");
        assert_eq!(
            (&report["last_sync"], &report["statistics"]["total_models"]),
            (&known["cached_at"], &json!(2)),
            "{report}"
        );
        assert_eq!(std::fs::read(kept(&data, "up")).unwrap(), on_disk, "{why}");
    }
    vendor.is_silent(true);
    patched(&host, json!({ "config": { "timeout": 0.1 } })).await;
    let shown = listed(&host, "up", "?refresh=true").await;
    assert_eq!((&shown["stale"], &shown["error"]), (&json!(true), &json!("no list of models within 100ms")));
    let later = listed(&host, "up", "").await;
    assert_eq!((&later["models"], &later["cached_until"]), (&known["models"], &known["cached_until"]));
    assert_eq!(
        (&later["stale"], &later["error"]),
        (&shown["stale"], &shown["error"]),
        "until a newer one has come"
    );
    vendor.is_silent(false);
    vendor.lists(&["m-1", "m-2"]);
    assert_eq!(listed(&host, "up", "?refresh=true").await["stale"], false);
    assert_eq!(listed(&host, "up", "").await["error"], Value::Null);
    host.stop().await;
}

#[tokio::test]
async fn without_any_list_a_failure_is_one() {
    let (vendor, data) = (Vendor::listing(&[]).await, tempfile::tempdir().unwrap());
    vendor.answers(200, "<html>");
    let host = host(&[("up", &vendor)], data.path()).await;
    let (status, code, details) = host.get("/api/providers/up/models").await.error();
    assert_eq!((status, code.as_str()), (502, "unreadable_answer"), "{details}");
    let report = sync(&host, "up", json!({})).await;
    assert_eq!(
        (&report["status"], &report["statistics"], &report["last_sync"]),
        (&json!("error"), &Value::Null, &Value::Null)
    );
    // Nothing is an answer, too, from whoever never had anything.
    vendor.lists(&[]);
    assert_eq!(listed(&host, "up", "").await["total_count"], 0);
    for (path, status, code) in [
        ("/api/providers/pu/models", 404, "provider_not_found"),
        ("/api/providers/up/models?refersh=true", 400, "invalid_query"),
    ] {
        let (was, said, _) = host.get(path).await.error();
        assert_eq!((was, said.as_str()), (status, code), "{path}");
    }
    let unknown = host.post_json("/api/providers/up/models/sync", &json!({ "forse": true })).await.error();
    assert_eq!((unknown.0, unknown.1.as_str()), (400, "invalid_json"));
    host.stop().await;
}

#[tokio::test]
async fn one_vendors_list_is_never_shown_for_anothers() {
    let (here, there) = (Vendor::listing(&["here"]).await, Vendor::listing(&["there"]).await);
    let data = tempfile::tempdir().unwrap();
    let first = host(&[("up", &here), ("gone", &here)], data.path()).await;
    assert_eq!(ids(&listed(&first, "up", "").await), ["here"]);
    assert_eq!(ids(&listed(&first, "gone", "").await), ["here"]);
    patched(&first, json!({ "config": { "base_url": there.base_url(), "api_key": SECRET } })).await;
    assert_eq!(first.get("/v1/models/up/here").await.status, 404);
    there.answers(500, "");
    assert_eq!(first.get("/api/providers/up/models").await.status, 502, "better none than another's");
    there.lists(&["there"]);
    assert_eq!(ids(&listed(&first, "up", "").await), ["there"]);
    // With the provider goes its list.
    assert!(kept(&data, "gone").exists());
    let request = first.request(Method::DELETE, "/api/providers/gone");
    assert_eq!(first.answer("/api/providers/gone", request).await.status, 204);
    assert!(!kept(&data, "gone").exists());
    first.stop().await;

    // What was changed at run time is forgotten, and the list of there with it.
    std::fs::remove_file(data.path().join("providers.json")).unwrap();
    let second = host(&[("up", &here)], data.path()).await;
    assert_eq!(second.get("/v1/models/up/there").await.status, 404);
    assert_eq!(ids(&listed(&second, "up", "").await), ["here"]);
    second.stop().await;
}

#[tokio::test]
async fn what_is_damaged_is_put_aside_and_asked_for() {
    let (vendor, data) = (Vendor::listing(&["m"]).await, tempfile::tempdir().unwrap());
    std::fs::create_dir(data.path().join("model-lists")).unwrap();
    std::fs::write(kept(&data, "up"), "{\"version\":").unwrap();
    let host = host(&[("up", &vendor)], data.path()).await;
    host.logs("the kept list of models was put aside", "up.damaged").await;
    assert_eq!(ids(&listed(&host, "up", "").await), ["m"]);
    assert_eq!(
        std::fs::read_to_string(kept(&data, "up").with_extension("damaged")).unwrap(),
        "{\"version\":"
    );
    host.stop().await;
}

/// The host writes into a pipe that nobody empties: it is killed in the middle of writing, and not by luck.
#[tokio::test]
async fn a_host_that_is_killed_leaves_a_good_list() {
    let (vendor, data) = (Vendor::listing(&["m"]).await, tempfile::tempdir().unwrap());
    let first = host(&[("up", &vendor)], data.path()).await;
    let known = listed(&first, "up", "").await;
    // A name of its own, for another host may take over.
    let half = kept(&data, "up").with_extension(format!("json.tmp.{}", first.process_id()));
    make_pipe(&half);
    let mut pipe = pipe::OpenOptions::new().read_write(true).open_receiver(&half).unwrap();
    let many: Vec<String> = (0..5000).map(|n| format!("another-{n}")).collect();
    vendor.lists(&many.iter().map(String::as_str).collect::<Vec<_>>());
    let mut written = vec![0; 4096];
    tokio::select! {
        report = sync(&first, "up", json!({ "force": true })) => panic!("it is written to no pipe: {report}"),
        read = timeout(PATIENCE, pipe.read_exact(&mut written)) => { read.unwrap().unwrap(); }
    }
    first.kill().await;
    drop(pipe);
    std::fs::remove_file(&half).unwrap();
    std::fs::write(&half, written).unwrap();

    let second = host(&[("up", &vendor)], data.path()).await;
    assert_eq!(listed(&second, "up", "").await, known);
    assert_eq!(vendor.asked(), 2, "it was found, not asked for");
    assert!(!half.exists(), "what is half written is of no use");
    second.stop().await;
}

#[tokio::test]
async fn a_list_outlives_that_its_plugin_cannot_be_used() {
    let (vendor, data) = (Vendor::listing(&["m"]).await, tempfile::tempdir().unwrap());
    let with = async |library: &Library| {
        let options = options(&[]).builtin(library).env("PATCHBAY_DATA_DIR", data.path().as_os_str());
        let options = options.env("MISTRAL_API_KEY", SECRET).env("MISTRAL_BASE_URL", vendor.base_url());
        Host::start(options).await
    };
    let library = Library::built("mistral");
    let first = with(&library).await;
    let known = listed(&first, "mistral", "").await;
    first.stop().await;
    let second = with(&library.clone().truncate(library.bytes().len() / 2)).await;
    assert_eq!(second.get("/api/providers/mistral/models").await.status, 404);
    second.stop().await;
    let third = with(&library).await;
    assert_eq!(listed(&third, "mistral", "").await, known);
    assert_eq!(vendor.asked(), 1);
    third.stop().await;
}

#[tokio::test]
async fn configured_models_are_listed_with_what_the_vendor_says_of_them() {
    let (vendor, data) = (Vendor::listing(&["other"]).await, tempfile::tempdir().unwrap());
    let mut configured = entry(&vendor);
    configured["config"]["models"] = json!(["m-2", "m-1"]);
    let options = options(&[]).entry("up", configured).env("PATCHBAY_DATA_DIR", data.path().as_os_str());
    let options = options.custom(&libraries::chameleon()).provider("chameleon", json!({}));
    let host = Host::start(options).await;
    let known = listed(&host, "up", "").await;
    assert_eq!((ids(&known), &known["source"]), (vec!["m-2", "m-1"], &json!("configuration")));
    assert_eq!(vendor.asked(), 0, "its plugin knows not to ask");
    // One whose plugin has no such list.
    let (status, code, _) = host.get("/api/providers/chameleon/models").await.error();
    assert_eq!((status, code.as_str()), (422, "unsupported"));
    let (status, code, _) = host.post("/api/providers/chameleon/models/sync").await.error();
    assert_eq!((status, code.as_str()), (422, "unsupported"));
    host.stop().await;
}
