//! `patchbay demo`: a running host at work, in half a minute.

mod swap;

use clap::Args;
use serde::Deserialize;
use serde_json::json;

use super::Failure;
use super::chat::Screen;
use super::health::{self, Overview};
use super::output::{self, Paint};
use super::remote::{Remote, RemoteArgs};

/// Show a running host at work: health, providers, a stream, a whole answer, a hot swap
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  patchbay demo

It needs no key: the mock provider is asked, where there is one. Without it, whichever provider the host chooses \
gets two short questions, and the swap is skipped. The exit code is 0 when all that was shown has worked.")]
pub(super) struct Demo {
    #[command(flatten)]
    remote: RemoteArgs,
}

#[derive(Debug, Deserialize)]
struct Providers {
    providers: Vec<Provider>,
}

#[derive(Debug, Deserialize)]
struct Provider {
    name: String,
    plugin: String,
    plugin_version: String,
    generation: u64,
    status: String,
}

/// As far as it is shown.
#[derive(Debug, Deserialize)]
struct Answer {
    response: String,
    provider: String,
    model: String,
    latency_ms: u64,
}

/// The plugin that does what it is told.
const MOCK: &str = "mock";

const QUESTION: &str = "Say in one short sentence what a patchbay is.";

pub(super) async fn run(command: Demo) -> Result<u8, Failure> {
    let remote = Remote::new(command.remote)?;
    let paint = Paint::for_stdout();
    title(paint, "health", remote.address());
    let (_, _, overview) = remote.read_any::<Overview>(health::PATH).await?;
    tell(&format!("{}, providers: {}", paint.state(&overview.status), overview.providers.len()));

    title(paint, "providers", "the lowest priority is asked first");
    let (_, Providers { providers }) = remote.read::<Providers>("/api/providers").await?;
    for Provider { name, plugin, plugin_version, generation, status } in &providers {
        tell(&format!("{name}: plugin {plugin} {plugin_version}, generation {generation}, {status}"));
    }
    if providers.is_empty() {
        return Err(Failure::failed(
            "the host has no providers, so nothing can be asked: see `patchbay plugin list`",
        ));
    }
    let mock =
        providers.iter().find(|provider| provider.plugin == MOCK).map(|provider| provider.name.as_str());

    title(paint, "a stream", "POST /api/chat");
    stream(&remote, mock).await?;
    title(paint, "a whole answer", "POST /api/chat/complete");
    whole(&remote, mock).await?;
    title(paint, "a hot swap", "POST /api/plugins/mock/reload, while an answer is on its way");
    match mock {
        Some(mock) => swap::run(&remote, mock, paint).await?,
        None => tell("skipped: it needs the mock provider, and this host has none"),
    }
    output::line(&paint.good("\nall of it worked"));
    Ok(0)
}

fn title(paint: Paint, what: &str, how: &str) {
    output::line(&format!("\n{what}  {}", paint.dim(how)));
}

fn tell(text: &str) {
    output::line(&format!("  {text}"));
}

/// What is asked; the mock is told to take its time, so that there is a stream to see.
fn request(mock: Option<&str>, wishes: &str) -> serde_json::Value {
    let text = if mock.is_some() { format!("{wishes} {QUESTION}") } else { QUESTION.to_owned() };
    let mut request = json!({ "messages": [{ "role": "user", "content": text }] });
    if let Some(mock) = mock {
        request["provider"] = mock.into();
    }
    request
}

async fn stream(remote: &Remote, mock: Option<&str>) -> Result<(), Failure> {
    let mut stream = remote.stream("/api/chat", &request(mock, "mock:slow=80")).await?;
    let from = stream.header("x-patchbay-provider").unwrap_or("somebody").to_owned();
    output::piece(b"  ");
    let (mut screen, mut pieces) = (Screen::new(), 0);
    while let Some(piece) = stream.next().await? {
        screen.show(&piece);
        pieces += 1;
    }
    output::line("");
    tell(&format!("in {pieces} pieces, from {from}"));
    Ok(())
}

async fn whole(remote: &Remote, mock: Option<&str>) -> Result<(), Failure> {
    const PATH: &str = "/api/chat/complete";
    let body = remote.send_json(reqwest::Method::POST, PATH, &request(mock, ""), None).await?;
    let answer: Answer = remote.understand(PATH, &body)?;
    output::piece(b"  ");
    Screen::new().show(answer.response.as_bytes());
    output::line("");
    tell(&format!("in {} ms, from {}, model {}", answer.latency_ms, answer.provider, answer.model));
    Ok(())
}
