//! `patchbay chat`: an answer on the terminal, as it is generated.

mod conversation;
mod screen;

use std::io::{self, IsTerminal as _, Read as _};

use clap::Args;

use self::conversation::Conversation;
pub(super) use self::screen::Screen;
use super::Failure;
use super::remote::{Remote, RemoteArgs};

/// Ask a running host, and see the answer as it comes
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  patchbay chat hello
  patchbay chat --provider mock 'mock:slow=100 count to ten'
  patchbay chat -m auto < question.txt
  patchbay chat                   a conversation: /reset forgets it, Ctrl-D ends it

The exit code is 1 when there was no answer, or when it was cut.")]
pub(super) struct Chat {
    /// What to ask; without it, what comes on stdin, or a conversation when that is a terminal
    #[arg(value_name = "TEXT")]
    text: Vec<String>,

    /// The model, also as provider/model [default: the host's choice]
    #[arg(short, long)]
    model: Option<String>,

    /// The provider [default: the host's choice]
    #[arg(long)]
    provider: Option<String>,

    #[command(flatten)]
    remote: RemoteArgs,
}

pub(super) async fn run(command: Chat) -> Result<u8, Failure> {
    let remote = Remote::new(command.remote)?;
    let mut conversation = Conversation::new(command.model, command.provider);
    let text = if !command.text.is_empty() {
        command.text.join(" ")
    } else if io::stdin().is_terminal() {
        let stdin = io::BufReader::new(io::stdin());
        conversation.hold(&remote, stdin).await;
        return Ok(0);
    } else {
        read_stdin()?
    };
    if text.trim().is_empty() {
        return Err(Failure::bad_input("there is nothing to ask: the text is empty"));
    }
    conversation.ask(&remote, text).await?;
    Ok(0)
}

fn read_stdin() -> Result<String, Failure> {
    let mut text = String::new();
    match io::stdin().read_to_string(&mut text) {
        Ok(_) => Ok(text),
        Err(error) => Err(Failure::bad_input(format!("stdin cannot be read: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::cli::testing::{FakeHost, run};

    const STREAM: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n";

    #[tokio::test]
    async fn the_question_is_sent_with_what_was_chosen() {
        let host = FakeHost::raw(vec![format!("{STREAM}0\r\n\r\n")]).await;
        assert_eq!(run(&host, &["chat", "-m", "m-1", "--provider", "mock", "hi", "there"]).await, Ok(0));
        let request = &host.requests()[0];
        assert_eq!(request.line, "POST /api/chat HTTP/1.1");
        let messages = [json!({"role": "user", "content": "hi there"})];
        assert_eq!(request.body, json!({"messages": messages, "model": "m-1", "provider": "mock"}));
    }

    #[tokio::test]
    async fn a_cut_answer_is_a_failure() {
        let host = FakeHost::raw(vec![STREAM.to_owned()]).await;
        let failure = run(&host, &["chat", "hi"]).await.unwrap_err();
        assert_eq!(failure.code(), 1);
        assert!(format!("{failure:?}").contains("the answer was cut"), "{failure:?}");
    }

    #[tokio::test]
    async fn nothing_is_not_asked() {
        let host = FakeHost::start([]).await;
        assert_eq!(run(&host, &["chat", " "]).await.unwrap_err().code(), 64);
    }
}
