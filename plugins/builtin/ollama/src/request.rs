//! Requests as Ollama reads them.

use patchbay_plugin_api::{ChatRequest, EmbedRequest, ProviderError, Result, Tool};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::Config;
use crate::message::{self, Said};

/// Members that become options, beside those that [`ChatRequest`] has: OpenAI's, and some that clients of local models
/// send next to them. The other name of the penalty is vLLM's.
const OPTIONS: [(&str, &str); 8] = [
    ("seed", "seed"),
    ("top_k", "top_k"),
    ("min_p", "min_p"),
    ("presence_penalty", "presence_penalty"),
    ("frequency_penalty", "frequency_penalty"),
    ("repeat_penalty", "repeat_penalty"),
    ("repetition_penalty", "repeat_penalty"),
    ("num_ctx", "num_ctx"),
];

/// The body of `/api/chat`.
#[derive(Serialize)]
pub(crate) struct Chat<'a> {
    model: &'a str,
    messages: Vec<Said<'a>>,
    /// Said in any case: unsaid, Ollama streams.
    stream: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<&'a Tool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    think: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_alive: Option<&'a Value>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    options: Map<String, Value>,
}

impl<'a> Chat<'a> {
    pub(crate) fn new(request: &'a ChatRequest, model: &'a str, config: &'a Config) -> Result<Self> {
        if request.extra.get("n").and_then(Value::as_u64).is_some_and(|answers| answers > 1) {
            return Err(ProviderError::unsupported("several answers to one request").with_param("n"));
        }
        Ok(Self {
            model,
            messages: message::all(request)?,
            stream: request.stream,
            tools: tools(request)?,
            format: format(request)?,
            think: think(&request.extra),
            keep_alive: keep_alive(&request.extra, config),
            options: options(request, config),
        })
    }
}

/// The tools the model may choose from. Ollama cannot be told that one must be called; it can be shown fewer.
fn tools(request: &ChatRequest) -> Result<Vec<&Tool>> {
    let choice = request.tool_choice.as_ref();
    if choice.is_some_and(|choice| choice == "none") {
        return Ok(Vec::new());
    }
    let only = choice.and_then(|choice| choice.pointer("/function/name")).and_then(Value::as_str);
    let mut tools = Vec::new();
    for (at, tool) in request.tools.iter().enumerate() {
        let Some(function) = &tool.function else {
            let error = ProviderError::unsupported(&format!("tools of type `{}`", tool.kind));
            return Err(error.with_param(&format!("tools[{at}]")));
        };
        if only.is_none_or(|only| only == function.name) {
            tools.push(tool);
        }
    }
    Ok(tools)
}

/// `json`, or the schema alone.
fn format(request: &ChatRequest) -> Result<Option<Value>> {
    let Some(format) = &request.response_format else { return Ok(None) };
    match format["type"].as_str() {
        Some("json_object") => Ok(Some("json".into())),
        Some("json_schema") => match format.pointer("/json_schema/schema") {
            Some(schema @ Value::Object(_)) => Ok(Some(schema.clone())),
            _ => Err(ProviderError::invalid_input("`response_format` needs `json_schema.schema`, an object")
                .with_param("response_format")),
        },
        _ => Ok(None),
    }
}

/// Ollama's own word as it is, or OpenAI's in the three that Ollama has.
fn think(extra: &Map<String, Value>) -> Option<Value> {
    if let Some(think) = extra.get("think").filter(|think| !think.is_null()) {
        return Some(think.clone());
    }
    match extra.get("reasoning_effort")?.as_str()? {
        "none" => Some(false.into()),
        "minimal" => Some("low".into()),
        effort @ ("low" | "medium" | "high") => Some(effort.into()),
        "xhigh" | "max" => Some("high".into()),
        _ => None,
    }
}

fn keep_alive<'a>(extra: &'a Map<String, Value>, config: &'a Config) -> Option<&'a Value> {
    extra.get("keep_alive").filter(|time| !time.is_null()).or(config.keep_alive.as_ref())
}

/// The operator's options, changed by those the client wrote in Ollama's words, changed by those in OpenAI's.
fn options(request: &ChatRequest, config: &Config) -> Map<String, Value> {
    let mut options = own_options(&request.extra, config);
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value.filter(|value| !value.is_null()) {
            options.insert(name.into(), value);
        }
    };
    for (member, option) in OPTIONS {
        set(option, request.extra.get(member).cloned());
    }
    set("temperature", request.temperature.map(Value::from));
    set("top_p", request.top_p.map(Value::from));
    set("num_predict", request.token_limit().map(Value::from));
    set("stop", request.stop.as_ref().map(|_| request.stops().into()));
    options
}

fn own_options(extra: &Map<String, Value>, config: &Config) -> Map<String, Value> {
    let mut options = config.options.clone();
    options.extend(extra.get("options").and_then(Value::as_object).cloned().unwrap_or_default());
    options
}

/// The body of `/api/embed`.
#[derive(Serialize)]
pub(crate) struct Embed<'a> {
    model: &'a str,
    input: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<usize>,
    /// Unsaid, Ollama cuts a text that is too long.
    #[serde(skip_serializing_if = "Option::is_none")]
    truncate: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_alive: Option<&'a Value>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    options: Map<String, Value>,
}

impl<'a> Embed<'a> {
    pub(crate) fn new(request: &'a EmbedRequest, model: &'a str, config: &'a Config) -> Result<Self> {
        Ok(Self {
            model,
            input: request.texts()?,
            dimensions: request.dimensions,
            truncate: request.extra.get("truncate"),
            keep_alive: keep_alive(&request.extra, config),
            options: own_options(&request.extra, config),
        })
    }
}
