//! One load of one plugin: a library, its thread, and the instances made from it.
//!
//! Whoever uses it holds its `Arc`. When the last one is dropped, [`close`](super::close) takes over.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use patchbay_plugin_api::{ErrorKind, Plan, ProviderError, Result};
use semver::Version;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::call_keys::CallKeys;
use super::close::{self, Ending};
use super::fetch::Fetch;
use super::instance::Instance;
use super::job::{Job, Order};
use super::library::LibraryFault;
use super::pulse::OnPanic;
use super::record::Record;
use super::runner::{self, Shared, Start};
use super::threads::Family;

/// How many jobs may wait for a generation's thread; callers beyond it wait for a place.
const JOBS: usize = 1024;

/// What a generation is made from.
pub(super) struct Blueprint {
    pub(super) plugin: Arc<str>,
    pub(super) number: u64,
    pub(super) version: Version,
    pub(super) sha256: String,
    /// The private copy: the file that is mapped.
    pub(super) copy: PathBuf,
    /// Whose threads are the library's.
    pub(super) family: Family,
    /// Why it must never be unmapped, if so.
    pub(super) keep: Option<String>,
    /// Removes the copy when it is closed; the probe's is not its own.
    pub(super) owns_copy: bool,
    pub(super) main: Handle,
    pub(super) on_panic: OnPanic,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Generation {
    pub(super) plugin: Arc<str>,
    pub(super) record: Arc<Record>,
    pub(super) shared: Arc<Shared>,
    jobs: mpsc::Sender<Job>,
    instances: AtomicU64,
    ending: Mutex<Option<Ending>>,
}

/// Why a library that passed the probe could not be started.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartFault {
    /// Opening it failed.
    #[error("the library could not be opened")]
    Library(#[from] LibraryFault),
    /// Opening it took too long.
    #[error("opening the library did not return within {0:?}")]
    Slow(Duration),
    /// No thread could be started for it.
    #[error("no thread could be started for it")]
    Thread(#[source] std::io::Error),
    /// Its thread ended before it had answered.
    #[error("its thread ended while it was opened")]
    Ended,
}

impl Generation {
    /// Opens the library on a thread of its own. Answers with the manifest as the library's code describes it.
    pub(super) async fn start(
        blueprint: Blueprint,
        patience: Duration,
    ) -> std::result::Result<(Arc<Self>, String), StartFault> {
        let shared = Arc::new(Shared::default());
        let (jobs, queue) = mpsc::channel(JOBS);
        let record = Arc::new(Record::new(
            blueprint.number,
            blueprint.version.to_string(),
            blueprint.sha256,
            Arc::clone(&shared.pulse),
            jobs.downgrade(),
        ));
        let (opened, manifest) = oneshot::channel();
        let start = Start {
            path: blueprint.copy.clone(),
            family: blueprint.family,
            plugin: Arc::clone(&blueprint.plugin),
            generation: blueprint.number,
            jobs: queue,
            shared: Arc::clone(&shared),
            main: blueprint.main,
            on_panic: blueprint.on_panic,
            opened,
        };
        let thread = std::thread::Builder::new()
            .name(thread_name(&blueprint.plugin, blueprint.number))
            .spawn(move || runner::run(start));
        let copy = blueprint.owns_copy.then_some(blueprint.copy);
        let thread = match thread {
            Ok(thread) => thread,
            Err(error) => {
                close::remove(copy);
                return Err(StartFault::Thread(error));
            }
        };
        let generation = Arc::new(Self {
            plugin: blueprint.plugin,
            record: Arc::clone(&record),
            shared,
            jobs,
            instances: AtomicU64::new(0),
            ending: Mutex::new(Some(Ending { thread, copy, keep: blueprint.keep, record })),
        });
        // From here on, an early return drops the generation, which closes whatever was opened.
        match tokio::time::timeout(patience, manifest).await {
            Ok(Ok(opened)) => Ok((generation, opened?)),
            Ok(Err(_)) => Err(StartFault::Ended),
            Err(_) => {
                generation.shared.pulse.give_up();
                Err(StartFault::Slow(patience))
            }
        }
    }

    /// A generation without a library or a thread.
    #[cfg(test)]
    pub(super) fn detached() -> Arc<Self> {
        let shared = Arc::new(Shared::default());
        let (pulse, jobs) = (Arc::clone(&shared.pulse), mpsc::channel(1).0);
        let record = Record::new(1, "0.0.0".to_owned(), String::new(), pulse, jobs.downgrade());
        Arc::new(Self {
            plugin: "detached".into(),
            record: Arc::new(record),
            shared,
            jobs,
            instances: AtomicU64::new(0),
            ending: Mutex::new(None),
        })
    }

    /// Makes a provider. The plan is what the plugin hands over for it.
    pub(super) async fn create(
        self: &Arc<Self>,
        provider: &str,
        config: Vec<u8>,
        fetch: Arc<dyn Fetch>,
        calls: Arc<CallKeys>,
        patience: Duration,
    ) -> Result<(Instance, Option<Plan>)> {
        let id = self.instances.fetch_add(1, Ordering::Relaxed);
        let (reply, answer) = oneshot::channel();
        let order = Order { id, provider: provider.to_owned(), config, fetch };
        // Made before the job is sent: if the answer comes too late, its drop cleans up behind it.
        let instance = Instance::new(Arc::clone(self), id, calls);
        let creating = async {
            self.submit(Job::Create { order, reply }).await?;
            self.answered(answer).await?
        };
        let plan = tokio::time::timeout(patience, creating).await.unwrap_or_else(|_| {
            self.shared.pulse.give_up();
            let message = format!("the plugin did not make the provider within {patience:?}");
            Err(ProviderError::new(ErrorKind::TimedOut, message))
        })?;
        let plan = plan.map(|plan| Plan::parse(&plan)).transpose()?;
        Ok((instance, plan))
    }

    /// Hands a job to the thread, unless the thread is beyond answering.
    pub(super) async fn submit(&self, job: Job) -> Result<()> {
        if let Some(problem) = self.shared.pulse.quarantined() {
            let message = format!("the plugin \"{}\" is quarantined", self.plugin);
            return Err(ProviderError::new(ErrorKind::Provider, message).with_detail(problem.message.clone()));
        }
        tokio::select! {
            biased;
            sent = self.jobs.send(job) => sent.map_err(|_| self.silent()),
            () = self.shared.pulse.given_up() => Err(self.stuck()),
        }
    }

    /// Waits for a job's answer, for as long as the thread can give one.
    pub(super) async fn answered<T>(&self, answer: oneshot::Receiver<T>) -> Result<T> {
        tokio::select! {
            biased;
            answer = answer => answer.map_err(|_| self.silent()),
            () = self.shared.pulse.given_up() => Err(self.stuck()),
        }
    }

    pub(super) fn stuck(&self) -> ProviderError {
        ProviderError::new(
            ErrorKind::TimedOut,
            format!("the plugin \"{}\" is stuck and was given up", self.plugin),
        )
    }

    fn silent(&self) -> ProviderError {
        let message = format!("the plugin \"{}\" ended the call without an answer", self.plugin);
        ProviderError::new(ErrorKind::Panicked, message)
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        // The queue's sender is dropped right after this, which is what ends the thread.
        if let Some(ending) = self.ending.lock().unwrap_or_else(PoisonError::into_inner).take() {
            close::begin(ending);
        }
    }
}

/// The kernel keeps 15 bytes of a thread's name: the number is what tells generations apart in a profile.
fn thread_name(plugin: &str, generation: u64) -> String {
    let number = format!("#{generation}");
    let room = 15_usize.saturating_sub(number.len());
    let name: String = plugin.chars().filter(char::is_ascii).take(room).collect();
    name + &number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thread_names_fit_and_keep_the_number() {
        assert_eq!(thread_name("mock", 1), "mock#1");
        assert_eq!(thread_name("openai-compatible", 1234), "openai-com#1234");
    }
}
