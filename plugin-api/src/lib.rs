//! Write a provider for Patchbay, the AI gateway: in an afternoon, without forking it.
//!
//! A **plugin** is a small shared library that knows how to talk to one kind of AI service. Patchbay loads it, and swaps
//! it for a newer one, while it runs. The plugin translates; the host does the rest: HTTP, TLS and connections, keys and
//! their rotation, timeouts, retries, routing, and the API that applications see.
//!
//! The [`guide`] goes from an empty folder to a published library.
//!
//! # A whole plugin
//!
//! ```rust
//! use patchbay_plugin_api::{Answer, Call, ChatRequest, Host, Provider, Result};
//!
//! #[derive(serde::Deserialize)]
//! pub struct Config {
//!     greeting: Option<String>,
//! }
//!
//! pub struct Hello(Config);
//!
//! impl Provider for Hello {
//!     type Config = Config;
//!
//!     fn create(config: Config, _host: Host) -> Result<Self> {
//!         Ok(Self(config))
//!     }
//!
//!     async fn complete(&self, request: ChatRequest, _call: Call) -> Result<Answer> {
//!         let greeting = self.0.greeting.as_deref().unwrap_or("Hello");
//!         Ok(Answer::text(format!("{greeting}! You said: {}", request.last_user_text())))
//!     }
//! }
//!
//! patchbay_plugin_api::export! { Hello, name: "Hello", features: ["chat_completion", "streaming"] }
//! ```
//!
//! Its `Cargo.toml` needs `crate-type = ["cdylib"]` under `[lib]`, this crate and `serde` under `[dependencies]`, and
//! nothing else. Build it, put the library into `plugins/custom`, call `POST /api/providers/reload`, and ask it
//! something. It serves streams too: an answer that comes whole is a stream of few chunks.
//!
//! # Three ways to write a provider
//!
//! Take the first that does.
//!
//! **A plan**, where the service already speaks OpenAI's dialect, as most do. Nothing has to be translated, so the
//! plugin says in data where requests go, and the host then serves them without it, at the speed of a proxy:
//!
//! ```rust
//! use patchbay_plugin_api::openai::{OpenAi, Vendor};
//! use patchbay_plugin_api::{Http, Plan};
//!
//! pub struct Example;
//!
//! impl Vendor for Example {
//!     type Config = ();
//!
//!     // Only where it differs from OpenAI.
//!     fn plan(plan: Plan, _config: &()) -> Plan {
//!         plan.with_header("x-title", "Patchbay").without_embeddings()
//!     }
//! }
//!
//! patchbay_plugin_api::export! {
//!     Http<OpenAi<Example>>,
//!     name: "Example",
//!     // Beside what all such vendors have: answers, streams, a list of models, and whether it is well.
//!     features: ["function_calling", "vision"],
//!     config_defaults: r#"{"base_url": "https://api.example.com/v1", "model": "example-1"}"#,
//! }
//! ```
//!
//! **An [`HttpProvider`]**, where the service has a dialect of its own. Three pure functions say what to send and what
//! came back; the SDK cuts streams into events, wherever the network cut them, and turns statuses into errors:
//!
//! ```rust
//! use patchbay_plugin_api::{
//!     Answer, ChatRequest, Chunk, Chunks, Event, HttpProvider, HttpRequest, ProviderError, Result,
//! };
//!
//! #[derive(serde::Deserialize)]
//! pub struct Config {}
//!
//! #[derive(serde::Deserialize)]
//! struct Said {
//!     text: String,
//!     #[serde(default)]
//!     last: bool,
//! }
//!
//! pub struct Example;
//!
//! impl HttpProvider for Example {
//!     type Config = Config;
//!     type StreamState = ();
//!
//!     fn create(_config: Config) -> Result<Self> {
//!         Ok(Self)
//!     }
//!
//!     fn request(&self, request: &ChatRequest) -> Result<HttpRequest> {
//!         let body = serde_json::json!({"prompt": request.last_user_text(), "stream": request.stream});
//!         HttpRequest::post("https://api.example.com/generate").bearer_key().json(&body)
//!     }
//!
//!     fn response(&self, body: &[u8]) -> Result<Answer> {
//!         Ok(Answer::text(read(body)?.text))
//!     }
//!
//!     fn event(&self, _state: &mut (), event: &Event<'_>, out: &mut Chunks) -> Result<()> {
//!         let said = read(event.data.as_bytes())?;
//!         out.push(Chunk::text(said.text));
//!         // A stream that ends without this was cut, and is never taken for a whole answer.
//!         if said.last {
//!             out.finish();
//!         }
//!         Ok(())
//!     }
//! }
//!
//! fn read(json: &[u8]) -> Result<Said> {
//!     serde_json::from_slice(json)
//!         .map_err(|error| ProviderError::unreadable("the answer cannot be read").with_detail(error.to_string()))
//! }
//! ```
//!
//! Where most of it is data (addresses, headers, words for errors, where a count stands), a
//! [`Dialect`](dialect::Dialect) is less to write, and comes with what dialects have in common.
//!
//! **A [`Provider`]**, for everything else: several requests for one answer, polling, signing, a model of one's own. Its
//! functions are `async` and have the [`Host`] for HTTP, time, randomness, logs and metrics. The mock provider in
//! `plugins/custom/mock` shows all of them.
//!
//! # Try it without host and network
//!
//! [`testing`] has a host that follows a script, and an executor:
//!
//! ```rust
//! use patchbay_plugin_api::testing::{Reply, TestHost, block_on, call};
//! use patchbay_plugin_api::{ChatRequest, ErrorKind, Http, Provider as _};
//! # use patchbay_plugin_api::{HttpProvider, Plan, Result};
//! # struct Example;
//! # impl HttpProvider for Example {
//! #     type Config = serde_json::Value;
//! #     type StreamState = ();
//! #     fn create(_: Self::Config) -> Result<Self> { Ok(Self) }
//! #     fn plan(&self) -> Option<Plan> { Some(Plan::openai("https://api.example.com/v1")) }
//! # }
//!
//! let host = TestHost::new();
//! host.reply(Reply::new(429).header("retry-after", "20"));
//! let provider: Http<Example> = host.provider(r#"{"model": "tiny"}"#)?;
//! let error = block_on(provider.complete(ChatRequest::ask("hi"), call())).unwrap_err();
//! assert_eq!(error.kind, ErrorKind::RateLimited);
//! assert_eq!(host.requests()[0].header("authorization"), Some("Bearer {{key}}"));
//! # Ok::<(), patchbay_plugin_api::ProviderError>(())
//! ```
//!
//! Streams deserve a test for every place where the network may cut them: see [`testing::every_cut`], and
//! `patchbay plugin test`, which does that and more with the built library.
//!
//! # What a plugin does not do
//!
//! - **Start threads or a runtime.** No `tokio`, no `std::thread::spawn`: code that still runs cannot be unloaded. All of
//!   a plugin runs on one thread, so `Rc` and `RefCell` are fine and nothing needs `Send`.
//! - **Open connections.** No `reqwest`, no sockets: [`Host::http`] has the pool, the limits and the key.
//! - **Hold the key.** Write [`abi::KEY_PLACEHOLDER`] where it belongs; the host fills it in for each call.
//! - **Block.** Waiting is `await`: whoever keeps the thread keeps all requests of the plugin waiting, and is quarantined.
//! - **Retry, or rotate keys.** Return the [`ProviderError`] with the right [`ErrorKind`]; the host knows what follows.
//! - **Worry about panics.** A panic is one failed call. But `panic = "abort"` would be the end of the host, so it does
//!   not compile.
//!
//! # The manifest
//!
//! The export macro writes it into the library, where the host reads it without running any code. What is not said is
//! taken from `Cargo.toml`, or follows from the kind of provider: an [`HttpProvider`] requires HTTP, a
//! [`Vendor`](openai::Vendor) chats, streams, and has models, health and credentials, and a
//! [`Dialect`](dialect::Dialect) what its [`Api`](dialect::Api) has addresses for, with that base URL and model as
//! defaults.
//!
//! | field | |
//! | --- | --- |
//! | `id` | the crate's name; by it the plugin is addressed |
//! | `name` | for people; required |
//! | `version`, `author`, `description` | required; from `Cargo.toml` |
//! | `features` | what the router may ask: `chat_completion`, `streaming`, `function_calling`, `vision`, `embeddings`, `json_output`, `reasoning`, `model_list`, `health_check`, `credentials_check` |
//! | `requires` | what must be there: `patchbay>=0.1`, `service:http>=1`, `plugin:ID>=1.2` |
//! | `category` | `official`, `community` or `custom` |
//! | `homepage`, `documentation`, `license` | for those who want to know more |

// 0. How it all comes together.
/// How to write, test and publish a plugin.
#[doc = include_str!("guide.md")]
pub mod guide {}

// 1. The contract.
pub mod abi;
mod error;

// 2. What requests and answers hold.
pub mod chat;
pub mod embed;
mod json;
pub mod model;

// 3. Writing a provider.
mod host;
pub mod http;
mod provider;
pub mod split;

// 4. Providers that are HTTP APIs.
pub mod dialect;
pub mod http_provider;
pub mod openai;
pub mod plan;

// 5. Trying it without host and network.
pub mod testing;

// 6. The plugin's side of the boundary.
#[doc(hidden)]
pub mod export;
mod guard;
mod manifest;

pub use chat::{
    Answer, ChatRequest, Chunk, ChunkMeta, ChunkStream, ChunkWriter, Content, FinishReason, Message, Part,
    Role, Tool, ToolCall, Usage,
};
pub use embed::{EmbedRequest, Embeddings};
pub use error::{ErrorKind, Fault, ProviderError, Result};
pub use host::{Call, Host, Level};
pub use http::{HttpRequest, HttpResponse};
pub use http_provider::{Chunks, Failure, Http, HttpProvider};
pub use model::{Credentials, Health, Model, Pricing};
pub use plan::Plan;
pub use provider::Provider;
pub use split::{Event, Framing};
