//! What a plan makes of a request.
//!
//! The host has its own way, on the bytes; this one is for plugins on their own, and says in code what the rules
//! mean.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{BodyRule, Endpoint, ModelRule, Plan};
use crate::chat::ChatRequest;
use crate::embed::EmbedRequest;
use crate::http::HttpRequest;
use crate::{ProviderError, Result};

impl Plan {
    /// The HTTP request for a chat request.
    pub fn chat_request(&self, request: &ChatRequest) -> Result<HttpRequest> {
        let mut body = self.members(request)?;
        if request.stream && self.stream.include_usage {
            let options = body.entry("stream_options").or_insert_with(|| json!({}));
            if let Value::Object(options) = options {
                options.insert("include_usage".into(), true.into());
            }
        } else {
            body.remove("stream_options");
        }
        self.send(self.chat.as_ref(), "chat", &body)
    }

    /// The HTTP request for an embeddings request.
    pub fn embed_request(&self, request: &EmbedRequest) -> Result<HttpRequest> {
        let body = self.members(request)?;
        self.send(self.embeddings.as_ref(), "embeddings", &body)
    }

    /// A `GET` with the plan's headers, for what the plan itself does not cover.
    pub fn get(&self, url: impl Into<String>) -> HttpRequest {
        let request = HttpRequest::get(url);
        self.headers.iter().fold(request, |request, header| request.header(&header.name, &header.value))
    }

    fn members(&self, request: &impl Serialize) -> Result<Map<String, Value>> {
        let Ok(Value::Object(mut body)) = serde_json::to_value(request) else {
            return Err(ProviderError::invalid_input("the request is not a JSON object"));
        };
        self.model.apply(&mut body);
        self.body.apply(&mut body);
        Ok(body)
    }

    fn send(
        &self,
        endpoint: Option<&Endpoint>,
        what: &str,
        body: &Map<String, Value>,
    ) -> Result<HttpRequest> {
        let Some(endpoint) = endpoint else { return Err(ProviderError::unsupported(what)) };
        HttpRequest { method: "POST".into(), ..self.get(&endpoint.url) }.json(body)
    }
}

impl ModelRule {
    fn apply(&self, body: &mut Map<String, Value>) {
        let asked = body.get("model").and_then(Value::as_str).or(self.default.as_deref());
        let Some(asked) = asked else { return };
        let prefix = self.strip_prefix.as_deref().unwrap_or_default();
        let name = asked.strip_prefix(prefix).unwrap_or(asked);
        let name = self.aliases.get(name).map_or(name, String::as_str).to_owned();
        body.insert("model".into(), name.into());
    }
}

impl BodyRule {
    fn apply(&self, body: &mut Map<String, Value>) {
        for name in &self.drop {
            body.remove(name);
        }
        for (from, to) in &self.rename {
            if let Some(value) = body.remove(from) {
                body.entry(to).or_insert(value);
            }
        }
        for (name, value) in &self.defaults {
            body.entry(name).or_insert_with(|| value.clone());
        }
        for (name, value) in &self.set {
            body.insert(name.clone(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn body(request: &HttpRequest) -> Value {
        serde_json::from_slice(&request.body).unwrap()
    }

    #[test]
    fn a_request_is_sent_where_and_how_the_plan_says() {
        let plan = Plan::openai("https://x.test/v1").with_header("x-title", "t");
        let request = plan.chat_request(&ChatRequest::ask("hi")).unwrap();
        assert_eq!((&*request.method, &*request.url), ("POST", "https://x.test/v1/chat/completions"));
        let header = |name: &str| crate::http::header(&request.headers, name);
        assert_eq!(header("authorization"), Some("Bearer {{key}}"));
        assert_eq!(header("x-title"), Some("t"));
        assert_eq!(header("content-type"), Some("application/json"));
        assert_eq!(body(&request), json!({"messages": [{"role": "user", "content": "hi"}]}));
    }

    #[test]
    fn the_models_name_follows_its_rule() {
        let mut plan = Plan::openai("https://x").with_default_model("vendor/small");
        plan.model.strip_prefix = Some("vendor/".into());
        plan.model.aliases.insert("small".into(), "small-2024".into());
        for (asked, sent) in
            [(None, "small-2024"), (Some("small"), "small-2024"), (Some("vendor/big"), "big")]
        {
            let request = ChatRequest { model: asked.map(str::to_owned), ..ChatRequest::ask("hi") };
            assert_eq!(body(&plan.chat_request(&request).unwrap())["model"], sent);
        }
    }

    #[test]
    fn members_follow_their_rules_in_order() {
        let mut plan = Plan::openai("https://x");
        plan.body = serde_json::from_value(json!({
            "drop": ["user", "seed"], "rename": {"max_tokens": "max_completion_tokens", "top_k": "k"},
            "defaults": {"temperature": 1, "seed": 5}, "set": {"safe": true, "top_p": 0.5},
        }))
        .unwrap();
        let asked = json!({"messages": [], "user": "u", "seed": 1, "max_tokens": 3, "temperature": 0.1,
            "top_p": 0.9, "top_k": 4, "k": 8});
        let request = ChatRequest::parse(asked.to_string().as_bytes()).unwrap();
        assert_eq!(
            body(&plan.chat_request(&request).unwrap()),
            json!({"messages": [], "seed": 5, "max_completion_tokens": 3, "temperature": 0.1, "top_p": 0.5,
                "k": 8, "safe": true})
        );
    }

    #[test]
    fn a_stream_is_asked_to_count() {
        let plan = Plan::openai("https://x");
        let asked = json!({"messages": [], "stream": true, "stream_options": {"x": 1}});
        let request = ChatRequest::parse(asked.to_string().as_bytes()).unwrap();
        let sent = body(&plan.chat_request(&request).unwrap());
        assert_eq!(sent["stream_options"], json!({"x": 1, "include_usage": true}));
        let uncounted = plan.clone().without_usage_option();
        let whole = ChatRequest { stream: false, ..request.clone() };
        for (plan, request) in [(&plan, &whole), (&uncounted, &request)] {
            assert_eq!(body(&plan.chat_request(request).unwrap()).get("stream_options"), None);
        }
    }

    #[test]
    fn what_the_plan_does_not_serve_is_unsupported() {
        let plan = Plan::openai("https://x").without_embeddings();
        let request = EmbedRequest::parse(br#"{"input": "a"}"#).unwrap();
        assert_eq!(plan.embed_request(&request).unwrap_err().kind, ErrorKind::Unsupported);
    }
}
