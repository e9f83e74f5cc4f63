//! The figures that move all the time, as an event for whoever looks at them.

use std::time::SystemTime;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Serialize;

use super::error::timestamp;
use super::providers::Moment;
use super::state::AppState;
use crate::plugins::{Draining, PluginView};

#[derive(Serialize, JsonSchema)]
pub(super) struct Stats<'a> {
    /// The kind of event.
    r#type: &'static str,
    /// When it was so.
    at: String,
    /// The version of the host.
    version: &'static str,
    /// For how long the host has been up.
    uptime_seconds: u64,
    /// How each provider does.
    providers: Vec<Moment<'a>>,
    /// The libraries in use at this moment.
    plugins: Vec<InUse>,
}

/// A library with requests under way, or with generations that finish theirs.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PluginInUse")]
struct InUse {
    /// The id of the plugin.
    id: Option<String>,
    /// As it is in the list of plugins, where two may have one id.
    file: String,
    /// Requests that run on the generation that serves.
    in_flight: usize,
    /// Generations that were replaced and finish what they had begun.
    draining: Vec<Draining>,
}

impl InUse {
    fn of(plugin: PluginView) -> Option<Self> {
        let PluginView { id, file, in_flight, draining, .. } = plugin;
        let is_in_use = in_flight > 0 || !draining.is_empty();
        is_in_use.then(|| Self { id, file: file.display().to_string(), in_flight, draining })
    }
}

/// How everything is now. The id is that of the last event that was heard or left out: who comes back wants the figures
/// of then, and is not told anew what was before.
pub(super) fn event(state: &AppState, heard: u64) -> Bytes {
    let snapshot = state.registry.snapshot();
    let stats = Stats {
        r#type: "stats",
        at: timestamp(SystemTime::now()),
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: state.started.elapsed().as_secs(),
        providers: snapshot.by_priority().iter().map(|provider| Moment::of(provider)).collect(),
        plugins: state.manager.list().plugins.into_iter().filter_map(InUse::of).collect(),
    };
    // Texts and numbers can always be written.
    let json = serde_json::to_string(&stats).unwrap_or_default();
    format!("id: {heard}\nevent: stats\ndata: {json}\n\n").into()
}
