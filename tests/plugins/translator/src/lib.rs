//! A plugin whose upstream has a dialect of its own, so that the host cannot serve it by a plan: every request goes
//! through the plugin's code, and with the key of its call.

use patchbay_plugin_api::{
    Answer, ChatRequest, Chunk, Chunks, Event, FinishReason, Http, HttpProvider, HttpRequest, ProviderError,
    Result,
};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Config {
    base_url: String,
}

struct Translator {
    base_url: String,
}

#[derive(Deserialize)]
struct Said {
    said: String,
}

impl HttpProvider for Translator {
    type Config = Config;
    type StreamState = ();

    fn create(config: Config) -> Result<Self> {
        Ok(Self { base_url: config.base_url })
    }

    fn request(&self, request: &ChatRequest) -> Result<HttpRequest> {
        let asked = HttpRequest::post(format!("{}/say", self.base_url)).header("x-key", "{{key}}");
        asked.json(&json!({ "prompt": request.last_user_text(), "in_words": request.stream }))
    }

    fn response(&self, body: &[u8]) -> Result<Answer> {
        Ok(Answer::text(said(body)?))
    }

    fn event(&self, _state: &mut (), event: &Event<'_>, out: &mut Chunks) -> Result<()> {
        if event.name == "end" {
            out.push(Chunk::finish(FinishReason::Stop));
            out.finish();
        } else {
            out.push(Chunk::text(said(event.data.as_bytes())?));
        }
        Ok(())
    }

    fn health_request(&self) -> Option<HttpRequest> {
        Some(HttpRequest::get(format!("{}/alive", self.base_url)).header("x-key", "{{key}}"))
    }
}

fn said(json: &[u8]) -> Result<String> {
    let said: Said = serde_json::from_slice(json).map_err(|_| ProviderError::unreadable("not a word"))?;
    Ok(said.said)
}

patchbay_plugin_api::export! {
    Http<Translator>,
    name: "Translator",
    description: "Speaks to an upstream with a dialect of its own",
    requires: ["service:http>=1"],
    features: ["chat_completion", "streaming", "health_check"],
}
