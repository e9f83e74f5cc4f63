//! Many slow streams at one time. With more of them and figures: `cargo bench -p patchbay --bench streams`.

use crate::scenario::paint;
use crate::scenario::streams::{Extent, run};

/// An answer of 256 KiB each.
const EXTENT: Extent = Extent { streams: 500, rounds: 32, bytes: 8192 };

/// What a stream may take up in the host: twice what it does in a debug build, and half of its answer.
const MOST_KIB_PER_STREAM: u64 = 128;

#[test]
fn many_slow_streams_all_complete_and_are_not_kept() {
    let plugin = paint::built("openai_compatible").unwrap();
    let outcome = run(env!("CARGO_BIN_EXE_patchbay").as_ref(), &plugin, EXTENT).unwrap();
    let streams = EXTENT.streams as u64;
    let descriptors = outcome.open.descriptors - outcome.before.descriptors;
    assert!(descriptors >= 2 * EXTENT.streams - 2, "all were open at one time: {outcome:?}");
    let grown = outcome.peak_kib - outcome.before.rss_kib;
    assert!(grown < streams * MOST_KIB_PER_STREAM, "{} KiB for each: {outcome:?}", grown / streams);
}
