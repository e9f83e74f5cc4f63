//! A single request as it is kept: what neither its row's other columns nor its group say, as short as can be. There are
//! millions of them, and a busy host writes thousands a second: the names of the members are a letter each.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::accounts::Usage;
use crate::identity::request_prefix;
use crate::providers::Cost;
use crate::usage::{Names, RecordId, UsageRecord, of_millis};

/// See the module. The names stand in it where there is no group, or where its group has another: anybody can make up
/// the name of a model, and no group is made for that. Those of members in full are how older hosts wrote them.
#[derive(Serialize, Deserialize)]
pub(super) struct Document<'a> {
    /// What the id of the request has after that of its process.
    #[serde(borrow, rename = "n", default, skip_serializing_if = "Option::is_none")]
    number: Option<Cow<'a, str>>,
    /// The id as a whole, where the client chose it.
    #[serde(borrow, rename = "i", alias = "request_id", default, skip_serializing_if = "Option::is_none")]
    request_id: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "k", alias = "key", default, skip_serializing_if = "Option::is_none")]
    key: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "r", alias = "route", default, skip_serializing_if = "Option::is_none")]
    route: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "p", alias = "provider", default, skip_serializing_if = "Option::is_none")]
    provider: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "m", alias = "model", default, skip_serializing_if = "Option::is_none")]
    model: Option<Cow<'a, str>>,
    #[serde(rename = "o", alias = "streamed", default, skip_serializing_if = "std::ops::Not::not")]
    streamed: bool,
    #[serde(rename = "s", alias = "status", default, skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(borrow, rename = "e", alias = "error", default, skip_serializing_if = "Option::is_none")]
    error: Option<Cow<'a, str>>,
    /// None is one.
    #[serde(rename = "a", alias = "attempts", default, skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
    /// In microseconds, as the next.
    #[serde(rename = "l", alias = "latency")]
    latency: u64,
    #[serde(rename = "f", alias = "first_token", default, skip_serializing_if = "Option::is_none")]
    first_token: Option<u64>,
    #[serde(rename = "u", alias = "usage", default, skip_serializing_if = "Option::is_none")]
    usage: Option<Counts>,
    #[serde(rename = "c", alias = "cost", default, skip_serializing_if = "Option::is_none")]
    cost: Option<Cost>,
    #[serde(rename = "g", alias = "estimated", default, skip_serializing_if = "std::ops::Not::not")]
    estimated: bool,
}

/// Token counts without their names.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(untagged)]
enum Counts {
    /// Of the question and of the answer, which are all.
    Both(u64, u64),
    /// Those, the total, cached, kept, and of thoughts.
    All(u64, u64, u64, u64, u64, u64),
    /// As older hosts wrote them.
    Named(Usage),
}

impl From<Usage> for Counts {
    fn from(usage: Usage) -> Self {
        let Usage { prompt_tokens, completion_tokens, total_tokens, .. } = usage;
        let both = Self::Both(prompt_tokens, completion_tokens);
        if Usage::from(both) == usage {
            return both;
        }
        let (cached, written, reasoning) =
            (usage.cached_tokens, usage.cache_write_tokens, usage.reasoning_tokens);
        Self::All(prompt_tokens, completion_tokens, total_tokens, cached, written, reasoning)
    }
}

impl From<Counts> for Usage {
    fn from(counts: Counts) -> Self {
        let of = |prompt_tokens, completion_tokens, total_tokens| Self {
            prompt_tokens,
            completion_tokens,
            total_tokens,
            ..Self::default()
        };
        match counts {
            Counts::Both(prompt, completion) => of(prompt, completion, prompt.saturating_add(completion)),
            Counts::All(prompt, completion, total, cached, written, reasoning) => Self {
                cached_tokens: cached,
                cache_write_tokens: written,
                reasoning_tokens: reasoning,
                ..of(prompt, completion, total)
            },
            Counts::Named(usage) => usage,
        }
    }
}

/// Writes documents one after the other, most of which one process has named.
#[derive(Default)]
pub(super) struct Documents {
    last: Option<(u64, String)>,
}

impl Documents {
    /// That of a record in a group with these names.
    pub(super) fn of<'a>(&mut self, record: &'a UsageRecord, group: &Names) -> Document<'a> {
        let number = record.request_id.strip_prefix(self.prefix(record.id.process()));
        Document {
            number: number.map(Cow::Borrowed),
            request_id: number.is_none().then(|| Cow::Borrowed(&*record.request_id)),
            key: own(record.key.as_deref(), group.key.as_deref()),
            route: own(Some(&record.route), group.route.as_deref()),
            provider: own(record.provider.as_deref(), group.provider.as_deref()),
            model: own(record.model.as_deref(), group.model.as_deref()),
            streamed: record.streamed,
            status: record.status,
            error: record.error.as_deref().map(Cow::Borrowed),
            attempts: Some(record.attempts).filter(|attempts| *attempts != 1),
            latency: micros(record.latency),
            first_token: record.first_token.map(micros),
            usage: record.usage.map(Counts::from),
            cost: record.cost,
            estimated: record.estimated,
        }
    }

    fn prefix(&mut self, process: u64) -> &str {
        if self.last.as_ref().is_none_or(|(last, _)| *last != process) {
            self.last = None;
        }
        &self.last.get_or_insert_with(|| (process, request_prefix(process))).1
    }
}

impl Document<'_> {
    /// The record again, of a group with these names.
    pub(super) fn record(self, millis: i64, id: RecordId, group: Names) -> UsageRecord {
        let shared = |own: Option<Cow<'_, str>>, group| own.map(|name| Arc::from(&*name)).or(group);
        let request_id = match (self.number, self.request_id) {
            (Some(number), _) => format!("{}{number}", request_prefix(id.process())).into(),
            (None, whole) => Arc::from(&*whole.unwrap_or_default()),
        };
        UsageRecord {
            id,
            at: of_millis(millis),
            request_id,
            key: shared(self.key, group.key),
            route: shared(self.route, group.route).unwrap_or_default().to_string().into(),
            provider: shared(self.provider, group.provider),
            model: shared(self.model, group.model),
            streamed: self.streamed,
            status: self.status,
            error: self.error.map(|error| error.into_owned().into()),
            attempts: self.attempts.unwrap_or(1),
            latency: Duration::from_micros(self.latency),
            first_token: self.first_token.map(Duration::from_micros),
            usage: self.usage.map(Usage::from),
            cost: self.cost,
            estimated: self.estimated,
        }
    }
}

/// What the group does not say.
fn own<'a>(name: Option<&'a str>, group: Option<&str>) -> Option<Cow<'a, str>> {
    name.filter(|_| name != group).map(Cow::Borrowed)
}

fn micros(time: Duration) -> u64 {
    time.as_micros().try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::testing::record;

    fn again(json: &str, record: &UsageRecord, group: &Names) -> UsageRecord {
        let document: Document<'_> = serde_json::from_str(json).unwrap();
        document.record(record.millis(), record.id, group.clone())
    }

    #[test]
    fn what_is_kept_is_short_and_read_back_as_it_was() {
        let mut documents = Documents::default();
        let few = Usage { prompt_tokens: 3, completion_tokens: 5, total_tokens: 8, ..Usage::default() };
        let odd = Usage { total_tokens: 9, ..few };
        let plain = UsageRecord {
            request_id: format!("{}00002a", request_prefix(RecordId::next().process())).into(),
            latency: Duration::from_micros(812),
            first_token: None,
            streamed: false,
            usage: Some(few),
            cost: None,
            ..record(1_800_000_000_123)
        };
        let group = Names {
            provider: plain.provider.clone(),
            model: plain.model.clone(),
            key: plain.key.clone(),
            route: Some(Arc::from(&*plain.route)),
        };
        for (record, group, expected) in [
            (plain.clone(), &group, Some(r#"{"n":"00002a","s":200,"l":812,"u":[3,5]}"#)),
            (UsageRecord { usage: Some(odd), ..plain.clone() }, &group, None),
            (UsageRecord { usage: None, status: None, ..plain.clone() }, &group, None),
            (UsageRecord { request_id: "req-of-the-client".into(), attempts: 3, ..plain }, &group, None),
            (record(1_800_000_000_123), &Names::default(), None),
        ] {
            let json = serde_json::to_string(&documents.of(&record, group)).unwrap();
            assert_eq!(again(&json, &record, group), record, "{json}");
            assert!(expected.is_none_or(|expected| expected == json), "{json}");
        }
    }

    #[test]
    fn what_older_hosts_wrote_is_read() {
        let usage = Usage { prompt_tokens: 3, completion_tokens: 5, total_tokens: 8, ..Usage::default() };
        let old = r#"{"request_id":"r","key":"k","route":"/v1","provider":"p","model":"m","streamed":true,"status":200,
            "error":"timeout","attempts":2,"latency":7,"first_token":6,"cost":0.5,"estimated":true,
            "usage":{"prompt_tokens":3,"completion_tokens":5,"total_tokens":8}}"#;
        let expected = UsageRecord {
            request_id: "r".into(),
            key: Some("k".into()),
            route: "/v1".into(),
            provider: Some("p".into()),
            model: Some("m".into()),
            streamed: true,
            status: Some(200),
            error: Some("timeout".into()),
            attempts: 2,
            latency: Duration::from_micros(7),
            first_token: Some(Duration::from_micros(6)),
            usage: Some(usage),
            cost: serde_json::from_str("0.5").ok(),
            estimated: true,
            ..record(5)
        };
        assert_eq!(again(old, &expected, &Names::default()), expected);
    }
}
