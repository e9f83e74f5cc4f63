//! Keys of a provider's `config` that nobody may read: a limit that is misspelt is no limit.

use std::collections::BTreeSet;

use super::manifest::Manifest;
use crate::config::{ConfigProblem, ProviderEntry, host_keys, is_host_key, meant};
use crate::gateway::near::slip;

/// See the module.
#[derive(Debug, Default)]
pub struct StrayKeys {
    /// The plugin takes no other keys than those that it describes, so nobody reads these.
    pub refused: Vec<ConfigProblem>,
    /// The plugin does not say what it takes, and these are much like a key of the host's.
    pub doubtful: Vec<ConfigProblem>,
}

impl StrayKeys {
    /// Looks through an entry; without its plugin's manifest nothing is refused.
    pub fn of(name: &str, entry: &ProviderEntry, manifest: Option<&Manifest>) -> Self {
        let own = manifest.into_iter().flat_map(Manifest::own_keys);
        // Beside `config` is its place, and in the plugins' defaults it stands there; so it is read there, too.
        let own: BTreeSet<&str> = own.chain(["priority"]).filter(|key| !is_host_key(key)).collect();
        let is_closed = manifest.is_some_and(Manifest::takes_nothing_else);
        let mut strays = Self::default();
        let config = entry.config();
        for key in config.keys().filter(|key| !is_host_key(key) && !own.contains(key.as_str())) {
            let (list, reason, hint) = if is_closed {
                let known = host_keys().chain(own.iter().copied());
                (&mut strays.refused, format!("unknown key \"{key}\""), meant(key, known))
            } else if let Some(near) = slip(key, host_keys()) {
                let reason =
                    format!("\"{key}\" means nothing to this host, and may mean nothing to the plugin");
                let hint = format!(
                    "did you mean \"{near}\"? Where it is the plugin's own, its author had better name it in config_schema"
                );
                (&mut strays.doubtful, reason, hint)
            } else {
                continue;
            };
            let pointer = format!("/plugins/{name}/config/{}", key.replace('~', "~0").replace('/', "~1"));
            list.push(ConfigProblem::new(entry.origin(key).to_string(), pointer, reason, hint));
        }
        strays
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::plugins::platform::Platform;

    fn manifest(more: &Value) -> Manifest {
        let mut manifest = json!({
            "id": "x", "name": "X", "version": "1.0.0", "author": "A", "description": "D",
        });
        manifest.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Manifest::parse(manifest.to_string().as_bytes(), &Platform::host()).unwrap()
    }

    fn told(problems: &[ConfigProblem]) -> Vec<String> {
        problems.iter().map(|problem| format!("{}: {}", problem.pointer, problem.hint)).collect()
    }

    #[test]
    fn who_describes_what_it_takes_takes_nothing_else() {
        let closed = manifest(&json!({
            "config_schema": {"properties": {"region": {"type": "string"}}, "additionalProperties": false},
            "config_defaults": {"model": "m", "flavour": "plain"}, "sample_config": {"zone": "a"},
        }));
        let config = json!({
            "region": "eu", "flavour": "x", "zone": "b", "timeout": 3, "priority": 3, "requests_per_minute": 1,
            "request_per_minute": 1, "regoin": "eu", "unheard_of": 1,
        });
        let entry = ProviderEntry::from_config(config.as_object().unwrap());
        let StrayKeys { refused, doubtful } = StrayKeys::of("p", &entry, Some(&closed));
        let refused = told(&refused);
        assert_eq!(doubtful, []);
        assert_eq!(refused.len(), 3, "{refused:?}");
        assert_eq!(refused[0], "/plugins/p/config/regoin: did you mean \"region\"?");
        assert_eq!(refused[1], "/plugins/p/config/request_per_minute: did you mean \"requests_per_minute\"?");
        assert!(
            refused[2].contains("known are name, api_key") && refused[2].ends_with("zone"),
            "{refused:?}"
        );
    }

    #[test]
    fn where_nothing_is_described_only_slips_are_told() {
        let open = manifest(&json!({ "config_schema": {"properties": {"mode": {"type": "string"}}} }));
        let config = json!({
            "buget_usd_per_day": 1, "budget_usd_per_week": 5, "pricng": 3, "mode": "fast", "unheard_of": 1,
        });
        let entry = ProviderEntry::from_config(config.as_object().unwrap());
        let StrayKeys { refused, doubtful } = StrayKeys::of("p", &entry, Some(&open));
        assert_eq!(refused, []);
        let near: Vec<String> =
            doubtful.iter().map(|it| it.hint.split('?').next().unwrap().to_owned()).collect();
        let day = "did you mean \"budget_usd_per_day\"";
        assert_eq!(near, [day, day, "did you mean \"pricing\""]);
        // Without a library nobody knows even that.
        assert_eq!(StrayKeys::of("p", &entry, None).doubtful.len(), 4);
    }
}
