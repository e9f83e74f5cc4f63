//! Which providers may serve a request, in which order. Pure: a snapshot and a request in, candidates out.

use std::fmt;
use std::sync::Arc;

use super::near::near;
use crate::plugins::Feature;
use crate::providers::{Provider, Snapshot};

/// The mock's plugin and its priority: together they mean "never in place of a real one".
const MOCK: (&str, i32) = ("mock", 999);

/// What a request names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Target<'a> {
    /// The provider it asks for.
    pub provider: Option<&'a str>,
    /// The model it asks for; none for whichever is the default.
    pub model: Option<&'a str>,
}

/// A provider that may serve the request, and the model to ask it for (none: the plugin's own default).
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// Who.
    pub provider: Arc<Provider>,
    /// What.
    pub model: Option<String>,
}

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
    /// Its plugin failed too often, and is not asked any more.
    Quarantined,
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason {
            Reason::Lacks(feature) => write!(f, "{}: does not support {}", self.provider, feature.word()),
            Reason::Quarantined => {
                write!(f, "{}: its plugin is quarantined; GET /api/plugins says why", self.provider)
            }
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

/// The candidates for a request, the first to be tried first.
pub(super) fn select(
    snapshot: &Snapshot,
    target: Target<'_>,
    needs: &[Feature],
) -> Result<Vec<Candidate>, SelectError> {
    if snapshot.by_priority().is_empty() {
        return Err(SelectError::NoProviders);
    }
    let serving = match pin(snapshot, target)? {
        (Some(provider), model) => serving_pinned(snapshot, provider, model)?,
        (None, model) => serving_any(snapshot, model)?,
    };
    let mut passed = Vec::new();
    let mut candidates = Vec::with_capacity(serving.len());
    for candidate in serving {
        match unfit(&candidate.provider, needs) {
            None => candidates.push(candidate),
            Some(reason) => passed.push(Passed { provider: candidate.provider.name().to_owned(), reason }),
        }
    }
    if candidates.is_empty() { Err(SelectError::NothingAvailable { passed }) } else { Ok(candidates) }
}

fn unfit(provider: &Provider, needs: &[Feature]) -> Option<Reason> {
    if provider.instance.quarantined().is_some() {
        return Some(Reason::Quarantined);
    }
    needs.iter().find(|need| !provider.features.has(**need)).map(|lacks| Reason::Lacks(*lacks))
}

type Pinned<'s, 't> = (Option<&'s Arc<Provider>>, Option<&'t str>);

/// The one provider that the request names, in its own field or in front of the model.
fn pin<'s, 't>(snapshot: &'s Snapshot, target: Target<'t>) -> Result<Pinned<'s, 't>, SelectError> {
    let split = target.model.and_then(|model| model.split_once('/'));
    let Some(name) = target.provider else {
        // Only when the first part is a provider's name: other slashes belong to the model.
        return Ok(match split.and_then(|(first, rest)| Some((snapshot.get(first)?, rest))) {
            Some((provider, rest)) => (Some(provider), named(rest)),
            None => (None, target.model),
        });
    };
    let provider = find_provider(snapshot, name)?;
    match split {
        Some((first, rest)) if first == name => Ok((Some(provider), named(rest))),
        _ => Ok((Some(provider), target.model)),
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

fn serving_pinned(
    snapshot: &Snapshot,
    provider: &Arc<Provider>,
    model: Option<&str>,
) -> Result<Vec<Candidate>, SelectError> {
    match model {
        Some(model) if lists(provider, model) == Listing::Not => Err(unknown_model(snapshot, model)),
        _ => Ok(vec![candidate(provider, model)]),
    }
}

fn serving_any(snapshot: &Snapshot, model: Option<&str>) -> Result<Vec<Candidate>, SelectError> {
    let offered = offered(snapshot);
    let Some(model) = model else {
        return Ok(offered.into_iter().map(|provider| candidate(provider, None)).collect());
    };
    // Whoever lists the model is asked; without anyone who does, those who never said what they serve.
    for listing in [Listing::Listed, Listing::Open] {
        let serving: Vec<Candidate> = offered
            .iter()
            .filter(|provider| lists(provider, model) == listing)
            .map(|provider| candidate(provider, Some(model)))
            .collect();
        if !serving.is_empty() {
            return Ok(serving);
        }
    }
    Err(unknown_model(snapshot, model))
}

/// Who may be asked without being named.
pub(super) fn offered(snapshot: &Snapshot) -> Vec<&Arc<Provider>> {
    let real: Vec<&Arc<Provider>> =
        snapshot.by_priority().iter().filter(|provider| !is_mock(provider)).collect();
    if real.is_empty() { snapshot.by_priority().iter().collect() } else { real }
}

fn candidate(provider: &Arc<Provider>, model: Option<&str>) -> Candidate {
    let model = model.or(provider.settings.model.as_deref()).map(str::to_owned);
    Candidate { provider: Arc::clone(provider), model }
}

fn is_mock(provider: &Provider) -> bool {
    (provider.plugin.id.as_str(), provider.settings.priority) == MOCK
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Listing {
    /// The provider is known to serve the model.
    Listed,
    /// It may: nobody listed what it serves.
    Open,
    /// It has a list, and the model is not on it.
    Not,
}

fn lists(provider: &Provider, model: &str) -> Listing {
    if models_of(provider).any(|known| known == model) {
        Listing::Listed
    } else if provider.settings.models.is_empty() {
        Listing::Open
    } else {
        Listing::Not
    }
}

/// The models a provider is known to serve.
pub(super) fn models_of(provider: &Provider) -> impl Iterator<Item = &str> {
    let aliases = provider.plan.iter().flat_map(|plan| plan.model.aliases.keys());
    let settings = &provider.settings;
    settings.models.iter().chain(&settings.model).chain(aliases).map(String::as_str)
}

pub(super) fn unknown_model(snapshot: &Snapshot, name: &str) -> SelectError {
    let names = snapshot.by_priority().iter().flat_map(|provider| models_of(provider));
    SelectError::UnknownModel { name: name.to_owned(), near: near(name, names) }
}

#[cfg(test)]
mod tests;
