//! What the manifest in the file says, checked. None of the library's code has run to learn it.

pub mod fields;

use std::borrow::Borrow;
use std::fmt;

use patchbay_plugin_api::abi::API_VERSION;
use schemars::JsonSchema;
use semver::Version;
use serde::Serialize;
use serde_json::{Map, Value};
use thiserror::Error;

use self::fields::{Fields, Issues, kind};
use super::features::Features;
use super::platform::Platform;
use super::problem::{Problem, ProblemCode, Step};

/// A checked manifest.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Manifest {
    pub id: PluginId,
    pub name: String,
    pub version: Version,
    pub author: String,
    pub description: String,
    pub api_version: String,
    /// As written; `resolve` reads them.
    pub requires: Vec<String>,
    pub supported_features: Features,
    pub category: Option<Category>,
    pub homepage: Option<String>,
    pub documentation: Option<String>,
    pub license: Option<String>,
    pub config_schema: Option<Map<String, Value>>,
    pub config_defaults: Map<String, Value>,
    /// What the probe makes an instance with.
    pub sample_config: Option<Map<String, Value>>,
    /// The plugin starts threads of its own, so it is never unmapped.
    pub threads: bool,
    /// The plugin needs to see the key itself.
    pub secrets: bool,
    pub target: Option<String>,
    pub rustc: Option<String>,
    pub sdk_version: Option<String>,
}

/// Who stands behind a plugin, by its own account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    Official,
    Community,
    Custom,
}

/// The name by which a plugin is addressed. Its shape makes it safe in paths and URLs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct PluginId(String);

impl PluginId {
    const MAX_LENGTH: usize = 64;

    /// Accepts `[a-z0-9][a-z0-9_-]*`.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let shaped = text.bytes().next().is_some_and(plain)
            && text.bytes().all(|byte| plain(byte) || byte == b'_' || byte == b'-')
            && text.len() <= Self::MAX_LENGTH;
        shaped.then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PluginId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Borrow<str> for PluginId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Why a manifest was refused.
#[derive(Error, Debug)]
pub enum ManifestError {
    #[error("the manifest is not JSON")]
    NotJson(#[source] serde_json::Error),
    #[error("the library holds two manifests: two crates in it export a plugin")]
    Several,
    #[error("the manifest is {found}, not an object")]
    NotAnObject { found: &'static str },
    #[error("{}", .0.in_one_line())]
    Wrong(Issues),
}

impl ManifestError {
    pub fn problem(&self) -> Problem {
        const REBUILD: &str = "rebuild the plugin with the macro of patchbay-plugin-api";
        let (code, hint) = match self {
            Self::NotJson(_) => (ProblemCode::ManifestNotJson, REBUILD),
            Self::Several => (ProblemCode::ManifestRepeated, "export one plugin per library"),
            Self::NotAnObject { .. } => (ProblemCode::ManifestNotAnObject, REBUILD),
            Self::Wrong(issues) => (issues.first.code, issues.first.hint.as_str()),
        };
        Problem::new(Step::Metadata, code, self, hint)
    }
}

impl Manifest {
    /// The keys of a provider's `config` that the plugin is known to read, besides those of the host.
    pub fn own_keys(&self) -> impl Iterator<Item = &str> {
        let described = self.config_schema.as_ref().and_then(|schema| schema.get("properties")?.as_object());
        let objects = [described, Some(&self.config_defaults), self.sample_config.as_ref()];
        objects.into_iter().flatten().flat_map(|object| object.keys().map(String::as_str))
    }

    /// Whether it says that these are all.
    pub fn takes_nothing_else(&self) -> bool {
        let schema = self.config_schema.as_ref();
        schema.is_some_and(|schema| {
            schema.get("additionalProperties") == Some(&Value::Bool(false))
                && !schema.contains_key("patternProperties")
        })
    }

    /// Reads the bytes of the manifest section. Keys that nobody here knows are for other hosts to come.
    pub fn parse(json: &[u8], platform: &Platform) -> Result<Self, ManifestError> {
        let mut values = serde_json::Deserializer::from_slice(json).into_iter::<Value>();
        let value = match values.next() {
            Some(value) => value.map_err(ManifestError::NotJson)?,
            // Asking the parser gives its own words for "nothing there".
            None => serde_json::from_slice(json).map_err(ManifestError::NotJson)?,
        };
        match values.next() {
            None => {}
            Some(Ok(_)) => return Err(ManifestError::Several),
            Some(Err(error)) => return Err(ManifestError::NotJson(error)),
        }
        let Value::Object(object) = value else {
            return Err(ManifestError::NotAnObject { found: kind(&value) });
        };
        let mut fields = Fields::new(object);
        fields.check_api_version();
        // In another version of the contract the other keys may mean other things.
        fields.finish().map_err(ManifestError::Wrong)?;
        let manifest = fields.read(platform);
        fields.finish().map_err(ManifestError::Wrong)?;
        Ok(manifest)
    }
}

/// What each key has to be, beyond its type.
impl Fields {
    fn check_api_version(&mut self) {
        let Some(version) = self.text("api_version") else { return };
        let number = |text: &str| text.strip_prefix('v')?.parse::<u32>().ok();
        let (Some(built_for), Some(spoken)) = (number(&version), number(API_VERSION)) else {
            let message = format!("\"/api_version\" is {version:?}, not a version such as {API_VERSION:?}");
            return self.wrong(ProblemCode::ApiVersionMalformed, message, format!("write \"{API_VERSION}\""));
        };
        if built_for == spoken {
            return;
        }
        let (who, rebuild) = (self.who(), format!("rebuild it with patchbay-plugin-api {spoken}.x"));
        let hint = if built_for > spoken { format!("{rebuild}, or update patchbay") } else { rebuild };
        let message = format!("{who} was built for plugin API {version}, this host speaks {API_VERSION}");
        self.wrong(ProblemCode::ApiVersionUnsupported, message, hint);
    }

    /// Where something is wrong a stand-in goes into the manifest, which then never leaves `Manifest::parse`.
    fn read(&mut self, platform: &Platform) -> Manifest {
        self.check_panic();
        Manifest {
            id: self.id(),
            name: self.required("name"),
            version: self.version(),
            author: self.required("author"),
            description: self.required("description"),
            requires: self.words("requires"),
            supported_features: self.words("supported_features").into_iter().collect(),
            category: self.category(),
            api_version: API_VERSION.to_owned(),
            homepage: self.text("homepage"),
            documentation: self.text("documentation"),
            license: self.text("license"),
            config_schema: self.table("config_schema"),
            config_defaults: self.table("config_defaults").unwrap_or_default(),
            sample_config: self.table("sample_config"),
            threads: self.flag("threads"),
            secrets: self.flag("secrets"),
            target: self.target(platform),
            rustc: self.text("rustc"),
            sdk_version: self.text("sdk_version"),
        }
    }

    fn id(&mut self) -> PluginId {
        let text = self.required("id");
        let id = PluginId::parse(&text);
        if id.is_none() && !text.is_empty() {
            let message = format!("\"/id\" is {text:?}, not a plugin's id");
            let hint = format!(
                "use up to {} lower-case letters, digits, '-' and '_', a letter or digit first",
                PluginId::MAX_LENGTH
            );
            self.wrong(ProblemCode::IdMalformed, message, hint);
        }
        id.unwrap_or(PluginId(text))
    }

    fn version(&mut self) -> Version {
        let text = self.required("version");
        let version = Version::parse(&text);
        if let (Err(error), false) = (&version, text.is_empty()) {
            let message = format!("\"/version\" is {text:?}, not a semantic version ({error})");
            self.wrong(ProblemCode::VersionMalformed, message, "write three numbers, such as \"1.2.0\"");
        }
        version.unwrap_or(Version::new(0, 0, 0))
    }

    fn category(&mut self) -> Option<Category> {
        match self.text("category")?.as_str() {
            "official" => Some(Category::Official),
            "community" => Some(Category::Community),
            "custom" => Some(Category::Custom),
            other => {
                let message = format!("\"/category\" is {other:?}, which is no category");
                self.wrong(
                    ProblemCode::CategoryUnknown,
                    message,
                    "write \"official\", \"community\" or \"custom\"",
                );
                None
            }
        }
    }

    fn check_panic(&mut self) {
        match self.text("panic").as_deref() {
            None | Some("unwind") => {}
            Some("abort") => {
                let message =
                    format!("{} was built with panic = \"abort\": its panics would end the host", self.who());
                self.wrong(
                    ProblemCode::PanicAbort,
                    message,
                    "rebuild it with panic = \"unwind\" in its profile",
                );
            }
            Some(other) => {
                let message = format!("\"/panic\" is {other:?}, neither \"unwind\" nor \"abort\"");
                self.wrong(
                    ProblemCode::PanicUnknown,
                    message,
                    "rebuild it with panic = \"unwind\" in its profile",
                );
            }
        }
    }

    fn target(&mut self, platform: &Platform) -> Option<String> {
        let target = self.text("target")?;
        if !platform.accepts(&target) {
            let (who, host) = (self.who(), platform.triple());
            let message = format!("{who} was built for {target}, this host is {host}");
            self.wrong(ProblemCode::TargetMismatch, message, format!("rebuild it with --target {host}"));
        }
        Some(target)
    }
}

#[cfg(test)]
mod tests;
