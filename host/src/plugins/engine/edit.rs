//! Changes to providers at run time: tried, kept, and only then published.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Engine, Run};
use crate::config::{Change, ChangeFileError, Changes, Config, ConfigProblems, runtime_problems};
use crate::patch::merge;
use crate::plugins::instances::alike;
use crate::plugins::problem::Problem;

/// What is to become of one provider.
#[derive(Debug)]
pub struct ProviderEdit {
    /// Its name.
    pub name: String,
    /// What to do.
    pub action: EditAction,
    /// The version that the client has seen; a later one refuses the edit.
    pub expected: Option<u64>,
}

/// What to do with a provider.
pub enum EditAction {
    /// Make it, from an entry as it would stand in the file.
    Create(Map<String, Value>),
    /// Change members of its entry; null takes back what was set at run time.
    Patch(Map<String, Value>),
    /// Take it away.
    Remove,
}

/// There may be keys in what is said.
impl std::fmt::Debug for EditAction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Create(_) => "Create",
            Self::Patch(_) => "Patch",
            Self::Remove => "Remove",
        })
    }
}

/// Why an edit was refused. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// There is one already.
    #[error("there already is a provider \"{0}\"")]
    Taken(String),
    /// There is none.
    #[error("there is no provider \"{0}\"")]
    Unknown(String),
    /// Somebody else was faster.
    #[error("the provider was changed meanwhile: its version is {version} now")]
    Stale {
        /// The version of now.
        version: u64,
    },
    /// The key would go to somebody new.
    #[error("the key does not go along to another \"base_url\" or \"plugin\": send \"api_key\" with it")]
    KeyNeeded,
    /// What was said makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// The rest of the configuration cannot be used now.
    #[error("the configuration has to be mended first: {0}")]
    Configuration(ConfigProblems),
    /// The provider cannot be made like this.
    #[error("{}", .0.message)]
    Refused(Problem),
    /// It could not be kept.
    #[error(transparent)]
    NotKept(#[from] ChangeFileError),
    /// Nobody is there to do it.
    #[error("the loader has ended unexpectedly")]
    NoLoader,
}

impl Engine {
    /// Applies an edit; answers with the provider's new version.
    pub(in crate::plugins) async fn edit(&mut self, edit: ProviderEdit) -> Result<u64, EditError> {
        let ProviderEdit { name, action, expected } = edit;
        let version = self.changes.version(&name);
        if expected.is_some_and(|expected| expected != version) {
            return Err(EditError::Stale { version });
        }
        let before = self.read(&self.changes)?;
        let entry = self.edited(&before, &name, &action)?;
        let mut changes = self.changes.clone();
        changes.providers.insert(name.clone(), Change { version: version + 1, entry });
        let after = self.read(&changes)?;
        let had_key = is_offered(&before, &name) || has_key(&before, &name);
        if let EditAction::Patch(patch) = &action
            && !gives_key(patch)
            && (self.origin(&before, &name) != self.origin(&after, &name)
                || leaves_key_behind(patch) && had_key && !has_key(&after, &name))
        {
            return Err(EditError::KeyNeeded);
        }

        let mut run = Run::default();
        let previous = std::mem::replace(&mut self.changes, changes);
        let prepared = self.prepare(&after, self.plugins.clone(), &mut run).await;
        let refused = run.providers.failed.iter().find(|failed| failed.name == name);
        // First the disk, then the pointer: what was acknowledged is found again after any crash.
        let kept = match refused {
            Some(failed) => Err(EditError::Refused(failed.problem.clone())),
            None => self.change_file.write(&self.changes).map_err(EditError::from),
        };
        if let Err(error) = kept {
            self.changes = previous;
            return Err(error);
        }
        self.publish(Arc::new(after), prepared, &mut run);
        let version = version + 1;
        tracing::info!(name, version, generation = self.published, "provider changed at run time");
        Ok(version)
    }

    fn read(&self, changes: &Changes) -> Result<Config, EditError> {
        self.sources.read_config(&changes.layer()).map_err(EditError::Configuration)
    }

    /// What is said of the provider at run time after the edit; none when it is removed.
    fn edited(
        &self,
        before: &Config,
        name: &str,
        action: &EditAction,
    ) -> Result<Option<Map<String, Value>>, EditError> {
        // One that nobody configured, as a plugin with a key or the mock alone, is there as well.
        let there = before.plugins.contains_key(name) || self.registry.snapshot().get(name).is_some();
        let (mut said, patch) = match action {
            EditAction::Create(_) if there => return Err(EditError::Taken(name.to_owned())),
            EditAction::Patch(_) | EditAction::Remove if !there => {
                return Err(EditError::Unknown(name.to_owned()));
            }
            EditAction::Remove => return Ok(None),
            EditAction::Create(entry) => {
                check_name(name)?;
                (Map::new(), entry)
            }
            EditAction::Patch(patch) => {
                let said = self.changes.entry(name).cloned().unwrap_or_default();
                // As before it is there while its key is.
                let auto = is_offered(before, name).then(|| ("enabled".to_owned(), "auto".into()));
                (said.into_iter().chain(auto).collect(), patch)
            }
        };
        merge(&mut said, patch);
        drop_emptied(&mut said, patch);
        let problems = runtime_problems(name, &said);
        if problems.is_empty() {
            Ok(Some(said))
        } else {
            Err(EditError::Invalid(ConfigProblems(problems).to_string()))
        }
    }

    /// Where the provider's key goes.
    fn origin(&self, config: &Config, name: &str) -> Option<String> {
        let offered = || config.offered(name)?.as_ref().ok();
        let entry = config.plugins.get(name).or_else(offered)?;
        let id = entry.plugin.as_deref().unwrap_or(name);
        let plugin = self.plugins.iter().find(|(known, _)| alike(known.as_str(), id));
        let default = plugin.and_then(|(_, active)| active.plugin.manifest.config_defaults.get("base_url"));
        let said = entry.config();
        let url = said.get("base_url").filter(|url| !url.is_null()).or(default)?.as_str()?;
        Some(
            reqwest::Url::parse(url)
                .map_or_else(|_| url.to_owned(), |url| url.origin().ascii_serialization()),
        )
    }
}

fn gives_key(patch: &Map<String, Value>) -> bool {
    patch.get("config").and_then(Value::as_object).is_some_and(holds_key)
}

/// What names a plugin or an address is served with no key out of a variable that was not meant for it.
fn leaves_key_behind(patch: &Map<String, Value>) -> bool {
    let config = patch.get("config").and_then(Value::as_object);
    patch.contains_key("plugin") || config.is_some_and(|config| config.contains_key("base_url"))
}

fn has_key(config: &Config, name: &str) -> bool {
    config.plugins.get(name).is_some_and(|entry| holds_key(&entry.config()))
}

fn holds_key(config: &Map<String, Value>) -> bool {
    ["api_key", "api_keys"].iter().any(|key| config.get(*key).is_some_and(|it| !it.is_null()))
}

/// Whether variables alone make it.
fn is_offered(config: &Config, name: &str) -> bool {
    !config.plugins.contains_key(name) && config.offered(name).is_some_and(Result::is_ok)
}

/// Where a patch has left nothing of an object, it goes, too: it would say that there is something, as prices of a model
/// do.
fn drop_emptied(said: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (name, value) in patch {
        if let (Value::Object(patch), Some(Value::Object(inner))) = (value, said.get_mut(name)) {
            drop_emptied(inner, patch);
            if inner.is_empty() && !patch.is_empty() {
                said.remove(name);
            }
        }
    }
}

/// Names stand in URLs, and before the slash of a pinned model.
fn check_name(name: &str) -> Result<(), EditError> {
    const RULE: &str = "a provider's name has letters, digits, '.', '_' and '-', at most 64 of them, and a letter or digit first";
    let plain = |byte: u8| byte.is_ascii_alphanumeric();
    let good = name.bytes().next().is_some_and(plain)
        && name.bytes().all(|byte| plain(byte) || b"._-".contains(&byte))
        && name.len() <= 64
        && name != "reload";
    if good { Ok(()) } else { Err(EditError::Invalid(RULE.to_owned())) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_is_left_of_what_was_taken_away() {
        for (said, patch, expected) in [
            (json!({"c": {"x": {"deep": 1}}}), json!({"c": {"x": {"deep": null}}}), json!({})),
            (json!({}), json!({"c": {"x": null}}), json!({})),
            (
                json!({"c": {"x": {"deep": 1}, "y": 1}}),
                json!({"c": {"x": {"deep": null}}}),
                json!({"c": {"y": 1}}),
            ),
            (json!({}), json!({"c": {}}), json!({"c": {}})),
        ] {
            let (mut said, patch) = (said.as_object().unwrap().clone(), patch.as_object().unwrap().clone());
            merge(&mut said, &patch);
            drop_emptied(&mut said, &patch);
            assert_eq!(Value::Object(said), expected);
        }
    }

    #[test]
    fn names_fit_into_urls() {
        for good in ["a", "my_provider-2.1", "A"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        let long = "a".repeat(65);
        for bad in ["", "-a", "a/b", "a b", "ä", "reload", long.as_str()] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
