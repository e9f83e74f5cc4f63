//! The end: of a provider, and of the library.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use patchbay_plugin_api::testing::conformance::request;
use serde_json::Value;
use tokio::runtime::Handle;

use super::PATIENCE;
use super::notices::{Noticed, notice};
use super::report::{Findings, Outcome};
use super::stand::Stand;
use super::upstream::Reply;
use crate::plugins::generation::{Blueprint, Generation};
use crate::plugins::job::Operation;
use crate::plugins::manifest::Manifest;
use crate::plugins::problem::chain;
use crate::plugins::pulse::Pulse;
use crate::plugins::record::Life;
use crate::plugins::threads::Family;

/// How the library is opened, each time.
#[derive(Clone)]
pub(super) struct Opening {
    /// A private copy, from which nothing else is loaded.
    pub(super) copy: PathBuf,
    /// Why it stays, if it asks to.
    pub(super) keep: Option<String>,
    pub(super) noticed: Noticed,
}

/// Opens it as a host does, and has every panic noted.
pub(super) async fn open(manifest: &Manifest, opening: &Opening) -> Result<Arc<Generation>, String> {
    let noticed = Arc::clone(&opening.noticed);
    let blueprint = Blueprint {
        plugin: manifest.id.as_str().into(),
        number: 0,
        version: manifest.version.clone(),
        sha256: String::new(),
        copy: opening.copy.clone(),
        family: Family::new(),
        keep: opening.keep.clone(),
        owns_copy: false,
        main: Handle::current(),
        on_panic: Arc::new(move |_: &Pulse, fields: &str| notice(&noticed, panicked(fields))),
    };
    let started = Generation::start(blueprint, PATIENCE).await;
    started.map(|(generation, _)| generation).map_err(|fault| chain(&fault))
}

/// A panic in the author's own words, with its place.
fn panicked(fields: &str) -> String {
    let fields: Value = serde_json::from_str(fields).unwrap_or_default();
    let field = |name: &str| fields[name].as_str().unwrap_or("unknown");
    format!("it panicked {}: {} ({})", field("during"), field("panic"), field("location"))
}

/// Providers that nobody holds any more; what is left of them is found behind every check, panics too.
pub(super) async fn dropping(stand: &Stand) -> Outcome {
    for _ in 0..3 {
        match stand.usual().await {
            Ok(provider) => drop(provider),
            Err(error) => return Outcome::failed(error.to_string()),
        }
    }
    Outcome::Passed
}

pub(super) async fn again_and_again(stand: &Stand, times: usize) -> Outcome {
    if let Some(reason) = &stand.opening.keep {
        return Outcome::not_tested(format!("it stays loaded: {reason}"));
    }
    let mut findings = Findings::default();
    for time in 1..=times {
        let generation = match open(&stand.manifest, &stand.opening).await {
            Ok(generation) => generation,
            Err(error) => return Outcome::failed(format!("load {time} of {times} failed: {error}")),
        };
        ask_once(stand, &generation).await;
        let record = Arc::clone(&generation.record);
        drop(generation);
        let ended = tokio::time::timeout(PATIENCE, record.ended()).await;
        let problem = match ended {
            Ok(Life::Resident { reason }) => {
                format!("after load {time} of {times} it stayed mapped: {reason}")
            }
            Err(_) => format!("after load {time} of {times} it was not closed within {PATIENCE:?}"),
            Ok(_) => continue,
        };
        findings.add(problem);
        break;
    }
    findings.outcome()
}

/// A library is used before it goes: what it set up then has to go with it.
async fn ask_once(stand: &Stand, generation: &Arc<Generation>) {
    let Ok(usual) = stand.usual().await else { return };
    let config = serde_json::to_vec(&usual.settings.plugin_config).unwrap_or_default();
    let made = stand.make(generation, &usual.settings, config, &stand.upstream.address()).await;
    if let Ok((instance, _)) = made {
        stand.upstream.answers(Reply::json(stand.captures.answer.as_deref().unwrap_or("{}")));
        let asked = instance.ask(Operation::Complete, Bytes::from(request(false)), "conformance".into());
        // Whatever it answers: that was another check.
        let _ = tokio::time::timeout(PATIENCE, asked).await;
    }
}
