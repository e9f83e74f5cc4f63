//! Syncs on demand: done, skipped, foreseen and shared.

use reqwest::Method;
use serde_json::{Value, json};

use super::vendor::Vendor;
use super::{entry, host, kept, listed, options, patched, sync};
use crate::harness::{Host, SECRET, eventually};

#[tokio::test]
async fn a_sync_asks_only_where_there_is_something_to_gain() {
    let (vendor, data) = (Vendor::listing(&[]).await, tempfile::tempdir().unwrap());
    vendor.answers(
        200,
        r#"{"data":[{"id":"m-1"},{"id":"e-1","type":"embedding"},{"id":"m-2","created":7,"context_length":9}]}"#,
    );
    let host = host(&[("up", &vendor)], data.path()).await;
    let synced = sync(&host, "up", json!({})).await;
    assert_eq!(
        (&synced["status"], &synced["reason"], &synced["models_synced"]),
        (&json!("success"), &Value::Null, &json!(3))
    );
    let statistics = &synced["statistics"];
    assert_eq!(
        *statistics,
        json!({ "total_models": 3, "chat_models": 2, "vision_models": 0, "function_calling_models": 0,
                "updated_at": synced["last_sync"] })
    );
    let again = sync(&host, "up", json!({ "force": false })).await;
    assert_eq!(
        (&again["status"], &again["reason"], &again["models_synced"], vendor.asked()),
        (&json!("skipped"), &json!("cache_valid"), &json!(0), 1)
    );
    assert_eq!((&again["statistics"], &again["cached_until"]), (statistics, &synced["cached_until"]));
    // Without a body there are no wishes.
    assert_eq!(host.post("/api/providers/up/models/sync").await.json()["status"], "skipped");
    assert_eq!(sync(&host, "up", json!({ "force": true })).await["status"], "success");
    assert_eq!(vendor.asked(), 2);
    host.stop().await;
}

#[tokio::test]
async fn a_preview_tells_and_changes_nothing() {
    let (vendor, data) = (Vendor::listing(&["stays", "goes", "changes"]).await, tempfile::tempdir().unwrap());
    let host = host(&[("up", &vendor)], data.path()).await;
    let known = listed(&host, "up", "").await;
    let on_disk = std::fs::read(kept(&data, "up")).unwrap();
    vendor.answers(200, r#"{"data":[{"id":"stays"},{"id":"comes"},{"id":"changes","context_length":9}]}"#);
    for wish in [json!({ "preview": true }), json!({ "preview": true, "force": true })] {
        let report = sync(&host, "up", wish).await;
        assert_eq!(
            report["preview"],
            json!({ "added": ["comes"], "removed": ["goes"], "changed": ["changes"] })
        );
        assert_eq!((&report["status"], &report["models_synced"]), (&json!("success"), &json!(0)));
        assert_eq!(report["statistics"]["total_models"], 3);
        assert_eq!(report["last_sync"], known["last_sync"], "that was no sync");
    }
    assert_eq!(vendor.asked(), 3);
    assert_eq!(listed(&host, "up", "").await, known);
    assert_eq!(std::fs::read(kept(&data, "up")).unwrap(), on_disk);
    vendor.answers(500, "");
    let report = sync(&host, "up", json!({ "preview": true })).await;
    assert_eq!((&report["status"], &report["preview"]), (&json!("error"), &Value::Null));
    host.stop().await;
}

#[tokio::test]
async fn whoever_asks_at_the_same_time_shares_one_question() {
    let (vendor, data) = (Vendor::listing(&["m"]).await, tempfile::tempdir().unwrap());
    vendor.is_silent(true);
    let mut patient = entry(&vendor);
    patient["config"]["timeout"] = json!(60);
    let host = options(&[]).entry("up", patient).env("PATCHBAY_DATA_DIR", data.path().as_os_str());
    let host = Host::start(host).await;
    let asking = |method: Method, path: &str, id: &str| {
        let request = host.request(method, path).header("x-request-id", id);
        let path = path.to_owned();
        let host = &host;
        async move { host.answer(&path, request).await }
    };
    let (models, syncs) = ("/api/providers/up/models", "/api/providers/up/models/sync");
    let first = asking(Method::POST, syncs, "first");
    let others = async {
        vendor.is_asked(1).await;
        let released = async {
            for id in ["second", "third"] {
                host.logs("waits for the models that somebody else asked for", id).await;
            }
            vendor.is_silent(false);
        };
        tokio::join!(asking(Method::POST, syncs, "second"), asking(Method::GET, models, "third"), released)
    };
    let (first, (second, third, ())) = tokio::join!(first, others);
    assert_eq!(vendor.asked(), 1);
    assert_eq!((first.status, first.json()), (200, second.json()));
    assert_eq!((&first.json()["status"], &third.json()["stale"]), (&json!("success"), &json!(false)));
    assert_eq!(first.json()["last_sync"], third.json()["cached_at"]);
    host.stop().await;
}

/// Another generation asks with keys, times and code of its own, whatever became of the question before.
#[tokio::test]
async fn a_provider_that_was_changed_asks_by_itself() {
    let (vendor, data) = (Vendor::listing(&["m"]).await, tempfile::tempdir().unwrap());
    vendor.is_silent(true);
    let host = host(&[("up", &vendor)], data.path()).await;
    let changed = async {
        vendor.is_asked(1).await;
        patched(&host, json!({ "config": { "timeout": 0.1 } })).await;
        // Where the machine is busy, its time may be over before the vendor has heard of it.
        eventually("the vendor to be asked anew", async || {
            let report = sync(&host, "up", json!({})).await;
            assert_eq!(
                (&report["status"], &report["reason"]),
                (&json!("error"), &json!("no list of models within 100ms"))
            );
            (vendor.asked() > 1).then_some(())
        })
        .await;
        vendor.is_silent(false);
    };
    // It leads to the same vendor, so that the answer is as good as ever.
    let (first, ()) = tokio::join!(sync(&host, "up", json!({})), changed);
    assert_eq!(first["status"], "success");
    host.stop().await;
}

#[tokio::test]
async fn what_a_provider_lists_that_leads_elsewhere_by_now_is_not_taken_for_its_list() {
    let (here, there) = (Vendor::listing(&["here"]).await, Vendor::listing(&["there"]).await);
    let data = tempfile::tempdir().unwrap();
    here.is_silent(true);
    let host = host(&[("up", &here)], data.path()).await;
    let changed = async {
        here.is_asked(1).await;
        patched(&host, json!({ "config": { "base_url": there.base_url(), "api_key": SECRET } })).await;
        assert_eq!(sync(&host, "up", json!({})).await["status"], "success");
        here.is_silent(false);
    };

    let request = host.get("/api/providers/up/models");
    let (shown, ()) = tokio::join!(request, changed);
    let (status, code, details) = shown.error();
    assert_eq!((status, code.as_str()), (409, "provider_changed"));
    assert!(details.ends_with("changed or removed meanwhile: ask again"), "{details}");
    assert!(
        std::fs::read_to_string(kept(&data, "up")).unwrap().contains("there"),
        "and nothing else is kept"
    );

    there.is_silent(true);
    let changed = async {
        there.is_asked(2).await;
        patched(&host, json!({ "config": { "base_url": here.base_url(), "api_key": SECRET } })).await;
        there.is_silent(false);
    };
    let (report, ()) = tokio::join!(sync(&host, "up", json!({ "force": true })), changed);
    assert_eq!((&report["status"], &report["models_synced"]), (&json!("error"), &json!(0)));
    assert!(report["reason"].as_str().unwrap().ends_with("ask again"), "{report}");
    host.stop().await;
}

#[tokio::test]
async fn no_page_of_elsewhere_has_a_vendor_asked() {
    let (vendor, data) = (Vendor::listing(&["m"]).await, tempfile::tempdir().unwrap());
    let host = host(&[("up", &vendor)], data.path()).await;
    listed(&host, "up", "").await;
    let path = "/api/providers/up/models?refresh=true";
    for (name, value, status) in [
        ("sec-fetch-site", "cross-site", 403),
        // Other ports of this machine are no friends by that.
        ("sec-fetch-site", "same-site", 403),
        ("sec-fetch-site", "same-origin", 200),
        ("sec-fetch-site", "none", 200),
        ("origin", "https://elsewhere.test", 403),
        ("origin", "null", 403),
        ("origin", host.address(), 200),
    ] {
        let before = vendor.asked();
        let answer = host.answer(path, host.request(Method::GET, path).header(name, value)).await;
        assert_eq!((answer.status, vendor.asked() > before), (status, status == 200), "{name}: {value}");
        if status == 403 {
            let (_, code, details) = answer.error();
            assert!(code == "forbidden" && details.contains("models/sync"), "{code}: {details}");
        }
    }
    let request =
        host.request(Method::GET, "/api/providers/up/models").header("sec-fetch-site", "cross-site");
    assert_eq!(host.answer("/api/providers/up/models", request).await.status, 200, "that asks nobody");
    host.stop().await;
}
