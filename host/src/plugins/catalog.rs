//! What is known of every library and every generation, for whoever asks. Asking never waits for a reload.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::manifest::Manifest;
use super::problem::Problem;
use super::record::{Life, Record};
use super::report::ReloadReport;
use super::shown::{Draining, IgnoredFile, Load, PluginList, PluginState, PluginView, Resident};
use super::vitals::{Reloads, Totals, Vitals};
use crate::providers::{Registry, Snapshot};

/// How many ended generations of a plugin are remembered.
const HISTORY: usize = 20;

/// One library as the last reload left it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) file: PathBuf,
    pub(super) manifest: Option<Arc<Manifest>>,
    pub(super) sha256: Option<String>,
    pub(super) size: Option<u64>,
    /// What became of the file, where that is not told by what is made from it.
    pub(super) state: Option<PluginState>,
    pub(super) problem: Option<Problem>,
    /// The generation that serves.
    pub(super) serving: Option<Arc<Record>>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    registry: Arc<Registry>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    entries: Vec<Entry>,
    ignored: Vec<IgnoredFile>,
    /// By plugin, oldest first.
    generations: BTreeMap<String, Vec<Arc<Record>>>,
    /// What those came to that are not among them any more.
    forgotten: BTreeMap<String, Totals>,
    reloads: Reloads,
}

impl Catalog {
    /// A catalog that tells providers as the registry has them.
    pub(super) fn new(registry: Arc<Registry>) -> Self {
        Self { registry, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces what the last reload left.
    pub(super) fn set(&self, mut entries: Vec<Entry>, ignored: Vec<IgnoredFile>) {
        entries.sort_by(|a, b| {
            let id = |entry: &Entry| entry.manifest.as_ref().map(|manifest| manifest.id.to_string());
            (id(a).is_none(), id(a), &a.file).cmp(&(id(b).is_none(), id(b), &b.file))
        });
        let mut state = self.state();
        state.entries = entries;
        state.ignored = ignored;
    }

    /// Takes note of a new generation, and forgets the oldest of those that have ended.
    pub(super) fn add_generation(&self, plugin: &str, record: Arc<Record>) {
        let mut state = self.state();
        let State { generations, forgotten, .. } = &mut *state;
        let records = generations.entry(plugin.to_owned()).or_default();
        records.push(record);
        while records.len() > HISTORY {
            let Some(ended) = records.iter().position(|record| record.life() == Life::Unloaded) else {
                break;
            };
            forgotten.entry(plugin.to_owned()).or_default().add(&records.remove(ended));
        }
    }

    /// Everything.
    pub(super) fn list(&self) -> PluginList {
        let state = self.state();
        let snapshot = self.registry.snapshot();
        let plugins: Vec<PluginView> =
            state.entries.iter().map(|entry| state.view(entry, &snapshot)).collect();
        PluginList { total_count: plugins.len(), plugins, ignored: state.ignored.clone() }
    }

    /// One plugin, with its history; the library in use where there are several.
    pub(super) fn get(&self, id: &str) -> Option<PluginView> {
        let state = self.state();
        let mut found = state
            .entries
            .iter()
            .filter(|entry| entry.manifest.as_ref().is_some_and(|manifest| manifest.id.as_str() == id));
        let first = found.next()?;
        let entry = std::iter::once(first)
            .chain(found)
            .find(|entry| entry.state != Some(PluginState::Shadowed))
            .unwrap_or(first);
        let mut view = state.view(entry, &self.registry.snapshot());
        let loads = state
            .generations
            .get(id)
            .map(|records| records.iter().rev().map(|record| load(record)).collect());
        view.history = Some(loads.unwrap_or_default());
        Some(view)
    }

    /// Takes note of a reload.
    pub(super) fn note_reload(&self, report: &ReloadReport) {
        self.state().reloads.note(report);
    }

    /// How every plugin does that was loaded and is there, or not gone yet; and how reloads went.
    pub(super) fn vitals(&self) -> (Vec<Vitals>, Reloads) {
        let state = self.state();
        let is_there = |id: &str, records: &[Arc<Record>]| {
            let has_file =
                |entry: &Entry| entry.manifest.as_ref().is_some_and(|manifest| manifest.id.as_str() == id);
            records.iter().any(|record| record.life() != Life::Unloaded) || state.entries.iter().any(has_file)
        };
        let loaded = state.generations.iter().filter(|(id, records)| is_there(id, records));
        let vitals = loaded.map(|(id, records)| {
            let forgotten = state.forgotten.get(id).copied().unwrap_or_default();
            Vitals::of(id, forgotten, records.iter().map(Arc::as_ref))
        });
        (vitals.collect(), state.reloads)
    }

    /// The generations that are not gone yet.
    pub(super) fn living(&self) -> Vec<Arc<Record>> {
        let state = self.state();
        let records = state.generations.values().flatten();
        records.filter(|record| record.life() != Life::Unloaded).cloned().collect()
    }
}

impl State {
    fn view(&self, entry: &Entry, snapshot: &Snapshot) -> PluginView {
        let mut view = PluginView::of_file(entry.file.clone(), entry.state.unwrap_or(PluginState::Unused));
        if let Some(manifest) = &entry.manifest {
            view.describe(manifest);
        }
        view.sha256.clone_from(&entry.sha256);
        view.size_bytes = entry.size;
        view.problem.clone_from(&entry.problem);
        if entry.state == Some(PluginState::Shadowed) {
            return view;
        }
        let made =
            snapshot.by_priority().iter().filter(|it| view.id.as_deref() == Some(it.plugin.id.as_str()));
        view.providers = made.map(|provider| provider.name().to_owned()).collect();
        if entry.state.is_none() && !view.providers.is_empty() {
            view.state = PluginState::Active;
        }
        if let Some(record) = &entry.serving {
            view.generation = Some(record.generation);
            view.loaded_at = Some(time(record.loaded_at));
            view.in_flight = record.in_flight();
            view.panics = record.pulse.panics();
            if let Some(problem) = record.pulse.quarantined() {
                view.state = PluginState::Quarantined;
                view.problem = Some(problem.clone());
            }
        }
        let records = view.id.as_ref().and_then(|id| self.generations.get(id));
        for record in records.into_iter().flatten() {
            let (generation, in_flight) = (record.generation, record.in_flight());
            // What serves is never draining: it was replaced a moment ago, and the list is a moment older.
            if view.generation == Some(generation) {
                continue;
            }
            match record.life() {
                Life::Draining { since } => {
                    view.draining.push(Draining { generation, in_flight, since: time(since), closing: None });
                }
                Life::Closing { since, step } => {
                    view.draining.push(Draining {
                        generation,
                        in_flight,
                        since: time(since),
                        closing: Some(step),
                    });
                }
                Life::Resident { reason } => view.resident.push(Resident { generation, reason }),
                Life::Active | Life::Unloaded => {}
            }
        }
        view
    }
}

fn load(record: &Record) -> Load {
    let (state, reason) = match record.life() {
        Life::Active => ("active", record.pulse.quarantined().map(|problem| problem.message.clone())),
        Life::Draining { .. } => ("draining", None),
        Life::Closing { step, .. } => ("closing", Some(step.to_owned())),
        Life::Unloaded => ("unloaded", None),
        Life::Resident { reason } => ("resident", Some(reason)),
    };
    Load {
        generation: record.generation,
        version: record.version.clone(),
        sha256: record.sha256.clone(),
        loaded_at: time(record.loaded_at),
        state,
        reason,
    }
}

fn time(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::mpsc;

    use super::*;
    use crate::plugins::pulse::Pulse;
    use crate::plugins::vitals::Generations;

    #[test]
    fn what_is_forgotten_counts_on() {
        let catalog = Catalog::default();
        let loads = 2 * HISTORY as u64;
        for number in 1..=loads {
            let (pulse, jobs) = (Arc::new(Pulse::default()), mpsc::channel(1).0);
            pulse.note_panic(9, Duration::ZERO);
            let record = Record::new(number, "1.0.0".to_owned(), String::new(), pulse, jobs.downgrade());
            let closing = Life::Closing { since: SystemTime::now(), step: "waits" };
            record.set_life(if number == loads { closing } else { Life::Unloaded });
            catalog.add_generation("p", Arc::new(record));
        }
        let (vitals, _) = catalog.vitals();
        assert_eq!((vitals.len(), vitals[0].generation, vitals[0].totals.panics), (1, loads, loads));
        assert_eq!(vitals[0].generations, Generations { closing: 1, ..Generations::default() });
        // There is no file of it either, so it is gone with its last generation.
        catalog.living()[0].set_life(Life::Unloaded);
        assert_eq!(catalog.vitals().0.len(), 0);
    }
}
