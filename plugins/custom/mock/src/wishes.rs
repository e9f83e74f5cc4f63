//! What a request may tell the mock to do: words such as `mock:slow=200` in the user's last message, or the same as
//! a member of the request, `"mock": {"slow": 200}`.

use std::time::Duration;

use patchbay_plugin_api::{ChatRequest, ErrorKind, ProviderError, Result};
use serde::Deserialize;
use serde_json::{Map, Value};

/// What is wished for. Times are in milliseconds.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Wishes {
    /// Fail, with this kind of error; `mock:fail` alone is one of the provider.
    fail: Option<ErrorKind>,
    /// Never answer, but leave the thread to others.
    hang: bool,
    /// Never answer, and keep the thread busy.
    spin: bool,
    /// Keep the thread for so long: what no plugin should do.
    block: Option<u64>,
    /// Panic, at once or in the middle of the answer.
    panic: bool,
    panic_midway: bool,
    /// Break off in the middle of the answer.
    cut: bool,
    /// Wait so long before each chunk.
    pub(crate) slow: Option<u64>,
    /// Answer with so many words.
    pub(crate) tokens: Option<u16>,
}

/// Reads them from a request. A misspelt one is an error, or a test would pass for the wrong reason.
pub(crate) fn read(request: &ChatRequest) -> Result<Wishes> {
    let misread = |error| ProviderError::invalid_input(format!("the mock does not understand: {error}"));
    let member = request.extra.get("mock").cloned().unwrap_or_else(|| Map::new().into());
    let mut wishes: Map<String, Value> = serde_json::from_value(member).map_err(misread)?;
    for wish in request.last_user_text().split_whitespace().filter_map(|word| word.strip_prefix("mock:")) {
        let (name, value) = wish.split_once('=').unwrap_or((wish, "true"));
        wishes.insert(name.into(), serde_json::from_str(value).unwrap_or_else(|_| value.into()));
    }
    if wishes.get("fail") == Some(&Value::Bool(true)) {
        wishes.insert("fail".into(), "provider".into());
    }
    serde_json::from_value(wishes.into()).map_err(misread)
}

/// A text without the wishes in it.
pub(crate) fn without(text: &str) -> String {
    text.split_whitespace().filter(|word| !word.starts_with("mock:")).collect::<Vec<_>>().join(" ")
}

impl Wishes {
    pub(crate) async fn at_the_beginning(self) -> Result<Self> {
        std::thread::sleep(Duration::from_millis(self.block.unwrap_or_default()));
        while std::hint::black_box(self.spin) {}
        if self.hang {
            std::future::pending::<()>().await;
        }
        assert!(!self.panic, "the mock was told to panic");
        let failure = |kind| ProviderError::new(kind, format!("the mock was told to fail: {kind}"));
        self.fail.map_or(Ok(self), |kind| Err(failure(kind)))
    }

    pub(crate) fn midway(&self) -> Result<()> {
        assert!(!self.panic_midway, "the mock was told to panic midway");
        let cut = || ProviderError::new(ErrorKind::BrokenStream, "the mock was told to break off");
        if self.cut { Err(cut()) } else { Ok(()) }
    }
}
