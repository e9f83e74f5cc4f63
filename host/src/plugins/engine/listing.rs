//! What a reload leaves for `/api/plugins`: every file, with what became of it.

use std::path::Path;
use std::sync::Arc;

use super::libraries::gone;
use super::{Engine, Run};
use crate::plugins::catalog::Entry;
use crate::plugins::discover::Scan;
use crate::plugins::examine::{Content, Examined};
use crate::plugins::problem::Problem;
use crate::plugins::shown::{IgnoredFile, PluginState};

impl Engine {
    /// Writes down what there is, for `/api/plugins`.
    pub(super) fn list_files(&self, examined: &[Examined], scan: Scan, run: &mut Run) {
        let mut entries = Vec::new();
        for (index, file) in examined.iter().enumerate() {
            let outcome = run.outcomes.remove(&index);
            let content = file.content.as_deref().ok();
            entries.push(self.entry(&file.path, content, outcome, run));
        }
        for (path, error) in &scan.refused {
            let refused = Some((PluginState::Refused, Some(error.problem())));
            entries.push(self.entry(path, None, refused, run));
        }
        // What serves is listed, also when there is no file any more that stands for it.
        for active in self.plugins.values() {
            let record = &active.generation.record;
            let listed = |entry: &Entry| entry.serving.as_ref().is_some_and(|it| Arc::ptr_eq(it, record));
            if !entries.iter().any(listed) {
                let problem = gone(&active.file, active.plugin.manifest.id.as_str());
                entries.push(self.entry(
                    &active.file,
                    None,
                    Some((PluginState::Refused, Some(problem))),
                    run,
                ));
            }
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
        let refused = manifest.and_then(|manifest| run.refused.get(&manifest.id).cloned());
        Entry {
            file: file.to_owned(),
            manifest: manifest.cloned(),
            sha256: serving
                .map(|active| active.hash.to_string())
                .or(content.map(|content| content.hash.to_string())),
            size: content.map(|content| content.size),
            // A refused file whose plugin serves on is what the plugin is.
            state: state.filter(|state| serving.is_none() || *state != PluginState::Refused),
            problem: problem.or(refused),
            serving: serving.map(|active| Arc::clone(&active.generation.record)),
        }
    }
}
