//! A request for a text to be gone on with, and the request for chat that comes closest to it.

use bytes::Bytes;
use serde_json::value::RawValue;

use super::{RequestError, flag, include_usage, model, with_model};
use crate::gateway::select::Target;
use crate::plugins::Feature;
use crate::providers::{Members, Surface};

/// Members that chat does not have, or has in another shape.
const NOT_OF_CHAT: [&str; 5] = ["prompt", "suffix", "echo", "best_of", "logprobs"];

/// What a request says that chat has no way to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BeyondChat {
    /// The member.
    pub name: &'static str,
    /// What it must be to be said.
    pub problem: &'static str,
}

/// A request for a text to be gone on with, checked.
#[derive(Clone, Debug)]
pub struct TextRequest {
    /// `model` as asked for; none for `auto`.
    pub model: Option<String>,
    /// Whether the answer is wanted as it is generated.
    pub stream: bool,
    /// Whether a stream is to tell what it took.
    pub include_usage: bool,
    /// The prompt's JSON, if all of the request can be said in chat.
    prompt: Result<Bytes, BeyondChat>,
    members: Members,
}

impl TextRequest {
    /// What whoever serves it has to support.
    pub const NEEDS: [Feature; 1] = [Feature::ChatCompletion];

    /// Reads a body of `/v1/completions`. What is in its members is for upstream to judge, where it goes there as it
    /// came.
    pub fn parse(body: &Bytes) -> Result<Self, RequestError> {
        let members = Members::parse(body).map_err(|error| RequestError::NotAnObject(error.to_string()))?;
        let prompt = members.get("prompt").ok_or(RequestError::Missing("prompt"))?;
        Ok(Self {
            model: model(&members)?,
            stream: flag(&members, "stream")?,
            include_usage: include_usage(&members)?,
            prompt: only_text(prompt).and_then(|text| check_others(&members).map(|()| text)),
            members,
        })
    }

    /// What keeps it from whoever has chat only.
    pub fn beyond_chat(&self) -> Option<BeyondChat> {
        self.prompt.as_ref().err().copied()
    }

    /// Whom it asks for.
    pub(in crate::gateway) fn target(&self) -> Target<'_> {
        Target { model: self.model.as_deref(), body: Some(&self.members), ..Target::default() }
    }

    /// The body for one provider, with its model: as it came, or said in chat.
    pub fn body_for(&self, surface: Surface, model: Option<&str>) -> Result<Members, BeyondChat> {
        let mut members = with_model(&self.members, model);
        if surface == Surface::Texts {
            return Ok(members);
        }
        let prompt = self.prompt.as_ref().map_err(|beyond| *beyond)?;
        for name in NOT_OF_CHAT {
            members.remove(name);
        }
        members.set("messages", [br#"[{"role":"user","content":"#, prompt.as_ref(), b"}]"].concat());
        Ok(members)
    }
}

/// The JSON of the prompt's one text. Several are several requests, and tokens are of one model alone.
fn only_text(prompt: &Bytes) -> Result<Bytes, BeyondChat> {
    let text = match serde_json::from_slice::<Vec<&RawValue>>(prompt) {
        Ok(list) => match list.as_slice() {
            [only] => prompt.slice_ref(only.get().as_bytes()),
            _ => Bytes::new(),
        },
        Err(_) => prompt.clone(),
    };
    let problem = "must be a string, or a list of one string";
    if text.starts_with(b"\"") { Ok(text) } else { Err(BeyondChat { name: "prompt", problem }) }
}

fn check_others(members: &Members) -> Result<(), BeyondChat> {
    /// What chat does by itself, and so can be asked of it.
    const SAYABLE: [(&str, &[&str], &str); 4] = [
        ("suffix", &["\"\""], "must be left out"),
        ("echo", &["false"], "must be false"),
        ("best_of", &["1"], "must be 1"),
        ("logprobs", &["false"], "must be left out"),
    ];
    for (name, sayable, problem) in SAYABLE {
        let value = members.get(name).filter(|_| members.has(name));
        if value.is_some_and(|value| !sayable.iter().any(|it| it.as_bytes() == value)) {
            return Err(BeyondChat { name, problem });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<TextRequest, RequestError> {
        TextRequest::parse(&Bytes::copy_from_slice(json.as_bytes()))
    }

    #[test]
    fn where_texts_are_completed_only_the_model_changes() {
        for json in [
            r#"{"model":"p/m","prompt":"a \u00e9","max_tokens":1.50,"x":{"y":[ ]}}"#,
            r#"{"model":"p/m","prompt":["a","b"],"suffix":"s","echo":true,"best_of":3,"logprobs":2}"#,
            r#"{"model":"p/m","prompt":[[1,2],[3]],"stream":true,"stream_options":{"include_usage":true}}"#,
            r#"{"model":"p/m","prompt":null}"#,
        ] {
            let body = parse(json).unwrap().body_for(Surface::Texts, Some("m")).unwrap().write();
            assert_eq!(body, json.replace("p/m", "m"));
        }
        let streamed =
            parse(r#"{"prompt":"a","stream":true,"stream_options":{"include_usage":true}}"#).unwrap();
        assert!(streamed.stream && streamed.include_usage);
    }

    #[test]
    fn what_chat_can_say_is_said_in_chat() {
        for (members, expected) in [
            (r#""prompt":"a \"b\"\n""#, r#""messages":[{"role":"user","content":"a \"b\"\n"}]"#),
            (r#""prompt":[ "a" ]"#, r#""messages":[{"role":"user","content":"a"}]"#),
            (r#""prompt":"""#, r#""messages":[{"role":"user","content":""}]"#),
            (
                r#""prompt":"a","suffix":"","echo":false,"best_of":1,"logprobs":null"#,
                r#""messages":[{"role":"user","content":"a"}]"#,
            ),
            (
                r#""prompt":"a","max_tokens":5,"temperature":0.10,"top_p":1,"n":2,"stop":["x"],"presence_penalty":1,"frequency_penalty":2,"seed":3,"user":"u","logit_bias":{"5":1},"top_k":4"#,
                r#""max_tokens":5,"temperature":0.10,"top_p":1,"n":2,"stop":["x"],"presence_penalty":1,"frequency_penalty":2,"seed":3,"user":"u","logit_bias":{"5":1},"top_k":4,"messages":[{"role":"user","content":"a"}]"#,
            ),
            // Whatever else it holds, the prompt is what is asked.
            (r#""messages":[],"prompt":"a""#, r#""messages":[{"role":"user","content":"a"}]"#),
        ] {
            let request = parse(&format!(r#"{{"model":"x",{members}}}"#)).unwrap();
            assert_eq!(request.beyond_chat(), None, "{members}");
            let body = request.body_for(Surface::Chat, Some("m")).unwrap().write();
            assert_eq!(body, format!(r#"{{"model":"m",{expected}}}"#), "{members}");
        }
    }

    #[test]
    fn what_chat_cannot_say_is_named() {
        for (members, name) in [
            (r#""prompt":["a","b"]"#, "prompt"),
            (r#""prompt":[]"#, "prompt"),
            (r#""prompt":[1,2]"#, "prompt"),
            (r#""prompt":[1]"#, "prompt"),
            (r#""prompt":[["a"]]"#, "prompt"),
            (r#""prompt":[[1,2]]"#, "prompt"),
            (r#""prompt":null"#, "prompt"),
            (r#""prompt":7"#, "prompt"),
            (r#""prompt":{"a":"b"}"#, "prompt"),
            (r#""prompt":"a","suffix":"b""#, "suffix"),
            (r#""prompt":"a","echo":true"#, "echo"),
            (r#""prompt":"a","best_of":2"#, "best_of"),
            (r#""prompt":"a","logprobs":0"#, "logprobs"),
            (r#""prompt":"a","logprobs":true"#, "logprobs"),
        ] {
            let request = parse(&format!("{{{members}}}")).unwrap();
            assert_eq!(request.beyond_chat().map(|beyond| beyond.name), Some(name), "{members}");
            assert!(request.body_for(Surface::Chat, None).is_err(), "{members}");
        }
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for (json, expected) in [
            ("{}", "prompt is required"),
            (r#"{"prompt":"a","stream":1}"#, "stream must be true or false"),
            (r#"{"prompt":"a","stream_options":1}"#, "stream_options must be an object"),
            (r#"{"prompt":"a","model":5}"#, "model must be a string"),
        ] {
            assert_eq!(parse(json).unwrap_err().to_string(), expected, "{json}");
        }
        assert!(matches!(parse("[]"), Err(RequestError::NotAnObject(_))));
    }
}
