//! Scrapes while requests and reloads go on, and what they say over generations.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use serde_json::json;

use super::scrape::{parsed, scrape};
use super::{CHAT, ask, options, question};
use crate::harness::{Host, HostOptions, Upstream, eventually, libraries};

#[tokio::test]
async fn every_scrape_under_load_and_reloads_is_whole_and_nothing_goes_back() {
    const REQUESTS: usize = 300;
    let upstream = Upstream::start().await;
    let host = Host::start(options(&upstream).env("LOG_LEVEL", "warn")).await;
    let over = AtomicBool::new(false);
    let asking = async {
        let lanes = (0..4).map(|_| async {
            for _ in 0..REQUESTS / 4 {
                assert_eq!(ask(&host, "m").await, 200);
            }
        });
        join_all(lanes).await;
        over.store(true, Ordering::Relaxed);
    };
    let reloading = async {
        let mut reloads = 0;
        while reloads == 0 || !over.load(Ordering::Relaxed) {
            assert_eq!(host.post("/api/plugins/openai-compatible/reload").await.status, 200);
            reloads += 1;
        }
        reloads
    };
    let scraping = async {
        let mut texts = Vec::new();
        while texts.len() < 2 || !over.load(Ordering::Relaxed) {
            texts.push(scrape(&host).await);
        }
        texts
    };
    let ((), reloads, mut texts) = tokio::join!(asking, reloading, scraping);
    texts.push(scrape(&host).await);
    host.stop().await;
    let Some(scrapes) = parsed(&texts).await else { return };
    for pair in scrapes.windows(2) {
        let later = pair[1].growing();
        for (series, value) in pair[0].growing() {
            assert!(
                later.get(&series).is_some_and(|later| *later >= value),
                "{series} was {value}: {later:?}"
            );
        }
    }
    let last = scrapes.last().unwrap();
    last.says("patchbay_requests_total", &[("route", CHAT), ("outcome", "answered")], REQUESTS as f64);
    last.says("patchbay_request_duration_seconds_count", &[("route", CHAT)], REQUESTS as f64);
    last.says("patchbay_tokens_total", &[("model", "m")], 4.0 * REQUESTS as f64);
    // The one at the start, too.
    last.says("patchbay_reloads_total", &[("status", "ok")], f64::from(reloads + 1));
    last.says("patchbay_plugin_generation", &[("plugin", "openai-compatible")], f64::from(reloads + 1));
}

#[tokio::test]
async fn a_plugin_is_told_of_over_all_of_its_generations() {
    let upstream = Upstream::start().await;
    let host = Host::start(options(&upstream)).await;
    // As far as its first words.
    upstream.release(2);
    let mut gated = question("gated");
    gated["stream"] = true.into();
    let stream = host.open(CHAT, &gated.to_string()).await;
    let first = scrape(&host).await;
    assert_eq!(host.post("/api/plugins/openai-compatible/reload").await.status, 200);
    let second = scrape(&host).await;
    upstream.release(20);
    stream.rest().await.unwrap();
    let gone = "patchbay_plugin_generations{plugin=\"openai-compatible\",state=\"draining\"} 0";
    let closed = "patchbay_plugin_generations{plugin=\"openai-compatible\",state=\"closing\"} 0";
    eventually("the first generation to go", async || {
        let text = scrape(&host).await;
        (text.contains(gone) && text.contains(closed)).then_some(())
    })
    .await;
    let third = scrape(&host).await;
    host.stop().await;

    let Some(scrapes) = parsed(&[first, second, third]).await else { return };
    let plugin = ("plugin", "openai-compatible");
    let states = ["active", "draining"].map(|state| [plugin, ("state", state)]);
    for (told, generation, draining, under_way) in
        [(&scrapes[0], 1.0, 0.0, 1.0), (&scrapes[1], 2.0, 1.0, 1.0), (&scrapes[2], 2.0, 0.0, 0.0)]
    {
        told.says("patchbay_plugin_generation", &[plugin], generation);
        told.says("patchbay_plugin_generations", &states[0], 1.0);
        told.says("patchbay_plugin_generations", &states[1], draining);
        told.says("patchbay_plugin_requests_in_flight", &[plugin], under_way);
        told.says("patchbay_provider_requests_in_flight", &[("provider", "up")], under_way);
        told.says("patchbay_streams_open", &[], under_way);
    }
    let cpu = scrapes.iter().map(|told| told.sum("patchbay_plugin_cpu_seconds_total", &[plugin]));
    let cpu: Vec<f64> = cpu.collect();
    assert!(0.0 < cpu[0] && cpu[0] < cpu[1] && cpu[1] <= cpu[2], "what is gone counts on: {cpu:?}");
}

#[tokio::test]
async fn what_a_plugins_code_spends_is_its_own_and_checks_are_told() {
    let options = HostOptions::default().custom(&libraries::mock()).custom(&libraries::chameleon());
    let options = options.provider("mock", json!({})).provider("chameleon", json!({}));
    let options = options.section("health", json!({ "interval": 0.05 })).env("LOG_LEVEL", "warn");
    let host = Host::start(options).await;
    let before = scrape(&host).await;
    for _ in 0..100 {
        assert_eq!(host.ask("chameleon", "hello").await.status, 200);
    }
    let checked = "patchbay_health_check_duration_seconds_count{provider=\"mock\",result=\"available\"}";
    eventually("a check", async || scrape(&host).await.contains(checked).then_some(())).await;
    let after = scrape(&host).await;
    host.stop().await;
    let Some(scrapes) = parsed(&[before, after]).await else { return };
    let spent = |plugin: &str| {
        let labels = [("plugin", plugin)];
        let [before, after] =
            [0, 1].map(|place: usize| scrapes[place].sum("patchbay_plugin_cpu_seconds_total", &labels));
        after - before
    };
    assert!(spent("chameleon") > 0.0);
    assert!(spent("chameleon") < 10.0, "seconds, and nothing smaller");
    scrapes[1].is("patchbay_health_check_duration_seconds", "histogram");
}
