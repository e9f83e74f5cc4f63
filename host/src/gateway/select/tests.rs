use patchbay_plugin_api::{ErrorKind, Model, ProviderError};

use super::*;
use crate::config::ProviderSettings;
use crate::plugins::Features;
use crate::providers::Rules;
use crate::testing;

fn provider(name: &str, priority: i32, models: &[&str], features: &[&str]) -> Arc<Provider> {
    let mut settings = testing::settings(name);
    settings.priority = priority;
    settings.model = models.first().map(|model| (*model).to_owned());
    settings.models = models.iter().map(|model| (*model).to_owned()).collect();
    if name == "mock" {
        settings.plugin = "mock".to_owned();
    }
    let features = Features::from_iter(features.iter().map(|word| (*word).to_owned()));
    testing::provider_with(settings, None, features)
}

fn everybody() -> Snapshot {
    testing::snapshot(vec![
        provider("mock", 999, &[], &["vision", "function_calling"]),
        provider("openrouter", 30, &["openai/gpt-4o", "meta/llama"], &["vision", "function_calling"]),
        provider("openai", 10, &["gpt-4o", "gpt-4o-mini"], &["function_calling"]),
        provider("local", 20, &[], &[]),
        provider("backup", 20, &["gpt-4o"], &["vision"]),
    ])
}

/// Those to be asked, and those passed over, in their order.
type Outcome = Result<(Vec<String>, Vec<String>), SelectError>;

fn outcome(snapshot: &Snapshot, target: Target<'_>, needs: &[Feature], rolls: &[u64]) -> Outcome {
    let mut queue = select(snapshot, target)?;
    let mut rolls = rolls.iter().copied().chain(std::iter::repeat(0));
    let (mut names, mut passed) = (Vec::new(), Vec::new());
    while let Some(next) = queue.next(Needs::of(needs), Instant::now(), &mut || rolls.next().unwrap()) {
        match next {
            Next::Candidate(it) => {
                names.push(format!("{}={}", it.provider.name(), it.model.as_deref().unwrap_or("-")));
            }
            Next::Passed(it, reason) => {
                passed.push(Passed { provider: it.provider.name().to_owned(), reason }.to_string());
            }
        }
    }
    Ok((names, passed))
}

/// Of a provider with a plan that has somewhere to ask how a text goes on, or has not.
fn with_texts(name: &str, priority: i32, texts: bool) -> Arc<Provider> {
    let mut plan = testing::plan("http://127.0.0.1:1");
    plan.completions = plan.chat.clone().filter(|_| texts);
    let mut settings = testing::settings(name);
    settings.priority = priority;
    testing::provider(settings, Some(plan))
}

#[test]
fn what_chat_cannot_say_is_for_those_who_complete_texts() {
    let snapshot = testing::snapshot(vec![with_texts("chat", 1, false), with_texts("texts", 2, true)]);
    let beyond = BeyondChat { name: "echo", problem: "must be false" };
    for (beyond_chat, expected) in [(None, "chat"), (Some(beyond), "texts")] {
        let needs = Needs { beyond_chat, ..Needs::of(&[Feature::ChatCompletion]) };
        let mut queue = select(&snapshot, Target::default()).unwrap();
        let asked = loop {
            match queue.next(needs, Instant::now(), &mut || 0).unwrap() {
                Next::Candidate(it) => break it.provider.name().to_owned(),
                Next::Passed(it, reason) => {
                    let passed = Passed { provider: it.provider.name().to_owned(), reason };
                    assert_eq!(passed.to_string(), "chat: has chat only, where echo must be false");
                    assert_eq!((passed.beyond_chat(), passed.is_for_now()), (beyond_chat, false));
                }
            }
        };
        assert_eq!(asked, expected);
    }
}

fn target<'a>(provider: &'a str, model: &'a str) -> Target<'a> {
    let some = |text| Some(text).filter(|text: &&str| !text.is_empty());
    Target { provider: some(provider), model: some(model), strategy: None, ..Target::default() }
}

fn names(
    snapshot: &Snapshot,
    provider: &str,
    model: &str,
    needs: &[Feature],
) -> Result<Vec<String>, SelectError> {
    outcome(snapshot, target(provider, model), needs, &[]).map(|(names, _)| names)
}

#[test]
fn candidates_by_what_is_named() {
    use Feature::{FunctionCalling, Vision};
    let none: &[Feature] = &[];
    let all = everybody();
    for (provider, model, needs, expected) in [
        ("", "", none, "openai=gpt-4o backup=gpt-4o local=- openrouter=openai/gpt-4o"),
        ("", "gpt-4o", none, "openai=gpt-4o backup=gpt-4o"),
        ("", "gpt-4o", &[Vision], "backup=gpt-4o"),
        ("", "", &[FunctionCalling, Vision], "openrouter=openai/gpt-4o"),
        ("", "openai/gpt-4o", none, "openai=gpt-4o"),
        ("", "openai/auto", none, "openai=gpt-4o"),
        ("", "openrouter/openai/gpt-4o", none, "openrouter=openai/gpt-4o"),
        ("", "meta/llama", none, "openrouter=meta/llama"),
        ("openrouter", "openai/gpt-4o", none, "openrouter=openai/gpt-4o"),
        ("openrouter", "openrouter/meta/llama", none, "openrouter=meta/llama"),
        ("openai", "", none, "openai=gpt-4o"),
        // Nobody lists it, so those without a list are asked; the mock is not one of them.
        ("", "mystery", none, "local=mystery"),
        ("mock", "", none, "mock=-"),
        ("", "mock/anything", none, "mock=anything"),
    ] {
        let found = names(&all, provider, model, needs).unwrap().join(" ");
        assert_eq!(found, expected, "provider {provider:?}, model {model:?}, needs {needs:?}");
    }
}

/// A provider whose vendor lists these.
fn listing(name: &str, priority: i32, models: &[&str]) -> Arc<Provider> {
    let provider = provider(name, priority, &[], &[]);
    provider.catalogue.hold(models.iter().map(|model| Model::new(*model)));
    provider
}

#[test]
fn whoever_lists_a_model_comes_before_those_of_whom_nobody_knows() {
    let known = || {
        vec![
            provider("configured", 30, &["both"], &[]),
            listing("groq", 20, &["both", "meta/llama"]),
            listing("mistral", 10, &["small", "large-20260101"]),
            // One that lists nothing says nothing.
            listing("silent", 1, &[]),
        ]
    };
    let open = testing::snapshot([known(), vec![provider("unknown", 5, &[], &[])]].concat());
    for (model, expected) in [
        ("both", "groq=both configured=both"),
        ("small", "mistral=small"),
        ("meta/llama", "groq=meta/llama"),
        ("large", "mistral=large"),
        ("large-latest", "mistral=large-latest"),
        ("meta/llama:fast", "groq=meta/llama:fast"),
        ("mystery", "silent=mystery unknown=mystery"),
        // A vendor may serve more than it lists.
        ("mistral/mystery", "mistral=mystery"),
    ] {
        assert_eq!(names(&open, "", model, &[]).unwrap().join(" "), expected, "{model}");
    }
    let closed = testing::snapshot(known().into_iter().filter(|it| it.name() != "silent").collect());
    assert_eq!(
        names(&closed, "", "smal", &[]),
        Err(SelectError::UnknownModel { name: "smal".into(), near: vec!["small".into()] })
    );
}

#[test]
fn the_mock_plays_any_model_whatever_it_lists() {
    let alone = testing::snapshot(vec![listing("mock", 999, &["mock-1"])]);
    assert_eq!(names(&alone, "", "gpt-4o", &[]).unwrap(), ["mock=gpt-4o"]);
}

#[test]
fn the_mock_serves_when_it_is_alone() {
    let alone = testing::snapshot(vec![provider("mock", 999, &[], &[])]);
    assert_eq!(names(&alone, "", "", &[]).unwrap(), ["mock=-"]);
    assert_eq!(names(&alone, "", "gpt-4o", &[]).unwrap(), ["mock=gpt-4o"]);
    // With another priority it is a provider like others.
    let chosen = testing::snapshot(vec![provider("mock", 5, &[], &[]), provider("openai", 10, &["a"], &[])]);
    assert_eq!(names(&chosen, "", "", &[]).unwrap(), ["mock=-", "openai=a"]);
}

#[test]
fn why_there_is_nobody() {
    let all = everybody();
    let near = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(names(&Snapshot::default(), "", "", &[]), Err(SelectError::NoProviders));
    assert_eq!(
        names(&all, "opnai", "", &[]),
        Err(SelectError::UnknownProvider { name: "opnai".into(), near: near(&["openai"]) })
    );
    assert_eq!(
        names(&all, "", "openai/gpt-4", &[]),
        Err(SelectError::UnknownModel {
            name: "gpt-4".into(),
            near: near(&["gpt-4o", "gpt-4o-mini", "openai/gpt-4o"])
        })
    );
    let (asked, passed) = outcome(&all, target("backup", ""), &[Feature::FunctionCalling], &[]).unwrap();
    assert_eq!((asked.len(), passed), (0, vec!["backup: does not support function_calling".to_owned()]));
}

fn three(weights: [u32; 3]) -> Vec<Arc<Provider>> {
    let provider = |(index, weight)| {
        let mut settings = testing::settings(["a", "b", "c"][index]);
        (settings.weight, settings.models) = (weight, vec!["m".to_owned()]);
        testing::provider(settings, None)
    };
    weights.into_iter().enumerate().map(provider).collect()
}

fn by(strategy: Strategy) -> Target<'static> {
    Target { provider: None, model: Some("m"), strategy: Some(strategy), ..Target::default() }
}

/// The first letters of those to be asked.
fn asked(snapshot: &Snapshot, strategy: Strategy, rolls: &[u64]) -> String {
    let (names, _) = outcome(snapshot, by(strategy), &[], rolls).unwrap();
    names.iter().map(|name| &name[..1]).collect()
}

#[test]
fn everybody_takes_a_turn() {
    let all = testing::snapshot(three([1, 1, 1]));
    let turns: Vec<String> = (0..4).map(|_| asked(&all, Strategy::RoundRobin, &[])).collect();
    assert_eq!(turns, ["abc", "bca", "cab", "abc"]);
    // One that cannot serve leaves its share to all, not to its neighbour.
    let providers = three([1, 1, 1]);
    let fail = ProviderError::new(ErrorKind::RateLimited, "slow");
    providers[0].admit(Instant::now(), Default::default).unwrap().fail_for_test(&fail);
    let two = testing::snapshot(providers);
    let turns: Vec<String> = (0..4).map(|_| asked(&two, Strategy::RoundRobin, &[])).collect();
    assert_eq!(turns, ["bc", "cb", "bc", "cb"]);
}

#[test]
fn weights_are_shares() {
    let all = testing::snapshot(three([1, 3, 0]));
    for (roll, expected) in [(0, "abc"), (1, "bac"), (3, "bac"), (4, "abc"), (7, "bac")] {
        assert_eq!(asked(&all, Strategy::Weighted, &[roll]), expected, "{roll}");
    }
    let nobody = testing::snapshot(three([0, 0, 0]));
    assert_eq!(asked(&nobody, Strategy::Weighted, &[7]), "abc");
}

#[test]
fn the_quicker_of_two_is_asked() {
    let providers = three([1, 1, 1]);
    for (provider, millis) in providers.iter().zip([30, 10, 20]) {
        provider.standing.latency.record(Duration::from_millis(millis), Instant::now());
    }
    let all = testing::snapshot(providers.clone());
    // The rolls choose a and b, then what is left.
    assert_eq!(asked(&all, Strategy::LeastLatency, &[0, 0, 0, 0]), "bca");
    // Then c and a: b is not looked at.
    assert_eq!(asked(&all, Strategy::LeastLatency, &[2, 0, 0, 0]), "cba");
    // Who has much to do is slower than it was.
    let busy: Vec<_> =
        (0..9).map(|_| providers[1].admit(Instant::now(), Default::default).unwrap()).collect();
    assert_eq!(asked(&all, Strategy::LeastLatency, &[0, 0, 0, 0]), "acb");
    drop(busy);
}

#[test]
fn whoever_is_cheapest_for_this_request_is_asked() {
    let provider = |(name, pricing): (&str, serde_json::Value)| {
        let settings = testing::settings(name);
        let pricing = testing::pricing(&serde_json::json!({ "m": pricing }));
        let models = vec!["m".to_owned()];
        testing::provider(ProviderSettings { pricing, models, ..settings }, None)
    };
    let prices = [
        // Dear to read and cheap to write, the other way round, unknown, and for nothing.
        ("a", serde_json::json!({"prompt": 10, "completion": 1})),
        ("b", serde_json::json!({"prompt": 1, "completion": 10})),
        ("c", serde_json::json!({})),
        ("d", serde_json::json!({"prompt": 0, "completion": 0})),
    ];
    let all = testing::snapshot(prices.into_iter().map(provider).collect());
    let short = r#"{"messages":[{"content":"hi"}],"max_tokens":500}"#.to_owned();
    let long = format!(r#"{{"messages":[{{"content":"{}"}}],"max_tokens":10}}"#, "word ".repeat(500));
    for (body, expected) in [(short, "dabc"), (long, "dbac")] {
        let body = Members::parse(&body.into()).unwrap();
        let target = Target { body: Some(&body), ..by(Strategy::LowestCost) };
        let (names, _) = outcome(&all, target, &[], &[]).unwrap();
        assert_eq!(names.iter().map(|name| &name[..1]).collect::<String>(), expected);
    }
}

#[test]
fn a_chain_stands_in_for_a_model() {
    let mut rules = Rules::default();
    let chain = ["backup/gpt-4o", "gone/x", "meta/llama"].map(str::to_owned).to_vec();
    rules.routing.chains.insert("fast".to_owned(), chain);
    rules.routing.chains.insert("lost".to_owned(), vec!["gone/x".to_owned()]);
    rules.routing.chains.insert("empty".to_owned(), Vec::new());
    let all = Snapshot::new(1, without_unlisted(&everybody()), rules);
    let chained = names(&all, "", "fast", &[]).unwrap();
    assert_eq!(chained, ["backup=gpt-4o", "openrouter=meta/llama"]);
    assert!(
        matches!(names(&all, "", "lost", &[]), Err(SelectError::UnknownModel { name, .. }) if name == "gone/x")
    );
    // One of nothing is none.
    assert!(
        matches!(names(&all, "", "empty", &[]), Err(SelectError::UnknownModel { name, .. }) if name == "empty")
    );
    // A provider's own model of that name is no chain.
    assert!(names(&all, "openai", "fast", &[]).is_err());
}

/// All who said what they serve.
fn without_unlisted(snapshot: &Snapshot) -> Vec<Arc<Provider>> {
    let listed = snapshot.by_priority().iter().filter(|provider| !provider.settings.models.is_empty());
    listed.cloned().collect()
}
