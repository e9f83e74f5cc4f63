//! Single requests that have something in common, looked for from the latest on.
//!
//! They lie by the time of their arrival and by nothing else. So whoever looks for few of them looks at many, a page at
//! a time, and stops when that was enough: what has been found then is told, and where to go on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Filter, Place, UsageBook, UsageRecord};
use crate::store::StoreError;

/// What is read at one time.
const PAGE: usize = 1000;

/// Whoever looks longer than this is told what was found by then.
const LOOK_WITHIN: Duration = Duration::from_secs(4);

/// Which requests are looked for.
#[derive(Clone, Debug)]
pub struct RequestQuery {
    /// From this one on, which is not among them; from the latest without one.
    pub before: Option<Place>,
    /// Back to this millisecond since 1970.
    pub since: i64,
    /// What they have in common.
    pub filter: Filter,
    /// The code of what went wrong.
    pub error: Option<String>,
    /// Whether something went wrong, here or upstream.
    pub failed: bool,
    /// They took so long, or longer.
    pub min_latency: Duration,
    /// So many of them.
    pub limit: usize,
    /// So many are looked at, and not many more.
    pub look_at: usize,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The requests, the last that arrived first.
    pub records: Vec<UsageRecord>,
    /// How many were looked at.
    pub looked_at: usize,
    /// Where to go on; none where there is nothing more. Who looks for few of many is not told for sure.
    pub next: Option<Place>,
}

impl RequestQuery {
    fn takes(&self, record: &UsageRecord) -> bool {
        let failed = record.error.is_some() && !record.is_abandoned();
        let is = |wanted: &Option<Arc<str>>, name: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| name == Some(wanted))
        };
        (failed || !self.failed)
            && record.latency >= self.min_latency
            && self.error.as_deref().is_none_or(|code| record.error.as_deref() == Some(code))
            && is(&self.filter.provider, record.provider.as_deref())
            && is(&self.filter.model, record.model.as_deref())
            && is(&self.filter.key, record.key.as_deref())
            && is(&self.filter.route, Some(&record.route))
    }

    /// Whether it takes whatever comes.
    fn takes_all(&self) -> bool {
        !self.failed && self.error.is_none() && self.min_latency.is_zero() && self.filter == Filter::default()
    }
}

impl UsageBook {
    /// Looks for single requests.
    pub async fn search(&self, query: &RequestQuery) -> Result<Found, StoreError> {
        let (mut found, mut before, began) = (Found::default(), query.before, Instant::now());
        // One more than is wanted tells whether there are more.
        let page = if query.takes_all() { query.limit + 1 } else { PAGE };
        loop {
            let records = self.recent(before, page).await?;
            let is_last = records.len() < page;
            for record in records {
                if record.millis() < query.since {
                    return Ok(found);
                }
                let is_wanted = query.takes(&record);
                if is_wanted && found.records.len() == query.limit {
                    found.next = before;
                    return Ok(found);
                }
                found.looked_at += 1;
                before = Some(Place { millis: record.millis(), id: record.id });
                if is_wanted {
                    found.records.push(record);
                }
            }
            if is_last {
                return Ok(found);
            }
            // To know whether there is one more, this page was looked at to its end, and no further one is.
            let is_full = found.records.len() == query.limit;
            if is_full || found.looked_at >= query.look_at || began.elapsed() >= LOOK_WITHIN {
                found.next = before;
                return Ok(found);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::super::millis;
    use super::super::testing::record;
    use super::*;
    use crate::config::UsageSettings;
    use crate::store::{SqliteStore, Store as _};

    fn everything() -> RequestQuery {
        RequestQuery {
            before: None,
            since: 0,
            filter: Filter::default(),
            error: None,
            failed: false,
            min_latency: Duration::ZERO,
            limit: 100,
            look_at: usize::MAX,
        }
    }

    #[tokio::test]
    async fn what_is_looked_for_is_found_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&dir.path().join("store.sqlite")).await.unwrap();
        // Lately: what is old is taken out.
        let began = millis(SystemTime::now()) - 10_000;
        // Every tenth failed, every hundredth was slow, one was abandoned.
        let some = (0..2500).map(|number| UsageRecord {
            error: match number {
                7 => Some("abandoned".into()),
                _ if number % 10 == 0 => Some("timed_out".into()),
                _ => None,
            },
            latency: Duration::from_millis(if number % 100 == 1 { 2000 } else { 10 }),
            key: Some(if number < 5 { "key_1" } else { "key_2" }.into()),
            ..record(began + number)
        });
        store.write_usage(&some.collect::<Vec<_>>()).await.unwrap();
        let book = UsageBook::open(Arc::new(store), dir.path(), &UsageSettings::default()).unwrap();
        let key = |id: &str| Filter { key: Some(id.into()), ..Filter::default() };
        let slow = Duration::from_secs(2);
        for (query, count, first, looked_at, is_more) in [
            (RequestQuery { limit: 3, ..everything() }, 3, 2499, 3, true),
            (RequestQuery { limit: 2499, ..everything() }, 2499, 2499, 2499, true),
            (RequestQuery { limit: 2500, ..everything() }, 2500, 2499, 2500, false),
            (RequestQuery { limit: 100, since: began + 2400, ..everything() }, 100, 2499, 100, false),
            (RequestQuery { failed: true, limit: 1000, ..everything() }, 250, 2490, 2500, false),
            (RequestQuery { failed: true, since: began + 2400, ..everything() }, 10, 2490, 100, false),
            (RequestQuery { error: Some("abandoned".to_owned()), ..everything() }, 1, 7, 2500, false),
            (RequestQuery { min_latency: slow, ..everything() }, 25, 2401, 2500, false),
            (RequestQuery { min_latency: slow, limit: 25, ..everything() }, 25, 2401, 2500, false),
            // Up to the one that is not wanted any more.
            (RequestQuery { min_latency: slow, limit: 1, ..everything() }, 1, 2401, 198, true),
            // Or to the end of what was read.
            (RequestQuery { min_latency: slow, limit: 10, ..everything() }, 10, 2401, 1000, true),
            (RequestQuery { filter: key("key_1"), ..everything() }, 5, 4, 2500, false),
            (RequestQuery { filter: key("key_1"), failed: true, ..everything() }, 1, 0, 2500, false),
        ] {
            let found = book.search(&query).await.unwrap();
            let seen = (found.records.len(), found.records[0].millis() - began, found.looked_at);
            assert_eq!(seen, (count, first, looked_at), "{query:?}");
            assert_eq!(found.next.is_some(), is_more, "{query:?}");
        }

        // A little at a time it is the same.
        let mut query = RequestQuery { filter: key("key_1"), look_at: 1, ..everything() };
        let mut seen = Vec::new();
        loop {
            let found = book.search(&query).await.unwrap();
            seen.push((found.records.len(), found.looked_at));
            let Some(next) = found.next else { break };
            query.before = Some(next);
        }
        assert_eq!(seen, [(0, 1000), (0, 1000), (5, 500)]);
        book.close().await;
    }
}
