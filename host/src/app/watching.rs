//! Reloads by itself, when what it was made of changes.

use std::io;
use std::path::PathBuf;

use tokio_util::task::AbortOnDropHandle;
use tracing::error;

use super::StartError;
use crate::audit::Who;
use crate::config::RuntimeLayer;
use crate::http::{self, AppState};
use crate::plugins::Sources;
use crate::plugins::watch::{WatchOptions, Watcher};

pub(super) async fn start(sources: &Sources, state: &AppState) -> Result<AbortOnDropHandle<()>, StartError> {
    let (sources, state) = (sources.clone(), state.clone());
    let mut watched = folders(&sources);
    let mut watcher = watch(&sources, &watched).await.map_err(StartError::Watch)?;
    Ok(AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            watcher.changed().await;
            // The configuration may name other folders now.
            let folders = folders(&sources);
            if folders != watched {
                match watch(&sources, &folders).await {
                    Ok(anew) => (watcher, watched) = (anew, folders),
                    Err(error) => error!(%error, "new plugin directories cannot be watched"),
                }
            }
            http::reload(&state, Who::Watch).await;
        }
    })))
}

/// The plugin folders of now; a configuration that cannot be read adds none.
fn folders(sources: &Sources) -> Vec<PathBuf> {
    let dirs = match sources.read_config(&RuntimeLayer::default()) {
        Ok(config) => sources.dirs(&config.plugin_dirs),
        Err(_) => sources.dirs(&[]),
    };
    dirs.into_iter().map(|dir| dir.path).collect()
}

async fn watch(sources: &Sources, folders: &[PathBuf]) -> io::Result<Watcher> {
    let files = vec![sources.config_file.clone(), sources.base.join(".env")];
    Watcher::start(WatchOptions { dirs: folders.to_vec(), files, ..WatchOptions::default() }).await
}
