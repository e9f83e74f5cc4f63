//! The models that can be asked for, by the names that requests may use.

use std::collections::HashSet;

use super::select::{SelectError, unknown_model};
use crate::access::Permits;
use crate::providers::{Provider, Snapshot};

/// Who answers to the name of a chain: whoever of it can.
const CHAIN_OWNER: &str = "patchbay";

/// A name that a request may have in `model`, and who answers to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedModel {
    /// `provider/model`, or the model alone.
    pub id: String,
    /// The provider's name.
    pub provider: String,
    /// When it came, in seconds since 1970, where the provider's vendor says so.
    pub created: Option<u64>,
}

/// All names, by the providers' priority. A model stands there alone only where it means one provider, or a chain.
/// Those that may not be asked for are left out.
pub fn list_models(snapshot: &Snapshot, permits: Option<&Permits>) -> Vec<ListedModel> {
    let chains = &snapshot.rules.routing.chains;
    let mut listed: Vec<ListedModel> = chains
        .iter()
        .filter(|(_, models)| may_ask_any(permits, models))
        .map(|(name, _)| chain(name))
        .collect();
    for provider in snapshot.by_priority() {
        let (name, list) = (provider.name(), provider.listed());
        let ids = list.iter().flat_map(|list| list.ids());
        let mut seen = HashSet::new();
        // The default may be in the list too.
        let models = provider.known_models().chain(ids).filter(|model| seen.insert(*model));
        for model in models.filter(|model| may_ask(permits, name, model)) {
            listed.push(of_provider(provider, model, format!("{name}/{model}")));
            if !chains.contains_key(model) && only_server(snapshot, model) == Some(name) {
                listed.push(of_provider(provider, model, model.to_owned()));
            }
        }
    }
    listed
}

/// The model of this name. The error has the names that may have been meant.
pub fn find_model(
    snapshot: &Snapshot,
    id: &str,
    permits: Option<&Permits>,
) -> Result<ListedModel, SelectError> {
    if snapshot.rules.routing.chains.get(id).is_some_and(|models| may_ask_any(permits, models)) {
        return Ok(chain(id));
    }
    let pinned = id.split_once('/').and_then(|(first, model)| Some((snapshot.get(first)?, model)));
    let found = match pinned {
        Some((provider, model)) => provider.lists(model).then_some((provider, model)),
        None => only_server(snapshot, id).and_then(|name| Some((snapshot.get(name)?, id))),
    };
    let found = found.filter(|(provider, model)| may_ask(permits, provider.name(), model));
    let (provider, model) = found.ok_or_else(|| unknown_model(snapshot, id))?;
    Ok(of_provider(provider, model, id.to_owned()))
}

fn may_ask(permits: Option<&Permits>, provider: &str, model: &str) -> bool {
    permits.is_none_or(|permits| permits.allow(provider, Some(model)))
}

/// Whether anybody of a chain may be asked.
fn may_ask_any(permits: Option<&Permits>, chain: &[String]) -> bool {
    chain.iter().any(|link| {
        let (provider, model) = link.split_once('/').unwrap_or(("", link));
        may_ask(permits, provider, model)
    })
}

fn chain(name: &str) -> ListedModel {
    ListedModel { id: name.to_owned(), provider: CHAIN_OWNER.to_owned(), created: None }
}

fn of_provider(provider: &Provider, model: &str, id: String) -> ListedModel {
    let created = provider.catalogue.find(model).and_then(|model| model.created);
    ListedModel { id, provider: provider.name().to_owned(), created }
}

/// The one provider that a request for this model goes to.
fn only_server<'s>(snapshot: &'s Snapshot, model: &str) -> Option<&'s str> {
    let is_pin = model.split_once('/').is_some_and(|(first, _)| snapshot.get(first).is_some());
    match snapshot.serving(model)?.members() {
        [only] if !is_pin && model != "auto" => Some(only.name()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use patchbay_plugin_api::Model;

    use super::*;
    use crate::testing;

    fn snapshot(providers: &[(&str, i32, &[&str])]) -> Snapshot {
        let providers = providers.iter().map(|(name, priority, models)| {
            let mut settings = testing::settings(name);
            (settings.priority, settings.model) = (*priority, None);
            settings.models = models.iter().map(|model| (*model).to_owned()).collect();
            if *name == "mock" {
                settings.plugin = "mock".to_owned();
            }
            testing::provider(settings, None)
        });
        testing::snapshot(providers.collect())
    }

    #[test]
    fn a_model_stands_alone_where_it_means_one_provider() {
        let snapshot = snapshot(&[
            ("a", 1, &["x", "both", "b/y", "x"]),
            ("b", 2, &["both", "vendor/z"]),
            ("mock", 999, &["m"]),
        ]);
        let ids: Vec<String> = list_models(&snapshot, None).into_iter().map(|listed| listed.id).collect();
        assert_eq!(ids, ["a/x", "x", "a/both", "a/b/y", "b/both", "b/vendor/z", "vendor/z", "mock/m"]);
        assert_eq!(find_model(&snapshot, "vendor/z", None).unwrap().provider, "b");
        assert!(matches!(find_model(&snapshot, "both", None), Err(SelectError::UnknownModel { .. })));
    }

    #[test]
    fn what_vendors_list_can_be_asked_for() {
        let set = snapshot(&[("a", 1, &[]), ("b", 2, &[]), ("c", 3, &["only"])]);
        let mut dated = Model::new("vendor/new");
        dated.created = Some(1_700_000_000);
        set.get("a").unwrap().catalogue.hold([Model::new("both"), dated]);
        set.get("b").unwrap().catalogue.hold([Model::new("both")]);
        // Where the configuration says which models there are, the vendor is not listened to.
        set.get("c").unwrap().catalogue.hold([Model::new("only"), Model::new("more")]);
        let set = testing::snapshot(set.by_priority().to_vec());
        let listed = list_models(&set, None);
        let ids: Vec<&str> = listed.iter().map(|listed| listed.id.as_str()).collect();
        assert_eq!(ids, ["a/both", "a/vendor/new", "vendor/new", "b/both", "c/only", "only"]);
        assert_eq!((listed[0].created, listed[2].created), (None, Some(1_700_000_000)));
        for listed in &listed {
            assert_eq!(find_model(&set, &listed.id, None).as_ref(), Ok(listed));
        }
        for unknown in ["both", "a/only", "c/more", "new", "b"] {
            assert!(find_model(&set, unknown, None).is_err(), "{unknown}");
        }
    }

    #[test]
    fn the_mock_stands_alone_where_it_is_alone() {
        let ids = list_models(&snapshot(&[("mock", 999, &["m"])]), None);
        assert_eq!(ids.iter().map(|listed| listed.id.as_str()).collect::<Vec<_>>(), ["mock/m", "m"]);
    }
}
