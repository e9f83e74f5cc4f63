//! How many tokens a request will take and what that will cost, before anybody who knows was asked.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::Gateway;
use super::answer::words;
use super::asker::Asker;
use super::request::EstimateRequest;
use super::select::{Candidate, Needs, Next, Reason, SelectError, select};
use crate::config::Priced;
use crate::limits::Wish;
use crate::providers::{Cost, Members, Provider, Tokens};

/// What a request would cost.
#[derive(Clone, Debug)]
pub struct Estimate {
    /// At whom, in the order in which they would be asked.
    pub candidates: Vec<Estimated>,
}

/// What a request would cost at one provider.
#[derive(Clone, Debug)]
pub struct Estimated {
    /// Who.
    pub provider: Arc<Provider>,
    /// The model; none for the plugin's own default.
    pub model: Option<String>,
    /// Why it would not be asked now.
    pub passed: Option<Reason>,
    /// What it would take there.
    pub tokens: Tokens,
    /// The prices.
    pub priced: Option<Priced>,
    /// What that comes to; none where a price is missing.
    pub cost: Option<Cost>,
}

impl Gateway {
    /// What a request would cost at everybody who may serve it.
    pub fn estimate(&self, request: &EstimateRequest, asker: &Asker) -> Result<Estimate, SelectError> {
        let snapshot = self.registry.snapshot();
        let mut queue = select(&snapshot, request.target())?;
        let (mut candidates, mut passed) = (Vec::new(), Vec::new());
        let needs = Needs::of(&request.needs).within(asker.permits());
        let now = Instant::now();
        while let Some(next) = queue.next(needs, now, &mut || self.dice.roll()) {
            match next {
                Next::Candidate(it) => candidates.push(estimated(request, it.provider, it.model, None)),
                Next::Passed(it, reason) => {
                    passed.push(estimated(request, it.provider, it.model, Some(reason)));
                }
            }
        }
        candidates.append(&mut passed);
        Ok(Estimate { candidates })
    }
}

fn estimated(
    request: &EstimateRequest,
    provider: Arc<Provider>,
    model: Option<String>,
    passed: Option<Reason>,
) -> Estimated {
    let guess = expected(request.body());
    // Where nothing bounds it, the provider's own bound is what would be asked for.
    let own =
        provider.settings.max_tokens.filter(|_| guess.completion > 0 && bound(request.body()).is_none());
    let tokens = Tokens {
        prompt: request.said.prompt.unwrap_or(guess.prompt),
        completion: request.said.completion.or(own).unwrap_or(guess.completion),
        ..request.said.parts
    };
    let priced = model.as_ref().and_then(|model| provider.priced(provider.names_of(model)));
    let cost = priced.and_then(|priced| priced.prices.cost(&tokens));
    Estimated { provider, model, passed, tokens, priced, cost }
}

/// What a request may take. Only worked out where somebody has to know, and then once.
#[derive(Debug)]
pub(super) struct Forecast<'r> {
    body: Option<&'r Members>,
    tokens: OnceLock<Tokens>,
}

impl<'r> Forecast<'r> {
    /// Of a request with this body.
    pub(super) fn of(body: Option<&'r Members>) -> Self {
        Self { body, tokens: OnceLock::new() }
    }

    /// In tokens, read and written.
    pub(super) fn wish(&self) -> Wish {
        let tokens = self.tokens();
        let all = tokens.prompt.saturating_add(tokens.completion);
        Wish { tokens: all, prompt: tokens.prompt, ..Wish::default() }
    }

    /// In money, where there are prices.
    pub(super) fn cost(&self, Candidate { provider, model, .. }: &Candidate) -> Option<Cost> {
        let priced = model.as_ref().and_then(|model| provider.priced(provider.names_of(model)));
        priced.and_then(|priced| priced.prices.cost(self.tokens()))
    }

    /// In tokens and, where there are prices, money.
    pub(super) fn at(&self, candidate: &Candidate) -> Wish {
        Wish { cost: self.cost(candidate).unwrap_or_default(), ..self.wish() }
    }

    fn tokens(&self) -> &Tokens {
        self.tokens.get_or_init(|| self.body.map(expected).unwrap_or_default())
    }
}

/// A token is about so many bytes of text, in most languages and for most models.
const BYTES_PER_TOKEN: usize = 4;

/// What stands around each message.
const PER_MESSAGE: u64 = 4;

/// A picture of usual size.
const PER_IMAGE: u64 = 800;

/// What is written where nothing bounds it.
const USUAL_COMPLETION: u64 = 1000;

/// No model writes more in one answer, and nobody gives more of them at once, whatever a request says.
const MOST_COMPLETION: u64 = 1 << 18;
const MOST_ANSWERS: u64 = 128;

/// An estimate from what a body says, whichever surface it is for: the words that are read, and the most that may be
/// written.
pub(super) fn expected(body: &Members) -> Tokens {
    let bytes = |name: &str| body.get(name).map_or(0, |json| of_bytes(json.len()));
    let read =
        body.get("messages").map_or(0, of_messages) + bytes("prompt") + bytes("input") + bytes("tools");
    // Vectors are not written in tokens.
    let written = if body.has("input") { 0 } else { most(body) };
    Tokens { prompt: read, completion: written, ..Tokens::default() }
}

/// What is written at most, in all of the answers that a body asks for.
fn most(body: &Members) -> u64 {
    let one = bound(body).unwrap_or(USUAL_COMPLETION).min(MOST_COMPLETION);
    one * number(body, "n").unwrap_or(1).clamp(1, MOST_ANSWERS)
}

/// How much a body lets be written in one answer. Of two bounds upstream may know only one.
fn bound(body: &Members) -> Option<u64> {
    number(body, "max_completion_tokens").max(number(body, "max_tokens"))
}

fn number(body: &Members, name: &str) -> Option<u64> {
    let json = body.get(name)?;
    // As a form sends it, too.
    let digits = json.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(json);
    serde_json::from_slice::<u64>(digits).ok()
}

fn of_messages(json: &Bytes) -> u64 {
    #[derive(Deserialize)]
    struct Message<'a> {
        #[serde(borrow)]
        content: Option<&'a RawValue>,
        #[serde(borrow)]
        tool_calls: Option<&'a RawValue>,
    }
    // Whoever has checked them found a list of objects.
    let messages: Vec<Message<'_>> = serde_json::from_slice(json).unwrap_or_default();
    let tokens = messages.iter().map(|message| {
        let (text, images) = message.content.map_or((0, 0), of_content);
        let calls = message.tool_calls.map_or(0, |calls| of_bytes(calls.get().len()));
        PER_MESSAGE + text + images + calls
    });
    tokens.sum()
}

/// The tokens of the words in it, and those of the pictures.
fn of_content(content: &RawValue) -> (u64, u64) {
    #[derive(Deserialize)]
    struct Part {
        image_url: Option<serde::de::IgnoredAny>,
    }
    let parts: Vec<Part> = match content.get().starts_with('[') {
        true => serde_json::from_str(content.get()).unwrap_or_default(),
        false => Vec::new(),
    };
    let images = parts.iter().filter(|part| part.image_url.is_some()).count() as u64;
    (of_bytes(words(content).len()), images * PER_IMAGE)
}

fn of_bytes(bytes: usize) -> u64 {
    bytes.div_ceil(BYTES_PER_TOKEN) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted_and_not_what_is_around_them() {
        let image = format!("data:image/png;base64,{}", "A".repeat(40_000));
        for (body, expected) in [
            (r#"{"messages":[{"role":"user","content":"12345678"}]}"#.to_owned(), (6, 1000)),
            (r#"{"messages":[{"content":"123456789"},{"content":null}],"max_tokens":7}"#.to_owned(), (11, 7)),
            (
                r#"{"messages":[{"content":"a"}],"max_tokens":7,"max_completion_tokens":"9"}"#.to_owned(),
                (5, 9),
            ),
            (
                format!(
                    r#"{{"messages":[{{"content":[{{"type":"text","text":"1234"}},{{"type":"image_url","image_url":{{"url":"{image}"}}}}]}}]}}"#
                ),
                (805, 1000),
            ),
            (r#"{"prompt":"123456","max_tokens":1}"#.to_owned(), (2, 1)),
            (r#"{"prompt":"1","max_tokens":5,"n":3}"#.to_owned(), (1, 15)),
            (r#"{"prompt":"1","n":3}"#.to_owned(), (1, 3000)),
            // Upstream may heed either.
            (r#"{"prompt":"1","max_tokens":50,"max_completion_tokens":1}"#.to_owned(), (1, 50)),
            // Nobody reserves what no model can write.
            (
                r#"{"prompt":"1","max_tokens":1000000000000000,"n":1000000}"#.to_owned(),
                (1, MOST_COMPLETION * MOST_ANSWERS),
            ),
            (r#"{"input":["123","4"]}"#.to_owned(), (3, 0)),
            (r#"{"messages":"nonsense"}"#.to_owned(), (0, 1000)),
        ] {
            let tokens = super::expected(&Members::parse(&Bytes::from(body.clone())).unwrap());
            assert_eq!((tokens.prompt, tokens.completion), expected, "{body}");
        }
    }
}
