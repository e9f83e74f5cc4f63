//! What the upstream answers, by the model that it is asked for.

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

/// What `odd` answers: members that nobody knows, and JSON that no library would write this way.
pub const ODD_WHOLE: &str = r#"{ "id":"o-1","object":"chat.completion" ,"created":1,"model":"odd-2","x_own":{"n":1.50,"b":[ ]},
  "choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"t1","type":"function","function":{"name":"f","arguments":"{\"a\": 1}"}}],"x":"\u00e9"},"logprobs":null,"finish_reason":"tool_calls"}],
  "usage":{"prompt_tokens":1,"completion_tokens":3,"total_tokens":4,"x_cached":1e0}}"#;

/// What `odd` streams.
pub const ODD_CHUNKS: [&str; 3] = [
    r#"{"id":"o-1","object":"chat.completion.chunk","created":1,"model":"odd-2","choices":[ {"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null} ],"usage":null}"#,
    r#"{"id":"o-1","object":"chat.completion.chunk","created":1,"model":"odd-2","choices":[{"index":0,"delta":{"content":"\u00e9 a","x":1.50},"finish_reason":null}], "x_own" : {"kept":[ ]}}"#,
    r#"{"id":"o-1","object":"chat.completion.chunk","created":1,"model":"odd-2","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
];

/// And then this.
pub const ODD_USAGE: &str = r#"{"id":"o-1","object":"chat.completion.chunk","created":1,"model":"odd-2","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":3,"total_tokens":4,"x_cached":1e0}}"#;

/// What `odd` answers to who asks how a text goes on.
pub const ODD_TEXT: &str = r#"{ "id":"t-1","object":"text_completion" ,"created":1,"model":"odd-2","x_own":{"n":1.50,"b":[ ]},
  "choices":[{"text":"\u00e9 a","index":0,"logprobs":{"tokens":["\u00e9"," a"],"token_logprobs":[-1.50,-2e0]},"finish_reason":"length","x":1}],
  "usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"x_cached":1e0}}"#;

/// What it streams then.
pub const ODD_TEXT_CHUNKS: [&str; 3] = [
    r#"{"id":"t-1","object":"text_completion","created":1,"model":"odd-2","choices":[ {"text":"","index":0,"logprobs":null,"finish_reason":null} ],"usage":null}"#,
    r#"{"id":"t-1","object":"text_completion","created":1,"model":"odd-2","choices":[{"text":"\u00e9 a","index":0,"x":1.50,"finish_reason":null}], "x_own" : {"kept":[ ]}}"#,
    r#"{"id":"t-1","object":"text_completion","created":1,"model":"odd-2","choices":[{"text":"","index":0,"finish_reason":"length"}]}"#,
];

/// And then this.
pub const ODD_TEXT_USAGE: &str = r#"{"id":"t-1","object":"text_completion","created":1,"model":"odd-2","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"x_cached":1e0}}"#;

/// The vectors, for whatever model but `vectors`.
pub const ODD_EMBEDDINGS: &str = r#"{"object":"list", "data":[{"object":"embedding","index":0,"embedding":[0.50,-1e-3]}],"model":"embed-2","usage":{"prompt_tokens":2,"total_tokens":2},"x":1}"#;

/// An error with the status that the model's name ends with, and with OpenAI's members where they are wanted.
pub(super) fn error(model: &str, prefix: &str, in_full: bool) -> Response {
    let status: u16 = model.strip_prefix(prefix).unwrap().parse().unwrap();
    let mut error = json!({ "message": "not like this" });
    if in_full {
        error["type"] = "its_type".into();
        error["code"] = "context_length_exceeded".into();
        error["param"] = "its.param[0]".into();
    }
    (StatusCode::from_u16(status).unwrap(), json!({ "error": error }).to_string()).into_response()
}

/// A whole answer.
pub(super) fn whole(asked: &Value) -> Value {
    let choices: Vec<Value> = (0..choices(asked))
        .map(|index| choice(index, "message", message(asked, index), logprobs(asked), finish(asked)))
        .collect();
    json!({
        "id": "up-1", "object": "chat.completion", "created": 1, "model": model(asked), "x_own": { "kept": true },
        "choices": choices, "usage": usage(asked),
    })
}

/// The events of a streamed answer. Its choices take turns, as if they were generated side by side.
pub(super) fn events(asked: &Value) -> Vec<String> {
    let event = |choices: Value, usage: Value| {
        let chunk = json!({
            "id": "up-1", "object": "chat.completion.chunk", "created": 1, "model": model(asked),
            "choices": choices, "usage": usage,
        });
        format!("data: {chunk}\n\n")
    };
    let said: Vec<Vec<Value>> = (0..choices(asked)).map(|index| deltas(asked, index)).collect();
    let mut events = Vec::new();
    for turn in 0..said[0].len() {
        for (index, deltas) in said.iter().enumerate() {
            let choice = choice(index, "delta", deltas[turn].clone(), logprobs(asked), Value::Null);
            events.push(event(json!([choice]), Value::Null));
        }
    }
    if model(asked) == "cut" {
        return events;
    }
    for index in 0..said.len() {
        let choice = choice(index, "delta", json!({}), Value::Null, finish(asked));
        events.push(event(json!([choice]), Value::Null));
    }
    if asked["stream_options"]["include_usage"] == true {
        events.push(event(json!([]), usage(asked)));
    }
    events.push("data: [DONE]\n\n".to_owned());
    events
}

/// How a text goes on, one choice for each prompt.
pub(super) fn text(asked: &Value) -> Value {
    let prompts = asked["prompt"].as_array().map_or(1, Vec::len);
    let choices: Vec<Value> =
        (0..prompts).map(|index| choice(index, "text", json!("a b c"), Value::Null, json!("stop"))).collect();
    json!({
        "id": "up-2", "object": "text_completion", "created": 1, "model": model(asked), "choices": choices,
        "usage": usage(asked),
    })
}

/// The events of the same, streamed.
pub(super) fn text_events(asked: &Value) -> Vec<String> {
    let event = |choices: Value, usage: Value| {
        let chunk = json!({
            "id": "up-2", "object": "text_completion", "created": 1, "model": model(asked), "choices": choices,
            "usage": usage,
        });
        format!("data: {chunk}\n\n")
    };
    let says = |text: &str, finish: Value| {
        event(json!([choice(0, "text", json!(text), Value::Null, finish)]), Value::Null)
    };
    let mut events: Vec<String> = ["a", " b", " c"].map(|text| says(text, Value::Null)).into();
    if model(asked) == "cut" {
        return events;
    }
    events.push(says("", json!("stop")));
    if asked["stream_options"]["include_usage"] == true {
        events.push(event(json!([]), usage(asked)));
    }
    events.push("data: [DONE]\n\n".to_owned());
    events
}

/// One vector for each input, in the form that is asked for.
pub(super) fn vectors(asked: &Value) -> Value {
    // The same numbers twice: as they are, and as base64 of their bytes.
    let vectors = [(json!([0.5, -1.0]), json!("AAAAPwAAgL8=")), (json!([0.25, 2.0]), json!("AACAPgAAAEA="))];
    let inputs = match &asked["input"] {
        Value::Array(inputs) if !inputs[0].is_number() => inputs.len(),
        _ => 1,
    };
    let data: Vec<Value> = vectors
        .into_iter()
        .cycle()
        .take(inputs)
        .enumerate()
        .map(|(index, (numbers, base64))| {
            let vector = if asked["encoding_format"] == "base64" { base64 } else { numbers };
            json!({ "object": "embedding", "index": index, "embedding": vector })
        })
        .collect();
    let usage = json!({ "prompt_tokens": inputs, "total_tokens": inputs });
    json!({ "object": "list", "data": data, "model": "vectors", "usage": usage })
}

/// One choice of a whole answer.
fn message(asked: &Value, index: usize) -> Value {
    let mut message = match model(asked) {
        "tools" if results(asked).is_empty() => json!({ "content": null, "tool_calls": calls() }),
        "tools" => json!({ "content": results(asked) }),
        "structured" => json!({ "content": STRUCTURED.concat(), "refusal": null }),
        "thinks" => json!({ "content": "four", "reasoning_content": "two and two", "reasoning": "2 + 2" }),
        "many" => json!({ "content": format!("choice {index}") }),
        _ => json!({ "content": "a b c" }),
    };
    message["role"] = "assistant".into();
    message
}

/// The same in pieces, the first of which says whose they are.
fn deltas(asked: &Value, index: usize) -> Vec<Value> {
    let words = |words: &[&str]| words.iter().map(|text| json!({ "content": text })).collect();
    let mut deltas: Vec<Value> = match model(asked) {
        "tools" if results(asked).is_empty() => call_deltas(),
        "tools" => words(&[&results(asked)]),
        "structured" => words(&STRUCTURED),
        "thinks" => vec![
            json!({ "content": "", "reasoning_content": "two " }),
            json!({ "reasoning_content": "and two", "reasoning": "2 + 2" }),
            json!({ "content": "four" }),
        ],
        "many" => words(&["choice ", &index.to_string()]),
        _ => words(&["a", " b", " c"]),
    };
    deltas[0]["role"] = "assistant".into();
    deltas
}

/// Cut where a model might: anywhere.
const STRUCTURED: [&str; 3] = [r#"{"city":"#, r#""Oslo","degr"#, r#"ees":4}"#];

/// Two calls at once.
fn calls() -> Value {
    let call = |id: &str, arguments: &str| {
        let function = json!({ "name": "weather", "arguments": arguments });
        json!({ "id": id, "type": "function", "function": function })
    };
    json!([call("call-1", r#"{"city": "Oslo"}"#), call("call-2", r#"{"city": "Rome"}"#)])
}

/// The same calls, in pieces that take turns.
fn call_deltas() -> Vec<Value> {
    let begun = |index: usize, id: &str| {
        let function = json!({ "name": "weather", "arguments": "" });
        json!({ "tool_calls": [{ "index": index, "id": id, "type": "function", "function": function }] })
    };
    let more = |index: usize, arguments: &str| json!({ "tool_calls": [{ "index": index, "function": { "arguments": arguments } }] });
    vec![
        json!({ "content": null }),
        begun(0, "call-1"),
        more(0, r#"{"city":"#),
        begun(1, "call-2"),
        more(0, r#" "Oslo"}"#),
        more(1, r#"{"city": "Ro"#),
        more(1, r#"me"}"#),
    ]
}

/// What the client's tools said, after the calls that it answers.
fn results(asked: &Value) -> String {
    let messages = asked["messages"].as_array().into_iter().flatten();
    let results = messages.filter(|message| message["role"] == "tool").map(|message| {
        let [call, content] =
            ["tool_call_id", "content"].map(|name| message[name].as_str().unwrap_or_default());
        format!("{call}={content}")
    });
    results.collect::<Vec<_>>().join(" ")
}

fn model(asked: &Value) -> &str {
    asked["model"].as_str().unwrap_or_default()
}

/// How many are asked for.
fn choices(asked: &Value) -> usize {
    asked["n"].as_u64().unwrap_or(1).try_into().unwrap()
}

fn choice(index: usize, part: &str, value: Value, logprobs: Value, finish_reason: Value) -> Value {
    json!({ "index": index, part: value, "logprobs": logprobs, "finish_reason": finish_reason })
}

fn finish(asked: &Value) -> Value {
    let calls = model(asked) == "tools" && results(asked).is_empty();
    json!(if calls { "tool_calls" } else { "stop" })
}

fn logprobs(asked: &Value) -> Value {
    if asked["logprobs"] != true {
        return Value::Null;
    }
    let other = json!({ "token": "other", "logprob": -2.5, "bytes": null });
    let token = json!({ "token": "choice", "logprob": -0.25, "bytes": [99], "top_logprobs": [other] });
    json!({ "content": [token], "refusal": null })
}

fn usage(asked: &Value) -> Value {
    let mut usage = json!({ "prompt_tokens": 1, "completion_tokens": 3, "total_tokens": 4 });
    if model(asked) == "thinks" {
        usage["completion_tokens_details"] = json!({ "reasoning_tokens": 2 });
    }
    if model(asked) == "remembers" {
        usage = json!({
            "prompt_tokens": 1234, "completion_tokens": 567, "total_tokens": 1801,
            "prompt_tokens_details": { "cached_tokens": 1000, "cache_write_tokens": 200 },
            "completion_tokens_details": { "reasoning_tokens": 500 },
        });
    }
    usage
}
