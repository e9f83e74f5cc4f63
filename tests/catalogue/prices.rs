use serde_json::json;

use super::vendor::Vendor;
use super::{listed, patched};
use crate::harness::{Host, HostOptions, Library, SECRET};

#[tokio::test]
async fn answers_cost_what_the_vendor_lists_until_the_operator_says_otherwise() {
    let vendor = Vendor::listing(&[]).await;
    let pricing = json!({ "prompt": "0.0000025", "completion": "0.00001", "input_cache_read": "0.00000025" });
    let model = json!({ "id": "m", "pricing": pricing, "architecture": { "output_modalities": ["text"] } });
    vendor.answers(200, &json!({ "data": [model] }).to_string());
    let config = json!({ "base_url": vendor.base_url(), "api_key": SECRET });
    let options = HostOptions::default().builtin(&Library::built("openrouter"));
    let options = options.section("health", json!({ "enabled": false }));
    let host = Host::start(options.entry("up", json!({ "plugin": "openrouter", "config": config }))).await;
    let cost = async || {
        let body = json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }] });
        let answer = host.post_json("/v1/chat/completions", &body).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.header("x-patchbay-cost-usd").map(str::to_owned)
    };
    assert_eq!(cost().await, None, "nobody has asked what it costs");

    let shown = listed(&host, "up", "").await;
    let expected = json!({ "prompt": 2.5, "cached_prompt": 0.25, "completion": 10, "per": 1_000_000 });
    assert_eq!(
        (&shown["models"][0]["pricing"], &shown["models"][0]["pricing_source"]),
        (&expected, &json!("vendor"))
    );
    // 400 at 2.5, 600 at 0.25 and 100 at 10, for a million each.
    assert_eq!(cost().await.as_deref(), Some("0.00215"));

    patched(
        &host,
        json!({ "config": { "pricing": { "m": { "prompt": 0.001, "completion": 0.002, "per": 1000 } } } }),
    )
    .await;
    assert_eq!(cost().await.as_deref(), Some("0.0012"));
    let shown = listed(&host, "up", "").await;
    let expected = json!({ "prompt": 1, "completion": 2, "per": 1_000_000 });
    let model = &shown["models"][0];
    assert_eq!((&model["pricing"], &model["pricing_source"]), (&expected, &json!("configuration")));
    host.stop().await;
}
