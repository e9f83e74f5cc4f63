//! Where a list comes from: one of elsewhere is never shown.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::config::{ProviderSettings, is_host_key};
use crate::hex::hex;

/// A digest of all that decides whose list it is. Nothing can be read from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Source(String);

impl Source {
    /// The plugin, the address, what is sent along, and what only the plugin understands: there may be an account
    /// or a region among it. The keys are left out: they are changed often, another one of the same vendor sees the
    /// same list but for what is its owner's alone, and nothing about them belongs on a disk.
    pub(super) fn of(settings: &ProviderSettings) -> Self {
        let ProviderSettings { plugin, base_url, extra_headers, models, plugin_config, .. } = settings;
        let mut own: Vec<_> = plugin_config.iter().filter(|(key, _)| !is_host_key(key)).collect();
        own.sort_unstable_by_key(|(key, _)| *key);
        // Strings and numbers can always be written.
        let text = serde_json::to_vec(&(plugin, base_url, extra_headers, models, own)).unwrap_or_default();
        Self(hex(&Sha256::digest(text)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing;

    fn differs(change: impl FnOnce(&mut ProviderSettings)) -> bool {
        let before = testing::settings("p");
        let mut after = before.clone();
        change(&mut after);
        Source::of(&before) != Source::of(&after)
    }

    #[test]
    fn another_vendor_is_another_source() {
        assert!(differs(|it| it.plugin = "other".to_owned()));
        assert!(differs(|it| it.base_url = Some("https://other.test/v1".to_owned())));
        assert!(differs(|it| _ = it.extra_headers.insert("x-organization".to_owned(), "two".to_owned())));
        assert!(differs(|it| it.models = vec!["m".to_owned()]));
        assert!(differs(|it| _ = it.plugin_config.insert("region".to_owned(), json!("eu"))));
    }

    #[test]
    fn how_it_is_asked_is_no_other_source() {
        assert!(!differs(|it| it.keys = vec!["sk-other".into()]));
        assert!(!differs(|it| it.priority = 1));
        assert!(!differs(|it| it.model = Some("other".to_owned())));
        assert!(!differs(|it| _ = it.plugin_config.insert("timeout".to_owned(), json!(5))));
        // A plugin that sees secrets has them among what it is configured with.
        assert!(!differs(|it| _ = it.plugin_config.insert("api_key".to_owned(), json!("sk-other"))));
    }
}
