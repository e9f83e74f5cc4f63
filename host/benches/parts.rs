//! The parts of a request that every one of them pays for: reading the body and writing it anew for a provider, and
//! splitting a stream into its events; and what limits cost those who have any.
//!
//! What selection costs is the difference that the number of providers makes in `registry`.

#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use patchbay::gateway::ChatRequest;
use patchbay::limits::{Allowance, Budget, Limiter, Rates, Subject, Wish};
use patchbay::providers::{Cost, Members, SseSplitter};
use rust_decimal::Decimal;

const EVENTS: usize = 256;
const EVENT: &str = r#"data: {"id":"c1","object":"chat.completion.chunk","created":7,"model":"m-1","choices":[{"index":0,"delta":{"content":" token"},"finish_reason":null}]}"#;

fn conversation(messages: usize) -> Bytes {
    let message = format!(r#"{{"role":"user","content":"{}"}}"#, "a question of some length ".repeat(20));
    let messages = vec![message; messages].join(",");
    format!(r#"{{"model":"m","messages":[{messages}],"temperature":0.5,"stream":true,"user":"u"}}"#).into()
}

fn requests(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("request body");
    for messages in [2, 200] {
        let body = conversation(messages);
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(format!("read, {messages} messages"), |bencher| {
            bencher.iter(|| ChatRequest::parse_openai(black_box(&body)).unwrap());
        });
        let members = Members::parse(&body).unwrap();
        group.bench_function(format!("written with another model, {messages} messages"), |bencher| {
            bencher.iter(|| {
                let mut members = black_box(&members).clone();
                members.set_json("model", "another");
                members.write()
            });
        });
    }
    group.finish();
}

fn events(criterion: &mut Criterion) {
    let stream: Bytes = format!("{EVENT}\n\n").repeat(EVENTS).into();
    let mut group = criterion.benchmark_group("stream of events");
    group.throughput(Throughput::Elements(EVENTS as u64));
    for (name, size) in [("in one read", stream.len()), ("in reads of 100 bytes", 100)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let (mut splitter, mut count) = (SseSplitter::default(), 0);
                for begin in (0..stream.len()).step_by(size) {
                    splitter.push(stream.slice(begin..stream.len().min(begin + size)));
                    while let Some(event) = splitter.next_event().unwrap() {
                        black_box(event);
                        count += 1;
                    }
                }
                assert_eq!(count, EVENTS);
            });
        });
    }
    group.finish();
}

/// What limits cost a request, from its arrival to its end.
fn limits(criterion: &mut Criterion) {
    let (limiter, provider) = (Arc::new(Limiter::default()), Limiter::default().provider("p"));
    let dollars = |dollars: u64| Some(Decimal::from(dollars));
    let budget = Budget::of(dollars(1 << 40), dollars(1 << 40));
    let requests = Rates { requests_per_minute: Some(u32::MAX), ..Rates::default() };
    let rates = Rates { tokens_per_minute: Some(u32::MAX), budget, ..requests };
    let all = Allowance {
        rates,
        max_concurrent: Some(100),
        host_max_concurrent: Some(100),
        host_budget: budget,
        ..Allowance::default()
    };
    let price = Cost::from(Decimal::new(125, 5));
    let now = || Instant::now().into();
    let mut group = criterion.benchmark_group("limits");
    group.bench_function("requests alone", |bencher| {
        let allowance = Allowance { rates: requests, ..Allowance::default() };
        bencher.iter(|| limiter.admit(Subject::Key([1; 32]), black_box(&allowance), now()).is_ok());
    });
    let wish = Wish { tokens: 1005, ..Wish::default() };
    group.bench_function("all of them, of key, host and provider", |bencher| {
        bencher.iter(|| {
            let admitted = limiter.admit(Subject::Key([2; 32]), black_box(&all), now());
            let Some(payer) = admitted.as_ref().ok().and_then(|it| it.payer.as_ref()) else { return };
            let mut claims = payer.claim(wish, now()).unwrap();
            payer.reserve(&mut claims, price).unwrap();
            claims.asks_provider(provider.claim(&rates, Wish { cost: price, ..wish }, now()).ok());
            claims.settle(Some(4), Some(price));
            black_box(payer.standing(now()));
        });
    });
    group.finish();
}

criterion_group!(benches, requests, events, limits);
criterion_main!(benches);
