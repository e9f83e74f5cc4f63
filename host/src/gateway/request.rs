//! A chat request as the gateway understands it: what it decides by, and everything else as it came.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Number;
use serde_json::value::RawValue;

// What there was before chat.
mod texts;
// Only what it would cost.
mod estimate;

pub use estimate::EstimateRequest;
pub use texts::{BeyondChat, TextRequest};

use super::messages;
use super::select::Target;
use crate::config::{ProviderSettings, Strategy};
use crate::plugins::Feature;
use crate::providers::Members;

/// What `/api/*` asks for when neither request nor configuration say.
const TEMPERATURE: f64 = 0.7;
const MAX_TOKENS: u64 = 1000;

/// Members that are numbers, and may come as text from HTML forms.
const NUMBERS: [&str; 6] =
    ["temperature", "top_p", "presence_penalty", "frequency_penalty", "min_p", "repetition_penalty"];
const WHOLE_NUMBERS: [&str; 5] = ["max_tokens", "max_completion_tokens", "n", "top_k", "seed"];

/// Members that are for the gateway, not for providers.
const OURS: [&str; 3] = ["provider", "strategy", "include_raw"];

/// Names are repeated in answers and logs.
const MAX_NAME_BYTES: usize = 256;

/// Why a request cannot be served as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The body is not a JSON object.
    #[error("the body is not a JSON object: {0}")]
    NotAnObject(String),
    /// A member that must be there is not.
    #[error("{0} is required")]
    Missing(&'static str),
    /// `messages` is not what it must be.
    #[error("{0}")]
    Messages(String),
    /// Another member is not what it must be.
    #[error("{name} {problem}")]
    Field {
        /// Its name.
        name: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

/// A request for chat, checked.
#[derive(Clone, Debug)]
pub struct ChatRequest {
    /// `model` as asked for; none for `auto`.
    pub model: Option<String>,
    /// The provider asked for by name, if any.
    pub provider: Option<String>,
    /// How to choose among several providers, if not the configured way.
    pub strategy: Option<Strategy>,
    /// Whether upstream's own JSON is wanted too.
    pub include_raw: bool,
    /// Whether the answer is wanted as it is generated. Of OpenAI's surface only.
    pub stream: bool,
    /// Whether a stream is to tell what it took. Of OpenAI's surface only.
    pub include_usage: bool,
    /// What whoever serves it has to support.
    pub needs: Vec<Feature>,
    /// Whether what the request does not say is filled in.
    defaults: bool,
    members: Members,
}

impl ChatRequest {
    /// Checks a body of `/api/chat`. The body is kept; only its first level is looked at, and the messages.
    pub fn parse(body: &Bytes) -> Result<Self, RequestError> {
        let mut members =
            Members::parse(body).map_err(|error| RequestError::NotAnObject(error.to_string()))?;
        let messages = members.get("messages").ok_or(RequestError::Missing("messages"))?;
        let contents = messages::check(messages).map_err(RequestError::Messages)?;
        let needs = needs(&members, contents);
        let model = model(&members)?;
        let provider = text(&members, "provider")?;
        let strategy = text(&members, "strategy")?.map(|word| strategy(&word)).transpose()?;
        let include_raw = flag(&members, "include_raw")?;
        read_numbers(&mut members)?;
        for name in OURS.into_iter().chain(["stream", "stream_options"]) {
            members.remove(name);
        }
        let (stream, include_usage) = (false, false);
        let defaults = true;
        Ok(Self { model, provider, strategy, include_raw, stream, include_usage, needs, defaults, members })
    }

    /// Reads a body of `/v1/chat/completions`. All of its members go on as they came, but for the model.
    pub fn parse_openai(body: &Bytes) -> Result<Self, RequestError> {
        let members = Members::parse(body).map_err(|error| RequestError::NotAnObject(error.to_string()))?;
        let messages = members.get("messages").ok_or(RequestError::Missing("messages"))?;
        let contents = messages::look(messages).map_err(RequestError::Messages)?;
        Ok(Self {
            model: model(&members)?,
            provider: None,
            strategy: None,
            include_raw: false,
            stream: flag(&members, "stream")?,
            include_usage: include_usage(&members)?,
            needs: needs(&members, contents),
            defaults: false,
            members,
        })
    }

    /// Whom it asks for.
    pub(super) fn target(&self) -> Target<'_> {
        Target {
            provider: self.provider.as_deref(),
            model: self.model.as_deref(),
            strategy: self.strategy,
            body: Some(&self.members),
            only_looking: false,
        }
    }

    /// The body for one provider: its model and, for `/api/*`, the defaults where the request does not say.
    pub fn body_for(&self, settings: &ProviderSettings, model: Option<&str>) -> Members {
        let mut members = with_model(&self.members, model);
        if !self.defaults {
            return members;
        }
        if !members.has("temperature") {
            members.set_json("temperature", &settings.temperature.unwrap_or(TEMPERATURE));
        }
        if !members.has("max_tokens") && !members.has("max_completion_tokens") {
            members.set_json("max_tokens", &settings.max_tokens.unwrap_or(MAX_TOKENS));
        }
        members
    }
}

/// A request for embeddings, checked.
#[derive(Clone, Debug)]
pub struct EmbedRequest {
    /// `model` as asked for; none for `auto`.
    pub model: Option<String>,
    members: Members,
}

impl EmbedRequest {
    /// What whoever serves it has to support.
    pub const NEEDS: [Feature; 1] = [Feature::Embeddings];

    /// Reads a body of `/v1/embeddings`. All of its members go on as they came, but for the model.
    pub fn parse(body: &Bytes) -> Result<Self, RequestError> {
        let members = Members::parse(body).map_err(|error| RequestError::NotAnObject(error.to_string()))?;
        if !members.has("input") {
            return Err(RequestError::Missing("input"));
        }
        Ok(Self { model: model(&members)?, members })
    }

    /// Whom it asks for.
    pub(super) fn target(&self) -> Target<'_> {
        Target { model: self.model.as_deref(), body: Some(&self.members), ..Target::default() }
    }

    /// The body for one provider: with its model.
    pub fn body_for(&self, model: Option<&str>) -> Members {
        with_model(&self.members, model)
    }
}

/// The members, which cost next to nothing to clone, with the model that a provider is asked for.
fn with_model(members: &Members, model: Option<&str>) -> Members {
    let mut members = members.clone();
    match model {
        Some(model) => members.set_json("model", model),
        None => members.remove("model"),
    }
    members
}

fn strategy(word: &str) -> Result<Strategy, RequestError> {
    Strategy::of_word(word).ok_or_else(|| {
        let known = Strategy::ALL.map(Strategy::word).join(", ");
        field("strategy", format!("{word:?} is not known; known: {known}"))
    })
}

/// The model that is asked for; none for `auto`.
fn model(members: &Members) -> Result<Option<String>, RequestError> {
    Ok(text(members, "model")?.filter(|model| model != "auto"))
}

fn include_usage(members: &Members) -> Result<bool, RequestError> {
    if !members.has("stream_options") {
        return Ok(false);
    }
    let options = members.get("stream_options").and_then(|json| Members::parse(json).ok());
    let options = options.ok_or_else(|| field("stream_options", "must be an object"))?;
    flag(&options, "include_usage")
}

fn needs(members: &Members, contents: messages::Contents) -> Vec<Feature> {
    #[derive(Deserialize)]
    struct Format<'a> {
        #[serde(borrow, rename = "type")]
        kind: Option<&'a RawValue>,
    }
    let filled = |name| members.get(name).is_some_and(|json| !matches!(json.as_ref(), b"null" | b"[]"));
    let format =
        members.get("response_format").and_then(|json| serde_json::from_slice::<Format<'_>>(json).ok());
    let json_output =
        format.and_then(|format| format.kind).is_some_and(|kind| kind.get().starts_with("\"json"));
    let wanted = [
        (true, Feature::ChatCompletion),
        (filled("tools") || filled("functions"), Feature::FunctionCalling),
        (contents.images, Feature::Vision),
        (json_output, Feature::JsonOutput),
    ];
    wanted.into_iter().filter(|(wanted, _)| *wanted).map(|(_, feature)| feature).collect()
}

fn field(name: &'static str, problem: impl Into<String>) -> RequestError {
    RequestError::Field { name, problem: problem.into() }
}

/// A member that is text; absent, `null` and empty are the same.
fn text(members: &Members, name: &'static str) -> Result<Option<String>, RequestError> {
    let Some(json) = members.get(name) else { return Ok(None) };
    let value: Option<String> = serde_json::from_slice(json).map_err(|_| field(name, "must be a string"))?;
    if value.as_ref().is_some_and(|value| value.len() > MAX_NAME_BYTES) {
        return Err(field(name, format!("is longer than {MAX_NAME_BYTES} bytes")));
    }
    Ok(value.filter(|value| !value.is_empty()))
}

fn flag(members: &Members, name: &'static str) -> Result<bool, RequestError> {
    match members.get(name).map(Bytes::as_ref) {
        None | Some(b"null" | b"false" | br#""false""#) => Ok(false),
        Some(b"true" | br#""true""#) => Ok(true),
        Some(_) => Err(field(name, "must be true or false")),
    }
}

/// Numbers that came as text become numbers; `null` is as good as absent.
fn read_numbers(members: &mut Members) -> Result<(), RequestError> {
    for name in NUMBERS.into_iter().chain(WHOLE_NUMBERS) {
        let Some(json) = members.get(name) else { continue };
        if json.as_ref() == b"null" {
            members.remove(name);
            continue;
        }
        let quoted =
            serde_json::from_slice::<String>(json).ok().map(|text| Bytes::from(text.trim().to_owned()));
        let digits = quoted.as_ref().unwrap_or(json);
        check_number(name, digits).map_err(|what| field(name, format!("must be {what}")))?;
        if let Some(digits) = quoted {
            members.set(name, digits);
        }
    }
    Ok(())
}

/// The error is what the number should have been.
fn check_number(name: &str, digits: &[u8]) -> Result<(), &'static str> {
    let number = serde_json::from_slice::<Number>(digits).ok();
    if !WHOLE_NUMBERS.contains(&name) {
        return number.map(|_| ()).ok_or("a number");
    }
    let number = number.filter(|number| number.is_i64() || number.is_u64()).ok_or("a whole number")?;
    if name.starts_with("max_") && number.as_u64().is_none_or(|number| number == 0) {
        return Err("at least 1");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
