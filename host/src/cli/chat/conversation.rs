//! Questions and answers, each with all that was said before.

use std::io::BufRead;

use serde_json::{Value, json};

use super::Screen;
use crate::cli::remote::Remote;
use crate::cli::{Failure, output};

#[derive(Debug)]
pub(super) struct Conversation {
    model: Option<String>,
    provider: Option<String>,
    messages: Vec<Value>,
}

impl Conversation {
    pub(super) fn new(model: Option<String>, provider: Option<String>) -> Conversation {
        Conversation { model, provider, messages: Vec::new() }
    }

    /// Line by line, until there are no more. An answer that fails is told, and not remembered.
    pub(super) async fn hold(&mut self, remote: &Remote, mut lines: impl BufRead) {
        output::note("Ctrl-D ends, /reset forgets what was said");
        loop {
            output::prompt("> ");
            let mut line = String::new();
            // Nothing else has to be done while a person thinks.
            if !lines.read_line(&mut line).is_ok_and(|read| read > 0) {
                output::note("");
                return;
            }
            match line.trim() {
                "" => {}
                "/reset" => {
                    self.messages.clear();
                    output::note("forgotten");
                }
                command if command.starts_with('/') => {
                    output::note(&format!("there is no {command}: only /reset"));
                }
                question => {
                    if let Err(failure) = self.ask(remote, question.to_owned()).await {
                        failure.report();
                    }
                }
            }
        }
    }

    /// Asks, and shows the answer.
    pub(super) async fn ask(&mut self, remote: &Remote, question: String) -> Result<(), Failure> {
        self.messages.push(json!({ "role": "user", "content": question }));
        match self.answer(remote).await {
            Ok(answer) => {
                self.messages.push(json!({ "role": "assistant", "content": answer }));
                Ok(())
            }
            Err(failure) => {
                self.messages.pop();
                Err(failure)
            }
        }
    }

    async fn answer(&self, remote: &Remote) -> Result<String, Failure> {
        let mut stream = remote.stream("/api/chat", &self.request()).await?;
        let (mut screen, mut answer) = (Screen::new(), Vec::new());
        loop {
            match stream.next().await {
                Ok(Some(piece)) => {
                    answer.extend_from_slice(&piece);
                    // Nobody reads any more: leaving stops the provider, too.
                    if !screen.show(&piece) {
                        break;
                    }
                }
                Ok(None) => break,
                Err(failure) => {
                    // The reason stands on a line of its own.
                    output::line("");
                    return Err(failure);
                }
            }
        }
        output::line("");
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    fn request(&self) -> Value {
        let mut request = json!({ "messages": self.messages });
        for (name, value) in [("model", &self.model), ("provider", &self.provider)] {
            if let Some(value) = value {
                request[name] = value.as_str().into();
            }
        }
        request
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::FakeHost;

    #[tokio::test]
    async fn what_was_said_is_sent_along_until_it_is_forgotten() {
        let failed = ("502 Bad Gateway", "{}");
        let host = FakeHost::start([("200 OK", "one"), failed, ("200 OK", "two"), ("200 OK", "three")]).await;
        let mut conversation = Conversation::new(None, None);
        let lines = "a\n\nfails\n/what\nb\n/reset\nc\n";
        conversation.hold(&host.remote(), lines.as_bytes()).await;
        let asked: Vec<Vec<String>> = host.requests().iter().map(|request| said(&request.body)).collect();
        assert_eq!(asked, [vec!["a"], vec!["a", "one", "fails"], vec!["a", "one", "b"], vec!["c"]]);
        assert_eq!(conversation.messages.len(), 2);
    }

    fn said(body: &Value) -> Vec<String> {
        let messages = body["messages"].as_array().unwrap();
        messages.iter().map(|message| message["content"].as_str().unwrap().to_owned()).collect()
    }
}
