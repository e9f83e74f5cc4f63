//! What upstream says arrives, whole and as a stream.

use patchbay_plugin_api::testing::conformance::request;
use serde_json::Value;

use super::report::{Findings, Outcome};
use super::stand::{Heard, Stand, Way};
use super::upstream::{End, Reply};
use crate::plugins::features::Feature;

pub(super) const NO_ANSWER: &str = "no answer of upstream's is known: capture one as conformance/answer.json";
pub(super) const NO_STREAM: &str = "no stream of upstream's is known: capture one as conformance/stream.txt";
pub(super) const NO_STREAMING: &str = "\"streaming\" is not among its features";
pub(super) const NO_UPSTREAM: &str = "it asks no upstream";

/// Why nothing can be said of whole answers of upstream's; else one of them.
pub(super) async fn whole(stand: &Stand) -> Result<String, Outcome> {
    let answer = stand.captures.answer.clone().ok_or_else(|| Outcome::not_tested(NO_ANSWER))?;
    asks_upstream(stand).await.then_some(answer).ok_or_else(|| Outcome::not_tested(NO_UPSTREAM))
}

/// Why nothing can be said of streams of upstream's; else one of them.
pub(super) async fn streamed(stand: &Stand) -> Result<String, Outcome> {
    if !stand.manifest.supported_features.has(Feature::Streaming) {
        return Err(Outcome::not_tested(NO_STREAMING));
    }
    let stream = stand.captures.stream.clone().ok_or_else(|| Outcome::not_tested(NO_STREAM))?;
    asks_upstream(stand).await.then_some(stream).ok_or_else(|| Outcome::not_tested(NO_UPSTREAM))
}

/// Whether an answer takes an upstream at all.
async fn asks_upstream(stand: &Stand) -> bool {
    let before = stand.upstream.asked();
    if let Some(answer) = &stand.captures.answer {
        stand.upstream.answers(Reply::json(answer));
    }
    if let Ok(provider) = stand.usual().await {
        for way in Stand::ways(&provider) {
            // Whatever comes of it: asked is asked.
            let _ = stand.whole(way, &provider).await;
        }
    }
    stand.upstream.asked() > before
}

pub(super) async fn answer(stand: &Stand) -> Outcome {
    let captured = match whole(stand).await {
        Ok(captured) => captured,
        Err(not_tested) => return not_tested,
    };
    let provider = match stand.usual().await {
        Ok(provider) => provider,
        Err(error) => return Outcome::failed(error.to_string()),
    };
    stand.upstream.answers(Reply::json(&captured));
    let mut findings = Findings::default();
    for way in Stand::ways(&provider) {
        match stand.whole(way, &provider).await {
            Err(error) => {
                findings.add(format!("no answer {}: {} ({error})", way.word(), error.kind));
            }
            Ok(answer) => {
                let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
                let said = answer["choices"][0]["message"]["content"].as_str();
                compare(stand, way, said.unwrap_or_default(), &mut findings);
            }
        }
    }
    findings.outcome()
}

pub(super) async fn stream(stand: &Stand) -> Outcome {
    let captured = match streamed(stand).await {
        Ok(captured) => captured,
        Err(not_tested) => return not_tested,
    };
    let provider = match stand.usual().await {
        Ok(provider) => provider,
        Err(error) => return Outcome::failed(error.to_string()),
    };
    stand.streams([captured.into_bytes()], End::Whole);
    let mut findings = Findings::default();
    for way in Stand::ways(&provider) {
        let heard = stand.stream(way, &provider).await;
        match &heard.error {
            Some(error) => {
                findings.add(format!("the stream failed {}: {} ({error})", way.word(), error.kind));
            }
            None => compare(stand, way, &heard.text(), &mut findings),
        }
    }
    findings.outcome()
}

fn compare(stand: &Stand, way: Way, said: &str, findings: &mut Findings) {
    if let Some(text) = stand.captures.text.as_deref()
        && said != text
    {
        findings.add(format!("{} it says {said:?}, upstream said {text:?}", way.word()));
    }
}

/// Why nothing can be said of streams that are not at their end; else the beginning of one.
pub(super) async fn unfinished(stand: &Stand) -> Result<Vec<u8>, Outcome> {
    let captured = streamed(stand).await?;
    let one_event = || Outcome::not_tested("the captured stream is of one event only");
    all_but_the_last_event(&captured).ok_or_else(one_event)
}

/// All but the last event, so that there is something more to wait for.
fn all_but_the_last_event(stream: &str) -> Option<Vec<u8>> {
    let events = stream.trim_end();
    let end = events.rfind("\n\n").map(|at| at + 2).or_else(|| events.rfind('\n').map(|at| at + 1))?;
    Some(stream.as_bytes()[..end].to_vec())
}

pub(super) async fn arrival(stand: &Stand) -> Outcome {
    let beginning = match unfinished(stand).await {
        Ok(beginning) => beginning,
        Err(not_tested) => return not_tested,
    };
    let mut findings = Findings::default();
    for way in ways(stand).await {
        stand.streams([beginning.clone()], End::Never);
        let Ok(provider) = stand.usual().await else { continue };
        let mut heard = Heard::default();
        match stand.open(way, &provider, request(true)).await {
            Err(error) => heard.error = Some(error),
            Ok(mut reading) => {
                while heard.text().is_empty() && heard.error.is_none() && !heard.streamed.ended {
                    reading.read(&mut heard).await;
                }
            }
        }
        if heard.text().is_empty() {
            findings.add(format!(
                "{} no text came before upstream had ended its stream: hand each event on when it is there",
                way.word()
            ));
        }
    }
    findings.outcome()
}

/// The ways in which it answers; none where no provider can be made, which the first checks have told.
pub(super) async fn ways(stand: &Stand) -> Vec<Way> {
    stand.usual().await.map_or_else(|_| Vec::new(), |provider| Stand::ways(&provider))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_event_is_found_in_every_framing() {
        for (stream, beginning) in [
            ("data: a\n\ndata: b\n\n", Some("data: a\n\n")),
            ("event: a\ndata: b\n\nevent: c\ndata: d\n", Some("event: a\ndata: b\n\n")),
            ("{\"a\":1}\n{\"b\":1}\n", Some("{\"a\":1}\n")),
            ("data: a\n\n", None),
        ] {
            let expected = beginning.map(|text| text.as_bytes().to_vec());
            assert_eq!(all_but_the_last_event(stream), expected, "{stream:?}");
        }
    }
}
