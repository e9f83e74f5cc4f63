use super::*;
use crate::plugins::Features;
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
    Snapshot::new(
        1,
        vec![
            provider("mock", 999, &[], &["vision", "function_calling"]),
            provider("openrouter", 30, &["openai/gpt-4o", "meta/llama"], &["vision", "function_calling"]),
            provider("openai", 10, &["gpt-4o", "gpt-4o-mini"], &["function_calling"]),
            provider("local", 20, &[], &[]),
            provider("backup", 20, &["gpt-4o"], &["vision"]),
        ],
    )
}

fn names(
    snapshot: &Snapshot,
    provider: &str,
    model: &str,
    needs: &[Feature],
) -> Result<Vec<String>, SelectError> {
    let some = |text| Some(text).filter(|text: &&str| !text.is_empty());
    let candidates = select(snapshot, Target { provider: some(provider), model: some(model) }, needs)?;
    Ok(candidates
        .iter()
        .map(|it| format!("{}={}", it.provider.name(), it.model.as_deref().unwrap_or("-")))
        .collect())
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

#[test]
fn the_mock_serves_when_it_is_alone() {
    let alone = Snapshot::new(1, vec![provider("mock", 999, &[], &[])]);
    assert_eq!(names(&alone, "", "", &[]).unwrap(), ["mock=-"]);
    assert_eq!(names(&alone, "", "gpt-4o", &[]).unwrap(), ["mock=gpt-4o"]);
    // With another priority it is a provider like others.
    let chosen = Snapshot::new(1, vec![provider("mock", 5, &[], &[]), provider("openai", 10, &["a"], &[])]);
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
    assert_eq!(
        names(&all, "backup", "", &[Feature::FunctionCalling]),
        Err(SelectError::NothingAvailable {
            passed: vec![Passed {
                provider: "backup".into(),
                reason: Reason::Lacks(Feature::FunctionCalling)
            }]
        })
    );
}
