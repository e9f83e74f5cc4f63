//! What it costs to try a library out in a process of its own.
//!
//! `checked` is the whole pipeline on one file as `patchbay plugin check` runs it, `read` is its part before the
//! private copy and the probe. This program is the probe, too: the child is started from the program that asks.

#![allow(clippy::unwrap_used)]

#[path = "../../tests/scenario/mod.rs"]
#[allow(dead_code)]
mod scenario;

use std::hint::black_box;
use std::time::Duration;

use criterion::Criterion;
use patchbay::plugins::check::{check_file, read_manifest};
use patchbay::plugins::probe::run_if_asked;

use scenario::host::Place;
use scenario::paint;

fn main() {
    if let Some(code) = run_if_asked() {
        std::process::exit(code);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut place = Place::new().unwrap();
    place.install("chameleon", &paint::built("chameleon").unwrap()).unwrap();
    let library = place.path().join("plugins/custom/libchameleon.so");

    let mut criterion =
        Criterion::default().sample_size(50).measurement_time(Duration::from_secs(8)).configure_from_args();
    let mut group = criterion.benchmark_group("probe");
    group.bench_function("checked", |bencher| {
        bencher.iter(|| {
            let report = runtime.block_on(check_file(&library));
            assert!(report.passed(), "{report:?}");
        });
    });
    group.bench_function("read", |bencher| {
        bencher.iter(|| assert!(black_box(read_manifest(&library)).is_some()));
    });
    group.finish();
    criterion.final_summary();
}
