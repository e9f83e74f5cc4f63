//! Many slow streams at one time: all of them are open together, each is told its next words only when everybody
//! has heard the ones before, and all of them have to come to their end.

use std::convert::Infallible;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use futures_util::future::join_all;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;

use super::host::{Footprint, Host, Place, chat};

/// What is waited for longer does not come.
const PATIENCE: Duration = Duration::from_secs(120);

/// Files of this process besides the two of each stream: its own, and those of other tests.
const SPARE_FILES: u64 = 500;

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    pub(crate) streams: usize,
    /// How often each of them is told something.
    pub(crate) rounds: usize,
    /// How much, each time.
    pub(crate) bytes: usize,
}

/// What the host took up. Memory is in KiB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    /// Before: it has served one such stream.
    pub(crate) before: Footprint,
    /// With all of them open, each with its first words.
    pub(crate) open: Footprint,
    /// With all of them open, and told everything but their last words.
    pub(crate) told: Footprint,
    /// The most that it ever had, in the end.
    pub(crate) peak_kib: u64,
    /// Without any of them.
    pub(crate) after: Footprint,
    /// Of one processor, for all rounds but the first.
    pub(crate) cpu: Duration,
    pub(crate) elapsed: Duration,
}

/// What upstream and the driver share.
struct Stage {
    extent: Extent,
    words: String,
    /// How many rounds may be told.
    round: watch::Sender<usize>,
    /// How many rounds each has heard, together.
    heard: watch::Sender<usize>,
}

/// Runs all of it against a host with the plugin for OpenAI's dialect.
pub(crate) fn run(program: &Path, plugin: &[u8], extent: Extent) -> io::Result<Outcome> {
    let needed = 2 * extent.streams as u64 + SPARE_FILES;
    let files = rlimit::increase_nofile_limit(u64::MAX)?;
    if files < needed {
        return Err(io::Error::other(format!("{needed} open files are needed, and {files} are allowed")));
    }
    // An error says that the process has a provider already, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let words = "word ".repeat(extent.bytes / 5);
        let stage =
            Arc::new(Stage { extent, words, round: watch::Sender::new(0), heard: watch::Sender::new(0) });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let upstream = listener.local_addr()?;
        let router = Router::new().route("/v1/chat/completions", post(tell)).with_state(Arc::clone(&stage));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await });
        let host = serve(program, plugin, &format!("http://{upstream}/v1"))?;
        let outcome = stage.play(&host).await;
        serving.abort();
        host.stop()?;
        outcome
    })
}

fn serve(program: &Path, plugin: &[u8], base_url: &str) -> io::Result<Host> {
    let mut place = Place::new()?;
    place.install("openai_compatible", plugin)?;
    let entry = json!({ "plugin": "openai-compatible", "config": { "base_url": base_url, "model": "m" } });
    // Nothing but the streams has connections.
    let (health, models) = (json!({ "enabled": false }), json!({ "refresh": false }));
    let config = json!({ "plugins": { "up": entry }, "health": health, "models": models });
    fs::write(place.path().join("plugin_config.json"), config.to_string())?;
    place.serve(program)
}

impl Stage {
    async fn play(&self, host: &Host) -> io::Result<Outcome> {
        let client = reqwest::Client::builder().no_proxy().http1_only().build().map_err(io::Error::other)?;
        // Whatever is made for the first of them is there.
        self.round.send_replace(self.extent.rounds);
        self.listen(&client, host).await?;
        let before = host.footprint()?;

        self.heard.send_replace(0);
        self.round.send_replace(1);
        let began = Instant::now();
        let all = join_all((0..self.extent.streams).map(|_| self.listen(&client, host)));
        let (measured, ends) = tokio::join!(self.direct(host), all);
        let (open, told, cpu) = measured?;
        ends.into_iter().collect::<io::Result<Vec<()>>>()?;
        let elapsed = began.elapsed();
        let peak_kib = peak(host)?;
        Ok(Outcome { before, open, told, peak_kib, after: settled(host).await?, cpu, elapsed })
    }

    /// Lets everybody be told one thing after the other.
    async fn direct(&self, host: &Host) -> io::Result<(Footprint, Footprint, Duration)> {
        self.all_heard(1).await?;
        let (open, cpu) = (host.footprint()?, processor(host)?);
        for round in 2..self.extent.rounds {
            self.round.send_replace(round);
            self.all_heard(round).await?;
        }
        let told = host.footprint()?;
        self.round.send_replace(self.extent.rounds);
        self.all_heard(self.extent.rounds).await?;
        Ok((open, told, processor(host)? - cpu))
    }

    async fn all_heard(&self, rounds: usize) -> io::Result<()> {
        let expected = rounds * self.extent.streams;
        let mut heard = self.heard.subscribe();
        let all = timeout(PATIENCE, heard.wait_for(|heard| *heard == expected)).await;
        all.map(drop).map_err(|_| {
            let heard = *self.heard.borrow();
            io::Error::other(format!("{heard} things were heard of {expected}"))
        })
    }

    /// One client, to the proper end of its answer.
    async fn listen(&self, client: &reqwest::Client, host: &Host) -> io::Result<()> {
        let request = client.post(format!("http://{}/api/chat", host.address));
        let request = request.header("content-type", "application/json").body(chat("up", "hi"));
        let mut answer = request.send().await.map_err(io::Error::other)?;
        if answer.status() != 200 {
            return Err(io::Error::other(answer.text().await.map_err(io::Error::other)?));
        }
        let mut heard = 0;
        while let Some(piece) = answer.chunk().await.map_err(io::Error::other)? {
            if !self.continues(heard, &piece) {
                return Err(io::Error::other("other words came than were sent"));
            }
            let before = heard / self.words.len();
            heard += piece.len();
            let rounds = heard / self.words.len() - before;
            self.heard.send_modify(|all| *all += rounds);
        }
        let expected = self.words.len() * self.extent.rounds;
        if heard == expected { Ok(()) } else { Err(io::Error::other(format!("{heard} bytes of {expected}"))) }
    }
}

impl Stage {
    /// Whether this is what comes after so many bytes: the same words again and again.
    fn continues(&self, heard: usize, mut piece: &[u8]) -> bool {
        let words = self.words.as_bytes();
        let mut rest = &words[heard % words.len()..];
        while !piece.is_empty() {
            let (these, later) = piece.split_at(piece.len().min(rest.len()));
            if !rest.starts_with(these) {
                return false;
            }
            (piece, rest) = (later, words);
        }
        true
    }
}

/// What upstream says: a round's words as soon as the round has come.
async fn tell(State(stage): State<Arc<Stage>>) -> Response {
    let round = stage.round.subscribe();
    let events = futures_util::stream::unfold((stage, round, 0), async |(stage, mut round, told)| {
        if told == stage.extent.rounds {
            return None;
        }
        round.wait_for(|round| *round > told).await.ok()?;
        let choice = json!({ "index": 0, "delta": { "content": stage.words }, "finish_reason": null });
        let mut event = format!("data: {}\n\n", json!({ "id": "s", "choices": [choice] }));
        if told + 1 == stage.extent.rounds {
            let last = json!({ "index": 0, "delta": {}, "finish_reason": "stop" });
            event += &format!("data: {}\n\ndata: [DONE]\n\n", json!({ "id": "s", "choices": [last] }));
        }
        Some((Ok::<_, Infallible>(event), (stage, round, told + 1)))
    });
    ([("content-type", "text/event-stream")], Body::from_stream(events)).into_response()
}

/// Waits until no request is under way any more.
async fn settled(host: &Host) -> io::Result<Footprint> {
    let begun = Instant::now();
    loop {
        let providers = host.ask("GET", "/api/providers", "")?;
        if providers["providers"][0]["in_flight"] == 0 {
            return host.footprint();
        }
        if begun.elapsed() > PATIENCE {
            return Err(io::Error::other(format!("requests are under way that nobody makes: {providers}")));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn peak(host: &Host) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", host.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| io::Error::other("the system does not say how much memory there was"))
}

/// The time that the host has had of processors.
fn processor(host: &Host) -> io::Result<Duration> {
    const TICKS_PER_SECOND: u64 = 100;
    let stat = fs::read_to_string(format!("/proc/{}/stat", host.id()))?;
    // The program's name may have blanks in it; the numbers behind it have none.
    let numbers: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |place: usize| numbers.get(place).and_then(|number| number.parse::<u64>().ok());
    let all = ticks(11).zip(ticks(12)).map(|(user, system)| user + system);
    let ticks = all.ok_or_else(|| io::Error::other("the system does not say how much was computed"))?;
    Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}
