//! `patchbay provider remove`: one provider less.

use clap::Args;
use reqwest::Method;

use super::path;
use crate::cli::remote::{Remote, RemoteArgs};
use crate::cli::{Failure, output};

/// Remove a provider from a running host
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  patchbay provider remove mock\n\nWhat it has begun is finished. The removal is kept, and \
hides an entry of the configuration file too, until the provider is added again."
)]
pub(super) struct Remove {
    /// As `patchbay provider list` shows it
    #[arg(value_name = "NAME")]
    name: String,

    #[command(flatten)]
    remote: RemoteArgs,
}

pub(super) async fn run(command: Remove) -> Result<u8, Failure> {
    Remote::new(command.remote)?.send(Method::DELETE, &path(&command.name)).await?;
    let name = &command.name;
    output::line(&format!(
        "removed {name}; this is kept, and hides an entry of the file too: `patchbay provider add {name} --plugin ID` \
         brings it back"
    ));
    Ok(0)
}

#[cfg(test)]
mod tests {
    use crate::cli::testing::{FakeHost, run};

    #[tokio::test]
    async fn it_is_removed_by_its_name() {
        let host = FakeHost::start([("204 No Content", "")]).await;
        assert_eq!(run(&host, &["provider", "remove", "mock"]).await, Ok(0));
        assert_eq!(host.requests()[0].line, "DELETE /api/providers/mock HTTP/1.1");
    }
}
