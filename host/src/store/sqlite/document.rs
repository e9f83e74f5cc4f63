//! A single request as it is kept: what neither its row's other columns nor its group say, as short as can be.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::accounts::Usage;
use crate::providers::Cost;
use crate::usage::{Names, RecordId, UsageRecord, of_millis};

/// See the module. The names stand in it where there is no group, or where its group has another: anybody can make up
/// the name of a model, and no group is made for that.
#[derive(Serialize, Deserialize)]
pub(super) struct Document<'a> {
    #[serde(borrow)]
    request_id: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    key: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    route: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    provider: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    model: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    streamed: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    error: Option<Cow<'a, str>>,
    /// None is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
    /// In microseconds, as the next.
    latency: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first_token: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cost: Option<Cost>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    estimated: bool,
}

impl<'a> Document<'a> {
    /// Of a record in a group with these names.
    pub(super) fn of(record: &'a UsageRecord, group: &Names) -> Self {
        Self {
            request_id: Cow::Borrowed(&record.request_id),
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
            usage: record.usage,
            cost: record.cost,
            estimated: record.estimated,
        }
    }

    /// The record again, of a group with these names.
    pub(super) fn record(self, millis: i64, id: RecordId, group: Names) -> UsageRecord {
        let shared = |own: Option<Cow<'_, str>>, group| own.map(|name| Arc::from(&*name)).or(group);
        UsageRecord {
            id,
            at: of_millis(millis),
            request_id: Arc::from(&*self.request_id),
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
            usage: self.usage,
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
