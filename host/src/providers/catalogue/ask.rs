//! Asking a vendor for its models: whoever wants to know at the same time shares one question and its answer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use patchbay_plugin_api::ProviderError;
use tracing::{debug, error, warn};

use super::list::{Difference, ModelList};
use super::{Catalogue, read};
use crate::plugins::{Feature, Operation};
use crate::providers::call::within;
use crate::providers::{Provider, Registry};

/// What a question comes to.
type Answer = Result<Arc<ModelList>, ProviderError>;

/// The question that is under way, for as long as somebody waits for its answer.
#[derive(Debug, Default)]
pub(super) struct Question(Mutex<Option<WeakShared<BoxFuture<'static, Answer>>>>);

impl Question {
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
    pub async fn refresh_models(self: &Arc<Self>, registry: &Arc<Registry>, request_id: &str) -> Answer {
        let list = self.ask_for_models(request_id).await?;
        let (catalogue, registry, taken) =
            (Arc::clone(&self.catalogue), Arc::clone(registry), Arc::clone(&list));
        // The disk may take its time, and building a snapshot of many models does.
        let taking = tokio::task::spawn_blocking(move || catalogue.take(&taken, &registry));
        if let Err(problem) = taking.await {
            error!(provider = self.name(), %problem, "the list of models was not taken over");
        }
        Ok(list)
    }

    /// What a refresh would bring. Changes nothing.
    pub async fn preview_models(
        self: &Arc<Self>,
        request_id: &str,
    ) -> Result<(Arc<ModelList>, Difference), ProviderError> {
        let list = self.ask_for_models(request_id).await?;
        let difference = list.since(self.catalogue.list().as_deref());
        Ok((list, difference))
    }

    async fn ask_for_models(self: &Arc<Self>, request_id: &str) -> Answer {
        let asked = self.catalogue.question.join(|| {
            let (provider, request_id) = (Arc::clone(self), request_id.to_owned());
            async move { provider.ask_vendor(&request_id).await }.boxed()
        });
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
        Ok(Arc::new(ModelList::new(models, SystemTime::now())))
    }
}

impl Catalogue {
    /// Keeps a list and shows it to everybody: first on disk, then in memory, then to those who choose by it.
    fn take(&self, list: &Arc<ModelList>, registry: &Registry) {
        let _in_turn = self.taking.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.list.load_full();
        // Another one who waited for the same answer was here first, or for a later one.
        if before.as_ref().is_some_and(|before| before.cached_at() >= list.cached_at()) {
            return;
        }
        if let Some((shelf, provider)) = &self.place
            && let Err(error) = shelf.write(provider, &self.source, list)
        {
            warn!(provider, %error, "the list of models cannot be kept: it is asked for again after a restart");
        }
        self.list.store(Some(Arc::clone(list)));
        if !before.is_some_and(|before| before.ids().eq(list.ids())) {
            registry.relist();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use patchbay_plugin_api::Model;
    use tokio::sync::oneshot;

    use super::*;
    use crate::providers::Rules;
    use crate::testing;

    fn list(ids: &[&str], seconds: u64) -> Arc<ModelList> {
        let models = ids.iter().map(|id| Model::new(*id)).collect();
        Arc::new(ModelList::new(models, SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)))
    }

    #[tokio::test]
    async fn who_asks_at_the_same_time_shares_the_answer() {
        let (question, asked) = (Question::default(), AtomicUsize::new(0));
        let (answer, vendor) = oneshot::channel::<Arc<ModelList>>();
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
        let sent = list(&["m"], 1);
        answer.send(Arc::clone(&sent)).unwrap();
        let (two, three) = tokio::join!(two, three);
        assert!(Arc::ptr_eq(&two.unwrap(), &sent) && Arc::ptr_eq(&three.unwrap(), &sent));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        // What is known by now is asked anew.
        assert!(question.join(&mut ask).await.is_err());
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn nobody_waits_for_an_answer_that_nobody_wants() {
        let question = Question::default();
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
        let anew = question.join(|| async { Ok(list(&["m"], 1)) }.boxed());
        assert!(anew.await.is_ok());
    }

    #[test]
    fn an_older_answer_does_not_replace_a_later_one() {
        let provider = testing::provider(testing::settings("p"), None);
        let (catalogue, registry) = (Arc::clone(&provider.catalogue), Registry::default());
        registry.publish(|| crate::providers::Snapshot::new(1, vec![provider], Rules::default()));
        catalogue.take(&list(&["later"], 2), &registry);
        catalogue.take(&list(&["earlier"], 1), &registry);
        assert!(catalogue.find("later").is_some() && catalogue.find("earlier").is_none());
        assert!(registry.snapshot().serving("later").is_some(), "requests find it");
        catalogue.take(&list(&["last"], 3), &registry);
        let snapshot = registry.snapshot();
        assert!(snapshot.serving("later").is_none() && snapshot.serving("last").is_some());
        assert_eq!(snapshot.number, 1, "nothing was configured anew");
    }
}
