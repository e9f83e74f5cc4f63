//! What is no mistake, as far as the configuration alone can tell, and may still not be what was meant.

use reqwest::Url;
use serde_json::Value;

use super::entry::Enabled;
use super::host::Config;
use super::pointer::join;
use super::problem::ConfigProblem;

impl Config {
    /// See the module.
    pub fn doubts(&self) -> Vec<ConfigProblem> {
        let mut doubts = self.doubtful_chains();
        doubts.extend(self.doubtful_addresses());
        doubts.extend(self.doubtful_origins());
        doubts
    }

    /// `provider/model` where there is no such provider is a model of that whole name.
    fn doubtful_chains(&self) -> Vec<ConfigProblem> {
        let mut doubts = Vec::new();
        for (model, chain) in &self.routing.chains {
            for member in chain.iter().filter(|member| !self.is_listed(member)) {
                let Some((name, _)) = member.split_once('/').filter(|(name, _)| !self.may_have(name)) else {
                    continue;
                };
                let reason = format!(
                    "\"{member}\": there is no provider \"{name}\", so this is taken for a model of that whole name"
                );
                let hint = "name a provider of \"plugins\", or leave the provider out";
                doubts.push(self.doubt(&join("/routing/chains", model), reason, hint));
            }
        }
        doubts
    }

    /// Nothing else is spoken to upstreams.
    fn doubtful_addresses(&self) -> Vec<ConfigProblem> {
        let mut doubts = Vec::new();
        for (name, entry) in self.plugins.iter().filter(|(_, entry)| entry.enabled != Enabled::No) {
            let config = entry.config();
            let Some(url) = config.get("base_url").and_then(Value::as_str) else { continue };
            let is_web = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
            if !Url::parse(url).is_ok_and(|url| is_web(&url)) {
                // Not as it is written: there may be a secret in it.
                let reason = "\"base_url\" is no http or https address";
                let hint = "write where the API begins, as in https://api.example.com/v1";
                let pointer = join(&join("/plugins", name), "config") + "/base_url";
                doubts.push(ConfigProblem::new(entry.origin("base_url").to_string(), pointer, reason, hint));
            }
        }
        doubts
    }

    /// What is none allows no page at all, `*` among it.
    fn doubtful_origins(&self) -> Vec<ConfigProblem> {
        let is_origin = |text: &str| {
            Url::parse(text).is_ok_and(|url| {
                matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == text
            })
        };
        let origins = self.server.cors_origins.iter().filter(|origin| !is_origin(origin));
        let doubt = |origin: &String| {
            let reason = format!("{origin:?} is no origin, and allows no page");
            self.doubt("/server/cors_origins", reason, "name each, as in \"https://app.example.com\"")
        };
        origins.map(doubt).collect()
    }

    fn doubt(&self, pointer: &str, reason: String, hint: &str) -> ConfigProblem {
        let row = self.effective().iter().find(|row| row.pointer == pointer);
        let place = row.map_or_else(String::new, |row| row.origin.to_string());
        ConfigProblem::new(place, pointer, reason, hint)
    }

    fn may_have(&self, provider: &str) -> bool {
        let is_alone = self.plugins.is_empty() && provider == "mock";
        self.plugins.contains_key(provider) || self.offered(provider).is_some() || is_alone
    }

    /// Whether some provider is configured to have a model of this whole name.
    fn is_listed(&self, model: &str) -> bool {
        self.plugins.values().any(|entry| {
            let config = entry.config();
            let models = config.get("models").and_then(Value::as_array);
            models.is_some_and(|models| models.iter().any(|listed| listed == model))
        })
    }
}
