//! Asking a vendor for its models: whoever wants to know at the same time shares one question and its answer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use patchbay_plugin_api::ProviderError;
use tracing::{debug, error, warn};

use super::list::{Difference, ModelList};
use super::{Catalogue, read};
use crate::plugins::{Feature, Operation};
use crate::providers::call::within;
use crate::providers::{Provider, Registry};

/// A vendor's answer. Clocks are set, so the moments at which answers came are told apart by another one.
#[derive(Clone, Debug)]
pub(super) struct Came {
    list: Arc<ModelList>,
    at: Instant,
}

/// What a question comes to.
type Answer = Result<Came, ProviderError>;

/// The question that is under way, for as long as somebody waits for its answer.
#[derive(Debug, Default)]
pub struct ModelQuestion(Mutex<Option<WeakShared<BoxFuture<'static, Answer>>>>);

/// Why there is no new list.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NotListed {
    /// The vendor could not be asked, or answered nonsense.
    #[error("{}", .0.message)]
    Failed(ProviderError),
    /// What it answered is not shown, for the provider leads elsewhere by now.
    #[error("the list was not taken over, for the provider was changed or removed meanwhile: ask again")]
    Changed,
}

impl ModelQuestion {
    fn join(&self, ask: impl FnOnce() -> BoxFuture<'static, Answer>) -> Shared<BoxFuture<'static, Answer>> {
        let mut under_way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let joined = under_way.as_ref().and_then(WeakShared::upgrade);
        // One that is answered was asked before whoever comes now wanted to know.
        if let Some(joined) = joined.filter(|joined| joined.peek().is_none()) {
            return joined;
        }
        let asked = ask().shared();
        *under_way = asked.downgrade();
        asked
    }
}

impl Provider {
    /// Whether its plugin can be asked for models.
    pub fn can_list_models(&self) -> bool {
        self.features.has(Feature::ModelList)
    }

    /// Asks the vendor for its models, and puts them in the place of those that were known. Where that fails, those
    /// stay.
    pub async fn refresh_models(
        self: &Arc<Self>,
        registry: &Arc<Registry>,
        request_id: &str,
    ) -> Result<Arc<ModelList>, NotListed> {
        let came = self.ask_for_models(request_id).await.map_err(|error| {
            self.catalogue.failure.store(Some(Arc::new(error.message.clone())));
            NotListed::Failed(error)
        })?;
        let (catalogue, registry, list) =
            (Arc::clone(&self.catalogue), Arc::clone(registry), Arc::clone(&came.list));
        // The disk may take its time, and building a snapshot of many models does.
        let taking = tokio::task::spawn_blocking(move || catalogue.take(&came, &registry));
        let is_shown = taking.await.unwrap_or_else(|problem| {
            error!(provider = self.name(), %problem, "the list of models was not taken over");
            false
        });
        if is_shown { Ok(list) } else { Err(NotListed::Changed) }
    }

    /// What a refresh would bring. Changes nothing.
    pub async fn preview_models(
        self: &Arc<Self>,
        request_id: &str,
    ) -> Result<(Arc<ModelList>, Difference), ProviderError> {
        let Came { list, .. } = self.ask_for_models(request_id).await?;
        let difference = list.since(self.catalogue.list().as_deref());
        Ok((list, difference))
    }

    async fn ask_for_models(self: &Arc<Self>, request_id: &str) -> Answer {
        let mut is_first = false;
        let asked = self.question.join(|| {
            is_first = true;
            let (provider, request_id) = (Arc::clone(self), request_id.to_owned());
            async move { provider.ask_vendor(&request_id).await }.boxed()
        });
        if !is_first {
            debug!(provider = self.name(), request_id, "waits for the models that somebody else asked for");
        }
        asked.await
    }

    /// It is no request of an application's, so it is not counted as one; the lease keeps its generation until the
    /// answer is there.
    async fn ask_vendor(&self, request_id: &str) -> Answer {
        let asked = self.ask_plugin(Operation::Models, request_id);
        let answer = within(self.settings.timeout, "no list of models", asked).await;
        let answer = answer.map_err(|error| self.cleaned(error))?;
        let models = read::answer(&answer, &self.settings.keys)?;
        let known = self.catalogue.list().map_or(0, |list| list.models().len());
        if models.is_empty() && known > 0 {
            let message = format!("the provider lists no models any more, where there were {known}");
            return Err(ProviderError::unreadable(message));
        }
        debug!(provider = self.name(), models = models.len(), "models listed");
        Ok(Came { list: Arc::new(ModelList::new(models, SystemTime::now())), at: Instant::now() })
    }
}

impl Catalogue {
    /// Keeps a list and shows it to everybody: first on disk, then in memory, then to those who choose by it. Answers
    /// with whether it is shown, or a later one.
    fn take(&self, came: &Came, registry: &Registry) -> bool {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        // The provider may lead elsewhere by now, and its file be another catalogue's.
        let is_used =
            || registry.snapshot().by_priority().iter().any(|it| std::ptr::eq(&*it.catalogue, self));
        // Another one who waited for the same answer was here first, or for a later one.
        if taken.is_some_and(|taken| taken >= came.at) {
            return is_used();
        }
        if !self.keep(&came.list, is_used) {
            return false;
        }
        *taken = Some(came.at);
        self.failure.store(None);
        let before = self.list.swap(Some(Arc::clone(&came.list)));
        if !before.is_some_and(|before| before.ids().eq(came.list.ids())) {
            registry.relist();
        }
        true
    }

    /// On disk, where there is a place for it; answers with whether it is wanted at all.
    fn keep(&self, list: &ModelList, is_used: impl FnOnce() -> bool) -> bool {
        let Some((shelf, provider)) = &self.place else { return is_used() };
        shelf.write(provider, &self.source, list, is_used).unwrap_or_else(|error| {
            warn!(provider, %error, "the list of models cannot be kept: it is asked for again after a restart");
            true
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use patchbay_plugin_api::Model;
    use tokio::sync::oneshot;

    use super::*;
    use crate::providers::{Rules, Snapshot};
    use crate::testing;

    fn came(ids: &[&str]) -> Came {
        let models = ids.iter().map(|id| Model::new(*id)).collect();
        Came { list: Arc::new(ModelList::new(models, SystemTime::now())), at: Instant::now() }
    }

    #[tokio::test]
    async fn who_asks_at_the_same_time_shares_the_answer() {
        let (question, asked) = (ModelQuestion::default(), AtomicUsize::new(0));
        let (answer, vendor) = oneshot::channel::<Came>();
        let mut vendor = Some(vendor);
        let mut ask = || {
            asked.fetch_add(1, Ordering::Relaxed);
            let vendor = vendor.take();
            async move {
                match vendor {
                    Some(vendor) => Ok(vendor.await.unwrap()),
                    None => Err(ProviderError::unreadable("asked once too often")),
                }
            }
            .boxed()
        };
        let (one, two, three) = (question.join(&mut ask), question.join(&mut ask), question.join(&mut ask));
        // Whoever goes away leaves the answer to the others.
        drop(one);
        let sent = came(&["m"]);
        answer.send(sent.clone()).unwrap();
        for shared in <[_; 2]>::from(tokio::join!(two, three)) {
            assert!(Arc::ptr_eq(&shared.unwrap().list, &sent.list));
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        // What is known by now is asked anew.
        assert!(question.join(&mut ask).await.is_err());
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn nobody_waits_for_an_answer_that_nobody_wants() {
        let question = ModelQuestion::default();
        let (dropped, is_dropped) = oneshot::channel::<()>();
        let asked = question.join(|| {
            async move {
                let _dropped = dropped;
                std::future::pending().await
            }
            .boxed()
        });
        drop(asked);
        assert!(is_dropped.await.is_err(), "the question has gone with the last who asked it");
        let anew = question.join(|| async { Ok(came(&["m"])) }.boxed());
        assert!(anew.await.is_ok());
    }

    #[test]
    fn an_older_answer_does_not_replace_a_later_one() {
        let provider = testing::provider(testing::settings("p"), None);
        let (catalogue, registry) = (Arc::clone(&provider.catalogue), Registry::default());
        registry.publish(|| Snapshot::new(1, vec![provider], Rules::default()));
        let earlier = came(&["earlier"]);
        assert!(catalogue.take(&came(&["later"]), &registry));
        assert!(catalogue.take(&earlier, &registry), "a later one is shown");
        assert!(catalogue.find("later").is_some() && catalogue.find("earlier").is_none());
        assert!(registry.snapshot().serving("later").is_some(), "requests find it");
        let last = came(&["last"]);
        assert!(catalogue.take(&last, &registry));
        let snapshot = registry.snapshot();
        assert!(snapshot.serving("later").is_none() && snapshot.serving("last").is_some());
        assert_eq!(snapshot.number, 1, "nothing was configured anew");
        // What comes when nobody uses it any more is not kept.
        registry.publish(Snapshot::default);
        assert!(!catalogue.take(&came(&["too-late"]), &registry));
        assert!(!catalogue.take(&last, &registry), "nor is what it shows shown to anybody");
        assert!(catalogue.find("too-late").is_none());
    }
}
