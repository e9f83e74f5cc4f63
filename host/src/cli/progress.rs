//! Tells who is waiting that something goes on.

use std::future::Future;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};

const AFTER: Duration = Duration::from_secs(1);

/// Does the work; what takes longer than a second has a line on stderr that counts the seconds, and goes away
/// with the work. Only on a terminal: a file would keep every one of them.
pub(super) async fn shown<T>(what: &str, work: impl Future<Output = T>) -> T {
    if !io::stderr().is_terminal() {
        return work.await;
    }
    let began = Instant::now();
    let mut ticks = tokio::time::interval_at(began + AFTER, AFTER);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut work = std::pin::pin!(work);
    let mut is_shown = false;
    loop {
        tokio::select! {
            biased;
            done = &mut work => {
                if is_shown {
                    rewrite("");
                }
                return done;
            }
            _ = ticks.tick() => {
                is_shown = true;
                rewrite(&format!("{what} … {} s", began.elapsed().as_secs()));
            }
        }
    }
}

/// Writes over the line, whatever stood in it.
fn rewrite(text: &str) {
    let mut stderr = io::stderr().lock();
    // Who has closed stderr does not wait for it.
    let _ = write!(stderr, "\r\u{1b}[K{text}").and_then(|()| stderr.flush());
}
