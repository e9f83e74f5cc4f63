//! Bytes that have arrived and are not used up.

/// A buffer that is filled behind and used up in front.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    used: usize,
    /// Where what was used up last begins.
    last: usize,
}

impl Buffer {
    /// Adds bytes behind; what was used up is gone.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        // What moves is never more than what was used up since the last move, so all moves together cost no
        // more than reading the stream once.
        if self.used >= self.bytes.len() - self.used {
            self.bytes.drain(..self.used);
            self.used = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// What is not used up.
    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes[self.used..]
    }

    /// Uses up so many bytes, which nobody will look at again.
    pub(super) fn advance(&mut self, count: usize) {
        self.used += count;
    }

    /// Uses up so many bytes, to be looked at until the next push, and the end mark behind them.
    pub(super) fn use_up(&mut self, count: usize, mark: usize) {
        self.last = self.used;
        self.used += count + mark;
    }

    /// The bytes given to the last [`use_up`](Self::use_up).
    pub(super) fn last(&self, count: usize) -> &[u8] {
        &self.bytes[self.last..self.last + count]
    }
}
