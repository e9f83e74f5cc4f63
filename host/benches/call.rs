//! What a request costs: one call through the ABI, one streamed chunk, and one served by a plan, which never
//! meets the plugin, beside the same request straight to its upstream.

#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod house;
#[path = "../../tests/scenario/mod.rs"]
#[allow(dead_code)]
mod scenario;

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use patchbay::plugins::{Instance, Operation};

use house::{House, configure, runtime, upstream};
use scenario::host::{Place, chat};
use scenario::http::Connection;
use scenario::paint;

const CHUNKS: u64 = 256;

fn question(text: &str) -> Bytes {
    chat("", text).replacen(r#""provider":"""#, r#""model":"m""#, 1).into()
}

fn through_the_abi(criterion: &mut Criterion) {
    let runtime = runtime();
    let mut place = Place::new().unwrap();
    place.install("mock", &paint::built("mock").unwrap()).unwrap();
    place.install("chameleon", &paint::built("chameleon").unwrap()).unwrap();
    configure(&place, r#""mock": {}, "chameleon": {}"#);
    let house = House::start(&runtime, place);

    let mock = house.provider("mock");
    let ping = question("ping");
    criterion.bench_function("call/answer", |bencher| {
        bencher.to_async(&runtime).iter(async || {
            black_box(mock.instance.ask(Operation::Complete, ping.clone(), "b".into()).await.unwrap())
        });
    });

    let mut group = criterion.benchmark_group("stream");
    group.throughput(Throughput::Elements(CHUNKS));
    // The last two chunks are the reason why it ended, and the usage.
    let ready = question(&format!("mock:tokens={}", CHUNKS - 2));
    group.bench_function("chunks that are ready together", |bencher| {
        bencher.to_async(&runtime).iter(|| read(&mock.instance, &ready, CHUNKS));
    });
    let chameleon = house.provider("chameleon");
    // Its last chunk is the reason why it ended.
    let single = question(&format!("pause=0 chunks={}", CHUNKS - 1));
    group.bench_function("chunks one by one", |bencher| {
        bencher.to_async(&runtime).iter(|| read(&chameleon.instance, &single, CHUNKS));
    });
    group.finish();
    drop((mock, chameleon));
    let House { manager, registry, .. } = house;
    assert_eq!(runtime.block_on(manager.unload(&registry, Duration::from_secs(10))), 0);
}

async fn read(instance: &Instance, question: &Bytes, expected: u64) {
    let mut chunks = instance.stream(question.clone(), "b".into()).await.unwrap();
    let mut count = 0;
    while let Some(batch) = chunks.next().await {
        count += batch.unwrap().chunks.len() as u64;
    }
    assert_eq!(count, expected);
}

fn by_plan(criterion: &mut Criterion) {
    let runtime = runtime();
    let upstream = upstream(&runtime);
    let mut place = Place::new().unwrap();
    place.install("openai_compatible", &paint::built("openai_compatible").unwrap()).unwrap();
    configure(
        &place,
        &format!(
            r#""up": {{"plugin": "openai-compatible", "config": {{"base_url": "http://{upstream}/v1", "model": "m"}}}}"#
        ),
    );
    let host = place.serve(env!("CARGO_BIN_EXE_patchbay").as_ref()).unwrap();
    let body = chat("up", "ping");
    let mut group = criterion.benchmark_group("plan");
    for (name, address, path) in [
        ("straight to upstream", upstream, "/v1/chat/completions"),
        ("through the gateway", host.address, "/api/chat/complete"),
    ] {
        let mut connection = Connection::open(address).unwrap();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let (status, answer) = connection.ask("POST", path, &body).unwrap();
                assert!(status == 200 && answer.contains("pong"), "{answer}");
            });
        });
    }
    group.finish();
    assert!(host.stop().unwrap().success());
}

criterion_group!(benches, through_the_abi, by_plan);
criterion_main!(benches);
