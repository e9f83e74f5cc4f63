//! Whoever is not served when the host ends: is told so, and is not taken for somebody who has left.

use std::collections::BTreeMap;
use std::path::Path;

use futures_util::future::join_all;
use reqwest::RequestBuilder;
use serde_json::json;

use crate::harness::scripted::script::{Script, role, says};
use crate::harness::{Answer, Host, HostOptions, Scripted, Streaming, eventually, libraries};
use crate::misbehaviour::form::Form;

const CODE: &str = "shutting_down";

/// A host that waits for nobody when it ends, with a provider that begins its answers and one that does not.
fn options(upstream: &Scripted, data: &Path) -> HostOptions {
    let (begins, whole) = (Script::stream().send(role()).send(says("a")).hang(), Script::json().hang());
    let options = HostOptions::default().builtin(&libraries::openai_compatible());
    let options = options.section("health", json!({ "enabled": false })).env("PATCHBAY_DATA_DIR", data);
    let options = options.argument("--drain-timeout").argument("0");
    let options = options.section("telemetry", json!({ "access_log": true }));
    let parts = [("begins", begins), ("waits", Script::stream().send(role()).hang())];
    parts.iter().fold(options, |options, (name, streamed)| {
        let base_url = upstream.play(name, streamed, &whole);
        let config = json!({ "base_url": base_url, "model": "m" });
        options.entry(name, json!({ "plugin": "openai-compatible", "config": config }))
    })
}

/// How the host comes to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Stopped,
    TakenOver,
}

impl End {
    /// Ends the host, and answers with the one that comes after it.
    async fn of(self, host: &Host, options: HostOptions) -> Option<Host> {
        match self {
            Self::Stopped => host.signal(libc::SIGTERM),
            Self::TakenOver => {
                let next = host.succeed(options).await;
                return Some(next.unwrap_or_else(|(_, said)| panic!("{said}")));
            }
        }
        None
    }
}

/// The same over HTTP/1 and over HTTP/2.
fn both(request: RequestBuilder, multiplexed: &reqwest::Client) -> [RequestBuilder; 2] {
    let again = request.try_clone().unwrap().build().unwrap();
    [request, RequestBuilder::from_parts(multiplexed.clone(), again)]
}

/// A stream of one word, which has come.
async fn begun(host: &Host, form: Form, request: RequestBuilder) -> Streaming {
    let mut stream = host.begin(form.path(), request).await.unwrap();
    while form.hear(&stream.text).words != "a" {
        assert!(stream.next().await.unwrap().is_some(), "{form:?}: {}", stream.text);
    }
    stream
}

fn id_of(headers: &reqwest::header::HeaderMap) -> String {
    headers["x-request-id"].to_str().unwrap().to_owned()
}

/// The client sees that this is not all, and why, where there is a way to say so.
async fn is_cut(form: Form, mut stream: Streaming) {
    let clean = loop {
        match stream.next().await {
            Ok(Some(_)) => {}
            Ok(None) => break true,
            Err(_) => break false,
        }
    };
    let heard = form.hear(&stream.text);
    assert_eq!((heard.words.as_str(), heard.ended, clean), ("a", false, form == Form::Events), "{form:?}");
    let code = heard.error.map(|(code, _)| code);
    assert_eq!(code.as_deref(), (form != Form::Text).then_some(CODE), "{form:?}");
}

fn is_refused(form: Form, answered: Result<Streaming, Answer>) -> String {
    let Err(answer) = answered else { panic!("{form:?} began") };
    let (code, said) = form.error(&answer);
    assert_eq!((answer.status, code.as_str()), (503, CODE), "{form:?}");
    assert!(said.contains("send the request again"), "{said}");
    id_of(&answer.headers)
}

async fn check(end: End) {
    let (upstream, data) = (Scripted::start().await, tempfile::tempdir().unwrap());
    let options = || options(&upstream, data.path());
    let host = Host::start(options()).await;
    let multiplexed = reqwest::Client::builder().http2_prior_knowledge().no_proxy().build().unwrap();
    // What each request is to be remembered as: its status, and its error.
    let mut expected = BTreeMap::new();
    for request in both(Form::Text.request(&host, "begins/m"), &multiplexed) {
        let stream = begun(&host, Form::Text, request).await;
        expected.insert(id_of(&stream.headers), (200, "abandoned"));
    }
    let left = expected.len();
    upstream.sees("begins", |notes| (notes.open, notes.left) == (0, left)).await;
    let mut streams = Vec::new();
    for form in Form::STREAMED {
        for request in both(form.request(&host, "begins/m"), &multiplexed) {
            let stream = begun(&host, form, request).await;
            expected.insert(id_of(&stream.headers), (200, CODE));
            streams.push((form, stream));
        }
    }
    let waiting = Form::ALL
        .iter()
        .flat_map(|form| both(form.request(&host, "waits/m"), &multiplexed).map(|request| (*form, request)));
    let waiting: Vec<_> = waiting.collect();
    let count = waiting.len();
    let answers = join_all(
        waiting
            .into_iter()
            .map(async |(form, request)| is_refused(form, host.begin(form.path(), request).await)),
    );
    let ending = async {
        upstream.sees("waits", |notes| notes.open == count).await;
        end.of(&host, options()).await
    };
    let (refused, next) = tokio::join!(answers, ending);
    expected.extend(refused.into_iter().map(|id| (id, (503, CODE))));
    for (form, stream) in streams {
        is_cut(form, stream).await;
    }
    for outcome in [
        r#"outcome="cut" code="shutting_down""#,
        r#"outcome="failed" code="shutting_down""#,
        r#"outcome="abandoned" client"#,
    ] {
        host.logs("patchbay::access", outcome).await;
    }
    host.ends_with(1).await;

    let next = match next {
        Some(next) => next,
        None => Host::start(options()).await,
    };
    let remembered = async || {
        let page = next.get("/api/usage/requests").await.json();
        (page["requests"].as_array().unwrap().len() >= expected.len()).then_some(page)
    };
    let page = eventually("the requests to be kept", remembered).await;
    let requests = page["requests"].as_array().unwrap().iter();
    let seen: BTreeMap<_, _> = requests
        .map(|it| {
            let (id, error) = (it["request_id"].as_str().unwrap(), it["error"].as_str().unwrap_or_default());
            (id.to_owned(), (it["status"].as_u64().unwrap(), error))
        })
        .collect();
    assert_eq!(seen, expected, "{end:?}");
    let totals = &next.get("/api/usage").await.json()["totals"];
    let counted = (totals["errors"].as_u64().unwrap(), totals["abandoned"].as_u64().unwrap());
    assert_eq!(counted, ((expected.len() - left) as u64, left as u64), "{totals}");
    next.stop().await;
}

#[tokio::test]
async fn whoever_is_not_served_when_a_host_ends_is_told_so_and_booked_as_failed() {
    for end in [End::Stopped, End::TakenOver] {
        check(end).await;
    }
}
