//! What a host says of itself when it has started.

use std::fmt::Write as _;

use super::App;
use crate::dev::Places;
use crate::plugins::PluginState;
use crate::providers::Waiting;

impl App {
    /// Providers and plugins as a short table, and what to try next.
    pub fn summary(&self) -> String {
        let mut text = String::new();
        let snapshot = self.registry.snapshot();
        let plugins = self.manager.list().plugins;
        // Writing to a string does not fail.
        for provider in snapshot.by_priority() {
            let (name, plugin) = (provider.name(), &provider.plugin);
            let _ = writeln!(text, "  {name:<20} {} {}", plugin.id, plugin.version);
        }
        for plugin in plugins.iter().filter(|plugin| plugin.state != PluginState::Active) {
            let Some(problem) = &plugin.problem else { continue };
            let _ = writeln!(text, "  {} was not used: {}", plugin.file.display(), problem.message);
        }
        for Waiting { name, variable, .. } in snapshot.waiting() {
            let _ = writeln!(text, "  {name:<20} waits for a key: {variable}");
        }
        for plugin in plugins.iter().filter(|plugin| plugin.state == PluginState::Unused) {
            let Some(id) = plugin.id.as_deref().filter(|_| plugin.problem.is_none()) else { continue };
            if snapshot.waiting().iter().any(|waiting| waiting.plugin == id) {
                continue;
            }
            let _ = writeln!(
                text,
                "  {id:<20} loaded, and no provider uses it: \"{id}\": {{}} under \"plugins\" in plugin_config.json"
            );
        }
        if snapshot.by_priority().is_empty() {
            text.push_str("  no providers yet: put a plugin's library into plugins/custom, name it in plugin_config.json,\n");
            let _ = write!(text, "  and curl -X POST http://{}/api/providers/reload", self.address);
            if std::env::current_dir().is_ok_and(|here| Places::hold_crates(&Places::standard(&here))) {
                text.push_str("\n  there are plugins' sources here: `patchbay dev` builds them, and serves what comes of it");
            }
        } else {
            if snapshot.by_priority().iter().all(|provider| provider.plugin.id == "mock") {
                text.push_str("  nothing else is configured, so the mock provider answers\n");
            }
            text.push_str(&self.attempt);
        }
        text
    }
}
