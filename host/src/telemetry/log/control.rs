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
    /// Each part may have a time of its own, whatever is set of the other.
    level_ends: Option<Ending<String>>,
    access_log_ends: Option<Ending<bool>>,
    /// How often it was changed.
    changes: u64,
}

/// The end of a part that does not stay.
#[derive(Clone, Debug)]
struct Ending<T> {
    /// The change that set it.
    change: u64,
    at: SystemTime,
    /// What then comes back.
    then: T,
}

impl<T> Ending<T> {
    /// Sets a part, for some time or to stay. What came before the first of several changes that do not stay comes back.
    fn set(ends: &mut Option<Self>, part: &mut T, value: T, until: Option<(u64, SystemTime)>) {
        let before = std::mem::replace(part, value);
        let then = ends.take().map_or(before, |ending| ending.then);
        *ends = until.map(|(change, at)| Self { change, at, then });
    }

    /// What comes back when the first part to end does, if this one ends then.
    fn then_at(ends: Option<&Self>, first: SystemTime) -> Option<&T> {
        ends.filter(|ending| ending.at <= first).map(|ending| &ending.then)
    }
}

impl State {
    /// When the first part ends that does not stay, and how everything is then.
    fn temporary(&self) -> Option<Temporary> {
        let level = self.level_ends.as_ref();
        let access_log = self.access_log_ends.as_ref();
        let until = level.map(|it| it.at).into_iter().chain(access_log.map(|it| it.at)).min()?;
        let then = Setting {
            level: Ending::then_at(level, until).unwrap_or(&self.now.level).clone(),
            access_log: *Ending::then_at(access_log, until).unwrap_or(&self.now.access_log),
        };
        Some(Temporary { until, then })
    }
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
        let state = self.state();
        let State { configured, now, .. } = &*state;
        InForce { configured: configured.clone(), now: now.clone(), temporary: state.temporary() }
    }

    /// Sets what is some, and with a time only for so long. What is none stays as it is, and for as long. What came
    /// before the first of several such changes comes back.
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
            let state = &mut *state;
            state.changes += 1;
            let until = within.map(|within| (state.changes, SystemTime::now() + within));
            if let Some(level) = level {
                Ending::set(&mut state.level_ends, &mut state.now.level, level.trim().to_owned(), until);
            }
            if let Some(on) = access_log {
                Ending::set(&mut state.access_log_ends, &mut state.now.access_log, on, until);
            }
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

    /// Ends what a change has set for some time, unless that was set again.
    fn end(&self, change: u64) {
        let mut state = self.state();
        let state = &mut *state;
        let is_over = |of: u64| of == change;
        let level = state.level_ends.take_if(|ending| is_over(ending.change));
        let access_log = state.access_log_ends.take_if(|ending| is_over(ending.change));
        if level.is_none() && access_log.is_none() {
            return;
        }
        // It was in force before.
        let filter = level.as_ref().and_then(|ending| levels::loose(&ending.then).ok());
        let Setting { level: level_before, access_log: access_log_before } = state.now.clone();
        state.now = Setting {
            level: level.map_or(level_before, |ending| ending.then),
            access_log: access_log.map_or(access_log_before, |ending| ending.then),
        };
        self.follow(&state.now, filter);
        info!(filter = state.now.level, access_log = state.now.access_log, "log level is as it was before");
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
    async fn what_is_set_of_one_part_leaves_the_other_its_time() {
        let (control, applied) = control();
        let hour = Duration::from_secs(3600);
        control.change(Some("debug"), None, Some(hour)).unwrap();
        // One part stays, or has a longer time; the other still ends when it was to.
        let InForce { temporary, .. } = control.change(None, Some(true), None).unwrap();
        let ends = temporary.unwrap();
        assert_eq!(ends.then, Setting { level: "info".to_owned(), access_log: true });
        control.change(None, Some(false), Some(hour * 2)).unwrap();
        assert_eq!(control.in_force().temporary.unwrap().until, ends.until);
        control.end(1);
        let InForce { now, temporary, .. } = control.in_force();
        assert_eq!((now.level.as_str(), now.access_log), ("info", false));
        assert_eq!(temporary.unwrap().then, Setting { level: "info".to_owned(), access_log: true });
        control.end(3);
        assert!(control.has_access_log() && control.in_force().temporary.is_none());
        // The filter is only put in force when it changes.
        assert_eq!(applied.lock().unwrap().len(), 2);
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
