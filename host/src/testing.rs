//! What tests of several modules need: upstreams with a script, and providers that ask them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use patchbay_plugin_api::Plan;
use patchbay_plugin_api::plan::{Endpoint, HeaderTemplate};
use secrecy::SecretString;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::config::{BreakerSettings, Priced, ProviderSettings};
use crate::events::Bus;
use crate::plugins::{Features, Instance};
use crate::providers::{
    Catalogue, Counters, Herald, KeyRing, ModelQuestion, PluginRef, PreparedCalls, Provider, Rules, Snapshot,
    Standing,
};

/// What a scripted upstream does, in order; at the end of the script it closes the connection.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Send(Vec<u8>),
    Wait(Duration),
    /// Until the other side goes away.
    Hang,
}

/// An upstream on a port of its own that does the same for everybody.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<String>>>,
    gone: Arc<AtomicBool>,
    calls: Arc<AtomicUsize>,
}

impl Upstream {
    pub(crate) async fn script(steps: Vec<Step>) -> Self {
        Self::start(move |_| steps.clone()).await
    }

    /// Answers with the request as it came.
    pub(crate) async fn echo() -> Self {
        Self::start(|request| {
            vec![Step::Send(head(200, "text/plain", request.len())), Step::Send(request.into())]
        })
        .await
    }

    pub(crate) async fn answering(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self::script(vec![Step::Send(head(status, content_type, body.len())), Step::Send(body)]).await
    }

    /// A stream of server-sent events, one per item, properly ended or cut.
    pub(crate) async fn streaming(events: &[&str], proper_end: bool) -> Self {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        let mut steps = vec![Step::Send(head.into())];
        for event in events {
            let data = format!("data: {event}\n\n");
            steps.push(Step::Send(format!("{:x}\r\n{data}\r\n", data.len()).into()));
            steps.push(Step::Wait(Duration::from_millis(2)));
        }
        if proper_end {
            steps.push(Step::Send(b"0\r\n\r\n".to_vec()));
        }
        Self::script(steps).await
    }

    async fn start(answer: impl Fn(&str) -> Vec<Step> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            seen: Arc::default(),
            gone: Arc::default(),
            calls: Arc::default(),
        };
        let (seen, gone, calls) =
            (Arc::clone(&upstream.seen), Arc::clone(&upstream.gone), Arc::clone(&upstream.calls));
        let answer = Arc::new(answer);
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let (seen, gone, answer) = (Arc::clone(&seen), Arc::clone(&gone), Arc::clone(&answer));
                calls.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let Some(request) = read_request(&mut socket).await else { return };
                    let steps = answer(&request);
                    seen.lock().unwrap().push(request);
                    play(&mut socket, steps, &gone).await;
                });
            }
        });
        upstream
    }

    /// Answers this to whoever brings the key, and a status to everybody else.
    pub(crate) async fn by_key(key: &str, answer: String, status: &str) -> Self {
        let (bearer, refusal) = (format!("authorization: Bearer {key}\r\n"), refusal(status));
        Self::start(
            move |request| if request.contains(&bearer) { json_answer(&answer) } else { refusal.clone() },
        )
        .await
    }

    /// Fails so many times, then answers this.
    pub(crate) async fn failing_first(times: usize, answer: String) -> Self {
        Self::failing_first_with(times, "503 X", answer).await
    }

    /// Answers so many times with a status and headers, then this.
    pub(crate) async fn failing_first_with(times: usize, status: &str, answer: String) -> Self {
        let (refusal, failed) = (refusal(status), AtomicUsize::new(0));
        Self::start(move |_| {
            let fails = failed.fetch_add(1, Ordering::SeqCst) < times;
            if fails { refusal.clone() } else { json_answer(&answer) }
        })
        .await
    }

    /// The requests so far, heads and bodies.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    /// Whether the other side went away during a `Hang`, by now or soon.
    pub(crate) async fn left_alone(&self) -> bool {
        eventually(|| self.gone.load(Ordering::SeqCst)).await
    }

    /// Whether somebody is connected, and has not gone away.
    pub(crate) fn is_asked(&self) -> bool {
        self.calls() > 0 && !self.gone.load(Ordering::SeqCst)
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

pub(crate) fn head(status: u16, content_type: &str, length: usize) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    )
    .into()
}

fn json_answer(answer: &str) -> Vec<Step> {
    vec![Step::Send(head(200, "application/json", answer.len())), Step::Send(answer.into())]
}

/// A status, with whatever headers stand behind it.
fn refusal(status: &str) -> Vec<Step> {
    vec![Step::Send(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").into())]
}

async fn play(socket: &mut TcpStream, steps: Vec<Step>, gone: &AtomicBool) {
    for step in steps {
        match step {
            Step::Send(bytes) => {
                if socket.write_all(&bytes).await.is_err() {
                    return gone.store(true, Ordering::SeqCst);
                }
            }
            Step::Wait(time) => tokio::time::sleep(time).await,
            Step::Hang => {
                while matches!(socket.read(&mut [0; 64]).await, Ok(1..)) {}
                gone.store(true, Ordering::SeqCst);
            }
        }
    }
}

async fn read_request(socket: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok())
                .unwrap_or(0);
            if body.len() >= length {
                return Some(text);
            }
        }
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// Waits for what must come true, on however busy a machine.
pub(crate) async fn eventually(condition: impl Fn() -> bool) -> bool {
    for _ in 0..500 {
        if condition() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    false
}

/// A chunk of an answer, as upstreams send them.
pub(crate) fn chunk(content: &str) -> String {
    json!({"id": "c1", "object": "chat.completion.chunk", "created": 7, "model": "m-1",
           "choices": [{"index": 0, "delta": {"content": content}, "finish_reason": null}]})
    .to_string()
}

/// The chunk with which an answer ends.
pub(crate) fn last_chunk() -> String {
    json!({"id": "c1", "object": "chat.completion.chunk", "created": 7, "model": "m-1",
           "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
           "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}})
    .to_string()
}

/// A whole answer.
pub(crate) fn whole_answer(content: &str) -> String {
    json!({"id": "w1", "object": "chat.completion", "created": 7, "model": "m-1",
           "choices": [{"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}],
           "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}})
    .to_string()
}

/// Settings that tests change where it matters to them.
pub(crate) fn settings(name: &str) -> ProviderSettings {
    ProviderSettings {
        name: name.into(),
        display_name: name.to_owned(),
        plugin: "openai-compatible".to_owned(),
        priority: 50,
        weight: 1,
        keys: vec![SecretString::from("sk-test-000111222")],
        base_url: None,
        model: Some("m-1".to_owned()),
        models: Vec::new(),
        max_tokens: None,
        temperature: None,
        timeout: Duration::from_secs(5),
        connect_timeout: Duration::from_secs(2),
        chunk_timeout: Duration::from_secs(5),
        total_timeout: None,
        retry_attempts: 0,
        max_concurrent: None,
        rates: crate::limits::Rates::default(),
        allow_http: false,
        extra_headers: BTreeMap::new(),
        pricing: BTreeMap::new(),
        plugin_config: serde_json::Map::new(),
        origins: Arc::default(),
    }
}

/// Prices as an operator writes them.
pub(crate) fn pricing(pricing: &serde_json::Value) -> BTreeMap<String, Priced> {
    crate::config::prices_of(&json!({ "pricing": pricing })).unwrap()
}

/// A plan that sends everything to one URL.
pub(crate) fn plan(url: &str) -> Plan {
    Plan {
        version: 1,
        dialect: "openai".to_owned(),
        chat: Some(Endpoint { url: format!("{url}/v1/chat/completions") }),
        completions: None,
        embeddings: None,
        headers: vec![HeaderTemplate { name: "authorization".into(), value: "Bearer {{key}}".into() }],
        model: Default::default(),
        body: Default::default(),
        stream: Default::default(),
    }
}

/// A provider; without a plan it answers that it does nothing.
pub(crate) fn provider(settings: ProviderSettings, plan: Option<Plan>) -> Arc<Provider> {
    let features = Features::from_iter(
        ["chat_completion", "streaming", "function_calling", "vision", "json_output"].map(str::to_owned),
    );
    provider_with(settings, plan, features)
}

pub(crate) fn provider_with(
    settings: ProviderSettings,
    plan: Option<Plan>,
    features: Features,
) -> Arc<Provider> {
    Arc::new(Provider {
        prepared: PreparedCalls::new(settings.keys.len()),
        keys: KeyRing::new(&settings.keys, None),
        standing: Standing::new(&BreakerSettings::default(), Herald::new(&Bus::default())),
        plugin: PluginRef {
            id: settings.plugin.clone(),
            version: semver::Version::new(1, 0, 0),
            generation: 1,
        },
        catalogue: Catalogue::following(None, &settings, None),
        question: ModelQuestion::default(),
        settings: Arc::new(settings),
        features,
        plan,
        counters: Arc::new(Counters::default()),
        meter: Arc::default(),
        instance: Instance::detached(),
    })
}

/// All of these providers, under the rules that hold without configuration.
pub(crate) fn snapshot(providers: Vec<Arc<Provider>>) -> Snapshot {
    Snapshot::new(1, providers, Rules::default())
}
