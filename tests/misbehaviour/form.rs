//! The forms in which an answer may be asked for, and what a client makes of what it got in each.

use serde_json::{Value, json};

use crate::harness::{Answer, Host, Streaming};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The words alone, as they come.
    Text,
    /// Events.
    Events,
    /// OpenAI's chunks.
    Chunks,
    /// The whole answer, as this host says it.
    Whole,
    /// The whole answer, as OpenAI says it.
    OpenAi,
}

/// What a client made of the answer, or of as much as has come.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Heard {
    pub words: String,
    /// Whether it was told that this is all.
    pub ended: bool,
    /// The code of the error that it was told, and what was said.
    pub error: Option<(String, String)>,
}

impl Form {
    pub const STREAMED: [Self; 3] = [Self::Text, Self::Events, Self::Chunks];
    pub const WHOLE: [Self; 2] = [Self::Whole, Self::OpenAi];
    pub const ALL: [Self; 5] = [Self::Text, Self::Events, Self::Chunks, Self::Whole, Self::OpenAi];

    /// For names of providers.
    pub fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Events => "events",
            Self::Chunks => "chunks",
            Self::Whole => "whole",
            Self::OpenAi => "openai",
        }
    }

    pub fn path(self) -> &'static str {
        match self {
            Self::Text | Self::Events => "/api/chat",
            Self::Whole => "/api/chat/complete",
            Self::Chunks | Self::OpenAi => "/v1/chat/completions",
        }
    }

    /// Asks. The answer has begun when this returns.
    pub async fn ask(self, host: &Host, model: &str) -> Result<Streaming, Answer> {
        host.begin(self.path(), self.request(host, model)).await
    }

    pub fn request(self, host: &Host, model: &str) -> reqwest::RequestBuilder {
        let mut body = json!({ "model": model, "messages": [{ "role": "user", "content": "hi" }] });
        if self == Self::Chunks {
            body["stream"] = true.into();
        }
        let accept = if self == Self::Events { "text/event-stream" } else { "*/*" };
        let request = host.request(reqwest::Method::POST, self.path()).header("accept", accept);
        request.header("content-type", "application/json").body(body.to_string())
    }

    /// Code and words of an error that came in the place of an answer. Its shape was looked at when it came.
    pub fn error(self, answer: &Answer) -> (String, String) {
        match self {
            Self::Chunks | Self::OpenAi => openai_error(&answer.json()),
            Self::Text | Self::Events | Self::Whole => {
                let (_, code, details) = answer.error();
                (code, details)
            }
        }
    }

    /// What the client knows by what it has got so far; the end of the connection is not in it.
    pub fn hear(self, got: &str) -> Heard {
        match self {
            Self::Text => Heard { words: got.to_owned(), ..Heard::default() },
            Self::Events => events(got).fold(Heard::default(), hear_event),
            Self::Chunks => events(got).fold(Heard::default(), hear_chunk),
            Self::Whole => hear_whole(got, &["response"]),
            Self::OpenAi => hear_whole(got, &["choices", "0", "message", "content"]),
        }
    }
}

/// The names and the data of the events that have come whole.
fn events(got: &str) -> impl Iterator<Item = (String, String)> {
    let whole = got.rfind("\n\n").map_or("", |end| &got[..end]);
    whole.split("\n\n").filter(|event| !event.is_empty() && !event.starts_with(':')).map(|event| {
        let field = |name: &str| {
            let values = event.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            values.collect::<Vec<_>>().join("\n")
        };
        (field("event"), field("data"))
    })
}

fn hear_event(mut heard: Heard, (name, data): (String, String)) -> Heard {
    assert!(!heard.ended && heard.error.is_none(), "{name} came after the end: {heard:?}");
    let data: Value = serde_json::from_str(&data).unwrap();
    let word = |name: &str| data[name].as_str().unwrap_or_else(|| panic!("no {name} in {data}")).to_owned();
    match name.as_str() {
        "message" => heard.words += &word("content"),
        "done" => {
            assert!(!word("provider").is_empty() && data["model"].is_string(), "{data}");
            heard.ended = true;
        }
        "error" => {
            for name in ["error", "request_id", "timestamp"] {
                assert!(!word(name).is_empty(), "{data}");
            }
            heard.error = Some((word("code"), word("details")));
        }
        other => panic!("an event that nobody knows: {other:?} {data}"),
    }
    heard
}

fn hear_chunk(mut heard: Heard, (_, data): (String, String)) -> Heard {
    assert!(!heard.ended && heard.error.is_none(), "{data} came after the end: {heard:?}");
    if data == "[DONE]" {
        heard.ended = true;
        return heard;
    }
    let data: Value = serde_json::from_str(&data).unwrap_or_else(|error| panic!("{error}: {data}"));
    if data.get("error").is_some() {
        heard.error = Some(openai_error(&data));
    }
    heard.words += data["choices"][0]["delta"]["content"].as_str().unwrap_or_default();
    heard
}

fn hear_whole(got: &str, path: &[&str]) -> Heard {
    // Nothing is known before it is there.
    let Ok(json) = serde_json::from_str::<Value>(got) else { return Heard::default() };
    let words = json.pointer(&format!("/{}", path.join("/"))).and_then(Value::as_str);
    let words = words.unwrap_or_else(|| panic!("no words in {got}")).to_owned();
    Heard { words, ended: true, error: None }
}

/// Code and words of an error in OpenAI's shape, whose type goes with its code.
fn openai_error(json: &Value) -> (String, String) {
    let error = &json["error"];
    let [kind, code, message] = ["type", "code", "message"].map(|name| error[name].as_str().unwrap());
    let expected = match code {
        "rate_limited" => "rate_limit_error",
        "shutting_down" => "server_error",
        "invalid_input" | "model_not_found" => "invalid_request_error",
        _ => "api_error",
    };
    assert_eq!(kind, expected, "{json}");
    assert!(error.as_object().unwrap().contains_key("param"), "{json}");
    // What a client of OpenAI's knows under a name of its own, the log calls as ever.
    let code = if code == "model_not_found" { "provider" } else { code };
    (code.to_owned(), message.to_owned())
}
