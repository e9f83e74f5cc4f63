//! A test that cannot run here says so; where nothing may be skipped, it fails.

/// Says what is missing and how to get it. Return from the test after it.
///
/// # Panics
///
/// When `PATCHBAY_TESTS_MUST_NOT_SKIP` is set.
pub(crate) fn skip(what: &str, how_to_get: &str) {
    let line = format!("skipped: {what}: {how_to_get}");
    assert!(std::env::var_os("PATCHBAY_TESTS_MUST_NOT_SKIP").is_none(), "{line}");
    // Not by `eprintln!`, which the test runner keeps for itself when a test passes.
    let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("{line}\n").as_bytes());
}
