//! Streams and answers that are cut: by the network, by upstream, by whoever reads them.

use patchbay_plugin_api::testing::conformance::request;
use patchbay_plugin_api::testing::every_cut;
use patchbay_plugin_api::{ErrorKind, ProviderError};

use super::PATIENCE;
use super::report::{Findings, Outcome};
use super::stand::{Heard, Stand, Way};
use super::upstream::{End, Reply};
use super::words;

/// What an answer that ends early may become.
const EARLY: [ErrorKind; 4] =
    [ErrorKind::BrokenStream, ErrorKind::Connection, ErrorKind::UnreadableAnswer, ErrorKind::Provider];

/// How an upstream ends early: in good order, which only the dialect can tell, and not.
const ENDS: [(End, &str); 2] = [(End::Whole, "in good order"), (End::Broken, "with the connection")];

/// Every place and way in which something of this length ends early.
fn early(length: usize) -> impl Iterator<Item = (usize, End, &'static str)> {
    (0..length).flat_map(|at| ENDS.map(|(end, how)| (at, end, how)))
}

async fn stream_once(stand: &Stand, way: Way) -> Heard {
    // Fresh each time: whoever fails often is left alone by the host, and that is not the plugin's doing.
    match stand.usual().await {
        Ok(provider) => stand.stream(way, &provider).await,
        Err(error) => Heard { error: Some(error), ..Heard::default() },
    }
}

/// How it is when nothing is cut; none where that fails, which other checks have told.
async fn uncut(stand: &Stand, way: Way, captured: &str) -> Option<Heard> {
    stand.streams([captured.as_bytes().to_vec()], End::Whole);
    Some(stream_once(stand, way).await).filter(Heard::is_complete)
}

pub(super) async fn splits(stand: &Stand) -> Outcome {
    let captured = match words::streamed(stand).await {
        Ok(captured) => captured,
        Err(not_tested) => return not_tested,
    };
    let mut findings = Findings::default();
    for way in words::ways(stand).await {
        let Some(whole) = uncut(stand, way, &captured).await else {
            return Outcome::failed(format!("{} it does not even stream in one piece", way.word()));
        };
        for (at, pieces) in every_cut(captured.as_bytes()).enumerate() {
            stand.streams(pieces, End::Whole);
            let heard = stream_once(stand, way).await;
            if heard.is_complete() && heard.chunks() == whole.chunks() {
                continue;
            }
            let what = match &heard.error {
                Some(error) => format!("an error: {error}"),
                None => format!("{:?} instead of {:?}", heard.text(), whole.text()),
            };
            if !findings.add(format!("{} a stream in two pieces, cut at byte {at}, gives {what}", way.word()))
            {
                return findings.outcome();
            }
        }
    }
    findings.outcome()
}

pub(super) async fn streams(stand: &Stand) -> Outcome {
    let captured = match words::streamed(stand).await {
        Ok(captured) => captured,
        Err(not_tested) => return not_tested,
    };
    let mut findings = Findings::default();
    for way in words::ways(stand).await {
        let Some(whole) = uncut(stand, way, &captured).await else {
            return Outcome::failed(format!("{} it does not even stream all of it", way.word()));
        };
        for (at, end, how) in early(captured.len()) {
            stand.streams([captured.as_bytes()[..at].to_vec()], end);
            let heard = stream_once(stand, way).await;
            let problem = match &heard.error {
                Some(error) => unfit(error),
                // The last line's end says nothing that was not said before.
                None if heard.chunks() == whole.chunks() => None,
                None => Some(format!("is taken for a whole answer: {:?}", heard.text())),
            };
            if let Some(problem) = problem
                && !findings.add(format!("{} a stream that ends {how} at byte {at} {problem}", way.word()))
            {
                return findings.outcome();
            }
        }
    }
    findings.outcome()
}

fn unfit(error: &ProviderError) -> Option<String> {
    (!EARLY.contains(&error.kind)).then(|| format!("becomes {}: {error}", error.kind))
}

pub(super) async fn answers(stand: &Stand) -> Outcome {
    let captured = match words::whole(stand).await {
        Ok(captured) => captured,
        Err(not_tested) => return not_tested,
    };
    let captured = captured.trim_end();
    let mut findings = Findings::default();
    for way in words::ways(stand).await {
        for (at, end, how) in early(captured.len()) {
            let early = &captured.as_bytes()[..at];
            stand.upstream.answers(Reply::new(200, "application/json", early).ends(end));
            let answered = match stand.usual().await {
                Ok(provider) => stand.whole(way, &provider).await,
                Err(error) => Err(error),
            };
            let problem = match answered {
                Ok(_) => Some("is taken for a whole one".to_owned()),
                Err(error) => unfit(&error),
            };
            if let Some(problem) = problem
                && !findings.add(format!("{} an answer that ends {how} at byte {at} {problem}", way.word()))
            {
                return findings.outcome();
            }
        }
    }
    findings.outcome()
}

/// The reader leaves after every chunk that there is, and upstream has more to say.
pub(super) async fn leaving(stand: &Stand) -> Outcome {
    let beginning = match words::unfinished(stand).await {
        Ok(beginning) => beginning,
        Err(not_tested) => return not_tested,
    };
    let mut findings = Findings::default();
    for way in words::ways(stand).await {
        stand.streams([beginning.clone()], End::Whole);
        let most = stream_once(stand, way).await.streamed.chunks.len();
        stand.streams([beginning.clone()], End::Never);
        for after in 0..=most {
            read_and_leave(stand, way, after).await;
            if !stand.upstream.is_left_alone(PATIENCE).await {
                let way = way.word();
                findings.add(format!("{way} upstream goes on though the reader left after {after} chunks"));
                return findings.outcome();
            }
        }
    }
    findings.outcome()
}

async fn read_and_leave(stand: &Stand, way: Way, after: usize) {
    let Ok(provider) = stand.usual().await else { return };
    let Ok(mut reading) = stand.open(way, &provider, request(true)).await else { return };
    let mut heard = Heard::default();
    while heard.streamed.chunks.len() < after && heard.error.is_none() && !heard.streamed.ended {
        reading.read(&mut heard).await;
    }
}
