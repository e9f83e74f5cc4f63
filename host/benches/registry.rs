//! Finding a provider among 1, 100 and 1,000: in the snapshot, and as part of a whole request.
//!
//! The providers are real ones, all made from the mock.

#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod house;
#[path = "../../tests/scenario/mod.rs"]
#[allow(dead_code)]
mod scenario;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use patchbay::gateway::{Asker, ChatRequest, Gateway};

use house::{House, configure, runtime};
use scenario::host::Place;
use scenario::paint;

fn lookup(criterion: &mut Criterion) {
    let runtime = runtime();
    let mock = paint::built("mock").unwrap();
    for count in [1, 100, 1000] {
        let mut place = Place::new().unwrap();
        place.install("mock", &mock).unwrap();
        // The priority makes it one that is offered unasked; each has a model of its own.
        let entry = |n| {
            format!(
                r#""p{n}": {{"plugin": "mock", "priority": 1, "config": {{"model": "m{n}", "models": ["m{n}"]}}}}"#
            )
        };
        configure(&place, &(0..count).map(entry).collect::<Vec<_>>().join(","));
        let house = House::start(&runtime, place);
        let last = format!("p{}", count - 1);
        criterion.bench_function(&format!("registry/by name/{count}"), |bencher| {
            bencher.iter(|| Arc::clone(house.registry.snapshot().get(black_box(&last)).unwrap()));
        });

        let gateway = Gateway::new(Arc::clone(&house.registry), house.client.clone());
        let asker = Asker::from("b");
        for (name, named) in [
            ("request/provider named", format!(r#","provider":"{last}""#)),
            ("request/model named", format!(r#","model":"m{}""#, count - 1)),
            ("request/nothing named", String::new()),
        ] {
            let body = format!(r#"{{"messages":[{{"role":"user","content":"ping"}}]{named}}}"#);
            let request = ChatRequest::parse(&Bytes::from(body)).unwrap();
            criterion.bench_function(&format!("{name}/{count}"), |bencher| {
                bencher
                    .to_async(&runtime)
                    .iter(async || black_box(gateway.complete(&request, &asker).await.unwrap()));
            });
        }
        drop(gateway);
        let House { manager, registry, .. } = house;
        assert_eq!(runtime.block_on(manager.unload(&registry, Duration::from_secs(10))), 0);
    }
}

criterion_group!(benches, lookup);
criterion_main!(benches);
