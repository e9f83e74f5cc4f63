//! How much is logged, and whether requests are, while the host runs.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tracing::info;
use tracing_subscriber::filter::EnvFilter;

use super::levels::{self, BadLevel};

/// Puts a filter in force.
pub(super) type Apply = Box<dyn Fn(EnvFilter) + Send + Sync>;

/// See the module. Clones share one. By default it stands for no log at all.
#[derive(Clone, Default)]
pub struct LogControl(Arc<Shared>);

#[derive(Default)]
struct Shared {
    apply: Option<Apply>,
    access_log: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    configured: Setting,
    now: Setting,
    temporary: Option<Temporary>,
    /// How often it was changed.
    changes: u64,
}

/// What can be set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setting {
    /// How much is logged, in the words of `LOG_LEVEL`.
    pub level: String,
    /// Whether each request has a line.
    pub access_log: bool,
}

/// A setting that does not stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Temporary {
    /// When it ends.
    pub until: SystemTime,
    /// What then comes back.
    pub then: Setting,
}

/// What is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// What the host was started with.
    pub configured: Setting,
    /// What holds now.
    pub now: Setting,
    /// If that does not stay.
    pub temporary: Option<Temporary>,
}

impl fmt::Debug for LogControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LogControl").field(&*self.state()).finish()
    }
}

impl LogControl {
    pub(super) fn new(level: &str, apply: Apply) -> Self {
        let setting = Setting { level: level.to_owned(), access_log: false };
        let state = State { configured: setting.clone(), now: setting, ..State::default() };
        Self(Arc::new(Shared {
            apply: Some(apply),
            access_log: AtomicBool::default(),
            state: Mutex::new(state),
        }))
    }

    /// Whether each request has a line.
    pub fn has_access_log(&self) -> bool {
        self.0.access_log.load(Ordering::Relaxed)
    }

    /// What the configuration says of that, once it is read.
    pub fn configure_access_log(&self, on: bool) {
        let mut state = self.state();
        (state.configured.access_log, state.now.access_log) = (on, on);
        self.0.access_log.store(on, Ordering::Relaxed);
    }

    /// What is set.
    pub fn in_force(&self) -> InForce {
        let State { configured, now, temporary, .. } = &*self.state();
        InForce { configured: configured.clone(), now: now.clone(), temporary: temporary.clone() }
    }

    /// Sets what is some, and with a time only for so long. What came before the first of several such changes comes
    /// back.
    ///
    /// # Errors
    ///
    /// When the level says nothing that can be followed.
    pub fn change(
        &self,
        level: Option<&str>,
        access_log: Option<bool>,
        within: Option<Duration>,
    ) -> Result<InForce, BadLevel> {
        let filter = level.map(levels::filter).transpose()?;
        {
            let mut state = self.state();
            let before = state.now.clone();
            if let Some(level) = level {
                state.now.level = level.trim().to_owned();
            }
            state.now.access_log = access_log.unwrap_or(before.access_log);
            let then = state.temporary.take().map_or(before, |temporary| temporary.then);
            state.temporary = within.map(|within| Temporary { until: SystemTime::now() + within, then });
            state.changes += 1;
            self.follow(&state.now, filter);
            if let Some(within) = within {
                let (control, change) = (self.clone(), state.changes);
                tokio::spawn(async move {
                    tokio::time::sleep(within).await;
                    control.end(change);
                });
            }
        }
        Ok(self.in_force())
    }

    /// Ends a change that was for some time, unless there was another one.
    fn end(&self, change: u64) {
        let mut state = self.state();
        if state.changes != change {
            return;
        }
        let Some(Temporary { then, .. }) = state.temporary.take() else { return };
        // It was in force before.
        self.follow(&then, levels::loose(&then.level).ok());
        info!(filter = then.level, access_log = then.access_log, "log level is as it was before");
        state.now = then;
    }

    fn follow(&self, setting: &Setting, filter: Option<EnvFilter>) {
        self.0.access_log.store(setting.access_log, Ordering::Relaxed);
        if let (Some(apply), Some(filter)) = (&self.0.apply, filter) {
            apply(filter);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn control() -> (LogControl, Arc<Mutex<Vec<String>>>) {
        let applied = Arc::<Mutex<Vec<String>>>::default();
        let seen = Arc::clone(&applied);
        let apply = Box::new(move |filter: EnvFilter| seen.lock().unwrap().push(filter.to_string()));
        (LogControl::new("info", apply), applied)
    }

    #[tokio::test]
    async fn what_was_set_for_some_time_goes_and_what_came_before_it_comes_back() {
        let (control, applied) = control();
        control.change(Some("warn"), None, None).unwrap();
        control.change(Some("debug"), None, Some(Duration::from_secs(3600))).unwrap();
        let shorter = control.change(Some("trace"), Some(true), Some(Duration::from_millis(5))).unwrap();
        assert_eq!(shorter.temporary.unwrap().then.level, "warn");
        assert!(testing::eventually(|| control.in_force().temporary.is_none()).await);
        let InForce { configured, now, temporary } = control.in_force();
        assert_eq!((configured.level.as_str(), now.level.as_str(), temporary), ("info", "warn", None));
        assert!(!control.has_access_log());
        let applied = applied.lock().unwrap().iter().map(|it| it.contains("warn")).collect::<Vec<_>>();
        assert_eq!(applied, [true, false, false, true]);
    }

    #[tokio::test]
    async fn what_is_set_to_stay_stays() {
        let (control, _) = control();
        control.change(Some("debug"), None, Some(Duration::from_secs(3600))).unwrap();
        control.change(Some("error"), None, None).unwrap();
        // As the first change's time is over.
        control.end(1);
        let in_force = control.in_force();
        assert_eq!((in_force.now.level.as_str(), in_force.temporary), ("error", None));
    }

    #[tokio::test]
    async fn what_cannot_be_followed_changes_nothing() {
        let (control, applied) = control();
        let before = control.in_force();
        assert!(control.change(Some("info,loud"), Some(true), None).is_err());
        assert_eq!(control.in_force(), before);
        assert!(applied.lock().unwrap().is_empty() && !control.has_access_log());
    }
}
