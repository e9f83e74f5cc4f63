//! One reload: everything that can fail comes first, then one pointer is swapped, then the old ones drain.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use tracing::{error, info, warn};

use super::catalog::{Catalog, Entry};
use super::choose::{Contender, Verdict, choose};
use super::discover::{self, Scan};
use super::examine::{Content, Examined, Examiner, Plugin};
use super::file::ContentHash;
use super::generation::Generation;
use super::instances::{self, Outcome, Plugins, Wanted};
use super::load::Loader;
use super::manager::ReloadOptions;
use super::manifest::PluginId;
use super::problem::{Problem, Step, chain};
use super::report::{
    ConfigFailure, FailedPlugin, IgnoredFile, PluginChanges, PluginState, ProviderChanges, ReloadReport,
    ReloadStatus,
};
use super::resolve::{Member, Offer, resolve};
use super::sources::Sources;
use crate::config::Config;
use crate::providers::{Provider, Registry, Snapshot};
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
    /// Switched off by hand.
    pub(super) disabled: BTreeSet<String>,
    pub(super) published: u64,
    /// Tells whether the configuration is still what it was.
    pub(super) configured: ContentHash,
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
    /// Switches a plugin on or off; the next reload acts on it.
    pub(super) fn switch(&mut self, id: &str, enable: bool) {
        if enable {
            self.disabled.remove(id);
        } else {
            self.disabled.insert(id.to_owned());
        }
    }

    /// See the module.
    pub(super) async fn reload(&mut self, options: &ReloadOptions) -> ReloadReport {
        let begun = Instant::now();
        let config = match self.sources.read_config() {
            Ok(config) => config,
            Err(error) => {
                let failure = ConfigFailure {
                    message: chain(&error),
                    hint: "mend the file; what serves now goes on serving".to_owned(),
                };
                return self.finish(Run::default(), options, begun, Some(failure));
            }
        };
        let fingerprint = fingerprint(&config);
        if fingerprint != self.configured {
            self.configured = fingerprint;
            self.loader.forget_hung();
        }
        let scan = discover::scan(&self.sources.dirs(&config));
        let (candidates, scan) = (scan.candidates, Scan { candidates: Vec::new(), ..scan });
        let mut examined = self.examiner.examine(candidates);
        let mut run = Run::default();
        let unreadable = Unreadable::of(&examined, &scan);
        let winners = self.choose(&examined, &unreadable, &mut run);
        self.note_problems(&examined, &scan, options, &mut run);
        let next = self.load(&mut examined, &winners, &unreadable, options, &mut run).await;
        let next = self.drop_missing(next, &winners, &unreadable, options, &mut run);
        if options.dry_run {
            self.foresee_providers(&config, &next, &mut run);
            return self.finish(run, options, begun, None);
        }
        let next = self.publish(&config, next, &mut run).await;
        self.plugins = next;
        let hashes: BTreeSet<ContentHash> =
            examined.iter().filter_map(|file| Some(file.content.as_ref().ok()?.hash)).collect();
        self.loader.forget_failures(|hash| hashes.contains(&hash));
        self.list(&examined, scan, &mut run);
        self.finish(run, options, begun, None)
    }

    /// Which file is used for each plugin: its index, by id. The others are shadowed.
    fn choose(
        &self,
        examined: &[Examined],
        unreadable: &Unreadable,
        run: &mut Run,
    ) -> BTreeMap<PluginId, usize> {
        let contenders: Vec<(usize, Contender<'_>)> = examined
            .iter()
            .enumerate()
            .filter_map(|(index, file)| {
                let (content, plugin) = (file.content.as_ref().ok()?, file.plugin()?);
                let contender = Contender {
                    path: &file.path,
                    category: file.category,
                    dir: file.dir,
                    id: &plugin.manifest.id,
                    version: &plugin.manifest.version,
                    hash: content.hash,
                };
                Some((index, contender))
            })
            .collect();
        let only: Vec<Contender<'_>> = contenders.iter().map(|(_, contender)| *contender).collect();
        let mut winners = BTreeMap::new();
        for ((index, contender), verdict) in contenders.iter().zip(choose(&only)) {
            match verdict {
                Verdict::Wins => match self.hidden(contender.id, contender.path, unreadable) {
                    None => drop(winners.insert(contender.id.clone(), *index)),
                    Some(reason) => {
                        run.outcomes.insert(*index, (PluginState::Shadowed, Some(shadowed(reason))));
                    }
                },
                Verdict::Duplicate { of } => {
                    let reason = format!("it is the same, byte for byte, as {}", of.display());
                    run.outcomes.insert(*index, (PluginState::Shadowed, Some(shadowed(reason))));
                }
                Verdict::Shadowed { reason, .. } => {
                    run.outcomes.insert(*index, (PluginState::Shadowed, Some(shadowed(reason))));
                }
            }
        }
        winners
    }

    /// A bad copy of the library in use does not bring back one that it has replaced. The reason, if that is so.
    fn hidden(&self, id: &PluginId, winner: &Path, unreadable: &Unreadable) -> Option<String> {
        let active = self.plugins.get(id).filter(|active| active.file != winner)?;
        let file = active.file.display();
        unreadable
            .hides(&active.file)
            .then(|| format!("{file} cannot be read now, and what was loaded from it goes on serving"))
    }

    /// Reports the files that cannot be used for what they are.
    fn note_problems(&self, examined: &[Examined], scan: &Scan, options: &ReloadOptions, run: &mut Run) {
        for (index, file) in examined.iter().enumerate() {
            if let Some(problem) = file.problem() {
                run.outcomes.insert(index, (PluginState::Refused, Some(problem.clone())));
                if options.only.is_none() {
                    run.plugins.failed.push(self.failed(&file.path, None, problem));
                }
            }
        }
        for (path, error) in &scan.refused {
            if options.only.is_none() {
                run.plugins.failed.push(self.failed(path, None, &error.problem()));
            }
        }
    }

    fn failed(&self, file: &Path, id: Option<&PluginId>, problem: &Problem) -> FailedPlugin {
        let serving = match id {
            Some(id) => self.plugins.get_key_value(id),
            None => self.plugins.iter().find(|(_, active)| active.file == file),
        };
        let id = id.or(serving.map(|(id, _)| id)).map(ToString::to_string);
        FailedPlugin { file: file.to_owned(), id, problem: problem.clone(), kept_previous: serving.is_some() }
    }

    /// Loads what is new, and answers with the plugins that are then there.
    async fn load(
        &mut self,
        examined: &mut [Examined],
        winners: &BTreeMap<PluginId, usize>,
        unreadable: &Unreadable,
        options: &ReloadOptions,
        run: &mut Run,
    ) -> Plugins {
        let unmet = self.check_requirements(examined, winners, unreadable);
        let mut next = self.plugins.clone();
        for (id, &index) in winners {
            let unasked = options.only.as_deref().is_some_and(|only| only != id.as_str());
            if self.disabled.contains(id.as_str()) {
                run.outcomes.insert(index, (PluginState::Disabled, None));
                run.reasons.insert(id.to_string(), "it is disabled".to_owned());
                if next.remove(id).is_some() {
                    run.plugins.removed.push(id.to_string());
                }
                continue;
            }
            if unasked {
                if next.contains_key(id) {
                    run.plugins.unchanged.push(id.to_string());
                }
                continue;
            }
            let outcome = match unmet.get(id) {
                Some(problem) => Err(problem.clone()),
                None => self.load_one(id, &mut examined[index], options).await,
            };
            let before = self.plugins.get(id).map(|active| active.generation.record.generation);
            match outcome {
                Ok(Loaded::Unchanged) => run.plugins.unchanged.push(id.to_string()),
                Ok(Loaded::TriedOut) => {
                    run.plugins.note_load(id, before, before.map_or(1, |number| number + 1));
                }
                Ok(Loaded::Anew(active)) => {
                    run.plugins.note_load(id, before, active.generation.record.generation);
                    next.insert(id.clone(), active);
                }
                Err(problem) => {
                    run.plugins.failed.push(self.failed(&examined[index].path, Some(id), &problem));
                    run.reasons.insert(id.to_string(), problem.message.clone());
                    run.outcomes.insert(index, (PluginState::Refused, Some(problem)));
                }
            }
        }
        next
    }

    fn check_requirements(
        &self,
        examined: &[Examined],
        winners: &BTreeMap<PluginId, usize>,
        unreadable: &Unreadable,
    ) -> BTreeMap<PluginId, Problem> {
        let chosen = winners.values().filter_map(|index| examined[*index].plugin());
        let kept = self
            .plugins
            .iter()
            .filter(|(id, active)| !winners.contains_key(id.as_str()) && unreadable.hides(&active.file));
        let plugins: Vec<&Plugin> = chosen.chain(kept.map(|(_, active)| &active.plugin)).collect();
        let members: Vec<Member<'_>> = plugins
            .iter()
            .map(|plugin| Member {
                id: &plugin.manifest.id,
                version: &plugin.manifest.version,
                requires: &plugin.manifest.requires,
                refused: self.disabled.contains(plugin.manifest.id.as_str()),
            })
            .collect();
        let results = resolve(&members, &self.offer);
        let refused = plugins.iter().zip(results).filter_map(|(plugin, result)| {
            result.err().map(|error| (plugin.manifest.id.clone(), error.problem()))
        });
        refused.collect()
    }

    /// A new generation, unless the one that serves is of the same content. In a dry run the library is only
    /// tried out.
    async fn load_one(
        &mut self,
        id: &PluginId,
        file: &mut Examined,
        options: &ReloadOptions,
    ) -> Result<Loaded, Problem> {
        let forced = options.only.is_some();
        let content = file.content.clone()?;
        let plugin = content.plugin.clone()?;
        let serving = self.plugins.get(id);
        if let Some(serving) = serving
            && serving.hash == content.hash
            && !forced
        {
            return Ok(Loaded::Unchanged);
        }
        if let Some(problem) = self.loader.known_failure(content.hash)
            && !forced
        {
            return Err(problem.clone());
        }
        let bytes = match file.bytes.take() {
            Some(bytes) => bytes,
            None => self.examiner.read_again(&file.path, content.hash)?,
        };
        if options.dry_run {
            self.loader.try_out(&plugin, &bytes).await?;
            return Ok(Loaded::TriedOut);
        }
        let generation = self.loader.load(&plugin, &bytes).await?;
        Ok(Loaded::Anew(Active { generation, plugin, file: file.path.clone(), hash: content.hash }))
    }

    /// Plugins whose library is gone go too. One whose file is there but cannot be used is kept as it is.
    fn drop_missing(
        &self,
        mut next: Plugins,
        winners: &BTreeMap<PluginId, usize>,
        unreadable: &Unreadable,
        options: &ReloadOptions,
        run: &mut Run,
    ) -> Plugins {
        if options.only.is_some() {
            return next;
        }
        next.retain(|id, active| {
            let stays = winners.contains_key(id) || unreadable.hides(&active.file);
            if !stays {
                run.plugins.removed.push(id.to_string());
            }
            stays
        });
        next
    }

    /// What publishing would do to the providers.
    fn foresee_providers(&self, config: &Config, next: &Plugins, run: &mut Run) {
        // What was only tried out is not among the plugins yet, but its providers would be made.
        let coming: BTreeSet<&str> = run.plugins.loaded.iter().map(String::as_str).collect();
        let reloaded: BTreeSet<&str> = run.plugins.reloaded.iter().map(|plugin| plugin.id.as_str()).collect();
        let (wanted, failed) = instances::wanted(config, next, &run.reasons);
        let current = self.registry.snapshot();
        for wanted in &wanted {
            let name = wanted.settings.name.clone();
            match current.get(&name) {
                None => run.providers.created.push(name),
                Some(provider)
                    if provider.settings.same_as(&wanted.settings)
                        && !reloaded.contains(wanted.plugin.as_str()) =>
                {
                    run.providers.unchanged.push(name);
                }
                Some(_) => run.providers.updated.push(name),
            }
        }
        for failed in failed {
            let plugin = config.plugins.get(&failed.name).and_then(|entry| entry.plugin.as_deref());
            if coming.contains(plugin.unwrap_or(&failed.name)) {
                run.providers.created.push(failed.name);
            } else {
                run.providers.failed.push(failed);
            }
        }
        run.providers.note_removed(&current);
    }

    /// Makes the providers, swaps the pointer, and lets the old generations go.
    async fn publish(&mut self, config: &Config, mut next: Plugins, run: &mut Run) -> Plugins {
        let current = self.registry.snapshot().clone();
        let (wanted, failed) = instances::wanted(config, &next, &run.reasons);
        let mut made = self.make(&wanted, &next, &current).await;
        for id in self.refuse_generations(&wanted, &mut made, &next, &current, run) {
            match self.plugins.get(&id) {
                Some(previous) => next.insert(id, previous.clone()),
                None => next.remove(&id),
            };
        }
        let mut providers = Vec::new();
        for (wanted, outcome) in wanted.iter().zip(made) {
            let name = wanted.settings.name.clone();
            match outcome {
                Outcome::Kept(provider) => {
                    run.providers.unchanged.push(name);
                    providers.push(provider);
                }
                Outcome::Made(provider) => {
                    let list = if current.get(&name).is_some() {
                        &mut run.providers.updated
                    } else {
                        &mut run.providers.created
                    };
                    list.push(name);
                    providers.push(provider);
                }
                Outcome::Failed(problem) => {
                    run.refused.entry(wanted.plugin.clone()).or_insert_with(|| problem.clone());
                    let kept = self.kept(&wanted.plugin, &name, &next, &current);
                    let mut failed = instances::failure(&name, problem);
                    failed.kept_previous = kept.is_some();
                    providers.extend(kept);
                    run.providers.failed.push(failed);
                }
            }
        }
        for mut failed in failed {
            // Its plugin may be there, and only the entry wrong: what served goes on serving.
            let previous = current.get(&failed.name).filter(|provider| {
                next.values().any(|active| Arc::ptr_eq(provider.instance.generation(), &active.generation))
            });
            failed.kept_previous = previous.is_some();
            providers.extend(previous.cloned());
            run.providers.failed.push(failed);
        }
        self.published += 1;
        let old = self.registry.publish(Snapshot::new(self.published, providers));
        for (id, previous) in &self.plugins {
            if next.get(id).is_none_or(|active| !Arc::ptr_eq(&active.generation, &previous.generation)) {
                previous.generation.record.replaced();
            }
        }
        run.providers.note_removed(&old);
        next
    }

    async fn make(&self, wanted: &[Wanted], plugins: &Plugins, current: &Snapshot) -> Vec<Outcome> {
        let mut made = Vec::with_capacity(wanted.len());
        for wanted in wanted {
            let patience = self.loader.patience();
            made.push(instances::make(wanted, plugins, current, &self.client, patience).await);
        }
        made
    }

    /// The provider of now, if its generation is still in use.
    fn kept(
        &self,
        plugin: &PluginId,
        name: &str,
        next: &Plugins,
        current: &Snapshot,
    ) -> Option<Arc<Provider>> {
        let provider = current.get(name)?;
        let active = next.get(plugin)?;
        Arc::ptr_eq(provider.instance.generation(), &active.generation).then(|| Arc::clone(provider))
    }

    /// A new generation that cannot make a provider which the old one serves is refused as a whole: its providers
    /// stay on the generation they have. Answers with the plugins this befell.
    fn refuse_generations(
        &mut self,
        wanted: &[Wanted],
        made: &mut [Outcome],
        next: &Plugins,
        current: &Snapshot,
        run: &mut Run,
    ) -> BTreeSet<PluginId> {
        let reloaded: BTreeSet<String> =
            run.plugins.reloaded.iter().map(|plugin| plugin.id.clone()).collect();
        let mut refused: BTreeMap<PluginId, Problem> = BTreeMap::new();
        for (wanted, outcome) in wanted.iter().zip(&*made) {
            if let Outcome::Failed(problem) = outcome
                && reloaded.contains(wanted.plugin.as_str())
                && current
                    .get(&wanted.settings.name)
                    .is_some_and(|before| before.settings.same_as(&wanted.settings))
            {
                refused.entry(wanted.plugin.clone()).or_insert_with(|| problem.clone());
            }
        }
        for (wanted, outcome) in wanted.iter().zip(&mut *made) {
            if let (Some(problem), Some(before)) =
                (refused.get(&wanted.plugin), current.get(&wanted.settings.name))
            {
                *outcome = if before.settings.same_as(&wanted.settings) {
                    Outcome::Kept(Arc::clone(before))
                } else {
                    Outcome::Failed(problem.clone())
                };
            }
        }
        for (id, problem) in &refused {
            run.plugins.reloaded.retain(|plugin| plugin.id != id.as_str());
            let file = next.get(id).map(|active| active.file.clone()).unwrap_or_default();
            run.plugins.failed.push(FailedPlugin {
                file,
                id: Some(id.to_string()),
                problem: problem.clone(),
                kept_previous: true,
            });
            if let Some(active) = next.get(id)
                && problem.code == instances::HUNG
            {
                self.loader.note_hung(active.hash, problem.clone());
            }
            run.refused.insert(id.clone(), problem.clone());
        }
        refused.into_keys().collect()
    }

    /// Writes down what there is, for `/api/plugins`.
    fn list(&self, examined: &[Examined], scan: Scan, run: &mut Run) {
        let snapshot = self.registry.snapshot();
        let mut entries = Vec::new();
        for (index, file) in examined.iter().enumerate() {
            let outcome = run.outcomes.remove(&index);
            let content = file.content.as_deref().ok();
            entries.push(self.entry(&file.path, content, outcome, &snapshot, run));
        }
        for (path, error) in &scan.refused {
            let refused = Some((PluginState::Refused, Some(error.problem())));
            entries.push(self.entry(path, None, refused, &snapshot, run));
        }
        let ignored = scan.ignored.into_iter();
        let ignored =
            ignored.map(|(file, reason)| IgnoredFile { file, reason: reason.to_string() }).collect();
        self.catalog.set(entries, ignored);
    }

    fn entry(
        &self,
        file: &Path,
        content: Option<&Content>,
        outcome: Option<(PluginState, Option<Problem>)>,
        snapshot: &Snapshot,
        run: &Run,
    ) -> Entry {
        let (state, problem) = outcome.map_or((None, None), |(state, problem)| (Some(state), problem));
        let plugin = content.and_then(|content| content.plugin.as_ref().ok());
        // A file that cannot be read any more stands for the plugin that was loaded from it.
        let serving = match plugin {
            Some(plugin) => self.plugins.get(&plugin.manifest.id),
            None => self.plugins.values().find(|active| active.file == file),
        };
        let serving = serving.filter(|_| state != Some(PluginState::Shadowed));
        let manifest =
            serving.map(|active| &active.plugin.manifest).or(plugin.map(|plugin| &plugin.manifest));
        let providers: Vec<String> = snapshot
            .by_priority()
            .iter()
            .filter(|provider| manifest.is_some_and(|manifest| provider.plugin.id == manifest.id.as_str()))
            .map(|provider| provider.name().to_owned())
            .collect();
        let state = match (state, serving) {
            (Some(state @ (PluginState::Shadowed | PluginState::Disabled)), _) => state,
            (Some(state), None) => state,
            (_, Some(_)) if !providers.is_empty() => PluginState::Active,
            _ => PluginState::Unused,
        };
        let refused = manifest.and_then(|manifest| run.refused.get(&manifest.id).cloned());
        Entry {
            file: file.to_owned(),
            manifest: manifest.cloned(),
            sha256: serving
                .map(|active| active.hash.to_string())
                .or(content.map(|content| content.hash.to_string())),
            size: content.map(|content| content.size),
            state,
            providers: if state == PluginState::Shadowed { Vec::new() } else { providers },
            problem: problem.or(refused),
            serving: serving.map(|active| Arc::clone(&active.generation.record)),
        }
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
            config,
        };
        if report.failures() > 0 {
            report.status =
                if report.changed_or_kept() { ReloadStatus::Partial } else { ReloadStatus::Failed };
        }
        tell(&report, options.reason);
        report
    }
}

/// A hash, as what it is made from holds keys.
fn fingerprint(config: &Config) -> ContentHash {
    ContentHash::of(format!("{:?}", config.plugins).as_bytes())
}

fn shadowed(reason: String) -> Problem {
    Problem {
        phase: Step::Metadata.phase(),
        step: Step::Metadata,
        code: "shadowed",
        message: reason,
        hint: "remove the file that is not wanted".to_owned(),
    }
}

fn tell(report: &ReloadReport, reason: &str) {
    if let Some(config) = &report.config {
        error!(reason, problem = config.message, hint = config.hint, "configuration not applied");
    }
    for failed in &report.plugins.failed {
        // `message` is the name of the line's own text.
        let Problem { phase, step, code, message: problem, hint } = &failed.problem;
        let (id, kept) = (failed.id.as_deref().unwrap_or_default(), failed.kept_previous);
        let (phase, step) = (phase.word(), step.word());
        warn!(file = %failed.file.display(), id, phase, step, code, problem, hint, kept, "plugin refused");
    }
    for failed in &report.providers.failed {
        let Problem { phase, step, code, message: problem, hint } = &failed.problem;
        let (name, kept) = (&failed.name, failed.kept_previous);
        let (phase, step) = (phase.word(), step.word());
        warn!(name, phase, step, code, problem, hint, kept, "provider refused");
    }
    let (plugins, providers) = (&report.plugins, &report.providers);
    info!(
        reason,
        dry_run = report.dry_run,
        status = ?report.status,
        generation = report.generation,
        duration_ms = report.duration_ms,
        loaded = plugins.loaded.len(),
        reloaded = plugins.reloaded.len(),
        unchanged = plugins.unchanged.len(),
        removed = plugins.removed.len(),
        failed = report.failures(),
        created = providers.created.len(),
        updated = providers.updated.len(),
        "reload done"
    );
}
