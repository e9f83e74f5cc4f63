//! What a reload did, told to whoever listens.

use std::sync::Arc;

use super::Engine;
use crate::events::{Change, ConfigNews, Failure, News, PluginNews, ReloadNews, shortened};
use crate::plugins::generation::Generation;
use crate::plugins::problem::{Problem, ProblemCode};
use crate::plugins::record::Life;
use crate::plugins::report::{PluginChanges, ProviderChanges, ReloadReport, ReloadStatus};

/// So many failures and problems are told one by one; `/api/plugins` and the log have all.
const FEW: usize = 10;

impl Engine {
    /// Tells the sum, and before it what became of each plugin. A dry run has changed nothing: it only has a sum.
    pub(super) fn tell_listeners(&self, report: &ReloadReport, reason: &'static str) {
        if !report.dry_run {
            self.tell_config(report);
            self.tell_plugins(&report.plugins);
        }
        let (plugins, providers) = (&report.plugins, &report.providers);
        self.events.tell(News::Reload(ReloadNews {
            status: report.status.word(),
            reason,
            dry_run: report.dry_run,
            generation: report.generation,
            // What is below a microsecond is noise.
            duration_ms: (report.duration_ms * 1e3).round() / 1e3,
            plugins: Change {
                added: plugins.loaded.len(),
                changed: plugins.reloaded.len(),
                unchanged: plugins.unchanged.len(),
                removed: plugins.removed.len(),
                failed: plugins.failed.len(),
            },
            providers: Change {
                added: providers.created.len(),
                changed: providers.updated.len(),
                unchanged: providers.unchanged.len(),
                removed: providers.removed.len(),
                failed: providers.failed.len(),
            },
            failed: failures(report.config.is_some(), plugins, providers),
        }));
    }

    fn tell_config(&self, report: &ReloadReport) {
        if let Some(config) = &report.config {
            let told = |problem: &dyn std::fmt::Display| shortened(&problem.to_string());
            let messages = match &config.problems[..] {
                [] => vec![told(&config.message)],
                problems => problems.iter().take(FEW).map(|problem| told(problem)).collect(),
            };
            let problems = config.problems.len().max(1);
            self.events.tell(News::Config(ConfigNews::Refused { problems, messages }));
        }
        if !report.needs_restart.is_empty() {
            let sections = report.needs_restart.clone();
            self.events.tell(News::Config(ConfigNews::NeedsRestart { sections }));
        }
    }

    fn tell_plugins(&self, changes: &PluginChanges) {
        let loaded = changes.loaded.iter().map(|id| (id, None));
        let loaded = loaded.chain(changes.reloaded.iter().map(|plugin| (&plugin.id, Some(plugin.from))));
        for (id, replaces) in loaded {
            let Some(active) =
                self.plugins.iter().find_map(|(known, it)| (known.as_str() == id).then_some(it))
            else {
                continue;
            };
            let record = &active.generation.record;
            let (generation, version) = (record.generation, record.version.clone());
            self.tell_plugin(Some(id), PluginNews::Loaded { generation, replaces, version });
        }
        for failed in changes.failed.iter().take(FEW) {
            let Problem { phase, step, code, message, .. } = &failed.problem;
            let news = PluginNews::Refused {
                file: failed.file.clone(),
                phase: phase.word(),
                step: step.word(),
                code: *code,
                message: shortened(message),
                kept_previous: failed.kept_previous,
            };
            self.tell_plugin(failed.id.as_deref(), news);
        }
        for id in &changes.removed {
            self.tell_plugin(Some(id), PluginNews::Removed);
        }
    }

    /// Tells that a generation was replaced, and once it is gone that it is.
    pub(super) fn tell_end(&self, generation: &Generation) {
        let (plugin, record) = (Arc::clone(&generation.plugin), Arc::clone(&generation.record));
        let (number, in_flight) = (record.generation, record.in_flight());
        self.tell_plugin(Some(&plugin), PluginNews::Draining { generation: number, in_flight });
        let events = self.events.clone();
        tokio::spawn(async move {
            let news = match record.ended().await {
                Life::Resident { reason } => {
                    PluginNews::Resident { generation: number, reason: shortened(&reason) }
                }
                _ => PluginNews::Unloaded { generation: number },
            };
            events.tell(News::Plugin { plugin: Some(plugin.to_string()), news });
        });
    }

    fn tell_plugin(&self, id: Option<&str>, news: PluginNews) {
        self.events.tell(News::Plugin { plugin: id.map(str::to_owned), news });
    }
}

fn failures(config: bool, plugins: &PluginChanges, providers: &ProviderChanges) -> Vec<Failure> {
    let of = |plugin: Option<String>, provider: Option<String>, problem: &Problem| Failure {
        plugin,
        provider,
        code: problem.code,
        message: shortened(&problem.message),
    };
    let plugins = plugins.failed.iter().map(|failed| {
        // One whose manifest cannot be read has no other name.
        let file = || failed.file.file_name().unwrap_or_default().display().to_string();
        of(Some(failed.id.clone().unwrap_or_else(file)), None, &failed.problem)
    });
    let providers =
        providers.failed.iter().map(|failed| of(None, Some(failed.name.clone()), &failed.problem));
    let config = config.then(|| Failure {
        plugin: None,
        provider: None,
        code: ProblemCode::ConfigurationInvalid,
        message: "the configuration cannot be used".to_owned(),
    });
    config.into_iter().chain(plugins).chain(providers).take(FEW).collect()
}

impl ReloadStatus {
    /// As it stands in JSON.
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Partial => "partial",
            Self::Failed => "failed",
        }
    }
}
