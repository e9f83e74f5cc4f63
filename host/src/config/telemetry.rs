//! The `telemetry` section: what the host says about itself.

use serde::Deserialize;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct TelemetrySettings {
    /// What Prometheus is told.
    pub metrics: MetricsSettings,
}

/// The `telemetry.metrics` section.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct MetricsSettings {
    /// So many models are told apart, each at each provider; what others took is told together.
    pub max_models: usize,
    /// Likewise virtual keys.
    pub max_keys: usize,
}

/// A test compares it with the description.
impl Default for MetricsSettings {
    fn default() -> Self {
        Self { max_models: 200, max_keys: 200 }
    }
}
