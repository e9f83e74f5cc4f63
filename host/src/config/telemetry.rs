//! The `telemetry` section: what the host says about itself.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde::Deserialize;

/// See the module.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct TelemetrySettings {
    /// Whether the log has a line for each request.
    pub access_log: bool,
    /// Traces of requests.
    pub traces: TraceSettings,
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
