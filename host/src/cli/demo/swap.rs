//! A plugin replaced under a running answer: what was begun ends where it began, what is new runs on the new code.

use std::time::Duration;

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{MOCK, tell};
use crate::cli::Failure;
use crate::cli::output::Paint;
use crate::cli::reload::Report;
use crate::cli::remote::{Remote, Stream};

/// So many words at ten a second: long enough for a reload on a slow machine.
const WORDS: usize = 30;

/// How long the old generation may take to go once nobody needs it.
const UNLOAD_PATIENCE: Duration = Duration::from_secs(5);

/// As far as it is looked at.
#[derive(Debug, Deserialize)]
struct Plugin {
    generation: Option<u64>,
    in_flight: u64,
    draining: Vec<Draining>,
}

#[derive(Debug, Deserialize)]
struct Draining {
    generation: u64,
    in_flight: u64,
}

pub(super) async fn run(remote: &Remote, provider: &str, paint: Paint) -> Result<(), Failure> {
    let old = serving(&look(remote).await?)?;
    let mut first = remote.stream("/api/chat", &slow(provider, WORDS)).await?;
    let mut text = piece(&mut first).await?;
    tell(&format!("an answer of {WORDS} words begins on generation {old}: {}...", text.trim_end()));

    let report = Report::read(&remote.send(Method::POST, "/api/plugins/mock/reload").await?)?;
    let new = serving(&look(remote).await?)?;
    if !report.is_ok() || new == old {
        return Err(Failure::failed(format!("the plugin was not replaced\n{}", report.render(false, paint))));
    }
    tell(&format!("the plugin is loaded anew: generation {old} → {new}"));

    let mut second = remote.stream("/api/chat", &slow(provider, 5)).await?;
    let mut other = piece(&mut second).await?;
    let now = look(remote).await?;
    if serving(&now)? != new || now.in_flight == 0 {
        return Err(Failure::failed(format!("the new request does not run on generation {new}")));
    }
    tell(&format!("a new request runs on generation {new}"));
    if !now.draining.iter().any(|draining| draining.generation == old && draining.in_flight > 0) {
        return Err(Failure::failed(format!("the first answer does not run on generation {old} any more")));
    }
    tell(&format!("the first one still runs on generation {old}"));

    rest(&mut second, &mut other).await?;
    rest(&mut first, &mut text).await?;
    let expected = (1..=WORDS).map(|number| format!("word{number}")).collect::<Vec<_>>().join(" ");
    if text != expected {
        return Err(Failure::failed(format!("the first answer is not whole: {text}")));
    }
    tell(&format!("{}: all of its {WORDS} words have come", paint.good("the first answer is whole")));
    tell(&ending(remote, old).await?);
    Ok(())
}

fn slow(provider: &str, words: usize) -> Value {
    let text = format!("mock:slow=100 mock:tokens={words}");
    json!({ "provider": provider, "messages": [{ "role": "user", "content": text }] })
}

async fn look(remote: &Remote) -> Result<Plugin, Failure> {
    remote.read::<Plugin>(&format!("/api/plugins/{MOCK}")).await.map(|(_, plugin)| plugin)
}

fn serving(plugin: &Plugin) -> Result<u64, Failure> {
    plugin
        .generation
        .ok_or_else(|| Failure::failed("the mock plugin is not loaded: see `patchbay plugin list`"))
}

async fn piece(stream: &mut Stream<'_>) -> Result<String, Failure> {
    let piece = stream.next().await?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&piece).into_owned())
}

async fn rest(stream: &mut Stream<'_>, text: &mut String) -> Result<(), Failure> {
    while let Some(piece) = stream.next().await? {
        text.push_str(&String::from_utf8_lossy(&piece));
    }
    Ok(())
}

/// What became of the old generation, now that its last answer is over.
async fn ending(remote: &Remote, old: u64) -> Result<String, Failure> {
    let began = Instant::now();
    while look(remote).await?.draining.iter().any(|draining| draining.generation == old) {
        if began.elapsed() > UNLOAD_PATIENCE {
            return Ok(format!("generation {old} is still being unloaded"));
        }
        sleep(Duration::from_millis(50)).await;
    }
    Ok(format!("generation {old} serves nobody any more, and is gone"))
}
