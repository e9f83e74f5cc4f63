//! `patchbay keys revoke`: a key that is not taken any more.

use clap::Args;
use reqwest::Method;

use super::id_of;
use crate::cli::remote::{Remote, RemoteArgs};
use crate::cli::{Failure, output};
use crate::segment::segment;

/// Revoke a key: from now on the host does not take it
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  patchbay keys revoke key_1f6f0a4c2b9d8e77\n\nWhat was begun with it is finished."
)]
pub(super) struct Revoke {
    /// Its id, or its name where no other has that
    #[arg(value_name = "KEY")]
    key: String,

    #[command(flatten)]
    remote: RemoteArgs,
}

pub(super) async fn run(command: Revoke) -> Result<u8, Failure> {
    let remote = Remote::new(command.remote)?;
    let id = id_of(&remote, &command.key).await?;
    remote.send(Method::DELETE, &format!("/api/keys/{}", segment(&id))).await?;
    output::line(&format!("revoked {id}"));
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

    #[tokio::test]
    async fn or_by_its_name() {
        let keys = r#"{"keys":[{"id":"key_1","name":"team"}]}"#;
        let host = FakeHost::start([("200 OK", keys), ("204 No Content", ""), ("200 OK", keys)]).await;
        assert_eq!(run(&host, &["keys", "revoke", "team"]).await, Ok(0));
        assert_eq!(host.requests()[1].line, "DELETE /api/keys/key_1 HTTP/1.1");
        let failure = run(&host, &["keys", "revoke", "alice"]).await.unwrap_err().into_message();
        assert!(failure.contains("no key has the id or name \"alice\""), "{failure}");
    }
}
