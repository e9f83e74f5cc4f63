//! The `models` section: how the vendors' lists of models are kept up.

use serde::Deserialize;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ModelSettings {
    /// Whether vendors are asked in the background.
    pub refresh: bool,
    /// So many of them at one time.
    pub concurrency: usize,
}

/// What holds until the first configuration is in force. A test compares it with the description.
impl Default for ModelSettings {
    fn default() -> Self {
        Self { refresh: true, concurrency: 4 }
    }
}
