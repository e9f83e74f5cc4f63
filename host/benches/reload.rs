//! From the request for a reload to the answer that the new version serves, step by step.
//!
//! The library changes before every measurement, outside of it. `dry run` goes as far as the probe, `unchanged` is
//! what is left when nothing was changed; the same over HTTP, against the real program, is `over HTTP`.

#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod house;
#[path = "../../tests/scenario/mod.rs"]
#[allow(dead_code)]
mod scenario;

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};

use house::{House, configure, runtime};
use scenario::host::Place;
use scenario::http::Connection;
use scenario::paint;

/// Two to alternate between, and a third that serves meanwhile when nothing is to be loaded.
fn variants() -> [Vec<u8>; 3] {
    let chameleon = paint::built("chameleon").unwrap();
    let crimson = paint::of_version(&paint::coloured(&chameleon, "crimson"), 2);
    [paint::coloured(&chameleon, "green"), crimson, paint::coloured(&chameleon, "blue")]
}

fn place(library: &[u8]) -> Place {
    let mut place = Place::new().unwrap();
    place.install("chameleon", library).unwrap();
    configure(&place, r#""chameleon": {}"#);
    place
}

fn in_process(criterion: &mut Criterion) {
    let (runtime, variants) = (runtime(), variants());
    let mut group = criterion.benchmark_group("reload");
    for (name, changes, dry_run) in
        [("published", true, false), ("dry run", true, true), ("unchanged", false, false)]
    {
        let mut house = House::start(&runtime, place(&variants[2]));
        let mut round = 0;
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|iterations| {
                let mut sum = Duration::ZERO;
                for _ in 0..iterations {
                    round += 1;
                    if changes {
                        house.place.install("chameleon", &variants[round % 2]).unwrap();
                    }
                    let asked = Instant::now();
                    black_box(runtime.block_on(house.reload(dry_run)));
                    sum += asked.elapsed();
                }
                sum
            });
        });
        let House { manager, registry, .. } = house;
        let left = runtime.block_on(manager.unload(&registry, Duration::from_secs(10)));
        assert_eq!(left, 0, "generations are still mapped");
    }
    group.finish();
}

fn over_http(criterion: &mut Criterion) {
    let variants = variants();
    let mut host = place(&variants[2]).serve(env!("CARGO_BIN_EXE_patchbay").as_ref()).unwrap();
    let mut connection = Connection::open(host.address).unwrap();
    let mut round = 0;
    criterion.bench_function("reload/over HTTP", |bencher| {
        bencher.iter_custom(|iterations| {
            let mut sum = Duration::ZERO;
            for _ in 0..iterations {
                round += 1;
                host.place.install("chameleon", &variants[round % 2]).unwrap();
                let asked = Instant::now();
                let (status, report) = connection.ask("POST", "/api/providers/reload", "").unwrap();
                sum += asked.elapsed();
                assert!(status == 200 && report.contains(r#""reloaded":[{"id":"chameleon""#), "{report}");
            }
            sum
        });
    });
    assert!(host.stop().unwrap().success());
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(50).measurement_time(Duration::from_secs(4));
    targets = in_process, over_http
}
criterion_main!(benches);
