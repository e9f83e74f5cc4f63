//! One reload: everything that can fail comes first, then one pointer is swapped, then the old ones drain.

// Which files are used, and what is loaded anew.
mod libraries;
// The providers, made and published.
mod publish;
// Providers changed at run time.
mod edit;
// What is left for whoever asks, and told to whoever listens.
mod listing;
mod tell;
mod view;

pub use edit::{EditAction, EditError, ProviderEdit};
pub use view::ProviderView;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use tracing::{error, info, warn};

pub(super) use self::view::Shown;

use super::catalog::Catalog;
use super::discover::{self, Scan};
use super::examine::{Examined, Examiner, Plugin};
use super::file::ContentHash;
use super::generation::Generation;
use super::instances::Plugins;
use super::load::Loader;
use super::manager::ReloadOptions;
use super::manifest::PluginId;
use super::problem::Problem;
use super::report::{ConfigFailure, PluginChanges, ProviderChanges, ReloadReport, ReloadStatus};
use super::resolve::Offer;
use super::shown::PluginState;
use super::sources::Sources;
use crate::config::{
    ChangeFile, ChangeFileError, ChangedSetting, Changes, Config, ConfigProblem, ConfigProblems,
    changed_settings,
};
use crate::events::Bus;
use crate::providers::{Registry, Shelf};
use crate::services::http::HttpClient;

/// A plugin in use.
#[derive(Clone)]
pub(super) struct Active {
    pub(super) generation: Arc<Generation>,
    pub(super) plugin: Plugin,
    pub(super) file: PathBuf,
    pub(super) hash: ContentHash,
}

/// Everything a reload works on. Lives on the loader's thread; nothing else changes it.
pub(super) struct Engine {
    pub(super) sources: Sources,
    pub(super) examiner: Examiner,
    pub(super) loader: Loader,
    pub(super) registry: Arc<Registry>,
    pub(super) catalog: Arc<Catalog>,
    pub(super) client: HttpClient,
    pub(super) offer: Offer,
    pub(super) plugins: Plugins,
    pub(super) published: u64,
    /// What was configured when the providers of now were made.
    pub(super) config: Option<Arc<Config>>,
    /// What was configured when the host was started: some of it is read only then.
    pub(super) first: Option<Arc<Config>>,
    /// What was changed at run time.
    pub(super) changes: Changes,
    /// Where that is kept.
    pub(super) change_file: ChangeFile,
    /// Where the vendors' lists of models are kept.
    pub(super) shelf: Arc<Shelf>,
    /// Where it is told what becomes of all this.
    pub(super) events: Bus,
    /// What was changed, for whoever asks.
    pub(super) shown: Arc<ArcSwap<Shown>>,
}

/// What became of one library.
enum Loaded {
    Unchanged,
    TriedOut,
    Anew(Active),
}

/// What one reload gathers on its way.
#[derive(Default)]
struct Run {
    plugins: PluginChanges,
    providers: ProviderChanges,
    /// Why a plugin that somebody may ask for is not there.
    reasons: BTreeMap<String, String>,
    /// The state and problem of every examined file, by its index.
    outcomes: BTreeMap<usize, (PluginState, Option<Problem>)>,
    /// Sections that the host does not read again.
    needs_restart: Vec<&'static str>,
    /// What is configured otherwise now.
    settings: Vec<ChangedSetting>,
    /// What may not be what was meant.
    warnings: Vec<ConfigProblem>,
    /// Why plugins could not make a provider, be it one that the generation before makes.
    refused: BTreeMap<PluginId, Problem>,
}

/// Files and folders that are there and cannot be read: what was loaded from them before stays as it is. A file
/// that holds another plugin now is none of them: the one before is gone.
struct Unreadable(BTreeSet<PathBuf>);

impl Unreadable {
    fn of(examined: &[Examined], scan: &Scan) -> Self {
        let files = examined.iter().filter(|file| file.plugin().is_none()).map(|file| file.path.clone());
        Self(files.chain(scan.refused.iter().map(|(path, _)| path.clone())).collect())
    }

    /// A folder that cannot be listed says nothing about what lies in it.
    fn hides(&self, file: &Path) -> bool {
        self.0.contains(file) || file.parent().is_some_and(|folder| self.0.contains(folder))
    }
}

impl Engine {
    /// Switches a plugin on or off, for good; the next reload acts on it.
    pub(super) fn switch(&mut self, id: &str, enable: bool) -> Result<(), ChangeFileError> {
        let mut changes = self.changes.clone();
        changes.switch(id, enable);
        self.change_file.write(&changes)?;
        self.changes = changes;
        Ok(())
    }

    /// See the module.
    pub(super) async fn reload(&mut self, options: &ReloadOptions) -> ReloadReport {
        let begun = Instant::now();
        let config = match self.configuration(options) {
            Ok(config) => config,
            Err(problems) => {
                let failure = ConfigFailure::from(problems);
                return self.finish(Run::default(), options, begun, Some(failure));
            }
        };
        let (needs_restart, settings) = (self.needs_restart(&config), self.changed_settings(&config));
        let mut run = Run { needs_restart, settings, warnings: config.doubts(), ..Run::default() };
        if self.config.as_ref().is_none_or(|before| before.plugins != config.plugins) {
            self.loader.forget_hung();
        }
        let scan = discover::scan(&self.sources.dirs(&config.plugin_dirs));
        let (candidates, scan) = (scan.candidates, Scan { candidates: Vec::new(), ..scan });
        let mut examined = self.examiner.examine(candidates);
        let unreadable = Unreadable::of(&examined, &scan);
        let winners = self.choose_files(&examined, &unreadable, &mut run);
        self.note_problems(&examined, &scan, options, &mut run);
        let next = self.load_libraries(&mut examined, &winners, &unreadable, options, &mut run).await;
        let next = self.drop_missing(next, &winners, &unreadable, options, &mut run);
        if options.dry_run {
            self.foresee_providers(&config, &next, &mut run);
            return self.finish(run, options, begun, None);
        }
        let prepared = self.prepare(&config, next, &mut run).await;
        self.publish(config, prepared, &mut run);
        let hashes: BTreeSet<ContentHash> =
            examined.iter().filter_map(|file| Some(file.content.as_ref().ok()?.hash)).collect();
        self.loader.forget_failures(|hash| hashes.contains(&hash));
        self.list_files(&examined, scan, &mut run);
        self.finish(run, options, begun, None)
    }

    /// What is configured now. One plugin is reloaded or switched with what is in force, whatever became of the
    /// file meanwhile.
    fn configuration(&self, options: &ReloadOptions) -> Result<Arc<Config>, ConfigProblems> {
        match &self.config {
            Some(config) if options.only.is_some() => Ok(Arc::clone(config)),
            _ => Ok(Arc::new(self.sources.read_config(&self.changes.layer())?)),
        }
    }

    fn needs_restart(&mut self, config: &Arc<Config>) -> Vec<&'static str> {
        let first = self.first.get_or_insert_with(|| Arc::clone(config));
        // A secret prints the same whatever it is; but that one is not in the file.
        let server = format!("{:?}", first.server) != format!("{:?}", config.server);
        let changed = [
            (server, "server"),
            (first.loader != config.loader, "loader"),
            (first.telemetry != config.telemetry, "telemetry"),
            (first.usage != config.usage, "usage"),
        ];
        changed.into_iter().filter_map(|(changed, section)| changed.then_some(section)).collect()
    }

    /// What is configured otherwise than before; nothing at the start.
    fn changed_settings(&self, config: &Config) -> Vec<ChangedSetting> {
        let (Some(first), Some(running)) = (&self.first, &self.config) else { return Vec::new() };
        changed_settings(first, running, config)
    }

    /// Draws the sum, and tells the log.
    fn finish(
        &self,
        run: Run,
        options: &ReloadOptions,
        begun: Instant,
        config: Option<ConfigFailure>,
    ) -> ReloadReport {
        let mut report = ReloadReport {
            status: ReloadStatus::Ok,
            dry_run: options.dry_run,
            generation: self.published,
            duration_ms: begun.elapsed().as_secs_f64() * 1e3,
            plugins: run.plugins,
            providers: run.providers,
            settings: run.settings,
            needs_restart: run.needs_restart,
            warnings: run.warnings,
            config,
        };
        if report.failures() > 0 {
            report.status =
                if report.changed_or_kept() { ReloadStatus::Partial } else { ReloadStatus::Failed };
        }
        tell(&report, options.reason);
        self.tell_listeners(&report, options.reason);
        report
    }
}

fn tell(report: &ReloadReport, reason: &str) {
    if let Some(config) = &report.config {
        error!(reason, problems = config.problems.len(), hint = config.hint, "configuration not applied");
        for ConfigProblem { file, pointer, reason: problem, hint } in &config.problems {
            error!(file, pointer, problem, hint, "configuration problem");
        }
    }
    if !report.needs_restart.is_empty() {
        warn!(sections = ?report.needs_restart, "configuration changed in sections that are read only at start");
    }
    for ConfigProblem { file, pointer, reason: problem, hint } in &report.warnings {
        warn!(file, pointer, problem, hint, "configuration doubtful");
    }
    for failed in &report.plugins.failed {
        // `message` is the name of the line's own text.
        let Problem { phase, step, code, message: problem, hint } = &failed.problem;
        let (id, kept) = (failed.id.as_deref().unwrap_or_default(), failed.kept_previous);
        let (phase, step, code) = (phase.word(), step.word(), code.word());
        warn!(file = %failed.file.display(), id, phase, step, code, problem, hint, kept, "plugin refused");
    }
    for failed in &report.providers.failed {
        let Problem { phase, step, code, message: problem, hint } = &failed.problem;
        let (name, kept) = (&failed.name, failed.kept_previous);
        let (phase, step, code) = (phase.word(), step.word(), code.word());
        warn!(name, phase, step, code, problem, hint, kept, "provider refused");
    }
    let (plugins, providers) = (&report.plugins, &report.providers);
    info!(
        reason,
        dry_run = report.dry_run,
        status = ?report.status,
        generation = report.generation,
        // What is below a microsecond is noise.
        duration_ms = (report.duration_ms * 1e3).round() / 1e3,
        loaded = plugins.loaded.len(),
        reloaded = plugins.reloaded.len(),
        unchanged = plugins.unchanged.len(),
        removed = plugins.removed.len(),
        failed = report.failures(),
        created = providers.created.len(),
        updated = providers.updated.len(),
        settings = report.settings.len(),
        "reload done"
    );
}
