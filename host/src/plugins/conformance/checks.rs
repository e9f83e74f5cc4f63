//! The checks, in the order they are made.

use std::time::Duration;

use bytes::Bytes;
use patchbay_plugin_api::testing::conformance::CASES;
use tokio::sync::oneshot;

use super::report::Outcome;
use super::stand::Stand;
use super::{PATIENCE, conversations, cuts, failures, operations, reloads, subject, words};
use crate::plugins::generation::Generation;
use crate::plugins::job::{self, InstanceId, Job, Operation};

/// One thing that the plugin has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    Provider,
    Configuration,
    Answer,
    Stream,
    /// Of the SDK's own cases, which run on a plugin's type in its own tests as well.
    Case(usize),
    Conversations,
    Arrival,
    Splits,
    StreamCuts,
    AnswerCuts,
    Leaving,
    Statuses,
    Connections,
    Bodies,
    Hanging,
    Models,
    Health,
    Credentials,
    Embeddings,
    Dropping,
    Reloads,
}

pub(super) const ALL: [Check; 25] = [
    Check::Provider,
    Check::Configuration,
    Check::Answer,
    Check::Stream,
    Check::Case(0),
    Check::Case(1),
    Check::Case(2),
    Check::Case(3),
    Check::Case(4),
    Check::Conversations,
    Check::Arrival,
    Check::Splits,
    Check::StreamCuts,
    Check::AnswerCuts,
    Check::Leaving,
    Check::Statuses,
    Check::Connections,
    Check::Bodies,
    Check::Hanging,
    Check::Models,
    Check::Health,
    Check::Credentials,
    Check::Embeddings,
    Check::Dropping,
    Check::Reloads,
];

impl Check {
    /// What the plugin does, in words that follow its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Provider => "makes a provider",
            Self::Configuration => "refuses a configuration that is nonsense",
            Self::Answer => "gives upstream's answer whole",
            Self::Stream => "gives upstream's answer as a stream",
            Self::Case(number) => CASES[number].name,
            Self::Conversations => "takes or refuses whatever a conversation may hold",
            Self::Arrival => "hands a stream on while it comes",
            Self::Splits => "gives the same chunks wherever the network cuts a stream",
            Self::StreamCuts => "takes no stream that ends early for a whole one",
            Self::AnswerCuts => "takes no answer that ends early for a whole one",
            Self::Leaving => "lets go of upstream when the reader leaves",
            Self::Statuses => "says what upstream's failures mean",
            Self::Connections => "says that a connection failed",
            Self::Bodies => "takes nonsense for no answer",
            Self::Hanging => "lets go of an upstream that hangs",
            Self::Models => "lists models",
            Self::Health => "tells whether upstream is well",
            Self::Credentials => "tells whether the key is good",
            Self::Embeddings => "gives vectors",
            Self::Dropping => "goes away when its provider does",
            Self::Reloads => "is loaded and unloaded again and again",
        }
    }

    /// Makes it, with what every check has to find beside its own; and says why no others can be made after it.
    pub(super) async fn run(self, stand: &Stand, reloads: usize) -> (Outcome, Option<&'static str>) {
        let outcome = match self {
            Self::Provider => operations::provider(stand).await,
            Self::Configuration => operations::configuration(stand).await,
            Self::Answer => words::answer(stand).await,
            Self::Stream => words::stream(stand).await,
            Self::Case(number) => subject::case(stand, number).await,
            Self::Conversations => conversations::anything(stand).await,
            Self::Arrival => words::arrival(stand).await,
            Self::Splits => cuts::splits(stand).await,
            Self::StreamCuts => cuts::streams(stand).await,
            Self::AnswerCuts => cuts::answers(stand).await,
            Self::Leaving => cuts::leaving(stand).await,
            Self::Statuses => failures::statuses(stand).await,
            Self::Connections => failures::connections(stand).await,
            Self::Bodies => failures::bodies(stand).await,
            Self::Hanging => failures::hanging(stand).await,
            Self::Models => operations::models(stand).await,
            Self::Health => operations::health(stand).await,
            Self::Credentials => operations::credentials(stand).await,
            Self::Embeddings => operations::embeddings(stand).await,
            Self::Dropping => reloads::dropping(stand).await,
            Self::Reloads => reloads::again_and_again(stand, reloads).await,
        };
        let (left, over) = if !comes_by(&stand.generation).await {
            let stuck = "its thread did not come back: it blocks or spins".to_owned();
            (Some(stuck), Some("its thread did not come back from a check before"))
        } else if let Some(left) = left_behind(stand).await {
            (Some(left), Some("what a check before has left behind is in the way"))
        } else if self == Self::Provider && outcome != Outcome::Passed {
            (None, Some("there is no provider to test"))
        } else {
            (None, None)
        };
        let more: Vec<String> = stand.noticed().into_iter().chain(left).collect();
        (if more.is_empty() { outcome } else { outcome.and(more) }, over)
    }
}

/// Whether its thread still does what it is told: it is asked for something of a provider that is not there.
async fn comes_by(generation: &Generation) -> bool {
    let (reply, answer) = oneshot::channel();
    let question = job::Question { id: 0, body: Bytes::new(), meta: String::new() };
    let job = Job::Ask { instance: InstanceId::MAX, operation: Operation::Health, question, reply };
    let asked = async {
        if generation.submit(job).await.is_ok() {
            // That there is no such provider is known.
            let _ = answer.await;
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.is_ok()
}

/// What of the check still runs, though nobody waits for it any more.
async fn left_behind(stand: &Stand) -> Option<String> {
    if !stand.upstream.is_left_alone(PATIENCE).await {
        return Some("a connection to upstream stayed open when nobody waited for it any more".to_owned());
    }
    let alive = || stand.generation.shared.pulse.alive();
    let gone = async {
        while alive() != (0, 0) {
            // Its thread lets go of them in its own time, and tells nobody.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    if tokio::time::timeout(PATIENCE, gone).await.is_ok() {
        return None;
    }
    let (providers, operations) = alive();
    Some(format!("{} of its providers and operations were never dropped", providers + operations))
}
