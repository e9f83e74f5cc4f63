//! What the operator wrote, in four layers: read, checked against one description, and turned into settings.

// 1. What may be written, and what is wrong with what was.
mod check;
mod describe;
pub(crate) mod dotted;
mod doubts;
mod pointer;
mod problem;
mod schema;
mod syntax;
// 2. The files, whatever lies in their place.
mod files;
// 3. Variables: of the process, of `.env`, and where each goes.
mod dotenv;
mod environment;
mod otel;
mod reader;
mod variables;
// 4. The layers, laid over each other, and what is left to variables filled in.
mod fill;
mod interpolate;
mod layered;
mod layers;
mod origin;
mod secret;
mod show;
// 5. Changes: made at run time, as they are kept, and between two configurations.
mod changes;
mod difference;
// 6. Settings as the rest of the host uses them.
mod entry;
mod host;
mod models;
mod network;
mod prices;
mod provider;
mod telemetry;
mod usage;

#[cfg(test)]
mod tests;

pub use changes::{Change, ChangeFile, ChangeFileError, Changes};
pub(crate) use check::meant;
pub(crate) use describe::{host_keys, is_host_key};
pub use difference::{ChangedSetting, changed_settings};
pub use entry::{Enabled, Isolation, ProviderEntry};
pub use environment::Environment;
pub use files::ConfigFiles;
pub use host::{
    BreakerSettings, Config, HealthSettings, LimitSettings, LoaderSettings, RetrySettings, RoutingSettings,
    ServerSettings, Strategy, Unpriced,
};
pub use layers::{CommandLineLayer, Layers, RuntimeLayer, runtime_problems};
pub use models::ModelSettings;
pub use network::Network;
pub use origin::{EffectiveValue, Origin};
#[cfg(test)]
pub(crate) use prices::prices_of;
pub use prices::{PriceSource, Priced, Prices};
pub(crate) use prices::{as_number, dollars, dollars_schema};
pub use problem::{ConfigProblem, ConfigProblems};
pub use provider::ProviderSettings;
pub(crate) use schema::provider_entry;
pub use schema::schema;
pub use secret::masked;
pub use telemetry::{MetricsSettings, TelemetrySettings, TraceProtocol, TraceSettings};
pub use usage::UsageSettings;
pub use variables::{VARIABLES, Variable, key_variable};
