//! The cases that run on a plugin's type in its own tests, on its built library in a host: both sides of the
//! boundary do the same.

use std::sync::Arc;

use bytes::Bytes;
use patchbay::config::LoaderSettings;
use patchbay::plugins::{Manager, ManagerOptions, Operation, ReloadOptions, Sources};
use patchbay::providers::{Provider, Registry};
use patchbay_plugin_api::Result;
use patchbay_plugin_api::testing::conformance::{self, Streamed, Subject};
use tokio::runtime::Runtime;

use crate::harness::{Library, libraries};

/// A provider made from a built library.
struct Loaded {
    runtime: Runtime,
    provider: Arc<Provider>,
}

impl Subject for Loaded {
    fn ask(&self, operation: conformance::Operation, body: &[u8]) -> Result<Vec<u8>> {
        let operation = match operation {
            conformance::Operation::Complete => Operation::Complete,
            conformance::Operation::Embed => Operation::Embed,
            conformance::Operation::Models => Operation::Models,
            conformance::Operation::Health => Operation::Health,
            conformance::Operation::Credentials => Operation::Credentials,
        };
        let asked = self.provider.instance.ask(operation, Bytes::copy_from_slice(body), "conformance", None);
        Ok(self.runtime.block_on(asked)?.to_vec())
    }

    fn stream(&self, body: &[u8], batches: usize) -> Result<Streamed> {
        self.runtime.block_on(async {
            let mut chunks =
                self.provider.instance.stream(Bytes::copy_from_slice(body), "conformance", None).await?;
            let mut streamed = Streamed::default();
            while streamed.batches < batches {
                let Some(batch) = chunks.next().await else {
                    streamed.ended = true;
                    break;
                };
                let batch = batch?;
                streamed.add(&batch.data, &batch.chunks);
            }
            Ok(streamed)
        })
    }
}

fn check(library: &Library) {
    let runtime = Runtime::new().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let custom = dir.path().join("plugins/custom");
    std::fs::create_dir_all(&custom).unwrap();
    library.install(&custom, &library.file_name());
    let (id, registry) = (library.file_name(), Arc::new(Registry::default()));
    let id = id.trim_start_matches("lib").trim_end_matches(".so");
    std::fs::write(dir.path().join("plugin_config.json"), format!(r#"{{"plugins": {{"{id}": {{}}}}}}"#))
        .unwrap();
    let manager = runtime.block_on(async {
        let manager = Manager::start(ManagerOptions {
            sources: Sources {
                config_file: dir.path().join("plugin_config.json"),
                config_named: true,
                base: dir.path().to_owned(),
                ..Sources::default()
            },
            data_dir: dir.path().join("data"),
            settings: LoaderSettings::default(),
            probe_program: env!("CARGO_BIN_EXE_patchbay").into(),
            registry: Arc::clone(&registry),
            client: patchbay::services::http::HttpClient::default(),
        })
        .unwrap();
        let report = manager.reload(ReloadOptions { reason: "test", ..ReloadOptions::default() }).await;
        assert_eq!(report.failures(), 0, "{report:?}");
        manager
    });
    let provider = Arc::clone(registry.snapshot().get(id).unwrap());
    let loaded = Loaded { runtime, provider };
    conformance::check(&loaded);
    let Loaded { runtime, provider } = loaded;
    drop(provider);
    let left = runtime.block_on(manager.unload(&registry, crate::harness::PATIENCE));
    assert_eq!(left, 0, "everything was unloaded");
}

#[test]
fn the_mock() {
    check(&libraries::mock());
}

#[test]
fn the_chameleon() {
    check(&libraries::chameleon());
}
