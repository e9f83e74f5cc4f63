//! `patchbay keys revoke`: a key that is not taken any more.

use clap::Args;
use reqwest::Method;

use crate::cli::remote::{Remote, RemoteArgs};
use crate::cli::{Failure, output};
use crate::segment::segment;

/// Revoke a key: from now on the host does not take it
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  patchbay keys revoke key_1f6f0a4c2b9d8e77\n\nWhat was begun with it is finished."
)]
pub(super) struct Revoke {
    /// As `patchbay keys list` shows it
    #[arg(value_name = "ID")]
    id: String,

    #[command(flatten)]
    remote: RemoteArgs,
}

pub(super) async fn run(command: Revoke) -> Result<u8, Failure> {
    let path = format!("/api/keys/{}", segment(&command.id));
    Remote::new(command.remote)?.send(Method::DELETE, &path).await?;
    output::line(&format!("revoked {}", command.id));
    Ok(0)
}

#[cfg(test)]
mod tests {
    use crate::cli::testing::{FakeHost, run};

    #[tokio::test]
    async fn it_is_revoked_by_its_id() {
        let host = FakeHost::start([("204 No Content", "")]).await;
        assert_eq!(run(&host, &["keys", "revoke", "key_1"]).await, Ok(0));
        assert_eq!(host.requests()[0].line, "DELETE /api/keys/key_1 HTTP/1.1");
    }
}
