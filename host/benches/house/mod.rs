//! What the benchmarks share: a loader in this process, as the host has it.

use std::path::Path;
use std::sync::Arc;

use patchbay::config::LoaderSettings;
use patchbay::plugins::{Cache, Manager, ManagerOptions, ReloadOptions, ReloadReport, ReloadStatus, Sources};
use patchbay::providers::{Provider, Registry};
use patchbay::services::http::HttpClient;
use tokio::runtime::Runtime;

use crate::scenario::host::Place;

/// A loader, and the folder it works in.
pub(crate) struct House {
    pub(crate) manager: Manager,
    pub(crate) registry: Arc<Registry>,
    pub(crate) client: HttpClient,
    pub(crate) place: Place,
}

impl House {
    /// Starts the loader, and loads what lies in the place. The probes are the real program.
    pub(crate) fn start(runtime: &Runtime, place: Place) -> Self {
        let (registry, client) = (Arc::new(Registry::default()), HttpClient::default());
        let base = place.path().to_owned();
        let sources = Sources {
            config_file: base.join("plugin_config.json"),
            config_named: false,
            base: base.clone(),
            ..Sources::default()
        };
        let options = ManagerOptions {
            sources,
            data_dir: base.join(".patchbay"),
            cache: Cache::of(&base.join(".patchbay"), 0),
            settings: LoaderSettings::default(),
            probe_program: Path::new(env!("CARGO_BIN_EXE_patchbay")).to_owned(),
            registry: Arc::clone(&registry),
            client: client.clone(),
        };
        let manager = runtime.block_on(async { Manager::start(options) }).unwrap();
        let house = Self { manager, registry, client, place };
        let report = runtime.block_on(house.reload(false));
        assert!(!report.plugins.loaded.is_empty(), "{report:?}");
        house
    }

    pub(crate) async fn reload(&self, dry_run: bool) -> Arc<ReloadReport> {
        let options = ReloadOptions { dry_run, only: None, reason: "benchmark" };
        let report = self.manager.reload(options).await;
        assert_eq!(report.status, ReloadStatus::Ok, "{report:?}");
        report
    }

    pub(crate) fn provider(&self, name: &str) -> Arc<Provider> {
        Arc::clone(self.registry.snapshot().get(name).unwrap())
    }
}

pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
}

/// Configures these entries, in JSON.
pub(crate) fn configure(place: &Place, entries: &str) {
    std::fs::write(place.path().join("plugin_config.json"), format!(r#"{{"plugins": {{{entries}}}}}"#))
        .unwrap();
}
