//! A plugin that does one thing wrong, whichever its configuration names: what the conformance kit has to find. Its
//! upstream speaks OpenAI's dialect.

use futures_util::StreamExt as _;
use patchbay_plugin_api::http::Body;
use patchbay_plugin_api::split::Splitter;
use patchbay_plugin_api::{
    Answer, Call, ChatRequest, Chunk, ChunkStream, Chunks, Credentials, ErrorKind, Failure, Framing, Health,
    Host, HttpRequest, HttpResponse, Level, Model, Provider, ProviderError, Result, openai,
};
use serde::Deserialize;
use serde_json::Value;

const URL: &str = "https://careless.example.com/v1";

patchbay_plugin_api::export! {
    Careless,
    name: "Careless",
    features: ["chat_completion", "streaming", "model_list", "health_check", "credentials_check"],
    secrets: true,
    sample_config: r#"{"region": "eu"}"#,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Flaw {
    None,
    AcceptsAnything,
    SaysSomethingElse,
    Collects,
    ReadsByThePiece,
    TakesHalfForWhole,
    ReadsNothing,
    KeepsTheConnection,
    BlamesTheClient,
    ForgetsToWait,
    PanicsWithoutAnAnswer,
    AbortsOnFailure,
    PanicsInDrop,
    KeepsAThread,
    TellsItsKey,
    KnowsNoModels,
    IsAlwaysWell,
    AcceptsAnyKey,
    AsksWithoutTheKey,
    Blocks,
    CutsLetters,
}

struct Careless {
    flaw: Flaw,
    host: Host,
}

impl Provider for Careless {
    type Config = Value;

    fn create(config: Value, host: Host) -> Result<Self> {
        let flaw = flaw(&config)?;
        if flaw == Flaw::TellsItsKey {
            host.log(Level::Info, &config.to_string(), &Value::Null);
        }
        Ok(Self { flaw, host })
    }

    fn validate(config: &Value) -> Result<()> {
        if flaw(config)? == Flaw::AcceptsAnything || config["region"].is_string() {
            return Ok(());
        }
        Err(ProviderError::invalid_input("`region` must be a text"))
    }

    async fn complete(&self, request: ChatRequest, call: Call) -> Result<Answer> {
        match self.flaw {
            Flaw::Blocks => std::thread::sleep(std::time::Duration::from_secs(3600)),
            Flaw::CutsLetters => {
                let text = request.last_user_text();
                self.host.log(Level::Debug, &text[..text.len().min(1)], &Value::Null);
            }
            Flaw::KeepsAThread => drop(std::thread::spawn(std::thread::park)),
            _ => {}
        }
        let body = self.chat(&request, &call, false).await?.body.collect(1 << 20).await?;
        match self.flaw {
            Flaw::SaysSomethingElse => Ok(Answer::text("Good morning!")),
            Flaw::ReadsNothing => Ok(openai::answer(&body).unwrap_or_else(|_| Answer::text(""))),
            Flaw::PanicsWithoutAnAnswer => Ok(openai::answer(&body).expect("an answer")),
            _ => openai::answer(&body),
        }
    }

    async fn stream(&self, request: ChatRequest, call: Call) -> Result<ChunkStream> {
        let body = self.chat(&request, &call, true).await?.body;
        let mut reading = Reading::new(self.flaw);
        match self.flaw {
            Flaw::Collects => {
                reading.feed(&body.collect(1 << 20).await?)?;
            }
            _ => reading.body = Some(body),
        }
        Ok(ChunkStream::unfold(reading, async |mut reading: Reading| {
            Ok(reading.next().await?.map(|chunk| (chunk, reading)))
        }))
    }

    async fn models(&self, call: Call) -> Result<Vec<Model>> {
        let body = self.ask(&call, self.models_request()).await?.body.collect(1 << 20).await?;
        if self.flaw == Flaw::KnowsNoModels { Ok(Vec::new()) } else { openai::models(&body) }
    }

    async fn health(&self, call: Call) -> Result<Health> {
        let asked = self.ask(&call, self.models_request()).await;
        if self.flaw == Flaw::IsAlwaysWell { Ok(Health::Available) } else { asked.map(|_| Health::Available) }
    }

    async fn credentials(&self, call: Call) -> Result<Credentials> {
        match self.ask(&call, self.models_request()).await {
            Err(error) if self.flaw != Flaw::AcceptsAnyKey && error.kind == ErrorKind::Authentication => {
                Ok(Credentials::Invalid { message: error.message })
            }
            _ => Ok(Credentials::Valid),
        }
    }
}

fn flaw(config: &Value) -> Result<Flaw> {
    let named = config.get("flaw").cloned().unwrap_or_else(|| "none".into());
    serde_json::from_value(named).map_err(|error| ProviderError::invalid_input(error.to_string()))
}

impl Careless {
    fn models_request(&self) -> HttpRequest {
        let request = HttpRequest::get(format!("{URL}/models"));
        if self.flaw == Flaw::AsksWithoutTheKey { request } else { request.bearer_key() }
    }

    async fn chat(&self, request: &ChatRequest, call: &Call, stream: bool) -> Result<HttpResponse> {
        let body = serde_json::json!({"prompt": request.last_user_text(), "stream": stream});
        self.ask(call, HttpRequest::post(format!("{URL}/chat/completions")).bearer_key().json(&body)?).await
    }

    async fn ask(&self, call: &Call, request: HttpRequest) -> Result<HttpResponse> {
        let response = self.host.http(call, request).await?;
        if response.is_success() {
            return Ok(response);
        }
        if self.flaw == Flaw::AbortsOnFailure {
            std::process::abort();
        }
        let HttpResponse { status, headers, body } = response;
        let body = body.beginning(1 << 16).await;
        let mut error = Failure { status, headers: &headers, body: &body, now: self.host.now() }.to_error();
        match self.flaw {
            Flaw::BlamesTheClient => error.kind = ErrorKind::InvalidInput,
            Flaw::ForgetsToWait => error.retry_after = None,
            _ => {}
        }
        Err(error)
    }
}

impl Drop for Careless {
    fn drop(&mut self) {
        assert!(self.flaw != Flaw::PanicsInDrop, "careless to the last");
    }
}

/// A stream on its way.
struct Reading {
    flaw: Flaw,
    body: Option<Body>,
    splitter: Splitter,
    chunks: Chunks,
}

impl Reading {
    fn new(flaw: Flaw) -> Self {
        Self {
            flaw,
            body: None,
            splitter: Splitter::with_limit(Framing::Sse, 1 << 20),
            chunks: Chunks::default(),
        }
    }

    async fn next(&mut self) -> Result<Option<Chunk>> {
        loop {
            if let Some(chunk) = self.chunks.pop() {
                return Ok(Some(chunk));
            }
            if self.chunks.is_finished() {
                return Ok(None);
            }
            let piece = match &mut self.body {
                Some(body) => body.next().await.transpose()?,
                None => None,
            };
            match piece {
                Some(piece) => self.feed(&piece)?,
                None if self.flaw == Flaw::TakesHalfForWhole => return Ok(None),
                None => return Err(ProviderError::new(ErrorKind::BrokenStream, "the stream broke off")),
            }
        }
    }

    fn feed(&mut self, piece: &[u8]) -> Result<()> {
        if self.flaw == Flaw::ReadsByThePiece {
            self.splitter = Splitter::with_limit(Framing::Sse, 1 << 20);
        }
        self.splitter.push(piece);
        while let Some(event) = self.splitter.next_event()? {
            openai::event(&event, &mut self.chunks)?;
        }
        Ok(())
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if self.flaw == Flaw::KeepsTheConnection {
            std::mem::forget(self.body.take());
        }
    }
}
