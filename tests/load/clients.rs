//! Clients that ask without pause, in every form that an answer has, and believe nothing.

use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::time::timeout;

use super::first::WORDS;
use crate::harness::{Host, PATIENCE, Streaming};
use crate::misbehaviour::form::{Form, Heard};

/// What the second provider says.
const OTHER_WORDS: &str = "a b c";

/// See the module.
#[derive(Default)]
pub struct Clients(watch::Sender<Tally>);

/// What all of them have heard so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Whole answers of the first.
    pub first: usize,
    /// Whole answers of the second.
    pub second: usize,
    /// Answers of the first that have begun, and have not ended yet.
    pub begun: usize,
    /// Answers that had begun, and were cut.
    pub cut: usize,
    stopped: bool,
}

impl Clients {
    pub fn heard(&self) -> Tally {
        *self.0.borrow()
    }

    pub async fn have_heard(&self, what: impl Fn(&Tally) -> bool) {
        let mut heard = self.0.subscribe();
        let seen = timeout(PATIENCE, heard.wait_for(what)).await.is_ok();
        assert!(seen, "waited in vain: {:?}", self.heard());
    }

    /// Lets everybody end with the answer that they wait for.
    pub fn stop(&self) {
        self.0.send_modify(|tally| tally.stopped = true);
    }

    /// Half of them ask for streams.
    pub async fn run(&self, host: &Host, count: usize) {
        join_all((0..count).map(|client| {
            let forms: &[Form] = if client % 2 == 0 { &Form::STREAMED } else { &Form::WHOLE };
            self.ask_on(host, forms[client / 2 % forms.len()])
        }))
        .await;
    }

    async fn ask_on(&self, host: &Host, form: Form) {
        while !self.heard().stopped {
            let asked = form.ask(host, "m").await;
            let answer = asked.unwrap_or_else(|error| panic!("{form:?} was not served: {error:?}"));
            let provider = answer.headers["x-patchbay-provider"].to_str().unwrap().to_owned();
            match provider.as_str() {
                "first" => self.hear_first(form, answer).await,
                "second" => {
                    let all = answer.rest().await.unwrap();
                    assert_eq!(form.hear(&all), whole(form, OTHER_WORDS), "{form:?}: nothing of the first");
                    self.0.send_modify(|tally| tally.second += 1);
                }
                other => panic!("{form:?} was served by {other:?}"),
            }
        }
    }

    /// An answer that may be cut, and must not hide it.
    async fn hear_first(&self, form: Form, mut answer: Streaming) {
        let mut begun = false;
        let end = loop {
            match answer.next().await {
                Ok(Some(_)) if begun || form.hear(&answer.text).words.is_empty() => {}
                Ok(Some(_)) => {
                    begun = true;
                    self.0.send_modify(|tally| tally.begun += 1);
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        let heard = form.hear(&answer.text);
        let is_whole = end.is_ok() && heard == whole(form, WORDS);
        if !is_whole {
            assert!(Form::STREAMED.contains(&form), "{form:?}: a whole answer is there or is not: {end:?}");
            assert!(!heard.ended, "{form:?}: {heard:?}, and {end:?}");
            assert!(!heard.words.is_empty() && WORDS.starts_with(&heard.words), "{form:?}: {heard:?}");
            // An event says it where there are any; otherwise the connection does.
            assert_eq!(heard.error.is_some(), form != Form::Text, "{form:?}: {heard:?}");
            assert_eq!(end.is_err(), form != Form::Events, "{form:?} ended with {end:?}");
        }
        self.0.send_modify(|tally| {
            tally.begun -= usize::from(begun);
            *if is_whole { &mut tally.first } else { &mut tally.cut } += 1;
        });
    }
}

fn whole(form: Form, words: &str) -> Heard {
    Heard { words: words.to_owned(), ended: form != Form::Text, error: None }
}
