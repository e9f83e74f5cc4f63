//! One case of misbehaviour: played to every form, alone and before a provider that is well.

use reqwest::header::HeaderMap;
use serde_json::json;

use super::case::{Case, Outcome};
use super::form::{Form, Heard};
use super::pair::nothing_is_under_way;
use crate::harness::{Answer, Host, HostOptions, Scripted, Streaming, Upstream, libraries};

/// What the well provider says.
const WELL: &str = "a b c";

impl Case {
    /// Everything that has to be true of it.
    pub async fn check(self) {
        let stage = Stage::set(&self).await;
        for (form, (_, outcome)) in self.forms() {
            stage.alone(form, outcome).await;
        }
        assert!(stage.well.requests().is_empty(), "who is pinned is asked alone");
        for (form, (_, outcome)) in self.forms() {
            stage.before_another(form, outcome).await;
        }
        stage.check_nothing_is_left(&self).await;
        stage.host.stop().await;
    }
}

/// The host, with two providers of its own for every form, so that what is remembered of one is not seen in another:
/// one is asked alone, the other is asked first and the well one after it.
struct Stage {
    host: Host,
    upstream: Scripted,
    well: Upstream,
}

fn alone(form: Form) -> String {
    format!("alone-{}", form.word())
}

fn first(form: Form) -> String {
    format!("first-{}", form.word())
}

/// The model that the first provider of a form and the well one both serve.
fn shared(form: Form) -> String {
    format!("shared-{}", form.word())
}

impl Stage {
    async fn set(case: &Case) -> Self {
        let (upstream, well) = (Scripted::start().await, Upstream::start().await);
        // Only what clients ask for is to reach the upstreams.
        let options = HostOptions::default().section("health", json!({ "enabled": false }));
        let mut options = options.builtin(&libraries::openai_compatible());
        let mut models = Vec::new();
        for (form, (script, _)) in case.forms() {
            for (name, model) in [(alone(form), "pinned".to_owned()), (first(form), shared(form))] {
                let mut config = case.config.clone();
                config["base_url"] = upstream.play(&name, script, script).into();
                config["models"] = json!([model]);
                config["priority"] = 1.into();
                // Who is asked again and again would be seen as often.
                config["retry_attempts"] = 0.into();
                options = options.entry(&name, json!({ "plugin": "openai-compatible", "config": config }));
            }
            models.push(shared(form));
        }
        let config = json!({ "base_url": well.base_url(), "models": models, "priority": 2 });
        let options = options.entry("well", json!({ "plugin": "openai-compatible", "config": config }));
        Self { host: Host::start(options).await, upstream, well }
    }

    async fn alone(&self, form: Form, outcome: &Outcome) {
        let name = alone(form);
        let asked = form.ask(&self.host, &format!("{name}/pinned")).await;
        self.check_own(form, outcome, &name, asked).await;
    }

    async fn before_another(&self, form: Form, outcome: &Outcome) {
        let name = first(form);
        let asked = form.ask(&self.host, &shared(form)).await;
        if !outcome.falls_over() {
            return self.check_own(form, outcome, &name, asked).await;
        }
        let answer =
            asked.unwrap_or_else(|answer| panic!("{form:?}: the other one was not asked: {answer:?}"));
        assert_eq!(answer.headers["x-patchbay-provider"], "well", "{form:?}");
        let attempts: u32 = answer.headers["x-patchbay-attempts"].to_str().unwrap().parse().unwrap();
        assert!(attempts >= 2, "{form:?}: {attempts}");
        self.check_log(outcome, &name, &answer.headers).await;
        let got = answer.rest().await.unwrap();
        let all = Heard { words: WELL.to_owned(), ended: form != Form::Text, error: None };
        assert_eq!(form.hear(&got), all, "{form:?}: nothing of the first is seen");
    }

    /// What this provider answered, and nobody else.
    async fn check_own(&self, form: Form, outcome: &Outcome, name: &str, asked: Result<Streaming, Answer>) {
        match (outcome, asked) {
            (Outcome::Fails { status, code, said, retry_after }, Err(answer)) => {
                let (told, details) = form.error(&answer);
                assert_eq!((answer.status, told.as_str()), (*status, *code), "{form:?}: {details}");
                assert_eq!(answer.header("content-type"), Some("application/json"), "{form:?}");
                check_details(&details, name, said);
                assert_eq!(answer.header("retry-after"), *retry_after, "{form:?}");
                self.check_log(outcome, name, &answer.headers).await;
            }
            (Outcome::Whole(_) | Outcome::Cut { .. }, Ok(answer)) => {
                let headers = answer.headers.clone();
                self.check_begun(form, outcome, name, answer).await;
                self.check_log(outcome, name, &headers).await;
            }
            (expected, Ok(answer)) => panic!("{form:?}: {:?} in place of {expected:?}", answer.rest().await),
            (expected, Err(answer)) => panic!("{form:?}: {answer:?} in place of {expected:?}"),
        }
    }

    /// An answer whose beginning was seen: it is this provider's, to its end or to the cut.
    async fn check_begun(&self, form: Form, outcome: &Outcome, name: &str, mut answer: Streaming) {
        assert_eq!(answer.headers["x-patchbay-provider"], name, "{form:?}");
        assert_eq!(answer.headers["x-patchbay-attempts"], "1", "{form:?}");
        let mut released = false;
        let end = loop {
            match answer.next().await {
                // Amid an event nothing is known that was not before.
                Ok(Some(piece)) if released || (form != Form::Text && !piece.ends_with('\n')) => {}
                Ok(Some(_)) => {
                    // What is behind the gate comes when everything before it was seen.
                    released = outcome.may_go_on(&form.hear(&answer.text).words);
                    if released {
                        self.upstream.release(name);
                    }
                }
                Ok(None) => break Ok(()),
                Err(cut) => break Err(cut),
            }
        };
        let heard = form.hear(&answer.text);
        match outcome {
            Outcome::Cut { words, code, said } => {
                assert_eq!(heard.words, *words, "{form:?}");
                assert!(!heard.ended, "{form:?}: a cut answer is not presented as a whole one");
                assert_eq!(end.is_err(), form != Form::Events, "{form:?} ended with {end:?}");
                if form != Form::Text {
                    let (told, details) = heard.error.unwrap_or_else(|| panic!("{form:?}: {}", answer.text));
                    assert_eq!(told, *code, "{form:?}: {details}");
                    check_details(&details, name, said);
                }
            }
            Outcome::Whole(words) => {
                assert_eq!(end, Ok(()), "{form:?}");
                // Of ten megabytes nobody reads a difference.
                assert!(heard.words == *words, "{form:?}: {:.300}", heard.words);
                assert_eq!((heard.ended, heard.error), (form != Form::Text, None), "{form:?}");
            }
            Outcome::Fails { .. } => unreachable!("it was not seen to begin"),
        }
    }

    /// What an operator gets to know: who, what, and of which request. That no key is in it is checked when the host
    /// has ended.
    async fn check_log(&self, outcome: &Outcome, name: &str, headers: &HeaderMap) {
        let (Outcome::Fails { code, .. } | Outcome::Cut { code, .. }) = outcome else { return };
        let (provider, kind) = (format!("provider=\"{name}\""), format!("kind=\"{code}\""));
        self.host.logs(&provider, &kind).await;
        let request = format!("request_id=\"{}\"", headers["x-request-id"].to_str().unwrap());
        let (log, all) = (self.host.log(), [provider, kind, request]);
        assert!(log.lines().any(|line| all.iter().all(|word| line.contains(word))), "no line has {all:?}");
    }

    /// Nobody is connected any more, or counted as served; and each failure was counted and logged once.
    async fn check_nothing_is_left(&self, case: &Case) {
        nothing_is_under_way(&self.host).await;
        let taken_over = case.forms().filter(|(_, (_, outcome))| outcome.falls_over()).count();
        assert_eq!(self.well.requests().len(), taken_over, "the well one is asked when it is needed");
        let (log, providers) = (self.host.log(), self.host.get("/api/providers").await.json());
        for (form, (_, outcome)) in case.forms() {
            let expected = usize::from(!matches!(outcome, Outcome::Whole(_)));
            for name in [alone(form), first(form)] {
                let lines = log.lines().filter(|line| line.contains(&format!("provider=\"{name}\"")));
                let failures = lines
                    .filter(|line| line.contains("provider failed") || line.contains("answer cut short"));
                let failures: Vec<&str> = failures.collect();
                assert_eq!(failures.len(), expected, "{name}: {failures:#?}");
                let mut providers = providers["providers"].as_array().unwrap().iter();
                let provider = providers.find(|provider| provider["name"] == name.as_str()).unwrap();
                assert_eq!(provider["errors_total"], expected, "{provider}");
                let asked = self.upstream.sees(&name, |notes| notes.open == 0).await.requests;
                assert!(asked <= 1, "{name} was asked {asked} times");
            }
        }
    }
}

/// Who failed, and how.
#[track_caller]
fn check_details(details: &str, name: &str, said: &str) {
    assert!(details.starts_with(&format!("{name}: ")) && details.contains(said), "{details}");
}
