//! From a checked library to a running generation: private copy, probe, load. One at a time.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::runtime::Handle;
use tracing::{debug, error};

use super::catalog::Catalog;
use super::examine::Plugin;
use super::file::{ContentHash, FileContents};
use super::generation::{Blueprint, Generation, StartFault};
use super::library::LibraryFault;
use super::probe::{self, Findings, Subject};
use super::problem::{Problem, ProblemCode, Step};
use super::pulse::OnPanic;
use super::watchdog::Watchdog;
use super::{copy, keys};
use crate::config::LoaderSettings;
use crate::events::Bus;

/// See the module.
pub(super) struct Loader {
    /// What is started as a probe.
    program: PathBuf,
    /// Where the private copies lie.
    cache: PathBuf,
    settings: LoaderSettings,
    main: Handle,
    catalog: Arc<Catalog>,
    events: Bus,
    watchdog: Watchdog,
    /// The last generation of each plugin.
    numbers: HashMap<String, u64>,
    /// Libraries that did not pass the probe. They are not tried again until they change or are asked for by
    /// name: each try of one that hangs would hold up everybody's reload.
    failed: HashMap<ContentHash, Problem>,
    /// Libraries that hung while they made a provider. Each try leaves a thread behind, so they are not tried again
    /// either, unless the configuration changes.
    hung: HashMap<ContentHash, Problem>,
}

impl Loader {
    pub(super) fn new(
        program: PathBuf,
        cache: PathBuf,
        settings: LoaderSettings,
        main: Handle,
        catalog: Arc<Catalog>,
        events: Bus,
    ) -> Self {
        let watchdog = Watchdog::start(seconds(settings.stall_limit), &main, events.clone());
        Self {
            program,
            cache,
            settings,
            main,
            catalog,
            events,
            watchdog,
            numbers: HashMap::new(),
            failed: HashMap::new(),
            hung: HashMap::new(),
        }
    }

    /// Why this content is not worth another try.
    pub(super) fn known_failure(&self, hash: ContentHash) -> Option<&Problem> {
        self.failed.get(&hash).or_else(|| self.hung.get(&hash))
    }

    /// Has this content not tried again with this configuration.
    pub(super) fn note_hung(&mut self, hash: ContentHash, problem: Problem) {
        self.hung.insert(hash, from_memory(problem, "its file or the configuration changes", "ID"));
    }

    /// Another configuration may be one that it can deal with.
    pub(super) fn forget_hung(&mut self) {
        self.hung.clear();
    }

    /// Forgets failures of content that is nowhere any more.
    pub(super) fn forget_failures(&mut self, keep: impl Fn(ContentHash) -> bool) {
        self.failed.retain(|hash, _| keep(*hash));
        self.hung.retain(|hash, _| keep(*hash));
    }

    /// How long making a provider may take.
    pub(super) fn patience(&self) -> Duration {
        seconds(self.settings.load_timeout)
    }

    /// How long a replaced generation may finish what it had begun; none for as long as it takes.
    pub(super) fn grace(&self) -> Option<Duration> {
        self.settings.drain_timeout.map(seconds)
    }

    /// Copies and probes, and leaves nothing behind.
    pub(super) async fn try_out(&mut self, plugin: &Plugin, content: &FileContents) -> Result<(), Problem> {
        let copy = self.copy(plugin, content)?;
        let probed = self.probe(plugin, content, &copy).await;
        remove(&copy);
        probed.map(drop)
    }

    /// Copies, probes and loads.
    pub(super) async fn load(
        &mut self,
        plugin: &Plugin,
        content: &FileContents,
    ) -> Result<Arc<Generation>, Problem> {
        let copy = self.copy(plugin, content)?;
        let findings = match self.probe(plugin, content, &copy).await {
            Ok(findings) => findings,
            Err(problem) => {
                remove(&copy);
                return Err(problem);
            }
        };
        if !keys::reserve_is_free() {
            remove(&copy);
            return Err(out_of_keys());
        }
        // From here on the path may have been mapped: it is never used again, whatever comes of it.
        let number = self.number(plugin) + 1;
        self.numbers.insert(plugin.manifest.id.to_string(), number);
        let keep = plugin.keep.map(str::to_owned).or(findings.keep);
        let blueprint = Blueprint {
            plugin: plugin.manifest.id.as_str().into(),
            number,
            version: plugin.manifest.version.clone(),
            sha256: content.hash.to_string(),
            copy,
            family: super::threads::Family::new(),
            keep,
            owns_copy: true,
            main: self.main.clone(),
            on_panic: self.on_panic(plugin.manifest.id.as_str()),
        };
        let patience = self.patience();
        let (generation, described) =
            Generation::start(blueprint, patience).await.map_err(|fault| start_problem(&fault))?;
        self.watchdog.watch(&generation);
        self.catalog.add_generation(plugin.manifest.id.as_str(), Arc::clone(&generation.record));
        if *described != *plugin.text {
            return Err(described_otherwise());
        }
        Ok(generation)
    }

    /// The number that the next generation of this plugin will have.
    pub(super) fn next_number(&self, id: &str) -> u64 {
        self.numbers.get(id).copied().unwrap_or_default() + 1
    }

    fn number(&self, plugin: &Plugin) -> u64 {
        self.numbers.get(plugin.manifest.id.as_str()).copied().unwrap_or_default()
    }

    fn copy(&self, plugin: &Plugin, content: &FileContents) -> Result<PathBuf, Problem> {
        let number = self.number(plugin) + 1;
        copy::store(&self.cache, &plugin.manifest.id, number, content).map_err(|error| error.problem())
    }

    async fn probe(
        &mut self,
        plugin: &Plugin,
        content: &FileContents,
        copy: &Path,
    ) -> Result<Findings, Problem> {
        let mut sample = plugin.manifest.config_defaults.clone();
        sample.extend(plugin.manifest.sample_config.clone().unwrap_or_default());
        let subject = Subject {
            copy,
            plugin: plugin.manifest.id.as_str(),
            manifest: &plugin.text,
            sample_config: Value::Object(sample),
            close: plugin.keep.is_none(),
        };
        debug!(plugin = plugin.manifest.id.as_str(), size = content.bytes.len(), "library is tried out");
        let probed = probe::probe(&self.program, subject, seconds(self.settings.probe_timeout)).await;
        probed.map_err(|fault| {
            let problem = fault.problem();
            if fault.speaks_of_the_library() {
                let id = plugin.manifest.id.as_str();
                self.failed.insert(content.hash, from_memory(problem.clone(), "its file changes", id));
            }
            problem
        })
    }

    /// Quarantines a plugin that keeps panicking.
    fn on_panic(&self, plugin: &str) -> OnPanic {
        let (limit, window) = (self.settings.panic_limit, self.settings.panic_window);
        let (plugin, events) = (plugin.to_owned(), self.events.clone());
        Arc::new(move |pulse, fields| {
            if !pulse.note_panic(limit, seconds(window)) {
                return;
            }
            let problem = Problem {
                phase: Step::Call.phase(),
                step: Step::Call,
                code: ProblemCode::KeepsPanicking,
                message: format!(
                    "it panicked {limit} times within {window} s; the last time: {}",
                    last_panic(fields)
                ),
                hint: format!(
                    "mend the panic and rebuild it, or load it afresh with POST /api/plugins/{plugin}/reload"
                ),
            };
            if pulse.quarantine(problem.clone()) {
                error!(plugin, limit, window, "plugin keeps panicking; plugin quarantined");
                events.tell(problem.quarantined(&plugin));
            }
        })
    }
}

/// As a problem is told when nothing was tried: who has mended the cause elsewhere must know what to do.
fn from_memory(mut problem: Problem, until: &str, id: &str) -> Problem {
    problem.hint = format!(
        "{}; it is not tried again until {until}: POST /api/plugins/{id}/reload tries now",
        problem.hint
    );
    problem
}

fn last_panic(fields: &str) -> String {
    let fields: Value = serde_json::from_str(fields).unwrap_or_default();
    let field = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    format!("{} ({})", field("panic"), field("location"))
}

fn seconds(seconds: f64) -> Duration {
    // Negative or endless settings mean "as long as it takes", bounded by a day.
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_secs(86_400)).max(Duration::from_millis(1))
}

fn remove(copy: &Path) {
    if let Err(error) = copy::remove(copy) {
        error!(%error, "private copy not removed");
    }
}

fn out_of_keys() -> Problem {
    Problem {
        phase: Step::Load.phase(),
        step: Step::Load,
        code: ProblemCode::OutOfKeys,
        message: "the process has too few pthread keys left to load another library".to_owned(),
        hint: "restart the host; /api/plugins shows which generations stayed resident, and why".to_owned(),
    }
}

fn described_otherwise() -> Problem {
    Problem {
        phase: Step::Load.phase(),
        step: Step::Load,
        code: ProblemCode::ManifestDiffers,
        message: "what the library says of itself is not what its manifest section says".to_owned(),
        hint: "rebuild it with the export macro of patchbay-plugin-api 1.x".to_owned(),
    }
}

fn start_problem(fault: &StartFault) -> Problem {
    let (step, code, hint) = match fault {
        StartFault::Library(LibraryFault::Open(_)) => {
            (Step::Load, ProblemCode::NotLoadable, "ldd FILE shows what it needs and does not find")
        }
        StartFault::Library(_) => {
            (Step::Load, ProblemCode::NotAPlugin, "rebuild it with patchbay-plugin-api 1.x")
        }
        StartFault::Slow(_) => (Step::Load, ProblemCode::LoadHung, "a library's constructors must not block"),
        StartFault::Thread(_) => (Step::Start, ProblemCode::NoThread, "give the host room for more threads"),
        StartFault::Ended => (Step::Start, ProblemCode::ThreadEnded, "the host's log says more"),
    };
    Problem::new(step, code, fault, hint)
}
