//! The providers of a reload: made from the plugins, published with one swap, or foreseen in a dry run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::view::Shown;
use super::{Engine, Run};
use crate::config::Config;
use crate::plugins::generation::Generation;
use crate::plugins::instances::{self, Asked, Means, Outcome, Plugins, Wanted};
use crate::plugins::manifest::PluginId;
use crate::plugins::problem::{Problem, ProblemCode};
use crate::plugins::report::{FailedPlugin, FailedProvider};
use crate::providers::{Provider, Rules, Snapshot, Waiting};

/// A set of providers that is ready to be published, and the plugins they come from.
pub(super) struct Prepared {
    plugins: Plugins,
    providers: Vec<Arc<Provider>>,
    disabled: Vec<String>,
    waiting: Vec<Waiting>,
}

impl Engine {
    /// What publishing would do to the providers.
    pub(super) fn foresee_providers(&self, config: &Config, next: &Plugins, run: &mut Run) {
        // What was only tried out is not among the plugins yet, but its providers would be made.
        let coming: BTreeSet<&str> = run.plugins.loaded.iter().map(String::as_str).collect();
        let reloaded: BTreeSet<&str> = run.plugins.reloaded.iter().map(|plugin| plugin.id.as_str()).collect();
        let Asked { wanted, failed, warnings, .. } =
            instances::asked(config, next, &run.reasons, &self.changes);
        run.warnings.extend(warnings);
        let current = self.registry.snapshot();
        for wanted in &wanted {
            let name = wanted.settings.name.to_string();
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
            let plugin = plugin.unwrap_or(&failed.name);
            if coming.iter().any(|coming| instances::alike(coming, plugin)) {
                run.providers.created.push(failed.name);
            } else {
                let previous = kept(&failed.name, next, &current);
                run.providers.failed.push(FailedProvider { kept_previous: previous.is_some(), ..failed });
            }
        }
        run.providers.note_removed(&current);
    }

    /// Makes the providers that are wanted and are not there yet. Everything that can fail happens here.
    pub(super) async fn prepare(&mut self, config: &Config, mut next: Plugins, run: &mut Run) -> Prepared {
        let current = self.registry.snapshot().clone();
        let Asked { wanted, failed, disabled, waiting, warnings } =
            instances::asked(config, &next, &run.reasons, &self.changes);
        run.warnings.extend(warnings);
        let mut made = self.make(&wanted, &next, &current).await;
        for id in self.refuse_generations(&wanted, &mut made, &next, &current, run) {
            match self.plugins.get(&id) {
                Some(previous) => next.insert(id, previous.clone()),
                None => next.remove(&id),
            };
        }
        let mut providers = Vec::new();
        for (wanted, outcome) in wanted.iter().zip(made) {
            let name = wanted.settings.name.to_string();
            match outcome {
                Outcome::Kept(provider) => {
                    run.providers.unchanged.push(name);
                    providers.push(provider);
                }
                Outcome::Made(provider) => {
                    let there = current.get(&name).is_some();
                    let list = if there { &mut run.providers.updated } else { &mut run.providers.created };
                    list.push(name);
                    providers.push(provider);
                }
                Outcome::Failed(problem) => {
                    run.refused.entry(wanted.plugin.clone()).or_insert_with(|| problem.clone());
                    providers.extend(keep(instances::failure(&name, problem), &current, run));
                }
            }
        }
        for failed in failed {
            // Its plugin may be there, and only the entry wrong; without its plugin it cannot stay.
            let previous = kept(&failed.name, &next, &current);
            run.providers.failed.push(FailedProvider { kept_previous: previous.is_some(), ..failed });
            providers.extend(previous.cloned());
        }
        Prepared { plugins: next, providers, disabled, waiting }
    }

    /// Swaps the pointer, and lets what is not used any more go. Cannot fail.
    pub(super) fn publish(&mut self, config: Arc<Config>, prepared: Prepared, run: &mut Run) {
        let Prepared { plugins, providers, disabled, waiting } = prepared;
        self.published += 1;
        let before = generations(&self.plugins, self.registry.snapshot().by_priority());
        let after = generations(&plugins, &providers);
        for provider in &providers {
            provider.standing.breaker.configure(&config.routing.breaker);
        }
        let rules = Rules {
            routing: config.routing.clone(),
            health: config.health.clone(),
            limits: config.limits.clone(),
            models: config.models.clone(),
        };
        // Lists stay for those, too, who are only not there for now.
        let mut listed: Vec<String> = providers.iter().map(|provider| provider.name().to_owned()).collect();
        listed.extend(run.providers.failed.iter().map(|failed| failed.name.clone()));
        listed.extend_from_slice(&disabled);
        let number = self.published;
        let old = self
            .registry
            .publish(|| Snapshot::new(number, providers, rules).with_disabled(disabled, waiting));
        // And for those whom variables alone make, as soon as their plugin is there again.
        let may_come = |name: &str| config.offered(name).is_some();
        self.shelf.keep_only(listed.iter().map(String::as_str), may_come);
        for (address, generation) in before {
            if !after.contains_key(&address) {
                generation.record.replaced(self.loader.grace());
                self.tell_end(&generation);
            }
        }
        self.plugins = plugins;
        self.shown.store(Arc::new(Shown::new(&config, &self.changes, &self.plugins)));
        self.config = Some(config);
        run.providers.note_removed(&old);
    }

    async fn make(&self, wanted: &[Wanted], plugins: &Plugins, current: &Snapshot) -> Vec<Outcome> {
        let mut made = Vec::with_capacity(wanted.len());
        for wanted in wanted {
            let patience = self.loader.patience();
            let means = Means {
                client: &self.client,
                limiter: &self.registry.limiter,
                shelf: &self.shelf,
                events: &self.events,
            };
            made.push(instances::make(wanted, plugins, current, means, patience).await);
        }
        made
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
            let Some(problem) = refused.get(&wanted.plugin) else { continue };
            let before = current.get(&wanted.settings.name);
            *outcome = match before.filter(|before| before.settings.same_as(&wanted.settings)) {
                Some(before) => Outcome::Kept(Arc::clone(before)),
                None => Outcome::Failed(instances::waiting(&wanted.settings.name, problem)),
            };
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
                && problem.code == ProblemCode::CreateHung
            {
                self.loader.note_hung(active.hash, problem.clone());
            }
            run.refused.insert(id.clone(), problem.clone());
        }
        refused.into_keys().collect()
    }
}

/// A provider that could not be made anew stays as it is, on the generation that it has.
fn keep(failed: FailedProvider, current: &Snapshot, run: &mut Run) -> Option<Arc<Provider>> {
    let previous = current.get(&failed.name).cloned();
    run.providers.failed.push(FailedProvider { kept_previous: previous.is_some(), ..failed });
    previous
}

/// The provider of now, while its plugin is there: only its entry is wrong.
fn kept<'s>(name: &str, plugins: &Plugins, current: &'s Snapshot) -> Option<&'s Arc<Provider>> {
    current.get(name).filter(|provider| plugins.contains_key(provider.plugin.id.as_str()))
}

/// Every generation that is in use, by its address: new requests may come to it.
fn generations(
    plugins: &Plugins,
    providers: &[Arc<Provider>],
) -> BTreeMap<*const Generation, Arc<Generation>> {
    let of_providers = providers.iter().map(|provider| provider.instance.generation());
    let all = plugins.values().map(|active| &active.generation).chain(of_providers);
    all.map(|generation| (Arc::as_ptr(generation), Arc::clone(generation))).collect()
}
