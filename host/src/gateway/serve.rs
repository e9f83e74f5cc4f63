//! The gateway's operations: each asks its candidates, one after the other, in its own way.

use std::sync::Arc;

use bytes::Bytes;
use patchbay_plugin_api::ProviderError;
use tokio::time::Instant;

use super::answer::{self, Answer, Facts, RawAnswer};
use super::asker::Asker;
use super::attempt::Attempts;
use super::estimate::Forecast;
use super::request::{ChatRequest, EmbedRequest};
use super::select::{Candidate, Needs, Passed, SelectError, Target, select};
use super::stream::{Begun, CommittedAnswer};
use crate::accounts::Usage;
use crate::config::Priced;
use crate::dice::Dice;
use crate::limits::Exceeded;
use crate::providers::{Admission, CallContext, Cost, Provider, Registry, Surface, WholeAnswer};
use crate::services::http::HttpClient;

/// Serves requests from whatever providers there are at that moment. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Gateway {
    pub(super) registry: Arc<Registry>,
    http: HttpClient,
    pub(super) dice: Dice,
}

/// Who served a request, and why.
#[derive(Clone, Debug)]
pub struct Served {
    /// Who.
    pub provider: Arc<Provider>,
    /// The model really used, as far as known.
    pub model: String,
    /// The model that it was asked for; none for the plugin's own default.
    pub asked: Option<String>,
    /// How many tries it took.
    pub attempts: usize,
    /// The decision in one line.
    pub route: String,
}

impl Served {
    /// What an answer cost, as far as its tokens have prices.
    pub fn cost(&self, usage: &Usage) -> Option<Cost> {
        self.priced()?.prices.cost(&usage.tokens())
    }

    pub(super) fn priced(&self) -> Option<Priced> {
        let provider = &self.provider;
        let asked = self.asked.iter().flat_map(|asked| provider.names_of(asked));
        provider.priced(asked.chain([self.model.as_str()]))
    }
}

/// A provider that was asked in vain.
#[derive(Clone, Debug)]
pub struct Failed {
    /// Its name.
    pub provider: String,
    /// What it said.
    pub error: ProviderError,
}

/// Why a request was not served.
#[derive(Clone, Debug, thiserror::Error)]
pub enum GatewayError {
    /// Nobody was asked.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// Nobody was asked: whoever asks has asked for as much as they may.
    #[error("no more may be asked for just now")]
    Limited(Exceeded),
    /// Everybody who was asked failed: the last of them decides what to say, those before it are in `earlier`.
    #[error("{} failed", last.provider)]
    Failed {
        /// Who failed last.
        last: Failed,
        /// Who failed before.
        earlier: Vec<Failed>,
    },
}

/// An answer, and the model that it names.
pub(super) type Answered<T> = Result<(T, Option<String>), ProviderError>;

/// One operation: how a candidate is asked, and what its answer is read for.
pub(super) trait Ask {
    type Answer;

    /// What is asked of this provider.
    fn surface(&self, _provider: &Provider) -> Surface {
        Surface::Chat
    }

    fn ask(
        &self,
        candidate: &Candidate,
        admission: Admission,
        call: &CallContext,
    ) -> impl Future<Output = Answered<Self::Answer>> + Send;
}

/// A whole answer, whose words are read.
struct Words<'r>(&'r ChatRequest);

/// What is read of a whole answer.
struct Read {
    text: String,
    role: String,
    facts: Facts,
    raw: Bytes,
}

impl Ask for Words<'_> {
    type Answer = Read;

    async fn ask(&self, candidate: &Candidate, admission: Admission, call: &CallContext) -> Answered<Read> {
        let body = candidate.bind(self.0.body_for(&candidate.provider.settings, candidate.model.as_deref()));
        let read = |WholeAnswer { raw, .. }| {
            let (text, role) = answer::words_of(&raw)?;
            let mut facts = Facts::default();
            facts.add(&raw);
            let model = facts.model.clone();
            Ok((Read { text, role, facts, raw }, model))
        };
        admission.complete(Surface::Chat, body, call, read).await
    }
}

/// A whole answer that is passed on as it is.
struct Whole<'r>(&'r ChatRequest);

impl Ask for Whole<'_> {
    type Answer = (Bytes, Option<Usage>);

    async fn ask(
        &self,
        candidate: &Candidate,
        admission: Admission,
        call: &CallContext,
    ) -> Answered<Self::Answer> {
        let body = candidate.bind(self.0.body_for(&candidate.provider.settings, candidate.model.as_deref()));
        let read = |WholeAnswer { raw, account }| Ok(((raw, account.usage), account.model));
        admission.complete(Surface::Chat, body, call, read).await
    }
}

/// Vectors.
struct Vectors<'r>(&'r EmbedRequest);

impl Ask for Vectors<'_> {
    type Answer = (Bytes, Option<Usage>);

    fn surface(&self, _provider: &Provider) -> Surface {
        Surface::Embeddings
    }

    async fn ask(
        &self,
        candidate: &Candidate,
        admission: Admission,
        call: &CallContext,
    ) -> Answered<Self::Answer> {
        let body = candidate.bind(self.0.body_for(candidate.model.as_deref()));
        let read = |WholeAnswer { raw, account }| Ok(((raw, account.usage), account.model));
        admission.complete(Surface::Embeddings, body, call, read).await
    }
}

/// An answer in chunks, up to its first content.
struct Beginning<'r>(&'r ChatRequest);

impl Ask for Beginning<'_> {
    type Answer = Begun;

    async fn ask(&self, candidate: &Candidate, admission: Admission, call: &CallContext) -> Answered<Begun> {
        let body = candidate.bind(self.0.body_for(&candidate.provider.settings, candidate.model.as_deref()));
        let begun = Begun::wait(admission.stream(Surface::Chat, body, call).await?).await?;
        let model = begun.facts.model.clone();
        Ok((begun, model))
    }
}

impl Gateway {
    /// A gateway to the providers of a registry.
    pub fn new(registry: Arc<Registry>, http: HttpClient) -> Self {
        Self { registry, http, dice: Dice::new() }
    }

    /// A whole answer. Dropping the future cancels.
    pub async fn complete(&self, request: &ChatRequest, asker: &Asker) -> Result<Answer, GatewayError> {
        let began = Instant::now();
        let asked = self.first_of(request.target(), Needs::of(&request.needs), asker, Words(request));
        let (Read { text, role, facts, raw }, served) = asked.await?;
        asker.tab.used(facts.usage, facts.usage.and_then(|usage| served.cost(&usage)));
        asker.tab.answer(facts.id.as_deref(), facts.finish_reason.as_deref());
        Ok(Answer { served, latency: began.elapsed(), text, role, facts, raw })
    }

    /// A whole answer that is passed on as it is. Dropping the future cancels.
    pub async fn complete_raw(
        &self,
        request: &ChatRequest,
        asker: &Asker,
    ) -> Result<RawAnswer, GatewayError> {
        let asked = self.first_of(request.target(), Needs::of(&request.needs), asker, Whole(request));
        let ((raw, usage), served) = asked.await?;
        Ok(RawAnswer::of(served, raw, usage, &asker.tab))
    }

    /// Vectors. Dropping the future cancels.
    pub async fn embed(&self, request: &EmbedRequest, asker: &Asker) -> Result<RawAnswer, GatewayError> {
        let needs = Needs::of(&EmbedRequest::NEEDS);
        let asked = self.first_of(request.target(), needs, asker, Vectors(request));
        let ((raw, usage), served) = asked.await?;
        Ok(RawAnswer::of(served, raw, usage, &asker.tab))
    }

    /// An answer that has begun. Dropping the future, or the answer, cancels.
    pub async fn stream(
        &self,
        request: &ChatRequest,
        asker: &Asker,
    ) -> Result<CommittedAnswer, GatewayError> {
        let asked = self.first_of(request.target(), Needs::of(&request.needs), asker, Beginning(request));
        let (begun, served) = asked.await?;
        Ok(begun.of(served, &asker.tab))
    }

    /// Asks until one of the candidates answers.
    pub(super) async fn first_of<A: Ask>(
        &self,
        target: Target<'_>,
        needs: Needs<'_>,
        asker: &Asker,
        operation: A,
    ) -> Result<(A::Answer, Served), GatewayError> {
        let began = Instant::now();
        let request_id = Arc::clone(&asker.request_id);
        let call = CallContext { http: self.http.clone(), request_id, trace: None, hops: asker.hops };
        let mut attempts = {
            // The snapshot is let go at once: the candidates keep alive what they need.
            let snapshot = self.registry.snapshot();
            let queue = select(&snapshot, target)?;
            Attempts::new(
                call,
                needs.within(asker.permits()),
                Forecast::of(target.body),
                queue,
                self.dice.clone(),
                &snapshot.rules.routing,
                began,
            )
        };
        if let Some(payer) = &asker.payer {
            let claimed = payer.claim(attempts.forecast.wish(), began);
            asker.tab.hold(claimed.map_err(GatewayError::Limited)?);
        }
        let served = Self::ask_in_turn(&mut attempts, asker, operation).await;
        if served.is_err() {
            asker.tab.give_back();
        }
        served
    }

    async fn ask_in_turn<A: Ask>(
        attempts: &mut Attempts<'_>,
        asker: &Asker,
        operation: A,
    ) -> Result<(A::Answer, Served), GatewayError> {
        let mut beyond_budget = None;
        while let Some((tried, mut admission)) = attempts.next().await {
            if let Some(payer) = asker.payer.as_ref().filter(|payer| payer.has_budget()) {
                let price = payer.price(attempts.forecast.cost(&tried.candidate));
                match price.and_then(|cost| asker.tab.reserve(payer, cost)) {
                    Ok(()) => {}
                    // Another one may be cheaper.
                    Err(exceeded) if exceeded.is_of_the_candidate() => {
                        beyond_budget = Some(exceeded);
                        continue;
                    }
                    Err(exceeded) => return Err(GatewayError::Limited(exceeded)),
                }
            }
            let Candidate { provider, model, .. } = &tried.candidate;
            let claim = admission.take_claim();
            attempts.call.trace = asker.tab.asks_provider(&provider.settings, claim, |id| {
                provider.attempt_span(id, operation.surface(provider), model.as_deref())
            });
            let asked = operation.ask(&tried.candidate, admission, &attempts.call);
            let answered = match attempts.limit() {
                None => asked.await,
                Some(limit) => {
                    let answered = tokio::time::timeout_at(limit, asked).await;
                    answered.unwrap_or_else(|_| Err(attempts.overdue()))
                }
            };
            asker.tab.provider_said(answered.as_ref().err().map(|error| error.kind));
            match answered {
                Ok((answer, model)) => {
                    let served = attempts.served(tried, model);
                    asker.tab.model(&served.model);
                    return Ok((answer, served));
                }
                Err(error) => attempts.note(&tried, error)?,
            }
        }
        Err(match (beyond_budget, attempts.exhausted()) {
            // Whoever could be asked later would have to be waited for; nobody else says why it was nobody.
            (Some(exceeded), GatewayError::Select(SelectError::NothingAvailable { passed }))
                if !passed.iter().any(Passed::is_for_now) =>
            {
                GatewayError::Limited(exceeded)
            }
            (_, nobody) => nobody,
        })
    }
}

#[cfg(test)]
mod tests;
