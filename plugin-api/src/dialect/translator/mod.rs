//! A provider for a vendor with a dialect of its own: all of it but for what is the vendor's.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Errors, Json, ModelList, Upstream, Vectors};
use crate::chat::{Answer, ChatRequest};
use crate::embed::{EmbedRequest, Embeddings};
use crate::http::HttpRequest;
use crate::http_provider::{Chunks, Failure, HttpProvider};
use crate::manifest::Implied;
use crate::model::Model;
use crate::split::{Event, Framing};
use crate::{ErrorKind, ProviderError, Result};

mod api;
#[cfg(test)]
mod tests;

pub use api::{Api, BEARER_KEY};

/// A vendor's dialect, of which most is data; a [`RequestWriter`] and an [`AnswerReader`] translate. Export the provider
/// that comes of it as `Http<Translator<D>>`.
///
/// ```
/// use patchbay_plugin_api::dialect::prelude::*;
///
/// pub struct Example;
///
/// impl Dialect for Example {
///     type Own = ();
///     type Reader = Reader;
///
///     const API: Api = Api {
///         model: Some("example-1"),
///         headers: &[("x-api-key", KEY_PLACEHOLDER)],
///         chat: "generate",
///         models: Some("models"),
///         credentials: Some("models"),
///         ..Api::at("https://api.example.com/v1")
///     };
///     const ERRORS: Errors = Errors { word: "/error/type", ..Errors::PLAIN };
/// }
///
/// impl RequestWriter for Example {
///     fn request(_upstream: &Upstream, request: &ChatRequest, model: &str) -> Result<Value> {
///         Ok(object!({"model": model, "prompt": request.last_user_text(), "stream": request.stream}))
///     }
/// }
///
/// /// Nothing has to be remembered from one event to the next.
/// #[derive(Default)]
/// pub struct Reader;
///
/// impl AnswerReader for Reader {
///     fn event(&mut self, event: Json<'_>, out: &mut Chunks) -> Result<()> {
///         out.text(event.text("/text"));
///         if event.is_true("/last") {
///             out.end(FinishReason::Stop, None);
///         }
///         Ok(())
///     }
/// }
///
/// patchbay_plugin_api::export! {
///     Http<Translator<Example>>,
///     name: "Example",
///     // That it answers, streams and lists its models is known.
///     features: ["json_output"],
/// }
/// ```
pub trait Dialect: 'static {
    /// What may be configured beside [`Upstream`]'s own; `()` for nothing.
    type Own: DeserializeOwned + 'static;

    /// Reads its answers.
    type Reader: AnswerReader;

    /// Where the API is.
    const API: Api;

    /// What its errors mean.
    const ERRORS: Errors = Errors::PLAIN;

    /// How it lists its models.
    const MODELS: ModelList = ModelList::PLAIN;

    /// How it answers with vectors.
    const VECTORS: Vectors = Vectors::PLAIN;

    /// Checks what is the vendor's own in a configuration. The error's message says what to mend.
    fn check(_upstream: &Upstream<Self::Own>) -> Result<()> {
        Ok(())
    }

    /// Where the API begins, of what an operator configured.
    fn base_url(configured: &str) -> &str {
        configured
    }

    /// Changes what was read of a model; none for what nobody can ask for.
    fn model(model: Model, _listed: &Value) -> Option<Model> {
        Some(model)
    }
}

/// Writes what a vendor is asked.
pub trait RequestWriter: Dialect {
    /// The body that asks for one answer; `request.stream` says whether in events.
    fn request(upstream: &Upstream<Self::Own>, request: &ChatRequest, model: &str) -> Result<Value>;

    /// The body that asks for vectors.
    fn embed_request(_: &Upstream<Self::Own>, _request: &EmbedRequest, _model: &str) -> Result<Value> {
        Err(ProviderError::unsupported("embeddings"))
    }
}

/// Reads one answer, and remembers what has to be known of it from one event to the next.
pub trait AnswerReader: Default + 'static {
    /// Reads one event of a streamed answer, and [ends](Chunks::end) it with the last. Events are JSON, and what they are
    /// called is not seen: a vendor who tells them apart by their names, or sends text, is one for an
    /// [`HttpProvider`](crate::HttpProvider).
    fn event(&mut self, event: Json<'_>, out: &mut Chunks) -> Result<()>;

    /// Reads a whole answer. By default it is what an event is.
    fn whole(&mut self, answer: Json<'_>, out: &mut Chunks) -> Result<()> {
        self.event(answer, out)
    }
}

/// The provider for a [`Dialect`].
pub struct Translator<D: RequestWriter>(Upstream<D::Own>);

impl<D: RequestWriter> Translator<D> {
    /// The model to ask, by its name alone.
    fn model<'a>(&'a self, asked: Option<&'a str>) -> Result<&'a str> {
        self.0.model(asked).map(|model| D::API.bare(model))
    }

    /// A request that asks a model something.
    fn post(&self, path: &str, model: &str, body: &Value) -> Result<HttpRequest> {
        if !path.contains("{model}") {
            return self.0.post(path).json(body);
        }
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
        // No model has such a name, and that is what the vendor would say, if the address came to it.
        if model.is_empty() || model.contains("..") || !model.bytes().all(fits) {
            let message = "the provider has no model of this name";
            return Err(ProviderError::new(ErrorKind::Provider, message).with_status(404));
        }
        // One that is somewhere else says so.
        let before = if model.contains('/') { "" } else { D::API.before_model };
        self.0.post(&path.replace("{model}", &format!("{before}{model}"))).json(body)
    }
}

impl<D: RequestWriter> HttpProvider for Translator<D> {
    const IMPLIED: Implied = Implied {
        features: &[
            ("chat_completion", true),
            ("streaming", true),
            ("embeddings", D::API.embed.is_some()),
            ("model_list", D::API.models.is_some()),
            ("health_check", D::API.health.is_some() || D::API.credentials.is_some()),
            ("credentials_check", D::API.credentials.is_some()),
        ],
        config: &[("base_url", Some(D::API.begins)), ("model", D::API.model)],
        ..Implied::NOTHING
    };

    type Config = Upstream<D::Own>;
    type StreamState = D::Reader;

    fn create(upstream: Self::Config) -> Result<Self> {
        let base_url = D::base_url(&upstream.base_url).to_owned();
        let headers = D::API.headers.iter();
        let upstream = Upstream { base_url, ..upstream };
        Ok(Self(headers.fold(upstream, |upstream, (name, value)| upstream.with_header(name, value))))
    }

    fn validate(upstream: &Self::Config) -> Result<()> {
        upstream.check(D::API.begins, D::API.goes_on)?;
        D::check(upstream)
    }

    fn request(&self, request: &ChatRequest) -> Result<HttpRequest> {
        request.single_answer()?;
        let model = self.model(request.model.as_deref())?;
        let path = D::API.stream.filter(|_| request.stream).unwrap_or(D::API.chat);
        self.post(path, model, &D::request(&self.0, request, model)?)
    }

    fn response(&self, body: &[u8]) -> Result<Answer> {
        let said = D::ERRORS.read("the provider's answer", body)?;
        Chunks::gather(|out| D::Reader::default().whole(said, out))
    }

    fn event(&self, reader: &mut D::Reader, event: &Event<'_>, out: &mut Chunks) -> Result<()> {
        if event.data.trim().is_empty() {
            return Ok(());
        }
        reader.event(D::ERRORS.read("an event of the provider's stream", event.data.as_bytes())?, out)
    }

    fn framing(&self) -> Framing {
        D::API.framing
    }

    fn error(&self, failure: &Failure<'_>) -> ProviderError {
        D::ERRORS.of(failure)
    }

    fn embed_request(&self, request: &EmbedRequest) -> Result<HttpRequest> {
        let path = D::API.embed.ok_or_else(|| ProviderError::unsupported("embeddings"))?;
        let model = self.model(request.model.as_deref())?;
        self.post(path, model, &D::embed_request(&self.0, request, model)?)
    }

    fn embed_response(&self, body: &[u8]) -> Result<Embeddings> {
        D::VECTORS.read(body, &D::ERRORS)
    }

    fn models_request(&self) -> Option<HttpRequest> {
        D::API.models.and_then(|path| self.0.list(path))
    }

    fn models_response(&self, body: Option<&[u8]>) -> Result<Vec<Model>> {
        let bare = |model: Model| Model { id: D::API.bare(&model.id).to_owned(), ..model };
        self.0.listed(body, |body| D::MODELS.read(body, |model, listed| D::model(bare(model), listed)))
    }

    fn health_request(&self) -> Option<HttpRequest> {
        D::API.health.or(D::API.credentials).map(|path| self.0.get(path))
    }

    fn credentials_request(&self) -> Option<HttpRequest> {
        D::API.credentials.map(|path| self.0.get(path))
    }
}
