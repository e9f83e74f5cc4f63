//! What the script answers.

use crate::{ErrorKind, ProviderError};

/// The answer to one request.
#[derive(Debug, Clone)]
pub struct Reply {
    pub(super) head: Head,
    pub(super) headers: Vec<(String, String)>,
    pub(super) pieces: Vec<Vec<u8>>,
    pub(super) end: End,
}

#[derive(Debug, Clone)]
pub(super) enum Head {
    Status(u16),
    Failed(ProviderError),
    Silent,
}

#[derive(Debug, Clone)]
pub(super) enum End {
    Complete,
    Failed(ProviderError),
    Silent,
}

impl Reply {
    /// An answer of this status with an empty body.
    pub fn new(status: u16) -> Self {
        Self { head: Head::Status(status), headers: Vec::new(), pieces: Vec::new(), end: End::Complete }
    }

    /// A successful answer in JSON.
    pub fn json(body: impl Into<Vec<u8>>) -> Self {
        Self::new(200).header("content-type", "application/json").body(body)
    }

    /// A successful answer in server-sent events.
    pub fn sse(body: impl Into<Vec<u8>>) -> Self {
        Self::new(200).header("content-type", "text/event-stream").body(body)
    }

    /// No answer: the connection fails.
    pub fn unreachable() -> Self {
        let error = ProviderError::new(ErrorKind::Connection, "the provider could not be reached");
        Self { head: Head::Failed(error), ..Self::new(0) }
    }

    /// No answer, ever.
    pub fn silence() -> Self {
        Self { head: Head::Silent, ..Self::new(0) }
    }

    /// Adds a header; its name in lower case, as the host gives it.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The body, in one piece.
    #[must_use]
    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        self.pieces([body.into()])
    }

    /// The body, in these pieces.
    #[must_use]
    pub fn pieces(mut self, pieces: impl IntoIterator<Item = Vec<u8>>) -> Self {
        self.pieces = pieces.into_iter().collect();
        self
    }

    /// The body as it is, but byte by byte.
    #[must_use]
    pub fn byte_by_byte(self) -> Self {
        let bytes = self.pieces.concat();
        self.pieces(bytes.into_iter().map(|byte| vec![byte]))
    }

    /// After the body the connection breaks.
    #[must_use]
    pub fn then_breaks(mut self) -> Self {
        let error = ProviderError::new(ErrorKind::BrokenStream, "the connection to the provider broke");
        self.end = End::Failed(error);
        self
    }

    /// After the body nothing comes, not even its end.
    #[must_use]
    pub fn then_hangs(mut self) -> Self {
        self.end = End::Silent;
        self
    }
}

/// A body in two pieces, cut at every place there is.
pub fn every_cut(body: &[u8]) -> impl Iterator<Item = [Vec<u8>; 2]> {
    (0..=body.len()).map(|at| [body[..at].to_vec(), body[at..].to_vec()])
}
