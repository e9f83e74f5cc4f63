//! What tells a process from every other, also from earlier ones of the same host: what it makes ids with.

use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// This process' number, which no other has.
pub(crate) fn process() -> u64 {
    static PROCESS: LazyLock<u64> = LazyLock::new(|| {
        // Without random numbers the time of the start is as good as its own.
        let started = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
        getrandom::u64().unwrap_or_else(|_| started())
    });
    *PROCESS
}

/// A request's id, counted in this process: unique without asking the system each time.
pub(crate) fn new_request_id() -> Arc<str> {
    static PREFIX: LazyLock<String> = LazyLock::new(|| request_prefix(process()));
    static COUNT: AtomicU64 = AtomicU64::new(1);
    let mut id = String::with_capacity(40);
    id.push_str(&PREFIX);
    push_hex(&mut id, COUNT.fetch_add(1, Ordering::Relaxed));
    id.into()
}

/// At least six digits. Every request comes by: the formatting of the standard library costs ten times as much.
fn push_hex(text: &mut String, number: u64) {
    let digits = (u64::BITS - number.leading_zeros()).div_ceil(4).max(6);
    for place in (0..digits).rev() {
        let digit = (number >> (4 * place)) as usize & 0xf;
        text.push(char::from(b"0123456789abcdef"[digit]));
    }
}

/// What the ids of all requests begin with that a process has named.
pub(crate) fn request_prefix(process: u64) -> String {
    format!("req-{process:016x}-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_requests_have_the_same_id_and_each_tells_its_process() {
        let (one, two) = (new_request_id(), new_request_id());
        assert_ne!(one, two);
        let prefix = request_prefix(process());
        assert!([one, two].iter().all(|id| id.starts_with(&prefix) && id.len() == prefix.len() + 6));
    }

    #[test]
    fn numbers_are_written_as_they_always_were() {
        for number in [0, 1, 0xf, 0x10, 0xff_ffff, 0x100_0000, 0x89ab_cdef, u64::MAX] {
            let mut text = String::new();
            push_hex(&mut text, number);
            assert_eq!(text, format!("{number:06x}"));
        }
    }
}
