//! Which providers may serve a request, in which order. Pure: a snapshot and a request in, candidates out.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::estimate::expected;
use super::near::near;
use super::order::Order;
use super::request::BeyondChat;
use crate::access::Permits;
use crate::config::Strategy;
use crate::limits::Over;
use crate::plugins::Feature;
use crate::providers::{Members, Provider, Refusal, Snapshot, Surface, Tokens};

/// What a request names.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Target<'a> {
    /// The provider it asks for.
    pub provider: Option<&'a str>,
    /// The model it asks for; none for whichever is the default.
    pub model: Option<&'a str>,
    /// How to choose among several; none for the configured way.
    pub strategy: Option<Strategy>,
    /// What it asks, for those who choose by what that costs.
    pub body: Option<&'a Members>,
    /// Whether nobody will be asked: then nobody's turn is over.
    pub only_looking: bool,
}

/// What a request needs of whoever serves it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Needs<'a> {
    /// What its plugin must say that it does.
    pub features: &'a [Feature],
    /// What the request says that can only be asked where texts are completed.
    pub beyond_chat: Option<BeyondChat>,
    /// Whom and what it may ask; none for everybody and everything.
    pub permits: Option<&'a Permits>,
}

impl<'a> Needs<'a> {
    /// These features and nothing else.
    pub(super) fn of(features: &'a [Feature]) -> Self {
        Self { features, beyond_chat: None, permits: None }
    }

    /// No more than somebody is permitted.
    pub(super) fn within(self, permits: Option<&'a Permits>) -> Self {
        Self { permits, ..self }
    }
}

/// A provider that may serve the request, and the model to ask it for (none: the plugin's own default).
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// Who.
    pub provider: Arc<Provider>,
    /// What.
    pub model: Option<String>,
    /// Whether whoever asks may ask for some models only.
    pub bound: bool,
}

impl Candidate {
    /// A body that names no model but the candidate's, where that matters: some upstreams take more than one, or the
    /// name of the member in other letters.
    pub(super) fn bind(&self, mut body: Members) -> Members {
        if self.bound {
            let other = |name: &str| OTHER_MODELS.iter().any(|other| name.eq_ignore_ascii_case(other));
            body.retain(|name| name == "model" || !other(name));
        }
        body
    }
}

/// Members that name models, in any letters.
const OTHER_MODELS: [&str; 3] = ["model", "models", "fallbacks"];

/// A provider that was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// Its name.
    pub provider: String,
    /// Why.
    pub reason: Reason,
}

/// Why a provider was passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The request needs this, and it does not do it.
    Lacks(Feature),
    /// It has chat only, which has no way to say this.
    ChatOnly(BeyondChat),
    /// It takes no request just now.
    Refused(Refusal),
    /// Whoever asks may not ask it, or not for this model.
    NotPermitted,
}

impl Passed {
    /// Whether it only asks for fewer requests, or gets no more.
    pub fn is_limited(&self) -> bool {
        matches!(self.reason, Reason::Refused(Refusal::Resting { refused: false, .. } | Refusal::Over(_)))
    }

    /// Whether there is no money left for it.
    pub fn is_spent(&self) -> bool {
        matches!(self.reason, Reason::Refused(Refusal::Over(Over::Spent(_))))
    }

    /// Whether the request alone is more than it may get.
    pub fn is_too_large(&self) -> bool {
        matches!(self.reason, Reason::Refused(Refusal::Over(Over::TooLarge { .. } | Over::TooDear(_))))
    }

    /// Whether it alone may cost more than the provider may spend.
    pub fn is_too_dear(&self) -> bool {
        matches!(self.reason, Reason::Refused(Refusal::Over(Over::TooDear(_))))
    }

    /// Whether what is left of its budget is set aside for requests under way.
    pub fn is_set_aside(&self) -> bool {
        matches!(self.reason, Reason::Refused(Refusal::Over(Over::Spent(over))) if over.is_for_now())
    }

    /// Whether upstream does not accept its keys.
    pub fn is_refused(&self) -> bool {
        matches!(self.reason, Reason::Refused(Refusal::Resting { refused: true, .. }))
    }

    /// What the request would have to leave to be served by it, if that is all.
    pub fn beyond_chat(&self) -> Option<BeyondChat> {
        match self.reason {
            Reason::ChatOnly(beyond) => Some(beyond),
            Reason::Lacks(_) | Reason::Refused(_) | Reason::NotPermitted => None,
        }
    }

    /// Whether the key that asks may not ask it.
    pub fn is_not_permitted(&self) -> bool {
        matches!(self.reason, Reason::NotPermitted)
    }

    /// Whether it may be otherwise in a while.
    pub fn is_for_now(&self) -> bool {
        matches!(self.reason, Reason::Refused(_)) && !self.is_too_large()
    }

    /// When to come back, where that is known.
    pub fn wait(&self) -> Option<Duration> {
        match self.reason {
            Reason::Refused(refusal) => refusal.wait(),
            Reason::Lacks(_) | Reason::ChatOnly(_) | Reason::NotPermitted => None,
        }
    }
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.provider, self.reason)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lacks(feature) => write!(f, "does not support {}", feature.word()),
            Self::ChatOnly(BeyondChat { name, problem }) => {
                write!(f, "has chat only, where {name} {problem}")
            }
            Self::Refused(refusal) => refusal.fmt(f),
            Self::NotPermitted => f.write_str("the key that asks may not ask this here"),
        }
    }
}

/// Why there is no candidate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// There is no provider at all.
    #[error("no provider is configured")]
    NoProviders,
    /// No provider has this name.
    #[error("no provider is named {name:?}")]
    UnknownProvider {
        /// As asked for.
        name: String,
        /// What may have been meant.
        near: Vec<String>,
    },
    /// Nobody serves this model.
    #[error("no provider serves the model {name:?}")]
    UnknownModel {
        /// As asked for.
        name: String,
        /// What may have been meant.
        near: Vec<String>,
    },
    /// Some serve the model, but none of them this request.
    #[error("no provider can serve this request")]
    NothingAvailable {
        /// Why not each of them.
        passed: Vec<Passed>,
    },
}

/// By what the candidates were found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The request names its provider.
    ByName,
    /// By this strategy among so many.
    By(Strategy, usize),
    /// The model stands for a chain.
    ByChain,
}

/// The candidates of one request, one after the other: whoever is not needed is not looked at.
#[derive(Debug)]
pub(super) struct Queue {
    pub found: Found,
    lines: VecDeque<Line>,
    /// What the request may take, where it is chosen by that.
    expected: Tokens,
}

/// Who serves one model.
#[derive(Debug)]
struct Line {
    order: Order,
    /// As asked for; none for each one's default.
    model: Option<String>,
}

/// What the queue has next.
#[derive(Debug)]
pub(super) enum Next {
    /// One to be asked.
    Candidate(Candidate),
    /// One that cannot serve this request.
    Passed(Candidate, Reason),
}

/// The candidates for a request, the first to be tried first.
pub(super) fn select(snapshot: &Snapshot, target: Target<'_>) -> Result<Queue, SelectError> {
    if snapshot.by_priority().is_empty() {
        return Err(SelectError::NoProviders);
    }
    let routing = &snapshot.rules.routing;
    let strategy = target.strategy.unwrap_or(routing.default_strategy);
    let expected = match strategy {
        Strategy::LowestCost => target.body.map(expected).unwrap_or_default(),
        _ => Tokens::default(),
    };
    let chain = target.model.filter(|_| target.provider.is_none());
    if let Some(chain) = chain.and_then(|model| routing.chains.get(model)).filter(|chain| !chain.is_empty()) {
        let lines = chained(snapshot, target, strategy, chain)?;
        return Ok(Queue { found: Found::ByChain, lines, expected });
    }
    let (line, found) = line(snapshot, target, strategy)?;
    Ok(Queue { found, lines: VecDeque::from([line]), expected })
}

/// One line for each model of a chain. What cannot be served by anybody just now is left out, unless that is all.
fn chained(
    snapshot: &Snapshot,
    asked: Target<'_>,
    strategy: Strategy,
    chain: &[String],
) -> Result<VecDeque<Line>, SelectError> {
    let mut lines = VecDeque::with_capacity(chain.len());
    let mut first_error = None;
    for model in chain {
        let target =
            Target { model: Some(model.as_str()), only_looking: asked.only_looking, ..Target::default() };
        match line(snapshot, target, strategy) {
            Ok((line, _)) => lines.push_back(line),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    match first_error {
        Some(error) if lines.is_empty() => Err(error),
        _ => Ok(lines),
    }
}

fn line(snapshot: &Snapshot, target: Target<'_>, strategy: Strategy) -> Result<(Line, Found), SelectError> {
    let (provider, model) = pin(snapshot, target)?;
    let owned = model.map(str::to_owned);
    if let Some(provider) = provider {
        if model.is_some_and(|model| !provider.may_serve(model)) {
            return Err(unknown_model(snapshot, model.unwrap_or_default()));
        }
        return Ok((Line { order: Order::one(Arc::clone(provider)), model: owned }, Found::ByName));
    }
    let pool = match model {
        None => snapshot.offered(),
        // Whoever lists the model is asked; without anyone who does, whoever lists another version of it, and then
        // those who never said what they serve.
        Some(model) => match snapshot.serving(model).or_else(|| snapshot.listing_kin(model)) {
            Some(pool) => pool,
            None if snapshot.unlisted().members().is_empty() => return Err(unknown_model(snapshot, model)),
            None => snapshot.unlisted(),
        },
    };
    let found = Found::By(strategy, pool.members().len());
    Ok((Line { order: Order::new(Arc::clone(pool), strategy, target.only_looking), model: owned }, found))
}

impl Queue {
    /// The next one, or why the next one is passed over. `dice` is asked for random numbers.
    pub(super) fn next(
        &mut self,
        needs: Needs<'_>,
        now: Instant,
        dice: &mut impl FnMut() -> u64,
    ) -> Option<Next> {
        loop {
            let expected = self.expected;
            let bound = needs.permits.is_some_and(|permits| !permits.models.is_empty());
            let line = self.lines.front_mut()?;
            let model = line.model.as_deref();
            let candidate = |provider: Arc<Provider>| {
                let model = model.or(provider.settings.model.as_deref()).map(str::to_owned);
                Candidate { provider, model, bound }
            };
            let cost = |provider: &Provider| {
                let model = model.or(provider.settings.model.as_deref())?;
                provider.priced(provider.names_of(model))?.prices.cost(&expected)
            };
            let judge = |provider: &Provider| {
                let asked = model.or(provider.settings.model.as_deref());
                unfit(provider, asked, needs, now)
            };
            match line.order.next(judge, cost, now, dice) {
                Some((provider, None)) => return Some(Next::Candidate(candidate(provider))),
                Some((provider, Some(reason))) => return Some(Next::Passed(candidate(provider), reason)),
                None => drop(self.lines.pop_front()),
            }
        }
    }
}

fn unfit(provider: &Provider, model: Option<&str>, needs: Needs<'_>, now: Instant) -> Option<Reason> {
    if needs.permits.is_some_and(|permits| !permits.allow(provider.name(), model)) {
        return Some(Reason::NotPermitted);
    }
    if let Some(lacks) = needs.features.iter().find(|need| !provider.features.has(**need)) {
        return Some(Reason::Lacks(*lacks));
    }
    if let Some(beyond) = needs.beyond_chat.filter(|_| !provider.has_planned(Surface::Texts)) {
        return Some(Reason::ChatOnly(beyond));
    }
    provider.refuses(now).map(Reason::Refused)
}

type Pinned<'s, 't> = (Option<&'s Arc<Provider>>, Option<&'t str>);

/// The one provider that the request names, in its own field or in front of the model.
fn pin<'s, 't>(snapshot: &'s Snapshot, target: Target<'t>) -> Result<Pinned<'s, 't>, SelectError> {
    let split = target.model.and_then(|model| model.split_once('/'));
    let Some(name) = target.provider else {
        // Only when the first part is a provider's name: other slashes belong to the model.
        return Ok(match split.and_then(|(first, rest)| Some((snapshot.get(first)?, rest))) {
            Some((provider, rest)) => (Some(provider), named(rest)),
            None => (None, target.model.and_then(named)),
        });
    };
    let provider = find_provider(snapshot, name)?;
    match split {
        Some((first, rest)) if first == name => Ok((Some(provider), named(rest))),
        _ => Ok((Some(provider), target.model.and_then(named))),
    }
}

/// The provider of this name. The error has the names that may have been meant.
pub fn find_provider<'a>(snapshot: &'a Snapshot, name: &str) -> Result<&'a Arc<Provider>, SelectError> {
    snapshot.get(name).ok_or_else(|| {
        let names = snapshot.by_priority().iter().map(|provider| provider.name());
        SelectError::UnknownProvider { name: name.to_owned(), near: near(name, names) }
    })
}

fn named(model: &str) -> Option<&str> {
    Some(model).filter(|model| !model.is_empty() && *model != "auto")
}

pub(super) fn unknown_model(snapshot: &Snapshot, name: &str) -> SelectError {
    let lists: Vec<_> = snapshot.by_priority().iter().filter_map(|provider| provider.listed()).collect();
    let known = snapshot.by_priority().iter().flat_map(|provider| provider.known_models());
    let names = known.chain(lists.iter().flat_map(|list| list.ids()));
    SelectError::UnknownModel { name: name.to_owned(), near: near(name, names) }
}

#[cfg(test)]
mod tests;
