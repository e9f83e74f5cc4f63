//! Tells who is waiting that something goes on.

use std::future::Future;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
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

/// How much of many things is done: a bar, only on a terminal.
pub(super) struct Progress(ProgressBar);

impl Progress {
    pub(super) fn of(things: usize, what: &str) -> Self {
        let bar = ProgressBar::with_draw_target(Some(things as u64), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{msg} [{bar:30}] {pos}/{len}") {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(what.to_owned());
        bar.tick();
        Self(bar)
    }

    /// One more is done.
    pub(super) fn step(&self) {
        self.0.inc(1);
    }

    /// Whether there is a bar to be seen.
    pub(super) fn is_shown(&self) -> bool {
        !self.0.is_hidden()
    }

    /// Writes something without the bar in its way.
    pub(super) fn above(&self, write: impl FnOnce()) {
        self.0.suspend(write);
    }
}

/// What is done needs no bar.
impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
