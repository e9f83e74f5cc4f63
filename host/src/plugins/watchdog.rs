//! Finds threads that are stuck in plugin code: blocked, spinning, or asleep where they should wait.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use tracing::error;

use super::generation::Generation;
use super::problem::{Problem, ProblemCode, Step};
use crate::events::Bus;

/// Looks at every generation a few times within the limit. Dropping it ends the looking.
#[derive(Debug)]
pub(super) struct Watchdog {
    watched: Arc<Mutex<Vec<Watched>>>,
    _task: tokio_util::task::AbortOnDropHandle<()>,
}

#[derive(Debug)]
struct Watched {
    generation: Weak<Generation>,
    /// The entry it was seen in, and since when.
    inside: Option<(u64, Instant)>,
}

impl Watchdog {
    /// Starts looking, on the runtime of `main`.
    pub(super) fn start(limit: Duration, main: &tokio::runtime::Handle, events: Bus) -> Self {
        let watched: Arc<Mutex<Vec<Watched>>> = Arc::default();
        let list = Arc::clone(&watched);
        let task = main.spawn(async move {
            let mut ticks = tokio::time::interval(limit / 5);
            loop {
                ticks.tick().await;
                look(&mut list.lock().unwrap_or_else(PoisonError::into_inner), limit, &events);
            }
        });
        Self { watched, _task: tokio_util::task::AbortOnDropHandle::new(task) }
    }

    /// Has this generation watched until it is gone.
    pub(super) fn watch(&self, generation: &Arc<Generation>) {
        let watched = Watched { generation: Arc::downgrade(generation), inside: None };
        self.watched.lock().unwrap_or_else(PoisonError::into_inner).push(watched);
    }
}

fn look(watched: &mut Vec<Watched>, limit: Duration, events: &Bus) {
    watched.retain_mut(|watched| {
        let Some(generation) = watched.generation.upgrade() else { return false };
        let pulse = &generation.shared.pulse;
        let Some(entry) = pulse.inside() else {
            watched.inside = None;
            return true;
        };
        match watched.inside {
            Some((seen, since)) if seen == entry => {
                if since.elapsed() < limit {
                    return true;
                }
                give_up(&generation, since.elapsed(), events);
                false
            }
            _ => {
                watched.inside = Some((entry, Instant::now()));
                true
            }
        }
    });
}

fn give_up(generation: &Generation, stuck_for: Duration, events: &Bus) {
    let (plugin, number) = (&*generation.plugin, generation.record.generation);
    error!(plugin, generation = number, ?stuck_for, "plugin thread is stuck; plugin quarantined");
    let problem = Problem {
        phase: Step::Call.phase(),
        step: Step::Call,
        code: ProblemCode::ThreadStuck,
        message: format!(
            "its thread has not come back from plugin code for {:.1} s",
            stuck_for.as_secs_f64()
        ),
        hint: format!(
            "plugin code must not block or spin: wait through the host's services; then rebuild it, or load it \
             afresh with POST /api/plugins/{plugin}/reload"
        ),
    };
    if generation.shared.pulse.quarantine(problem.clone()) {
        events.tell(problem.quarantined(plugin));
    }
    generation.shared.pulse.give_up();
}
