//! What is known of one request when it is over.

// How its parts are written into the file.
mod forms;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::accounts::{Outcome, Record, Usage};
use crate::identity;
use crate::limits::Wish;
use crate::providers::Cost;

/// Names come from clients and upstreams; nobody needs more of one.
const LONGEST_NAME: usize = 256;

/// What stands in an error's place where the client did not wait for the end.
pub const ABANDONED: &str = "abandoned";

/// One of its kind, whichever process made it: what a record is recognised by when it is written a second time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordId([u8; 16]);

impl RecordId {
    /// Stands before every other.
    pub const FIRST: Self = Self([0; 16]);

    /// One that there was not yet.
    pub fn next() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self((u128::from(identity::process()) << 64 | u128::from(count)).to_be_bytes())
    }

    /// The number of the process that made it.
    pub(crate) fn process(&self) -> u64 {
        (u128::from_be_bytes(self.0) >> 64) as u64
    }

    /// As it is kept.
    pub fn bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// One that was kept.
    pub fn of_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// One that was written out.
    pub fn of_text(text: &str) -> Option<Self> {
        let is_one = text.len() == 32;
        is_one.then(|| u128::from_str_radix(text, 16).ok()).flatten().map(|id| Self(id.to_be_bytes()))
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UsageRecord {
    /// What it is recognised by.
    #[serde(with = "forms::id")]
    pub id: RecordId,
    /// When the request arrived.
    #[serde(with = "forms::time")]
    pub at: SystemTime,
    /// How the request is called in answers and logs.
    #[serde(with = "forms::text")]
    pub request_id: Arc<str>,
    /// The id of the virtual key it came with.
    #[serde(default, with = "forms::text::maybe", skip_serializing_if = "Option::is_none")]
    pub key: Option<Arc<str>>,
    /// The path that it asked.
    pub route: Cow<'static, str>,
    /// Who answered, or was asked last; none where nobody was.
    #[serde(default, with = "forms::text::maybe", skip_serializing_if = "Option::is_none")]
    pub provider: Option<Arc<str>>,
    /// The model that answered, as far as known.
    #[serde(default, with = "forms::text::maybe", skip_serializing_if = "Option::is_none")]
    pub model: Option<Arc<str>>,
    /// Whether the answer was to come in pieces.
    pub streamed: bool,
    /// The HTTP status it was answered with, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The code of what went wrong, before the answer or within it; see [`ABANDONED`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Cow<'static, str>>,
    /// How many tries it took.
    pub attempts: u32,
    /// From its arrival to the answer's end.
    #[serde(with = "forms::micros")]
    pub latency: Duration,
    /// From its arrival to the first of the answer.
    #[serde(default, with = "forms::micros::maybe", skip_serializing_if = "Option::is_none")]
    pub first_token: Option<Duration>,
    /// The tokens, where upstream counted them, or somebody had to estimate them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// What they cost, where they have prices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    /// Whether both are what was expected beforehand, because upstream did not say.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
}

impl UsageRecord {
    /// What is kept of a request that is over; of those that ask no provider nothing is.
    pub fn of(record: &Record) -> Option<Self> {
        let error = match record.outcome {
            Outcome::Answered => None,
            Outcome::Failed(code) => Some(code),
            Outcome::Cut(kind) => Some(kind.as_str()),
            Outcome::Abandoned => Some(ABANDONED),
        };
        let mut kept = Self {
            id: RecordId::next(),
            at: record.at,
            request_id: Arc::clone(&record.request_id),
            key: record.key.as_ref().map(|key| key.id.as_str().into()),
            route: record.route?.into(),
            provider: record.attempts.last().map(|attempt| Arc::clone(&attempt.provider.name)),
            model: record.model.clone(),
            streamed: record.streamed,
            status: record.status,
            error: error.map(Cow::Borrowed),
            attempts: record.attempts.len().try_into().unwrap_or(u32::MAX),
            latency: record.latency,
            first_token: record.first_token,
            usage: record.usage,
            cost: record.cost,
            estimated: false,
        };
        if let (None, Some(expected)) = (record.usage, record.expected) {
            kept.estimate(expected);
        }
        kept.shorten();
        Some(kept)
    }

    /// Takes it for what was expected, as budgets do. What has no price is expected to cost nothing, which says nothing.
    fn estimate(&mut self, Wish { cost, tokens, prompt }: Wish) {
        self.usage = Some(Usage {
            prompt_tokens: prompt,
            completion_tokens: tokens.saturating_sub(prompt),
            total_tokens: tokens,
            ..Usage::default()
        });
        self.cost = Some(cost).filter(|cost| *cost > Cost::ZERO);
        self.estimated = true;
    }

    /// Whether the client did not wait for the end.
    pub fn is_abandoned(&self) -> bool {
        self.error.as_deref() == Some(ABANDONED)
    }

    /// Milliseconds since 1970: as exact as a store keeps the time.
    pub fn millis(&self) -> i64 {
        millis(self.at)
    }

    /// Cuts what is longer than any name is.
    fn shorten(&mut self) {
        cut(&mut self.request_id);
        self.key.iter_mut().chain(&mut self.provider).chain(&mut self.model).for_each(cut);
    }
}

fn cut(name: &mut Arc<str>) {
    if name.len() > LONGEST_NAME {
        let end = (0..=LONGEST_NAME).rev().find(|end| name.is_char_boundary(*end));
        *name = name[..end.unwrap_or(0)].into();
    }
}

/// Milliseconds since 1970.
pub(crate) fn millis(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis().try_into().unwrap_or(i64::MAX)
}

/// The time so many milliseconds after 1970.
pub(crate) fn of_millis(millis: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(millis.max(0).cast_unsigned())
}

#[cfg(test)]
mod tests {
    use super::super::testing::record;
    use super::*;

    #[test]
    fn a_record_is_read_back_as_it_was() {
        let full = record(1_800_000_000_123);
        let bare = UsageRecord {
            key: None,
            provider: None,
            model: None,
            error: Some("model_not_found".into()),
            first_token: None,
            usage: None,
            cost: None,
            ..record(5)
        };
        for record in [full, bare] {
            let line = serde_json::to_string(&record).unwrap();
            assert_eq!(serde_json::from_str::<UsageRecord>(&line).unwrap(), record, "{line}");
        }
    }

    #[test]
    fn no_two_have_the_same_id() {
        let (one, two) = (RecordId::next(), RecordId::next());
        assert_ne!(one, two);
        assert_eq!(RecordId::of_text(&one.to_string()), Some(one));
        assert_eq!(RecordId::of_text("12"), None);
    }

    #[test]
    fn a_name_takes_no_more_room_than_names_do() {
        let mut record = UsageRecord { model: Some("é".repeat(10_000).into()), ..record(5) };
        record.shorten();
        assert_eq!(record.model.unwrap().len(), LONGEST_NAME);
    }
}
