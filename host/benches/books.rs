//! What it costs every request that metrics are kept, and what it costs whoever asks for them.

#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod house;
#[path = "../../tests/scenario/mod.rs"]
#[allow(dead_code)]
mod scenario;

use std::hint::black_box;
use std::time::{Duration, SystemTime};

use criterion::{Criterion, criterion_group, criterion_main};
use patchbay::accounts::{Attempt, Bookkeeper as _, Outcome, Record, Usage};
use patchbay::config::MetricsSettings;
use patchbay::http::asking_paths;
use patchbay::providers::{Provider, Tokens};
use patchbay::telemetry::metrics::{Metrics, Now, Traffic};
use patchbay::usage::Counts;

use house::{House, configure, runtime};
use scenario::host::Place;
use scenario::paint;

/// A streamed answer with everything that there is to be counted.
fn record(provider: &Provider) -> Record {
    let tokens = Tokens { prompt: 1234, completion: 567, ..Tokens::default() };
    let cost = provider.settings.pricing["m"].prices.cost(&tokens);
    assert!(cost.is_some());
    let took = Some(Duration::from_millis(300));
    Record {
        trace: None,
        visit: None,
        request_id: "b".into(),
        at: SystemTime::now(),
        route: Some("/v1/chat/completions"),
        key: None,
        status: Some(200),
        outcome: Outcome::Answered,
        attempts: vec![Attempt {
            provider: provider.settings.clone(),
            after: Duration::from_micros(20),
            took,
            failed: None,
            span: None,
        }],
        model: Some("m".into()),
        streamed: true,
        first_token: took,
        usage: Some(Usage { prompt_tokens: 1234, completion_tokens: 567, ..Usage::default() }),
        cost,
        expected: None,
        latency: Duration::from_secs(3),
    }
}

fn metrics(criterion: &mut Criterion) {
    let runtime = runtime();
    let mut place = Place::new().unwrap();
    place.install("mock", &paint::built("mock").unwrap()).unwrap();
    let entry = |n| {
        format!(
            r#""p{n}": {{"plugin": "mock", "config": {{"pricing": {{"m": {{"prompt": 1, "completion": 2}}}}}}}}"#
        )
    };
    configure(&place, &(0..12).map(entry).collect::<Vec<_>>().join(","));
    let house = House::start(&runtime, place);
    let metrics = Metrics::new(asking_paths(), &MetricsSettings::default());
    let records: Vec<Record> =
        house.registry.snapshot().by_priority().iter().map(|provider| record(provider)).collect();
    records.iter().for_each(|record| metrics.note(record));

    criterion.bench_function("metrics/a request", |bencher| {
        bencher.iter(|| metrics.note(black_box(&records[7])));
    });
    criterion.bench_function("metrics/a scrape, 12 providers", |bencher| {
        bencher.iter(|| {
            let (plugins, reloads) = house.manager.vitals();
            metrics.text(&Now {
                snapshot: &house.registry.snapshot(),
                plugins: &plugins,
                reloads,
                traffic: Traffic::default(),
                usage: &Counts::default(),
                uptime: Duration::from_secs(1),
            })
        });
    });
    drop(records);
    let House { manager, registry, .. } = house;
    assert_eq!(runtime.block_on(manager.unload(&registry, Duration::from_secs(10))), 0);
}

criterion_group!(benches, metrics);
criterion_main!(benches);
