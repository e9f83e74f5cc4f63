//! What is told. Field names are contract; no body has a secret in it, and none is large.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use crate::audit::Entry;
use crate::plugins::ProblemCode;

/// A text that others wrote is told up to here.
const LONGEST_TEXT: usize = 500;

/// What an event is about: what listeners choose by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// Configuration and directories were read again.
    Reload,
    /// How a provider does has changed.
    Provider,
    /// Something became of a plugin.
    Plugin,
    /// The configuration cannot be used as it is.
    Config,
    /// An operator has changed something, or was refused.
    Audit,
}

/// One event's body.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schemars(rename = "EventNews")]
pub enum News {
    /// Configuration and directories were read again.
    Reload(ReloadNews),
    /// How a provider does has changed.
    Provider {
        /// Its name.
        provider: String,
        /// What has changed.
        #[serde(flatten)]
        news: ProviderNews,
    },
    /// Something became of a plugin.
    Plugin {
        /// Its id, where that could be read.
        plugin: Option<String>,
        /// What became of it.
        #[serde(flatten)]
        news: PluginNews,
    },
    /// The configuration cannot be used as it is.
    Config(ConfigNews),
    /// An operator has changed something, or was refused.
    Audit(Box<Entry>),
}

/// A reload in short.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ReloadNews {
    /// `ok`, `partial` or `failed`.
    pub status: &'static str,
    /// Who wanted it: `api`, `watch`, `signal`, `start`.
    pub reason: &'static str,
    /// Whether it only reported.
    pub dry_run: bool,
    /// Counts the published sets of providers.
    pub generation: u64,
    /// How long it took.
    pub duration_ms: f64,
    /// How many libraries.
    pub plugins: Change,
    /// How many providers.
    pub providers: Change,
    /// What could not be done, the first few of it.
    pub failed: Vec<Failure>,
}

/// How many of something.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[schemars(rename = "EventCounts")]
pub struct Change {
    /// Those that are new.
    pub added: usize,
    /// Those that were replaced.
    pub changed: usize,
    /// Those that are as they were.
    pub unchanged: usize,
    /// Those that are gone.
    pub removed: usize,
    /// Those that could not be used.
    pub failed: usize,
}

/// One thing that could not be done.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "EventFailure")]
pub struct Failure {
    /// The plugin, if it was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// The provider, if it was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// For programs.
    pub code: ProblemCode,
    /// For people.
    pub message: String,
}

/// What has changed about a provider.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ProviderNews {
    /// Its condition.
    Condition {
        /// The one told before.
        from: String,
        /// The one of now.
        to: String,
        /// Why, where that is known.
        reason: Option<String>,
        /// For so long, where that is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        seconds: Option<u64>,
    },
    /// It failed too often, and is left alone.
    BreakerOpened {
        /// How it failed last.
        reason: String,
    },
    /// It answers again.
    BreakerClosed,
    /// One of its keys is not used for a while.
    KeyResting {
        /// Its place among the keys, from 0.
        key: usize,
        /// For so long.
        seconds: u64,
        /// Whether upstream refused it, rather than asking for fewer requests.
        refused: bool,
    },
}

/// What became of a plugin.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PluginNews {
    /// It was loaded.
    Loaded {
        /// Which load of it.
        generation: u64,
        /// The one that it replaces.
        replaces: Option<u64>,
        /// Its version.
        version: String,
    },
    /// Its library could not be used.
    Refused {
        /// Where it lies.
        #[serde(serialize_with = "lossily")]
        file: PathBuf,
        /// The phase that failed.
        phase: &'static str,
        /// The step that failed.
        step: &'static str,
        /// For programs.
        code: ProblemCode,
        /// For people.
        message: String,
        /// Whether the generation before goes on serving.
        kept_previous: bool,
    },
    /// It takes no more calls.
    Quarantined {
        /// For programs.
        code: ProblemCode,
        /// How to mend it.
        hint: String,
    },
    /// Its library is gone, or it was switched off.
    Removed,
    /// A generation was replaced, and finishes what it had begun.
    Draining {
        /// Which one.
        generation: u64,
        /// Requests under way.
        in_flight: usize,
    },
    /// A generation has finished, and was unloaded.
    Unloaded {
        /// Which one.
        generation: u64,
    },
    /// A generation has finished, and stays mapped.
    Resident {
        /// Which one.
        generation: u64,
        /// Why.
        reason: String,
    },
}

/// What is wrong with the configuration.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ConfigNews {
    /// It cannot be used; what was in force stays.
    Refused {
        /// How many problems there are.
        problems: usize,
        /// The first few of them.
        messages: Vec<String>,
    },
    /// Sections have changed that are read only at start.
    NeedsRestart {
        /// Which ones.
        sections: Vec<&'static str>,
    },
}

impl Topic {
    /// All there are.
    pub const ALL: [Self; 5] = [Self::Reload, Self::Provider, Self::Plugin, Self::Config, Self::Audit];

    /// As `type` has it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Reload => "reload",
            Self::Provider => "provider",
            Self::Plugin => "plugin",
            Self::Config => "config",
            Self::Audit => "audit",
        }
    }
}

impl News {
    pub(super) fn topic(&self) -> Topic {
        match self {
            Self::Reload(_) => Topic::Reload,
            Self::Provider { .. } => Topic::Provider,
            Self::Plugin { .. } => Topic::Plugin,
            Self::Config(_) => Topic::Config,
            Self::Audit(_) => Topic::Audit,
        }
    }
}

/// A text of others, as much of it as is told.
pub fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST_TEXT) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// A file's name may be any bytes.
fn lossily<S: serde::Serializer>(file: &std::path::Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&file.display())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(news: &News, expected: &serde_json::Value) {
        assert_eq!(serde_json::to_value(news).unwrap(), *expected);
        assert_eq!(expected["type"], news.topic().word());
    }

    #[test]
    fn bodies_have_the_documented_fields() {
        let (from, to) = ("available".to_owned(), "unavailable".to_owned());
        let news = ProviderNews::Condition { from, to, reason: None, seconds: None };
        check(
            &News::Provider { provider: "p".to_owned(), news },
            &json!({"type": "provider", "provider": "p", "kind": "condition", "from": "available",
                    "to": "unavailable", "reason": null}),
        );
        check(
            &News::Plugin { plugin: Some("mock".to_owned()), news: PluginNews::Unloaded { generation: 2 } },
            &json!({"type": "plugin", "plugin": "mock", "kind": "unloaded", "generation": 2}),
        );
        check(
            &News::Config(ConfigNews::NeedsRestart { sections: vec!["server"] }),
            &json!({"type": "config", "kind": "needs_restart", "sections": ["server"]}),
        );
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(shortened("as it is"), "as it is");
        let long = "ä".repeat(501);
        assert_eq!(shortened(&long).chars().count(), 503);
    }
}
