//! Starts hosts, asks them things, and checks what a single test forgets: that every answer has its id and the
//! secure headers, that every error has the documented shape, that no key is in any answer or log line, and that
//! the host ends as it should.
//!
//! ```text
//! let host = Host::start(HostOptions::default().custom(&libraries::mock()).provider("mock", json!({}))).await;
//! let answer = host.ask("mock", "hello").await;
//! host.stop().await;
//! ```

// What one test needs another one may not.
#![allow(dead_code, unused_imports)]

// What was answered, and what every answer must have.
mod answer;
// What is documented.
mod documented;
// Libraries in C.
mod compile;
// A library that waits.
mod gate;
// A running host.
mod host;
// What the host's process is and says.
mod process;
// An upstream that is killed and comes back.
mod mortal;
// The built libraries, and variants of them.
pub mod libraries;
// An upstream that misbehaves as it is told to.
pub mod scripted;
// An upstream for providers with a plan.
pub mod upstream;

use std::time::{Duration, Instant};

pub use answer::{Answer, Streaming};
pub use compile::compile;
pub use gate::{Gate, make_pipe};
pub use host::{Host, HostOptions, client};
pub use libraries::Library;
pub use mortal::Mortal;
pub use scripted::Scripted;
pub use upstream::Upstream;

/// Stands as `api_key` in the configuration of every provider, and must never be seen anywhere.
pub const SECRET: &str = "sk-test-DO-NOT-SHOW-8f3a1c5b7d9e2f40";

/// Long beyond anything that a healthy host needs: reaching it is a failure, never an outcome.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Looks until there is something to see. The only place where tests wait for what cannot be awaited.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
