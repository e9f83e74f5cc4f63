//! The providers of a reload: made from the plugins, published with one swap, or foreseen in a dry run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Engine, Run};
use crate::config::Config;
use crate::plugins::instances::{self, Asked, Outcome, Plugins, Wanted};
use crate::plugins::manifest::PluginId;
use crate::plugins::problem::Problem;
use crate::plugins::report::FailedPlugin;
use crate::providers::{Provider, Snapshot};

impl Engine {
    /// What publishing would do to the providers.
    pub(super) fn foresee_providers(&self, config: &Config, next: &Plugins, run: &mut Run) {
        // What was only tried out is not among the plugins yet, but its providers would be made.
        let coming: BTreeSet<&str> = run.plugins.loaded.iter().map(String::as_str).collect();
        let reloaded: BTreeSet<&str> = run.plugins.reloaded.iter().map(|plugin| plugin.id.as_str()).collect();
        let Asked { wanted, failed, .. } = instances::asked(config, next, &run.reasons);
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
    pub(super) async fn publish(&mut self, config: &Config, mut next: Plugins, run: &mut Run) -> Plugins {
        let current = self.registry.snapshot().clone();
        let Asked { wanted, failed, disabled } = instances::asked(config, &next, &run.reasons);
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
        let old = self.registry.publish(Snapshot::new(self.published, providers).with_disabled(disabled));
        for (id, previous) in &self.plugins {
            if next.get(id).is_none_or(|active| !Arc::ptr_eq(&active.generation, &previous.generation)) {
                previous.generation.record.replaced(self.loader.grace());
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
        &self,
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
                None => Outcome::Failed(problem.clone()),
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
            run.refused.insert(id.clone(), problem.clone());
        }
        refused.into_keys().collect()
    }
}
