//! What a request costs: one call through the ABI, one streamed chunk, and one served by a plan, which never
//! meets the plugin, beside the same request straight to its upstream.

#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod house;
#[path = "../../tests/scenario/mod.rs"]
#[allow(dead_code)]
mod scenario;

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use patchbay::plugins::{Instance, Operation};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use house::{House, configure, runtime};
use scenario::host::{Place, chat};
use scenario::http::Connection;
use scenario::paint;

const CHUNKS: u64 = 256;
const ANSWER: &str = r#"{"id":"b","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"pong"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#;

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

/// Answers everything at once and the same.
fn upstream(runtime: &Runtime) -> SocketAddr {
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(answer(socket));
        }
    });
    address
}

async fn answer(socket: TcpStream) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        ANSWER.len()
    );
    let response = head + ANSWER;
    let mut socket = BufReader::new(socket);
    let mut line = String::new();
    loop {
        let mut length = 0;
        loop {
            line.clear();
            if socket.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            if line == "\r\n" {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        let mut body = vec![0; length];
        socket.read_exact(&mut body).await?;
        socket.write_all(response.as_bytes()).await?;
    }
}

criterion_group!(benches, through_the_abi, by_plan);
criterion_main!(benches);
