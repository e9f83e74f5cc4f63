//! What `/api/plugins` answers. Field names are contract.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use super::manifest::{Category, Manifest};
use super::problem::Problem;
use super::report::lossily;

/// `GET /api/plugins`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PluginList {
    /// Every library, also those that are not in use.
    pub plugins: Vec<PluginView>,
    /// How many they are.
    pub total_count: usize,
    /// The files that were passed over, with the reason.
    pub ignored: Vec<IgnoredFile>,
}

/// A file that is none of the host's business.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct IgnoredFile {
    /// Where it lies.
    #[serde(serialize_with = "lossily")]
    pub file: PathBuf,
    /// Why it was passed over.
    pub reason: String,
}

/// One library.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Plugin")]
pub struct PluginView {
    /// What it is called in paths and in the configuration; none where the manifest could not be read.
    pub id: Option<String>,
    /// What people call it.
    pub name: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// Who made it.
    pub author: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// What it needs of the host and of other plugins.
    pub requires: Vec<String>,
    /// Whose it is, by its own account.
    pub category: Option<Category>,
    /// The version of the plugin API that it was built for.
    pub api_version: Option<String>,
    /// What it says that it can do.
    pub supported_features: Vec<String>,
    /// Where more is said of it.
    pub homepage: Option<String>,
    /// Where it is described.
    pub documentation: Option<String>,
    /// Its license.
    pub license: Option<String>,
    /// Where it lies.
    #[serde(serialize_with = "lossily")]
    pub file: PathBuf,
    /// The hash of the file's contents.
    pub sha256: Option<String>,
    /// The size of the file.
    pub size_bytes: Option<u64>,
    /// With what it was built.
    pub built_with: BuiltWith,
    /// What it is to the host.
    pub state: PluginState,
    /// The generation that serves.
    pub generation: Option<u64>,
    /// When the generation that serves was loaded.
    pub loaded_at: Option<String>,
    /// Requests that run on the generation that serves.
    pub in_flight: usize,
    /// Panics of the generation that serves.
    pub panics: u64,
    /// Generations that were replaced and finish what they had begun.
    pub draining: Vec<Draining>,
    /// Generations that stay mapped, with the reason.
    pub resident: Vec<Resident>,
    /// The providers made from it.
    pub providers: Vec<String>,
    /// Why it is not in use.
    pub problem: Option<Problem>,
    /// The latest loads, newest first; only where one plugin is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<Vec<Load>>,
}

/// With what a library was built, by its own account.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct BuiltWith {
    /// The compiler.
    pub rustc: Option<String>,
    /// The version of patchbay-plugin-api.
    pub sdk: Option<String>,
    /// The kind of machine that it was built for.
    pub target: Option<String>,
}

/// What a library is to the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PluginState {
    /// Providers are made from it.
    Active,
    /// It could not be used.
    Refused,
    /// It was used, and takes no more calls.
    Quarantined,
    /// It was switched off.
    Disabled,
    /// It is loaded, and no provider uses it.
    Unused,
    /// Another file with the same plugin is used.
    Shadowed,
}

/// A generation that was replaced.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Draining {
    /// Which one.
    pub generation: u64,
    /// Requests that run on it.
    pub in_flight: usize,
    /// When it was replaced.
    pub since: String,
    /// What is being waited for, once no request uses it any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closing: Option<&'static str>,
}

/// A generation that stays mapped.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Resident {
    /// Which one.
    pub generation: u64,
    /// Why.
    pub reason: String,
}

/// One load, in a plugin's history.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "PluginLoad")]
pub struct Load {
    /// Which one.
    pub generation: u64,
    /// The plugin's version then.
    pub version: String,
    /// The hash of the file's contents then.
    pub sha256: String,
    /// When it was loaded.
    pub loaded_at: String,
    /// `active`, `draining`, `closing`, `unloaded` or `resident`.
    pub state: &'static str,
    /// Why it is as it is, where there is something to say.
    pub reason: Option<String>,
}

impl PluginView {
    /// A library of which nothing but its place is known.
    pub(super) fn of_file(file: PathBuf, state: PluginState) -> Self {
        Self {
            id: None,
            name: None,
            version: None,
            author: None,
            description: None,
            requires: Vec::new(),
            category: None,
            api_version: None,
            supported_features: Vec::new(),
            homepage: None,
            documentation: None,
            license: None,
            file,
            sha256: None,
            size_bytes: None,
            built_with: BuiltWith::default(),
            state,
            generation: None,
            loaded_at: None,
            in_flight: 0,
            panics: 0,
            draining: Vec::new(),
            resident: Vec::new(),
            providers: Vec::new(),
            problem: None,
            history: None,
        }
    }

    /// Fills in what its manifest says.
    pub(super) fn describe(&mut self, manifest: &Manifest) {
        self.id = Some(manifest.id.to_string());
        self.name = Some(manifest.name.clone());
        self.version = Some(manifest.version.to_string());
        self.author = Some(manifest.author.clone());
        self.description = Some(manifest.description.clone());
        self.requires.clone_from(&manifest.requires);
        self.category = manifest.category;
        self.api_version = Some(manifest.api_version.clone());
        self.supported_features = manifest.supported_features.words().map(str::to_owned).collect();
        self.homepage.clone_from(&manifest.homepage);
        self.documentation.clone_from(&manifest.documentation);
        self.license.clone_from(&manifest.license);
        self.built_with = BuiltWith {
            rustc: manifest.rustc.clone(),
            sdk: manifest.sdk_version.clone(),
            target: manifest.target.clone(),
        };
    }
}
