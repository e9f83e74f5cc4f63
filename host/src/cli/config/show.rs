//! `patchbay config show`: every value as a host that starts now has it, with its origin.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::json;

use super::Place;
use crate::app::Setup;
use crate::cli::Failure;
use crate::cli::output::{self, Paint};
use crate::cli::table::Table;
use crate::config::{EffectiveValue, Environment};
use crate::plugins::manifest::Manifest;
use crate::plugins::{self, alike, discover};

/// Show every value as a host that starts now has it, and where it comes from
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  patchbay config show
  patchbay config show --json

A host that runs has read some of it at its start: `patchbay reload --dry-run` says what waits for the next one. \
Secrets are masked. What plugins have for defaults is read from their libraries, without running them.
--json prints {\"values\": [{\"pointer\", \"value\", \"origin\": {\"layer\", ...}}]}.")]
pub(super) struct Show {
    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    place: Place,
}

pub(super) fn run(command: Show, environment: Environment) -> Result<u8, Failure> {
    let setup = command.place.read(environment)?;
    let values = effective(&setup);
    if command.json {
        output::line(&json!({ "values": values }).to_string());
        return Ok(0);
    }
    let mut table = Table::new(["KEY", "VALUE", "ORIGIN"]);
    for EffectiveValue { pointer, value, origin } in values {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        table.row([pointer, value, origin.to_string()]);
    }
    output::line(&table.render(Paint::for_stdout()));
    Ok(0)
}

fn effective(setup: &Setup) -> Vec<EffectiveValue> {
    let plugins = manifests(setup);
    let mut values = setup.config.effective().to_vec();
    for (name, entry) in &setup.config.plugins {
        let id = entry.plugin.as_deref().unwrap_or(name);
        let plugin = plugins.iter().find(|(known, _)| alike(known, id));
        values.extend(
            entry.effective(name, plugin.map(|(id, manifest)| (id.as_str(), &manifest.config_defaults))),
        );
    }
    values
}

/// What the plugins that a host would find say of themselves. The first folder wins, as it does for the host.
pub(super) fn manifests(setup: &Setup) -> BTreeMap<String, Manifest> {
    let scan = discover::scan(&setup.sources.dirs(&setup.config.plugin_dirs));
    let mut manifests = BTreeMap::new();
    for manifest in scan.candidates.iter().filter_map(|candidate| plugins::read_manifest(&candidate.path)) {
        manifests.entry(manifest.id.to_string()).or_insert(manifest);
    }
    manifests
}
