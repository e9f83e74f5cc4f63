//! The libraries of a reload: which files are used, what is loaded anew, what is gone.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::{Active, Engine, Loaded, Run, Unreadable};
use crate::plugins::choose::{Contender, Verdict, choose};
use crate::plugins::discover::Scan;
use crate::plugins::examine::{Examined, Plugin};
use crate::plugins::instances::Plugins;
use crate::plugins::manager::ReloadOptions;
use crate::plugins::manifest::PluginId;
use crate::plugins::problem::{Problem, ProblemCode, Step};
use crate::plugins::report::FailedPlugin;
use crate::plugins::resolve::{Member, resolve};
use crate::plugins::shown::PluginState;

impl Engine {
    /// Which file is used for each plugin: its index, by id. The others are shadowed.
    pub(super) fn choose_files(
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
    pub(super) fn note_problems(
        &self,
        examined: &[Examined],
        scan: &Scan,
        options: &ReloadOptions,
        run: &mut Run,
    ) {
        // Of one plugin, only what became of its own file is of interest.
        let only = options.only.as_deref().filter(|only| !self.changes.is_disabled(only));
        let own = only.and_then(|only| self.plugins.get(only)).map(|active| &active.file);
        let asked = |path: &Path| options.only.is_none() || own.is_some_and(|own| own == path);
        let refused = scan.refused.iter().map(|(path, error)| (path, error.problem()));
        let unusable = examined.iter().filter_map(|file| Some((&file.path, file.problem()?.clone())));
        for (path, problem) in unusable.chain(refused).filter(|(path, _)| asked(path)) {
            run.plugins.failed.push(self.failed(path, None, &problem));
        }
        for (index, file) in examined.iter().enumerate() {
            if let Some(problem) = file.problem() {
                run.outcomes.insert(index, (PluginState::Refused, Some(problem.clone())));
            }
        }
        if let (Some(id), Some(file)) = (&options.only, own)
            && !examined.iter().any(|examined| examined.path == *file)
            && !scan.refused.iter().any(|(path, _)| path == file)
        {
            let problem = gone(file, id);
            run.plugins.failed.push(self.failed(file, None, &problem));
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
    pub(super) async fn load_libraries(
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
            if self.changes.is_disabled(id.as_str()) {
                run.outcomes.insert(index, (PluginState::Disabled, None));
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
                Ok(Loaded::Unchanged) => {
                    // The same content may lie under another name now.
                    if let Some(active) = next.get_mut(id) {
                        active.file.clone_from(&examined[index].path);
                    }
                    run.plugins.unchanged.push(id.to_string());
                }
                Ok(Loaded::TriedOut) => {
                    run.plugins.note_load(id, before, self.loader.next_number(id.as_str()));
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
        // Wherever its file is, and whatever is wrong with it.
        next.retain(|id, _| {
            let off = self.changes.is_disabled(id.as_str());
            if off {
                run.plugins.removed.push(id.to_string());
            }
            !off
        });
        self.take_back_unmet(&mut next, winners, examined, run);
        next
    }

    /// What was loaded for others that then could not be loaded themselves is taken back. They may have been what
    /// yet others were loaded for, so it goes round until nothing changes.
    fn take_back_unmet(
        &self,
        next: &mut Plugins,
        winners: &BTreeMap<PluginId, usize>,
        examined: &[Examined],
        run: &mut Run,
    ) {
        while let Some((id, problem)) = self.first_unmet(next) {
            match self.plugins.get(&id) {
                Some(previous) => drop(next.insert(id.clone(), previous.clone())),
                None => drop(next.remove(&id)),
            }
            run.plugins.loaded.retain(|loaded| *loaded != id.as_str());
            run.plugins.reloaded.retain(|reloaded| reloaded.id != id.as_str());
            if let Some(&index) = winners.get(&id) {
                run.plugins.failed.push(self.failed(&examined[index].path, Some(&id), &problem));
                run.outcomes.insert(index, (PluginState::Refused, Some(problem.clone())));
            }
            run.reasons.insert(id.to_string(), problem.message);
        }
    }

    /// A plugin that was loaded just now, and whose requirements what is really there does not meet.
    fn first_unmet(&self, next: &Plugins) -> Option<(PluginId, Problem)> {
        let members: Vec<Member<'_>> =
            next.iter().map(|(id, active)| member(id, &active.plugin, false)).collect();

        next.iter().zip(resolve(&members, &self.offer)).find_map(|((id, active), result)| {
            let serves =
                self.plugins.get(id).is_some_and(|it| Arc::ptr_eq(&it.generation, &active.generation));
            let error = result.err().filter(|_| !serves)?;
            Some((id.clone(), error.problem()))
        })
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
            .map(|plugin| {
                let id = &plugin.manifest.id;
                member(id, plugin, self.changes.is_disabled(id.as_str()))
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
    pub(super) fn drop_missing(
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
}

fn member<'a>(id: &'a PluginId, plugin: &'a Plugin, refused: bool) -> Member<'a> {
    Member { id, version: &plugin.manifest.version, requires: &plugin.manifest.requires, refused }
}

pub(super) fn gone(file: &Path, id: &str) -> Problem {
    Problem {
        phase: Step::File.phase(),
        step: Step::File,
        code: ProblemCode::FileGone,
        message: format!("{} is not there any more, so \"{id}\" cannot be loaded again", file.display()),
        hint: "put it back, or reload everything to let the plugin go".to_owned(),
    }
}

fn shadowed(reason: String) -> Problem {
    Problem {
        phase: Step::Metadata.phase(),
        step: Step::Metadata,
        code: ProblemCode::Shadowed,
        message: reason,
        hint: "remove the file that is not wanted".to_owned(),
    }
}
