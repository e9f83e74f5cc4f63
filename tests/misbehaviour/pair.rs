//! A host with two providers: one whose upstream plays a script, and one that is well.

use serde_json::json;

use crate::harness::scripted::script::Script;
use crate::harness::{Host, HostOptions, Scripted, Upstream, eventually, libraries};

/// See the module. The providers are `up` and `well`, the model of both is `m`.
pub struct Pair {
    pub host: Host,
    /// Its part is `up`, too.
    pub upstream: Scripted,
    /// Ends when it is dropped.
    _well: Upstream,
}

impl Pair {
    pub async fn start(streamed: &Script, whole: &Script) -> Self {
        let (upstream, well) = (Scripted::start().await, Upstream::start().await);
        let entry = |base_url: &str| {
            let config = json!({ "base_url": base_url, "model": "m" });
            json!({ "plugin": "openai-compatible", "config": config })
        };
        // Only what clients ask for is to reach the upstreams.
        let options = HostOptions::default().section("health", json!({ "enabled": false }));
        let options = options.builtin(&libraries::openai_compatible());
        let options = options.entry("up", entry(&upstream.play("up", streamed, whole)));
        let host = Host::start(options.entry("well", entry(well.base_url()))).await;
        Self { host, upstream, _well: well }
    }

    /// Waits until so many clients have left, and the upstream of each of them was left with it.
    pub async fn left_alone(&self, times: usize) {
        self.upstream.sees("up", |notes| notes.open == 0 && notes.left == times).await;
    }

    /// Ends the host, which has nothing to do any more.
    pub async fn stop(self) {
        nothing_is_under_way(&self.host).await;
        self.host.stop().await;
    }
}

/// Waits until no provider has a request under way any more.
pub async fn nothing_is_under_way(host: &Host) {
    eventually("all requests to be over", async || {
        let providers = host.get("/api/providers").await.json();
        let mut providers = providers["providers"].as_array().unwrap().iter();
        providers.all(|provider| provider["in_flight"] == 0).then_some(())
    })
    .await;
}
