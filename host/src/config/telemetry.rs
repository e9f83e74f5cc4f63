//! The `telemetry` section: what the host says about itself.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct TelemetrySettings {
    /// Whether the log has a line for each request.
    pub access_log: bool,
    /// What Prometheus is told.
    pub metrics: MetricsSettings,
    /// Traces of requests.
    pub traces: TraceSettings,
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

/// Where traces go, and which.
#[derive(Clone, Debug, Deserialize)]
pub struct TraceSettings {
    /// The receiver; none keeps traces off.
    pub otlp_endpoint: Option<String>,
    /// How they are written.
    pub protocol: TraceProtocol,
    /// The share of them that is kept.
    pub sample: f64,
    /// Whether that is left to whoever asks, if they keep traces.
    pub follow_parent: bool,
    /// Sent with them.
    pub headers: BTreeMap<String, SecretString>,
    /// The name of this host in them.
    pub service_name: Option<String>,
    /// What else there is to say of it.
    pub resource: BTreeMap<String, String>,
}

/// To see that something has changed, a secret among it or not.
impl PartialEq for TraceSettings {
    fn eq(&self, other: &Self) -> bool {
        let parts = |it: &Self| {
            let Self { otlp_endpoint, protocol, sample, follow_parent, headers: _, service_name, resource } =
                it.clone();
            (otlp_endpoint, protocol, sample, follow_parent, service_name, resource)
        };
        let headers = |it: &Self| -> Vec<(String, String)> {
            let shown =
                |(name, value): (&String, &SecretString)| (name.clone(), value.expose_secret().to_owned());
            it.headers.iter().map(shown).collect()
        };
        parts(self) == parts(other) && headers(self) == headers(other)
    }
}

/// How traces are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum TraceProtocol {
    /// As most receivers read them.
    #[serde(rename = "http/protobuf")]
    Protobuf,
    /// For those that read nothing else.
    #[serde(rename = "http/json")]
    Json,
}

/// A test compares it with the description.
impl Default for TraceSettings {
    fn default() -> Self {
        Self {
            otlp_endpoint: None,
            protocol: TraceProtocol::Protobuf,
            sample: 1.0,
            follow_parent: true,
            headers: BTreeMap::new(),
            service_name: None,
            resource: BTreeMap::new(),
        }
    }
}
