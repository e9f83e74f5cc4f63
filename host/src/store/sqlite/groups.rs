//! What requests are summed up with: those of one provider, model, key and route are a group.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::Row as _;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::StoreError;
use crate::usage::{Names, Step, Sums, UsageRecord};

/// The group that everything is in.
pub(super) const EVERYTHING: i64 = 0;

/// More groups than this are told apart by everything but the model: an upstream that answers to any name would make
/// one for each.
const MOST_GROUPS: i64 = 10_000;

/// One of them, as it is kept.
pub(super) struct Group {
    pub(super) id: i64,
    pub(super) names: Names,
}

/// Those of the requests that are written at one time, and what they add to the sums.
#[derive(Default)]
pub(super) struct Groups<'r> {
    known: Vec<Group>,
    places: HashMap<[&'r str; 4], usize>,
    /// That of the last request, which most often is that of the next.
    last: Option<([&'r str; 4], usize)>,
    /// By minute: most of them are of the same one.
    minutes: HashMap<(i64, i64), Sums>,
}

impl<'r> Groups<'r> {
    /// Counts a request into its group; answers with that.
    pub(super) async fn count_in(
        &mut self,
        change: &mut SqliteConnection,
        record: &'r UsageRecord,
    ) -> Result<&Group, StoreError> {
        let texts = texts_of(record);
        let place = match self.last {
            Some((last, place)) if last == texts => place,
            _ => self.place(change, texts).await?,
        };
        self.last = Some((texts, place));
        let group = &self.known[place];
        let minute = Step::Minute.floor(record.millis() / 1000);
        self.minutes.entry((minute, group.id)).or_default().count_in(record);
        Ok(group)
    }

    async fn place(
        &mut self,
        change: &mut SqliteConnection,
        texts: [&'r str; 4],
    ) -> Result<usize, StoreError> {
        if let Some(place) = self.places.get(&texts) {
            return Ok(*place);
        }
        self.known.push(group(change, texts).await?);
        let place = self.known.len() - 1;
        self.places.insert(texts, place);
        Ok(place)
    }

    /// What is added to the sums: by step, beginning and group.
    pub(super) fn sums(&self) -> Vec<((Step, i64, i64), Sums)> {
        let mut sums: HashMap<(Step, i64, i64), Sums> = HashMap::new();
        for ((minute, group), more) in &self.minutes {
            for step in Step::ALL {
                for group in [EVERYTHING, *group] {
                    sums.entry((step, step.floor(*minute), group)).or_default().add(more);
                }
            }
        }
        sums.into_iter().collect()
    }
}

/// In the order of their columns; nothing is the empty text, for two nothings would not be the same. A model is one
/// that has answered: anybody can make up others.
fn texts_of(record: &UsageRecord) -> [&str; 4] {
    let has_answered = record.status.is_some_and(|status| status < 400) && record.provider.is_some();
    let model = record.model.as_deref().filter(|_| has_answered);
    let names = [record.provider.as_deref(), model, record.key.as_deref(), Some(&*record.route)];
    names.map(Option::unwrap_or_default)
}

async fn group(change: &mut SqliteConnection, texts: [&str; 4]) -> Result<Group, StoreError> {
    let [provider, _, key, route] = texts;
    let without_model = [provider, "", key, route];
    let mut kept = texts;
    if let Some(group) = find(change, texts).await? {
        return Ok(group);
    }
    let count = sqlx::query("SELECT COUNT(*) FROM usage_groups").fetch_one(&mut *change).await?;
    if count.get::<i64, _>(0) >= MOST_GROUPS {
        if let Some(group) = find(change, without_model).await? {
            return Ok(group);
        }
        kept = without_model;
    }
    let sql = "INSERT INTO usage_groups (provider, model, key, route) VALUES (?, ?, ?, ?)";
    let query = kept.map(str::to_owned).into_iter().fold(sqlx::query(sql), Query::bind);
    let id = query.execute(change).await?.last_insert_rowid();
    Ok(Group { id, names: named(kept) })
}

async fn find(change: &mut SqliteConnection, texts: [&str; 4]) -> Result<Option<Group>, StoreError> {
    let sql = "SELECT id FROM usage_groups WHERE provider = ? AND model = ? AND key = ? AND route = ?";
    let query = texts.map(str::to_owned).into_iter().fold(sqlx::query(sql), Query::bind);
    let found = query.fetch_optional(change).await?;
    Ok(found.map(|row| Group { id: row.get(0), names: named(texts) }))
}

/// The names in four columns of a row, of which this is the first; those of no group are none.
pub(super) fn names(row: &SqliteRow, first: usize) -> Names {
    named([0, 1, 2, 3].map(|place| row.get::<Option<&str>, _>(first + place).unwrap_or_default()))
}

fn named(texts: [&str; 4]) -> Names {
    let [provider, model, key, route] =
        texts.map(|name| Some(name).filter(|name| !name.is_empty()).map(Arc::from));
    Names { provider, model, key, route }
}
