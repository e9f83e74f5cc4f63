//! `patchbay keys rotate`: another secret for the same key.

use clap::Args;
use reqwest::Method;

use super::create::Made;
use super::id_of;
use crate::cli::Failure;
use crate::cli::remote::{Remote, RemoteArgs};
use crate::segment::segment;

/// Give a key a new secret: its id, limits and what it has spent stay, and the old secret is not taken any more
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  patchbay keys rotate key_1f6f0a4c2b9d8e77
  patchbay keys rotate web-team > web-team.key

The new key alone is printed to standard output. What was begun with the old one is finished. --json prints the answer of \
POST /api/keys/ID/rotate.")]
pub(super) struct Rotate {
    /// Its id, or its name where no other has that
    #[arg(value_name = "KEY")]
    key: String,

    /// Print the host's answer as it is
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: RemoteArgs,
}

pub(super) async fn run(command: Rotate) -> Result<u8, Failure> {
    let remote = Remote::new(command.remote)?;
    let path = format!("/api/keys/{}/rotate", segment(&id_of(&remote, &command.key).await?));
    let answer = remote.send(Method::POST, &path).await?;
    remote.understand::<Made>(&path, &answer)?.show(command.json, &answer);
    Ok(0)
}

#[cfg(test)]
mod tests {
    use crate::cli::testing::{FakeHost, run};

    #[tokio::test]
    async fn it_is_rotated_by_its_id() {
        let made = r#"{"id":"key_1","key":"pb-x","expires_at":null,"warnings":[]}"#;
        let host = FakeHost::start([("200 OK", made)]).await;
        assert_eq!(run(&host, &["keys", "rotate", "key_1"]).await, Ok(0));
        assert_eq!(host.requests()[0].line, "POST /api/keys/key_1/rotate HTTP/1.1");
    }
}
