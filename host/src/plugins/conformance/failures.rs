//! Upstreams that fail, in every way there is: by what their errors become, the gateway knows what to do next.

use std::time::Duration;

use patchbay_plugin_api::testing::conformance::{FAILURES, misread};
use patchbay_plugin_api::{ErrorKind, ProviderError};

use super::PATIENCE;
use super::report::{Findings, Outcome};
use super::stand::{Stand, Way};
use super::upstream::{End, Reply, Upstream};
use super::words;
use crate::plugins::features::Feature;

/// What upstream asks for when it is asked too often.
const RETRY_AFTER: Duration = Duration::from_secs(7);

/// How long an upstream is waited for that never answers.
const HANGS: Duration = Duration::from_millis(300);

/// One way in which an upstream fails, and what may become of it.
struct Failure {
    name: &'static str,
    reply: Reply,
    kinds: &'static [ErrorKind],
}

/// What became of a failure, asked for whole and, where it streams, for a stream: none where it was no error.
async fn asked(stand: &Stand, way: Way, address: &str, timeout: Duration) -> Vec<Option<ProviderError>> {
    let mut errors = Vec::new();
    for streamed in [false, true] {
        if streamed && !stand.manifest.supported_features.has(Feature::Streaming) {
            continue;
        }
        // Fresh each time: whoever fails is left alone by the host for a while.
        let provider = match stand.provider(address, timeout).await {
            Ok(provider) => provider,
            Err(error) => return vec![Some(error)],
        };
        errors.push(match streamed {
            false => stand.whole(way, &provider).await.err(),
            true => stand.stream(way, &provider).await.error,
        });
    }
    errors
}

/// Why nothing can be said of it: failures that nobody meets mean nothing.
async fn untestable(stand: &Stand) -> Option<Outcome> {
    words::whole(stand).await.err()
}

pub(super) async fn statuses(stand: &Stand) -> Outcome {
    if let Some(not_tested) = untestable(stand).await {
        return not_tested;
    }
    let mut findings = Findings::default();
    for way in words::ways(stand).await {
        for (status, _) in FAILURES {
            let body = stand.captures.failure(status);
            let reply = Reply::new(status, "application/json", body).header("retry-after", "7");
            stand.upstream.answers(reply);
            for error in asked(stand, way, &stand.upstream.address(), PATIENCE).await {
                let problem = match &error {
                    None => Some(format!("{status} was taken for an answer")),
                    Some(error) => misread(status, Some(RETRY_AFTER), error),
                };
                if let Some(problem) = problem
                    && !findings.add(format!("{} {problem}", way.word()))
                {
                    return findings.outcome();
                }
            }
        }
    }
    findings.outcome()
}

pub(super) async fn connections(stand: &Stand) -> Outcome {
    const FAILED: &[ErrorKind] = &[ErrorKind::Connection, ErrorKind::BrokenStream];
    const HALF: &[ErrorKind] = &[ErrorKind::Connection, ErrorKind::BrokenStream, ErrorKind::UnreadableAnswer];
    if let Some(not_tested) = untestable(stand).await {
        return not_tested;
    }
    let half = Reply::new(200, "application/octet-stream", "half").ends(End::Broken);
    let cut = [
        Failure { name: "that is cut in its head", reply: half.clone().ends(End::InHead), kinds: FAILED },
        Failure { name: "that is cut in its body", reply: half, kinds: HALF },
    ];
    let mut findings = judge(stand, &cut).await;
    let Ok(nobody) = Upstream::nobody().await else { return findings.outcome() };
    for way in words::ways(stand).await {
        for error in asked(stand, way, &nobody, PATIENCE).await {
            compare(way, "that is refused", FAILED, error.as_ref(), &mut findings);
        }
    }
    findings.outcome()
}

pub(super) async fn bodies(stand: &Stand) -> Outcome {
    const UNREADABLE: &[ErrorKind] =
        &[ErrorKind::UnreadableAnswer, ErrorKind::BrokenStream, ErrorKind::Provider, ErrorKind::Connection];
    if let Some(not_tested) = untestable(stand).await {
        return not_tested;
    }
    let ok = |name, content_type: &str, body: &str| Failure {
        name,
        reply: Reply::new(200, content_type, body),
        kinds: UNREADABLE,
    };
    let (json, stream) = ("application/json", &*stand.captures.stream_type);
    let nonsense = [
        ok("with an empty body", json, ""),
        ok("with an empty stream", stream, ""),
        ok("whose JSON is of something else", json, r#"{"weather": ["fine"]}"#),
        ok("that is no JSON", json, "what a fine day"),
        ok("that is a page", "text/html", "<html><body>It works!</body></html>"),
        ok("whose events are nonsense", stream, "data: {\n\n\u{0}\n: what\n{\n\n"),
        ok("that is not text", "application/octet-stream", "\u{7f}ELF\u{1}\u{1}"),
    ];
    judge(stand, &nonsense).await.outcome()
}

async fn judge(stand: &Stand, failures: &[Failure]) -> Findings {
    let mut findings = Findings::default();
    for way in words::ways(stand).await {
        for failure in failures {
            stand.upstream.answers(failure.reply.clone());
            for error in asked(stand, way, &stand.upstream.address(), PATIENCE).await {
                if !compare(way, failure.name, failure.kinds, error.as_ref(), &mut findings) {
                    return findings;
                }
            }
        }
    }
    findings
}

/// False when there are findings enough.
fn compare(
    way: Way,
    name: &str,
    kinds: &[ErrorKind],
    error: Option<&ProviderError>,
    findings: &mut Findings,
) -> bool {
    let way = way.word();
    match error {
        None => findings.add(format!("{way} an answer {name} is taken for a good one")),
        Some(error) if !kinds.contains(&error.kind) => {
            findings.add(format!("{way} an answer {name} becomes {}: {error}", error.kind))
        }
        Some(_) => true,
    }
}

pub(super) async fn hanging(stand: &Stand) -> Outcome {
    if let Some(not_tested) = untestable(stand).await {
        return not_tested;
    }
    let mut findings = Findings::default();
    for way in words::ways(stand).await {
        stand.upstream.answers(Reply::json("").ends(End::Silent));
        for error in asked(stand, way, &stand.upstream.address(), HANGS).await {
            compare(way, "that never comes", &[ErrorKind::TimedOut], error.as_ref(), &mut findings);
        }
        if !stand.upstream.is_left_alone(PATIENCE).await {
            findings.add(format!("{} the request goes on though nobody waits for it", way.word()));
        }
    }
    findings.outcome()
}
