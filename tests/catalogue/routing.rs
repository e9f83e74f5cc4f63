//! Who answers by what vendors list, without anybody having asked them to list it.

use serde_json::{Value, json};

use super::vendor::Vendor;
use super::{options, patched, sync};
use crate::harness::{Host, HostOptions, SECRET, eventually, libraries};

async fn answered_by(host: &Host, model: &str) -> Result<String, (u16, String)> {
    let body = json!({ "model": model, "messages": [{ "role": "user", "content": "hi" }] });
    let answer = host.post_json("/api/chat/complete", &body).await;
    match answer.status {
        200 => Ok(answer.header("x-patchbay-provider").unwrap().to_owned()),
        _ => {
            let (status, _, details) = answer.error();
            Err((status, details))
        }
    }
}

async fn names(host: &Host) -> Vec<String> {
    let listed = host.get("/v1/models").await.json();
    let id = |model: &Value| model["id"].as_str().unwrap().to_owned();
    listed["data"].as_array().unwrap().iter().map(id).collect()
}

async fn are_listed(host: &Host, expected: &[&str]) {
    eventually(&format!("{expected:?} to be listed"), async || {
        let names = names(host).await;
        expected.iter().all(|name| names.iter().any(|listed| listed == name)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn with_keys_alone_a_model_finds_who_serves_it() {
    let groq = Vendor::listing(&["llama-3.3-70b", "openai/gpt-oss-120b", "shared"]).await;
    let mistral = Vendor::listing(&["mistral-small", "shared"]).await;
    let mut options = HostOptions::default().section("health", json!({ "enabled": false }));
    options = options.section("models", json!({ "refresh": true }));
    for (id, library) in libraries::vendors() {
        let vendor = match id {
            "groq" => &groq,
            "mistral" => &mistral,
            _ => continue,
        };
        let name = id.to_uppercase();
        options = options.builtin(&library).env(&format!("{name}_API_KEY"), SECRET);
        options = options.env(&format!("{name}_BASE_URL"), vendor.base_url());
    }
    let host = Host::start(options).await;
    are_listed(&host, &["llama-3.3-70b", "groq/openai/gpt-oss-120b", "mistral-small"]).await;
    for (model, expected) in [
        ("llama-3.3-70b", "groq"),
        ("openai/gpt-oss-120b", "groq"),
        ("mistral-small", "mistral"),
        // By priority, then by name.
        ("shared", "groq"),
        ("mistral/shared", "mistral"),
        // A vendor may serve more than it lists.
        ("groq/unheard-of", "groq"),
    ] {
        assert_eq!(answered_by(&host, model).await.as_deref(), Ok(expected), "{model}");
    }
    let (status, details) = answered_by(&host, "mistral-smal").await.unwrap_err();
    assert_eq!(status, 404);
    assert!(details.contains("near names: mistral-small"), "{details}");
    let names = names(&host).await;
    assert!(!names.contains(&"shared".to_owned()), "it means two: {names:?}");
    for (id, owner) in
        [("openai/gpt-oss-120b", "groq"), ("groq/openai/gpt-oss-120b", "groq"), ("mistral/shared", "mistral")]
    {
        let model = host.get(&format!("/v1/models/{id}")).await.json();
        assert_eq!((&model["id"], &model["owned_by"]), (&json!(id), &json!(owner)), "{model}");
    }
    let providers = host.get("/api/providers").await.json();
    let models = |name: &str| {
        let all = providers["providers"].as_array().unwrap();
        all.iter().find(|provider| provider["name"] == name).unwrap()["models"].clone()
    };
    assert_eq!(models("mistral"), json!(["mistral-small", "shared"]));
    assert_eq!((groq.asked(), mistral.asked()), (1, 1), "once each, and nobody asked for it");
    host.stop().await;
}

#[tokio::test]
async fn those_of_whom_nobody_knows_are_asked_when_nobody_lists_a_model() {
    let (known, unknown) = (Vendor::listing(&["m-1"]).await, Vendor::listing(&[]).await);
    unknown.answers(404, "");
    let host = Host::start(options(&[("known", &known), ("unknown", &unknown)])).await;
    assert_eq!(answered_by(&host, "m-1").await.as_deref(), Ok("known"), "by name, for now");
    assert_eq!(answered_by(&host, "m-2").await.as_deref(), Ok("known"));
    assert_eq!(sync(&host, "known", json!({})).await["status"], "success");
    assert_eq!(sync(&host, "unknown", json!({})).await["status"], "error");
    assert_eq!(answered_by(&host, "m-1").await.as_deref(), Ok("known"));
    assert_eq!(answered_by(&host, "m-2").await.as_deref(), Ok("unknown"));
    // From the moment that its list has another one, that is asked.
    known.lists(&["m-2"]);
    assert_eq!(sync(&host, "known", json!({ "force": true })).await["status"], "success");
    assert_eq!(answered_by(&host, "m-2").await.as_deref(), Ok("known"));
    assert_eq!(answered_by(&host, "m-1").await.as_deref(), Ok("unknown"));
    host.stop().await;
}

#[tokio::test]
async fn a_vendor_that_lists_later_is_known_later_and_by_itself() {
    let vendor = Vendor::listing(&["m"]).await;
    vendor.answers(503, "");
    let host = Host::start(options(&[("up", &vendor)]).section("models", json!({ "refresh": true }))).await;
    host.logs("the vendor's models could not be listed", "again_in_seconds=60").await;
    assert_eq!(vendor.asked(), 1);
    vendor.lists(&["m"]);
    // Other settings may be what was needed: whoever has them is asked at once.
    patched(&host, json!({ "priority": 7 })).await;
    are_listed(&host, &["up/m", "m"]).await;
    assert_eq!(vendor.asked(), 2);
    host.stop().await;
}

#[tokio::test]
async fn nobody_is_asked_where_nobody_is_to_be_asked() {
    let vendor = Vendor::listing(&["m"]).await;
    let host = Host::start(options(&[("up", &vendor)]).section("models", json!({ "refresh": false }))).await;
    assert_eq!(answered_by(&host, "m").await.as_deref(), Ok("up"));
    assert_eq!(names(&host).await, <[&str; 0]>::default());
    assert_eq!(vendor.asked(), 0);
    host.stop().await;
}

#[tokio::test]
async fn no_more_vendors_are_asked_at_one_time_than_may_be() {
    let vendors = [Vendor::listing(&["m-1"]).await, Vendor::listing(&["m-2"]).await];
    vendors.iter().for_each(|vendor| vendor.is_silent(true));
    let options = options(&[("one", &vendors[0]), ("two", &vendors[1])]);
    let host = Host::start(options.section("models", json!({ "concurrency": 1 }))).await;
    vendors[0].is_asked(1).await;
    // Whoever is asked holds up nobody else.
    for _ in 0..10 {
        assert_eq!(answered_by(&host, "one/m").await.as_deref(), Ok("one"));
    }
    assert_eq!(vendors[1].asked(), 0);
    vendors[0].is_silent(false);
    vendors[1].is_asked(1).await;
    vendors[1].is_silent(false);
    are_listed(&host, &["m-1", "m-2"]).await;
    host.stop().await;
}
