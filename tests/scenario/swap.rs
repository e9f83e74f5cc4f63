//! Reload under load: clients stream without pause, some leave in the middle, while a library alternates between
//! two versions. Nothing may be failed, mixed, cut or stalled, and nothing may be left behind.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::host::{Footprint, Host, Place, chat};
use super::http::Connection;
use super::paint;

/// After so many rounds memory has reached its level; there is a row for it.
pub(crate) const LEVEL_AFTER: u64 = 100;

const COLOURS: [&str; 2] = ["green", "crimson"];

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    pub(crate) rounds: u64,
    pub(crate) clients: u64,
    /// A row of the table for every so many rounds.
    pub(crate) row: u64,
}

/// One row: what happened since the row before.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) round: u64,
    pub(crate) elapsed: Duration,
    /// From the request for a reload to its answer, sorted.
    pub(crate) reloads: Vec<Duration>,
    pub(crate) streams: Streams,
    pub(crate) footprint: Footprint,
}

/// What became of streams.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Streams {
    pub(crate) whole: u64,
    pub(crate) left: u64,
    pub(crate) bad: u64,
}

/// What came of it all. What must never happen is an error of [`run`] instead.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) rows: Vec<Row>,
    /// Generations that stayed mapped, each with its reason.
    pub(crate) resident: Vec<String>,
    /// Once the clients had gone and everything had settled.
    pub(crate) settled: Footprint,
}

/// What clients and the reloading thread tell each other.
#[derive(Default)]
struct Shared {
    /// The round whose colour may be seen from now on.
    begun: AtomicU64,
    /// The round whose colour must be seen by new requests, unless the next has begun.
    published: AtomicU64,
    enough: AtomicBool,
    whole: AtomicU64,
    left: AtomicU64,
    bad: Mutex<Vec<String>>,
}

impl Shared {
    fn bad(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.bad.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn streams(&self) -> Streams {
        Streams {
            whole: self.whole.load(Ordering::SeqCst),
            left: self.left.load(Ordering::SeqCst),
            bad: self.bad().len() as u64,
        }
    }
}

fn colour(round: u64) -> &'static str {
    COLOURS[usize::from(!round.is_multiple_of(2))]
}

/// Runs it against `program` with the built chameleon. `told` hears of every row.
pub(crate) fn run(
    program: &Path,
    chameleon: &[u8],
    extent: Extent,
    told: impl Fn(&Row),
) -> io::Result<Outcome> {
    let variants = COLOURS.map(|colour| paint::coloured(chameleon, colour));
    let variants = [variants[0].clone(), paint::of_version(&variants[1], 2)];
    let mut place = Place::new()?;
    place.install("chameleon", &variants[0])?;
    std::fs::write(place.path().join("plugin_config.json"), r#"{"plugins": {"chameleon": {}}}"#)?;
    let mut host = place.serve(program)?;
    let before = host.footprint()?;

    let shared = Shared::default();
    let address = host.address;
    let rows = std::thread::scope(|scope| {
        for number in 0..extent.clients {
            let shared = &shared;
            scope.spawn(move || client(address, number, shared));
        }
        let rows = reloads(&mut host, &variants, extent, &shared, told);
        shared.enough.store(true, Ordering::SeqCst);
        rows
    });
    let rows = rows.and_then(|rows| match shared.bad().first() {
        Some(bad) => Err(io::Error::other(format!("{} bad streams, such as: {bad}", shared.bad().len()))),
        None => Ok(rows),
    });
    let rows = rows.map_err(|error| io::Error::other(format!("{error}\nthe host's log: {}", host.log())))?;

    let resident = nothing_is_left(&host)?;
    let settled = host.footprint()?;
    // Connections end a moment after their clients; what is leaked grows with the rounds.
    let leaks = usize::try_from(extent.rounds / 4).unwrap_or(usize::MAX).max(16);
    for (what, before, after) in [
        ("threads", before.threads, settled.threads),
        ("descriptors", before.descriptors, settled.descriptors),
    ] {
        if after > before + leaks {
            return Err(io::Error::other(format!("{before} {what} became {after}")));
        }
    }
    let log = host.log();
    let status = host.stop()?;
    if !status.success() {
        return Err(io::Error::other(format!("the host ended with {status}: {log}")));
    }
    Ok(Outcome { rows, resident, settled })
}

fn reloads(
    host: &mut Host,
    variants: &[Vec<u8>; 2],
    extent: Extent,
    shared: &Shared,
    told: impl Fn(&Row),
) -> io::Result<Vec<Row>> {
    let (mut rows, mut reloads, mut begun) = (Vec::new(), Vec::new(), Instant::now());
    let mut streams = Streams::default();
    for round in 1..=extent.rounds {
        let variant = usize::from(!round.is_multiple_of(2));
        host.place.install("chameleon", &variants[variant])?;
        shared.begun.store(round, Ordering::SeqCst);
        let asked = Instant::now();
        let report = host.reload()?;
        reloads.push(asked.elapsed());
        shared.published.store(round, Ordering::SeqCst);
        if report["status"] != "ok" || report["plugins"]["reloaded"][0]["id"] != "chameleon" {
            return Err(io::Error::other(format!("round {round}: {report:#}")));
        }
        let answer = host.complete("chameleon", "hello")?;
        if answer != [colour(round); 5].join(" ") {
            return Err(io::Error::other(format!("round {round} was answered {answer:?}")));
        }
        if round % extent.row == 0 || round == extent.rounds || round == LEVEL_AFTER {
            let (now, elapsed) = (shared.streams(), begun.elapsed());
            reloads.sort_unstable();
            // How many generations are just draining is chance, and each takes up its megabyte.
            host.settled("chameleon")?;
            let row = Row {
                round,
                elapsed,
                reloads: std::mem::take(&mut reloads),
                streams: Streams {
                    whole: now.whole - streams.whole,
                    left: now.left - streams.left,
                    bad: now.bad - streams.bad,
                },
                footprint: host.footprint()?,
            };
            told(&row);
            rows.push(row);
            (streams, begun) = (now, Instant::now());
        }
    }
    Ok(rows)
}

/// Streams until it is enough. Some answers come at once, some take their time, and some are left in the middle.
fn client(address: SocketAddr, number: u64, shared: &Shared) {
    let mut connection = None;
    for n in number.. {
        if shared.enough.load(Ordering::SeqCst) {
            return;
        }
        // Chunks without a pause come together; with one, answers span a reload.
        let text = if n % 5 == 0 { "hello".to_owned() } else { format!("pause={}", n % 5 - 1) };
        let first = shared.published.load(Ordering::SeqCst);
        let leave = n % 7 == 6;
        match stream(&mut connection, address, &chat("chameleon", &text), leave) {
            Ok(None) => {
                connection = None;
                shared.left.fetch_add(1, Ordering::SeqCst);
            }
            Ok(Some(answer)) => match judge(&answer, first, shared.begun.load(Ordering::SeqCst)) {
                Ok(()) => drop(shared.whole.fetch_add(1, Ordering::SeqCst)),
                Err(bad) => shared.bad().push(bad),
            },
            Err(error) => {
                connection = None;
                shared.bad().push(format!("{error}"));
            }
        }
    }
}

/// A streamed answer; none when it was left in the middle.
fn stream(
    connection: &mut Option<Connection>,
    address: SocketAddr,
    request: &str,
    leave: bool,
) -> io::Result<Option<String>> {
    let connection = match connection {
        Some(connection) => connection,
        None => connection.insert(Connection::open(address)?),
    };
    connection.send("POST", "/api/chat", request)?;
    let head = connection.head()?;
    if leave && head.status == 200 {
        connection.chunk()?;
        return Ok(None);
    }
    let answer = connection.body(&head)?;
    if head.status != 200 {
        return Err(io::Error::other(format!("answered {}: {answer}", head.status)));
    }
    Ok(Some(answer))
}

/// Five times one colour, and one that could be seen between these rounds.
fn judge(answer: &str, first: u64, last: u64) -> Result<(), String> {
    let possible = (first..=last).map(colour).find(|colour| answer == [*colour; 5].join(" "));
    possible.map(drop).ok_or_else(|| format!("{answer:?} between rounds {first} and {last}"))
}

/// Every generation but the one that serves is unmapped, or stays for a reason. Answers with the reasons.
fn nothing_is_left(host: &Host) -> io::Result<Vec<String>> {
    let view = host.settled("chameleon")?;
    let mut expected: BTreeSet<u64> = view["generation"].as_u64().into_iter().collect();
    let mut reasons = Vec::new();
    for resident in view["resident"].as_array().into_iter().flatten() {
        expected.extend(resident["generation"].as_u64());
        let reason = resident["reason"].as_str().filter(|reason| !reason.is_empty());
        reasons.push(reason.ok_or_else(|| io::Error::other("resident without a reason"))?.to_owned());
    }
    for load in view["history"].as_array().into_iter().flatten() {
        let state = load["state"].as_str().unwrap_or_default();
        if !["active", "unloaded", "resident"].contains(&state) {
            return Err(io::Error::other(format!("a generation is still there: {load}")));
        }
    }
    let mapped: BTreeSet<u64> = host.mapped()?.into_iter().map(|(_, generation)| generation).collect();
    if mapped != expected {
        return Err(io::Error::other(format!("mapped are {mapped:?}, expected {expected:?}: {view:#}")));
    }
    match view["in_flight"] {
        Value::Number(ref requests) if requests.as_u64() == Some(0) => Ok(reasons),
        ref other => Err(io::Error::other(format!("requests are under way that nobody makes: {other}"))),
    }
}
