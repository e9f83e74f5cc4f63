//! The plugin on its test stand: loaded as in a host, and asked through the same ways.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use patchbay_plugin_api::testing::conformance::{Streamed, request};
use patchbay_plugin_api::{ErrorKind, Plan, ProviderError, Result};
use secrecy::SecretString;
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::captures::Captures;
use super::detour::{self, Detour};
use super::notices::{Noticed, notice};
use super::reloads::Opening;
use super::upstream::{End, Reply, Upstream};
use super::{KEY, PATIENCE};
use crate::config::{BreakerSettings, ProviderEntry, ProviderSettings};
use crate::events::Bus;
use crate::plugins::call_keys::CallKeys;
use crate::plugins::generation::Generation;
use crate::plugins::instance::{Chunks, Instance, OnBehalf};
use crate::plugins::job::Operation;
use crate::plugins::manifest::Manifest;
use crate::plugins::outbound::Outbound;
use crate::providers::{
    AnswerStream, CallContext, Catalogue, Counters, Herald, KeyRing, Members, ModelQuestion, PluginRef,
    PreparedCalls, Provider, Standing, Surface, WholeAnswer,
};
use crate::services::http::{Hops, HttpClient};

/// Everything that checks need.
pub(super) struct Stand {
    pub(super) generation: Arc<Generation>,
    pub(super) manifest: Manifest,
    pub(super) captures: Captures,
    pub(super) upstream: Upstream,
    /// What the plugin is configured with: defaults, sample, captures, command line.
    pub(super) config: Map<String, Value>,
    pub(super) client: HttpClient,
    /// How the library is opened again.
    pub(super) opening: Opening,
    /// Panics and keys that were seen, in words.
    pub(super) noticed: Noticed,
}

/// Who makes an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The plugin's code.
    Code,
    /// The host, by the plugin's plan.
    Plan,
}

impl Way {
    /// For findings.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Code => "by its code",
            Self::Plan => "by its plan",
        }
    }
}

/// What was heard of a streamed answer.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) streamed: Streamed,
    pub(super) error: Option<ProviderError>,
}

/// An answer on its way.
pub(super) enum Reading {
    Code(Chunks, Arc<Provider>),
    Plan(Box<AnswerStream>),
}

impl Stand {
    /// A provider that asks at this address, and has this long for an answer.
    pub(super) async fn provider(&self, upstream: &str, timeout: Duration) -> Result<Arc<Provider>> {
        let entry = ProviderEntry::default();
        let (id, manifest) = (self.manifest.id.as_str(), &self.manifest);
        let settings = ProviderSettings::new(id, id, &entry, &self.config, manifest.secrets);
        let mut settings = settings.map_err(ProviderError::invalid_input)?;
        settings.timeout = timeout;
        settings.chunk_timeout = timeout;
        // The key goes where the test's upstream is.
        settings.base_url = None;
        let settings = Arc::new(settings);
        let config = serde_json::to_vec(&settings.plugin_config).unwrap_or_default();
        let (instance, plan) = self.make(&self.generation, &settings, config, upstream).await?;
        Ok(Arc::new(Provider {
            plugin: PluginRef { id: id.to_owned(), version: manifest.version.clone(), generation: 0 },
            features: manifest.supported_features.clone(),
            plan: plan.map(|plan| detour::plan(plan, upstream)),
            prepared: PreparedCalls::new(settings.keys.len()),
            counters: Arc::new(Counters::default()),
            meter: Arc::default(),
            keys: KeyRing::new(&settings.keys, None),
            standing: Standing::new(&BreakerSettings::default(), Herald::new(&Bus::default())),
            catalogue: Catalogue::following(None, &settings, None),
            question: ModelQuestion::default(),
            settings,
            instance,
        }))
    }

    /// The plugin's side of a provider.
    pub(super) async fn make(
        &self,
        generation: &Arc<Generation>,
        settings: &Arc<ProviderSettings>,
        config: Vec<u8>,
        upstream: &str,
    ) -> Result<(Instance, Option<Plan>)> {
        let (settings, calls) = (Arc::clone(settings), Arc::<CallKeys>::default());
        let client = Outbound { client: self.client.clone(), settings, calls: Arc::clone(&calls) };
        let fetch = Arc::new(Detour { client, upstream: upstream.to_owned() });
        let made = generation.create(self.manifest.id.as_str(), config, fetch, calls, PATIENCE).await;
        self.listen::<&[u8]>(&made.as_ref().map(|_| &[][..]).map_err(Clone::clone));
        made
    }

    /// One at the test's upstream.
    pub(super) async fn usual(&self) -> Result<Arc<Provider>> {
        self.provider(&self.upstream.address(), PATIENCE).await
    }

    /// The ways in which this provider answers.
    pub(super) fn ways(provider: &Provider) -> Vec<Way> {
        if provider.has_planned(Surface::Chat) { vec![Way::Plan, Way::Code] } else { vec![Way::Code] }
    }

    /// A whole answer.
    pub(super) async fn whole(&self, way: Way, provider: &Arc<Provider>) -> Result<Bytes> {
        let body = Bytes::from(request(false));
        match way {
            Way::Code => self.ask(provider, Operation::Complete, body).await,
            Way::Plan => {
                let (admission, members) = admitted(provider, &body)?;
                let read = |answer: WholeAnswer| Ok(answer.raw);
                admission.complete(Surface::Chat, members, &self.context(), read).await
            }
        }
    }

    /// Asks the plugin itself.
    pub(super) async fn ask(
        &self,
        provider: &Arc<Provider>,
        operation: Operation,
        body: Bytes,
    ) -> Result<Bytes> {
        let key = SecretString::from(KEY);
        let limit = provider.settings.timeout;
        let said = within(limit, provider.instance.ask(operation, body, behalf(&key))).await;
        self.listen(&said);
        said
    }

    /// Begins a streamed answer.
    pub(super) async fn open(&self, way: Way, provider: &Arc<Provider>, body: Vec<u8>) -> Result<Reading> {
        let body = Bytes::from(body);
        match way {
            Way::Code => {
                let key = SecretString::from(KEY);
                let chunks = provider.instance.stream(body, behalf(&key)).await?;
                Ok(Reading::Code(chunks, Arc::clone(provider)))
            }
            Way::Plan => {
                let (admission, members) = admitted(provider, &body)?;
                let stream = admission.stream(Surface::Chat, members, &self.context()).await?;
                Ok(Reading::Plan(Box::new(stream)))
            }
        }
    }

    /// A streamed answer, read to its end or to its error.
    pub(super) async fn stream(&self, way: Way, provider: &Arc<Provider>) -> Heard {
        let mut heard = Heard::default();
        match self.open(way, provider, request(true)).await {
            Err(error) => heard.error = Some(error),
            Ok(mut reading) => {
                while !heard.streamed.ended && heard.error.is_none() {
                    reading.read(&mut heard).await;
                }
            }
        }
        for (json, _) in &heard.streamed.chunks {
            self.listen(&Ok(json));
        }
        if let Some(error) = &heard.error {
            self.listen::<&[u8]>(&Err(error.clone()));
        }
        heard
    }

    /// The captured stream in these pieces.
    pub(super) fn streams(&self, pieces: impl IntoIterator<Item = Vec<u8>>, end: End) {
        let reply = Reply::new(200, &self.captures.stream_type, "");
        self.upstream.answers(reply.pieces(pieces).ends(end));
    }

    /// Notes the key in what the plugin says. Upstream never tells it here, so it was the plugin.
    fn listen<T: AsRef<[u8]>>(&self, said: &Result<T>) {
        let key = KEY.as_bytes();
        let holds = |bytes: &[u8]| memchr::memmem::find(bytes, key).is_some();
        let what = match said {
            Ok(answer) if holds(answer.as_ref()) => "an answer",
            Err(error) if holds(format!("{error:?}").as_bytes()) => "an error",
            _ => return,
        };
        notice(&self.noticed, format!("the key is in {what} of its own making"));
    }

    /// What was noticed and not told yet: what happens again and again is told once.
    pub(super) fn noticed(&self) -> Vec<String> {
        self.noticed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn context(&self) -> CallContext {
        CallContext {
            http: self.client.clone(),
            request_id: "conformance".into(),
            trace: None,
            hops: Hops::default(),
        }
    }
}

fn behalf(key: &SecretString) -> OnBehalf<'_> {
    OnBehalf { key: Some(key), .."conformance".into() }
}

fn admitted(provider: &Arc<Provider>, body: &Bytes) -> Result<(crate::providers::Admission, Members)> {
    let refused = |refusal: crate::providers::Refusal| {
        ProviderError::new(ErrorKind::Provider, format!("the host does not ask it: {refusal}"))
    };
    let admission = provider.admit(Instant::now(), Default::default).map_err(refused)?;
    let members = Members::parse(body).map_err(|error| ProviderError::invalid_input(error.to_string()))?;
    Ok((admission, members))
}

async fn within<T>(limit: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
        Err(ProviderError::new(ErrorKind::TimedOut, format!("nothing came within {limit:?}")))
    })
}

impl Reading {
    /// Reads the next batch.
    pub(super) async fn read(&mut self, heard: &mut Heard) {
        let limit = match self {
            Self::Code(_, provider) => provider.settings.timeout,
            Self::Plan(stream) => stream.provider().settings.timeout * 2,
        };
        let read = within(limit, async {
            Ok(match self {
                Self::Code(chunks, _) => chunks.next().await.transpose()?.map(|batch| {
                    heard.streamed.add(&batch.data, &batch.chunks);
                }),
                Self::Plan(stream) => stream.next().await.transpose()?.map(|chunks| {
                    heard
                        .streamed
                        .chunks
                        .extend(chunks.iter().map(|chunk| (chunk.json.to_vec(), chunk.flags)));
                    heard.streamed.batches += 1;
                }),
            })
        })
        .await;
        match read {
            Ok(Some(())) => {}
            Ok(None) => heard.streamed.ended = true,
            Err(error) => heard.error = Some(error),
        }
    }
}

impl Heard {
    /// The chunks as JSON, but for what is another time's in each answer.
    pub(super) fn chunks(&self) -> Vec<Value> {
        let chunk = |(json, _): &(Vec<u8>, u32)| {
            let mut chunk: Value = serde_json::from_slice(json).unwrap_or_default();
            if let Some(chunk) = chunk.as_object_mut() {
                chunk.remove("id");
                chunk.remove("created");
            }
            chunk
        };
        self.streamed.chunks.iter().map(chunk).collect()
    }

    pub(super) fn text(&self) -> String {
        let chunks = self.chunks();
        chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect()
    }

    /// Whether it is a whole answer by its own account.
    pub(super) fn is_complete(&self) -> bool {
        self.error.is_none() && self.streamed.ended
    }
}
