//! What differs between two configurations, fit to be shown: secrets are masked.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::host::Config;
use super::origin::Origin;
use super::pointer::{join, within};

/// A setting that is another than it was.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ChangedSetting {
    /// Which, as a JSON pointer into the configuration.
    pub pointer: String,
    /// What is in force, or was until now; null where there was nothing.
    pub before: Value,
    /// What is written now.
    pub after: Value,
    /// Whether it is read only when a host starts: until then what was before stays in force.
    pub needs_restart: bool,
    /// Whether it was already so when the configuration was read the last time.
    #[serde(skip)]
    pub is_known: bool,
}

/// What a host reads once.
const READ_AT_START: [&str; 4] = ["/server", "/loader", "/telemetry", "/usage"];

/// What stands for a secret of which nothing may be shown, and for another in its place.
const MASK: &str = "***";
const OTHER_MASK: &str = "*** (another)";

impl ChangedSetting {
    fn of(pointer: String, before: Value, after: Value) -> Self {
        Self { pointer, before, after, needs_restart: false, is_known: false }
    }
}

/// What `next` changes in a host that runs with `running`, and was started with `first`.
pub fn changed_settings(first: &Config, running: &Config, next: &Config) -> Vec<ChangedSetting> {
    let is_once = |pointer: &str| READ_AT_START.iter().any(|section| within(pointer, section));
    let mut changed = differing(running, next, |pointer| !is_once(pointer));
    let anew = differing(running, next, is_once);
    for setting in differing(first, next, is_once) {
        let is_known = !anew.iter().any(|it| it.pointer == setting.pointer);
        changed.push(ChangedSetting { needs_restart: true, is_known, ..setting });
    }
    changed
}

fn differing(before: &Config, after: &Config, is_asked: impl Fn(&str) -> bool) -> Vec<ChangedSetting> {
    let (mut gone, mut come) = (shown(before, after), shown(after, before));
    let pointers: BTreeSet<String> = gone.keys().chain(come.keys()).cloned().collect();
    let mut changed = Vec::new();
    for pointer in pointers.into_iter().filter(|pointer| is_asked(pointer)) {
        let (before, after) = (gone.remove(&pointer), come.remove(&pointer));
        if before != after {
            changed.push(ChangedSetting::of(pointer, before.unwrap_or_default(), after.unwrap_or_default()));
        }
    }
    for pointer in masked(before, after).into_iter().filter(|pointer| is_asked(pointer)) {
        if !changed.iter().any(|setting| within(&setting.pointer, &pointer)) {
            changed.push(ChangedSetting::of(pointer, MASK.into(), OTHER_MASK.into()));
        }
    }
    changed
}

/// Every value, by its pointer. Of entries without what their plugins add, which nobody has configured; and without the
/// defaults where the other configuration has no such entry to differ from.
fn shown(config: &Config, other: &Config) -> BTreeMap<String, Value> {
    let entries = config.plugins.iter().flat_map(|(name, entry)| {
        let is_alone = !other.plugins.contains_key(name);
        let values = entry.effective(name, None).into_iter();
        values.filter(move |value| !(is_alone && value.origin == Origin::HostDefault))
    });
    let values = config.effective().iter().cloned().chain(entries);
    values.map(|value| (value.pointer, value.value)).collect()
}

/// Where something differs that may look the same, because it is a secret.
fn masked(before: &Config, after: &Config) -> Vec<String> {
    let entries = before
        .plugins
        .iter()
        .filter(|(name, entry)| after.plugins.get(*name).is_some_and(|now| now != *entry));
    let mut places: Vec<String> = entries.map(|(name, _)| join("/plugins", name)).collect();
    if before.telemetry != after.telemetry {
        places.push("/telemetry".to_owned());
    }
    places
}
