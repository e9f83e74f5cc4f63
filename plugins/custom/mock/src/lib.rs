//! A provider that needs neither network nor key, and does what it is told: for demos, for tests, and to learn from.
//!
//! It shows every operation of [`Provider`]; a real provider often needs only `complete`. Say `mock:slow=200` in a
//! message and see what your application makes of it; all that can be said is in `wishes.rs`.

use std::time::Duration;

use patchbay_plugin_api::{
    Answer, Call, ChatRequest, Chunk, ChunkStream, Credentials, EmbedRequest, Embeddings, FinishReason,
    Health, Host, Model, Provider, ProviderError, Result, Usage,
};
use serde::Deserialize;

#[cfg(test)]
mod tests;
mod wishes;

use wishes::Wishes;

patchbay_plugin_api::export! {
    Mock,
    name: "Mock",
    features: [
        "chat_completion", "streaming", "embeddings", "model_list", "health_check", "credentials_check",
    ],
    // What `Config` has: a host refuses what is misspelt.
    config_schema: r#"{"properties": {
        "reply": {"type": "string"}, "latency_ms": {"type": "integer"}, "chunk_delay_ms": {"type": "integer"},
        "chunks": {"type": "integer"}, "embedding_dimensions": {"type": "integer"}, "busy": {"type": "boolean"}
    }, "additionalProperties": false}"#,
    // Last of all, so that a demonstration never stands in for a real provider.
    config_defaults: r#"{"priority": 999, "model": "mock-1"}"#,
}

/// What an operator may configure. Everything may be left out.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Config {
    /// The one answer to everything.
    reply: Option<String>,
    /// How long to wait before an answer.
    latency_ms: u64,
    /// How long to wait before each chunk of a stream.
    chunk_delay_ms: u64,
    /// How many chunks to cut an answer into, instead of one per word.
    chunks: Option<usize>,
    /// How many numbers an embedding has.
    embedding_dimensions: Option<usize>,
    /// Whether to say that others should be asked first.
    busy: bool,
}

/// The provider: its configuration, and the host to borrow a clock from.
pub struct Mock {
    config: Config,
    host: Host,
}

impl Provider for Mock {
    type Config = Config;

    fn create(config: Config, host: Host) -> Result<Self> {
        Ok(Self { config, host })
    }

    fn validate(config: &Config) -> Result<()> {
        match config.chunks {
            Some(0) => Err(ProviderError::invalid_input("`chunks` must be at least 1")),
            _ => Ok(()),
        }
    }

    async fn complete(&self, request: ChatRequest, _call: Call) -> Result<Answer> {
        let wishes = self.begin(&request).await?;
        wishes.midway()?;
        let text = self.answer(&request, wishes.tokens);
        let usage = usage(&request, &text);
        Ok(Answer::text(text).with_model(request.model.as_deref().unwrap_or("mock-1")).with_usage(usage))
    }

    async fn stream(&self, request: ChatRequest, _call: Call) -> Result<ChunkStream> {
        let wishes = self.begin(&request).await?;
        let text = self.answer(&request, wishes.tokens);
        let words: Vec<&str> = text.split_inclusive(' ').collect();
        let per_chunk = self.config.chunks.map_or(1, |chunks| words.len().div_ceil(chunks));
        let mut chunks: Vec<_> =
            words.chunks(per_chunk.max(1)).map(|some| Chunk::text(some.concat())).collect();
        let middle = chunks.len() / 2;
        chunks.extend([Chunk::finish(FinishReason::Stop), Chunk::usage(usage(&request, &text))]);

        // The stream outlives this call, so it takes along what it needs.
        let (host, delay) = (self.host, wishes.slow.unwrap_or(self.config.chunk_delay_ms));
        Ok(ChunkStream::unfold(chunks.into_iter().enumerate(), async move |mut left| {
            let Some((index, chunk)) = left.next() else { return Ok(None) };
            if index == middle {
                wishes.midway()?;
            }
            pause(&host, delay).await;
            Ok(Some((chunk, left)))
        }))
    }

    async fn embed(&self, request: EmbedRequest, _call: Call) -> Result<Embeddings> {
        let dimensions = request.dimensions.or(self.config.embedding_dimensions).unwrap_or(8);
        if dimensions > 4096 {
            return Err(ProviderError::invalid_input("`dimensions` must be at most 4096"));
        }
        let texts = request.texts()?;
        let words = texts.iter().map(|text| count(text)).sum();
        let vectors = texts.iter().map(|text| vector(text, dimensions)).collect();
        Ok(Embeddings::new(vectors).with_usage(Usage::new(words, 0)))
    }

    async fn models(&self, _call: Call) -> Result<Vec<Model>> {
        let model = |id| Model::new(id).with_capabilities(["streaming", "embeddings"]);
        Ok(vec![model("mock-1"), model("mock-2")])
    }

    async fn health(&self, _call: Call) -> Result<Health> {
        Ok(if self.config.busy { Health::busy("configured to be busy") } else { Health::Available })
    }

    async fn credentials(&self, _call: Call) -> Result<Credentials> {
        Ok(Credentials::Valid)
    }
}

impl Mock {
    async fn begin(&self, request: &ChatRequest) -> Result<Wishes> {
        pause(&self.host, self.config.latency_ms).await;
        wishes::read(request)?.at_the_beginning().await
    }

    /// The answer: counted out, configured, or an echo.
    fn answer(&self, request: &ChatRequest, tokens: Option<u16>) -> String {
        let asked = wishes::without(&request.last_user_text());
        match (tokens, &self.config.reply) {
            (Some(tokens), _) => (1..=tokens).map(|n| format!("word{n}")).collect::<Vec<_>>().join(" "),
            (None, Some(reply)) => reply.clone(),
            (None, None) if asked.is_empty() => "Hello! Say something, and I will echo it.".into(),
            (None, None) => format!("You said: {asked}"),
        }
    }
}

async fn pause(host: &Host, millis: u64) {
    // No pause at all, rather than the shortest that a timer can make.
    if millis > 0 {
        host.sleep(Duration::from_millis(millis)).await;
    }
}

/// A word is a token here.
fn usage(request: &ChatRequest, answer: &str) -> Usage {
    Usage::new(request.messages.iter().map(|message| count(&message.text())).sum(), count(answer))
}

fn count(text: &str) -> u64 {
    text.split_whitespace().count() as u64
}

/// Numbers between -1 and 1 that depend on the text alone: the same text is always at the same place.
fn vector(text: &str, dimensions: usize) -> Vec<f32> {
    let mix = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(16_777_619);
    let number = |hash: u32| f32::from((hash >> 16) as u16) / 32_767.5 - 1.0;
    (0..dimensions)
        .map(|place| number(text.bytes().chain(place.to_le_bytes()).fold(2_166_136_261, mix)))
        .collect()
}
