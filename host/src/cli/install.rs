//! `patchbay install`: a checkout, built as it is shipped, in one folder that runs from anywhere.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::Failure;
use super::failure::chain;
use super::output::{self, Paint};
use crate::dev::{Artefacts, Change, Placed, ShipError, lay_out};

/// Build the host and its plugins as they are shipped, and lay them out in one folder
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  patchbay install /opt/patchbay
  patchbay install target/patchbay --json

Run it in a checkout; then DIR/bin/patchbay serve works in any. The folder may be moved anywhere and needs no writing to: what the host keeps goes to \
PATCHBAY_DATA_DIR. Where there is an installation already, each file is replaced as a whole; plugin_config.json and \
plugins/custom are left as they are, and a host that runs goes on with what it has: SIGUSR2 has it upgraded.
--json prints {\"to\", \"files\": [{\"path\", \"change\": \"written\", \"same\" or \"kept\"}]}.")]
pub(super) struct Install {
    /// Where to
    #[arg(value_name = "DIR")]
    to: PathBuf,

    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(command: Install) -> Result<u8, Failure> {
    let checkout = std::env::current_dir()
        .map_err(|error| Failure::failed(format!("the working directory is not there: {error}")))?;
    output::note("building the host and its plugins as they are shipped; the first time it takes minutes");
    let artefacts = Artefacts::build(&checkout).await?;
    let to = checkout.join(&command.to);
    let target = to.clone();
    let placed = tokio::task::spawn_blocking(move || lay_out(&artefacts, &checkout, &target)).await;
    let placed = placed.map_err(|error| Failure::failed(error.to_string()))??;
    if command.json {
        output::line(&json!({ "to": to.to_string_lossy(), "files": placed }).to_string());
    } else {
        let paint = Paint::for_stdout();
        placed.iter().for_each(|file| output::line(&describe(file, paint)));
        output::note(&format!("installed: {} serve", to.join("bin/patchbay").display()));
    }
    Ok(0)
}

fn describe(file: &Placed, paint: Paint) -> String {
    let path = file.path.display();
    match file.change {
        Change::Written => paint.good(&format!("written  {path}")),
        Change::Same => paint.dim(&format!("same     {path}")),
        Change::Kept => format!("kept     {path}"),
    }
}

impl From<ShipError> for Failure {
    fn from(error: ShipError) -> Failure {
        match &error {
            ShipError::NoCheckout(_) => Failure::bad_input(chain(&error)),
            _ => Failure::failed(chain(&error)),
        }
    }
}
