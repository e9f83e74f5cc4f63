//! A chat request as the gateway understands it: what it decides by, and everything else as it came.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Number;
use serde_json::value::RawValue;

use super::messages;
use crate::config::ProviderSettings;
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
        if let Some(strategy) = text(&members, "strategy")?
            && strategy != "priority_first"
        {
            return Err(field("strategy", format!("{strategy:?} is not known; known: priority_first")));
        }
        let include_raw = flag(&members, "include_raw")?;
        read_numbers(&mut members)?;
        for name in OURS.into_iter().chain(["stream", "stream_options"]) {
            members.remove(name);
        }
        let (stream, include_usage) = (false, false);
        Ok(Self { model, provider, include_raw, stream, include_usage, needs, defaults: true, members })
    }

    /// Reads a body of `/v1/chat/completions`. All of its members go on as they came, but for the model.
    pub fn parse_openai(body: &Bytes) -> Result<Self, RequestError> {
        let members = Members::parse(body).map_err(|error| RequestError::NotAnObject(error.to_string()))?;
        let messages = members.get("messages").ok_or(RequestError::Missing("messages"))?;
        let contents = messages::look(messages).map_err(RequestError::Messages)?;
        Ok(Self {
            model: model(&members)?,
            provider: None,
            include_raw: false,
            stream: flag(&members, "stream")?,
            include_usage: include_usage(&members)?,
            needs: needs(&members, contents),
            defaults: false,
            members,
        })
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
mod tests {
    use super::*;
    use crate::testing;

    fn parse(json: &str) -> Result<ChatRequest, RequestError> {
        ChatRequest::parse(&Bytes::copy_from_slice(json.as_bytes()))
    }

    fn with(members: &str) -> Result<ChatRequest, RequestError> {
        parse(&format!(r#"{{"messages":[{{"role":"user","content":"x"}}],{members}}}"#))
    }

    #[test]
    fn defaults_come_after_the_request_and_the_configuration() {
        let plain = testing::settings("p");
        let mut own = testing::settings("p");
        (own.temperature, own.max_tokens) = (Some(0.2), Some(64));
        for (members, settings, expected) in [
            (r#""x":1"#, &plain, r#""x":1,"model":"m","temperature":0.7,"max_tokens":1000"#),
            (r#""x":1"#, &own, r#""x":1,"model":"m","temperature":0.2,"max_tokens":64"#),
            (
                r#""temperature":"0","max_tokens":" 5 ""#,
                &own,
                r#""temperature":0,"max_tokens":5,"model":"m""#,
            ),
            (
                r#""temperature":null,"max_completion_tokens":5"#,
                &plain,
                r#""max_completion_tokens":5,"model":"m","temperature":0.7"#,
            ),
            (
                r#""model":"a/b","provider":"q","include_raw":true,"stream":true,"stop":["x"]"#,
                &own,
                r#""model":"m","stop":["x"],"temperature":0.2,"max_tokens":64"#,
            ),
        ] {
            let body = with(members).unwrap().body_for(settings, Some("m")).write();
            let expected = format!(r#"{{"messages":[{{"role":"user","content":"x"}}],{expected}}}"#);
            assert_eq!(body, expected, "{members}");
        }
        let without = with(r#""model":"auto""#).unwrap();
        assert_eq!(without.model, None);
        assert!(without.body_for(&plain, None).get("model").is_none());
    }

    #[test]
    fn of_openais_surface_only_the_model_changes() {
        let json = r#"{"model":"p/m","messages":[{"role":"robot"}],"temperature":"hot","provider":{"order":["x"]},"n":null,"stream":true,"stream_options":{"include_usage":true}}"#;
        let request = ChatRequest::parse_openai(&Bytes::from_static(json.as_bytes())).unwrap();
        assert_eq!((request.model.as_deref(), request.provider.as_deref()), (Some("p/m"), None));
        assert!(request.stream && request.include_usage);
        let body = request.body_for(&testing::settings("p"), Some("m")).write();
        assert_eq!(body, json.replace("p/m", "m"));
        for (json, expected) in [
            (r#"{"model":"m"}"#, "messages is required"),
            (r#"{"messages":[{}],"stream":1}"#, "stream must be true or false"),
            (r#"{"messages":[{}],"stream_options":1}"#, "stream_options must be an object"),
        ] {
            let error = ChatRequest::parse_openai(&Bytes::from_static(json.as_bytes())).unwrap_err();
            assert_eq!(error.to_string(), expected, "{json}");
        }
    }

    #[test]
    fn embeddings_need_an_input() {
        let parse = |json: &'static str| EmbedRequest::parse(&Bytes::from_static(json.as_bytes()));
        let request = parse(r#"{"input":[[1,2]],"model":"auto","x":1.50}"#).unwrap();
        assert_eq!(request.model, None);
        assert_eq!(request.body_for(Some("e")).write(), r#"{"input":[[1,2]],"model":"e","x":1.50}"#);
        assert_eq!(parse(r#"{"input":null}"#).unwrap_err(), RequestError::Missing("input"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (json, expected) in [
            ("", "the body is not a JSON object"),
            ("[]", "the body is not a JSON object"),
            ("{}", "messages is required"),
            (r#"{"messages":"hi"}"#, "Messages must be a list"),
        ] {
            let error = parse(json).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{json}: {error}");
        }
        for (members, expected) in [
            (r#""temperature":"warm""#, "temperature must be a number"),
            (r#""temperature":"NaN""#, "temperature must be a number"),
            (r#""temperature":[1]"#, "temperature must be a number"),
            (r#""max_tokens":1.5"#, "max_tokens must be a whole number"),
            (r#""max_tokens":"0""#, "max_tokens must be at least 1"),
            (r#""max_tokens":-3"#, "max_tokens must be at least 1"),
            (r#""model":7"#, "model must be a string"),
            (r#""include_raw":"yes""#, "include_raw must be true or false"),
            (r#""strategy":"dice""#, "strategy \"dice\" is not known; known: priority_first"),
        ] {
            assert_eq!(with(members).unwrap_err().to_string(), expected, "{members}");
        }
    }

    #[test]
    fn needs_are_read_from_the_request() {
        let needs = |members: &str| with(members).unwrap().needs;
        assert_eq!(needs(r#""tools":[],"response_format":{"type":"text"}"#), []);
        assert_eq!(needs(r#""tools":[{}]"#), [Feature::FunctionCalling]);
        assert_eq!(needs(r#""response_format":{"type":"json_schema"}"#), [Feature::JsonOutput]);
        let image = r#"{"messages":[{"role":"user","content":[{"type":"image_url"}]}]}"#;
        assert_eq!(parse(image).unwrap().needs, [Feature::Vision]);
    }
}
