//! What is asked about usage, answered from sums.

use std::collections::HashMap;
use std::time::SystemTime;

use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Connection as _, Row as _};

use super::StoreError;
use super::groups::{EVERYTHING, names};
use super::usage::columns;
use crate::providers::Cost;
use crate::usage::{
    Aggregate, COLUMNS, Filter, NUMBERS, Names, Segment, Span, Spent, Step, Sums, UsageAnswer, UsageQuery,
    millis,
};

/// Groups by their number.
type Groups = HashMap<i64, Names>;

/// All from one moment, whatever is written meanwhile.
pub(super) async fn usage(
    reader: &mut SqliteConnection,
    query: &UsageQuery,
) -> Result<UsageAnswer, StoreError> {
    let mut moment = reader.begin().await?;
    let everything = query.by.is_empty() && query.filter == Filter::default();
    let groups = if everything {
        Groups::from([(EVERYTHING, Names::default())])
    } else {
        groups(&mut moment, &query.filter).await?
    };
    let which = which(&groups, &query.filter, everything);
    let mut aggregate = Aggregate::new(query);
    for segment in query.span.segments() {
        let what = format!("group_id, {}", columns(COLUMNS, "SUM(", ")"));
        let rows = select(&what, segment, &which, "group_id");
        for row in sqlx::query(AssertSqlSafe(rows)).persistent(false).fetch_all(&mut *moment).await? {
            if let Some(names) = groups.get(&row.get(0)) {
                aggregate.add(names, &sums(&row, 1, COLUMNS));
            }
        }
    }
    if let Some(step) = query.step {
        // How long each group took is not told of every point: that would be as much again, three times over. One
        // of those that are told together stands for all of them.
        let (what, by, count) = if query.by.is_empty() {
            (format!("at, 0, {}", columns(COLUMNS, "SUM(", ")")), "at".to_owned(), COLUMNS)
        } else {
            let by: Vec<_> = query.by.iter().map(|dimension| dimension.word()).collect();
            let what = format!("at, MIN(group_id), {}", columns(NUMBERS.len(), "SUM(", ")"));
            (what, format!("at, {}", by.join(", ")), NUMBERS.len())
        };
        let rows = select(&what, Segment { step, span: query.span }, &which, &by);
        let nobody = Names::default();
        for row in sqlx::query(AssertSqlSafe(rows)).persistent(false).fetch_all(&mut *moment).await? {
            let names = if query.by.is_empty() { Some(&nobody) } else { groups.get(&row.get(1)) };
            if let Some(names) = names {
                aggregate.add_point(row.get(0), names, &sums(&row, 2, count));
            }
        }
    }
    moment.rollback().await?;
    Ok(aggregate.finish())
}

/// There is nothing in it but numbers and names of columns.
fn select(what: &str, Segment { step, span }: Segment, which: &str, by: &str) -> String {
    let (step, Span { from, to }) = (step.seconds(), span);
    // The group of everything has no names. By time first, which is how sums lie.
    format!(
        "SELECT {what} FROM usage_sums LEFT JOIN usage_groups ON id = group_id
         WHERE step = {step} AND at >= {from} AND at < {to} AND {which} GROUP BY {by}"
    )
}

/// A condition for groups.
fn which(groups: &Groups, filter: &Filter, everything: bool) -> String {
    if everything {
        return format!("group_id = {EVERYTHING}");
    }
    if *filter == Filter::default() {
        return format!("group_id > {EVERYTHING}");
    }
    let ids: Vec<_> = groups.keys().map(ToString::to_string).collect();
    format!("group_id IN ({})", ids.join(", "))
}

async fn groups(reader: &mut SqliteConnection, filter: &Filter) -> Result<Groups, StoreError> {
    let rows =
        sqlx::query("SELECT id, provider, model, key, route FROM usage_groups").fetch_all(reader).await?;
    let group = |row: &SqliteRow| (row.get(0), names(row, 1));
    Ok(rows.iter().map(group).filter(|(_, names)| names.has(filter)).collect())
}

fn sums(row: &SqliteRow, first: usize, count: usize) -> Sums {
    let mut numbers = [0; COLUMNS];
    numbers.iter_mut().take(count).enumerate().for_each(|(place, number)| *number = row.get(first + place));
    Sums::of_columns(&numbers[..count])
}

/// What was spent from this minute until now, by key and provider.
pub(super) async fn spent(
    reader: &mut SqliteConnection,
    since: SystemTime,
) -> Result<Vec<Spent>, StoreError> {
    let mut moment = reader.begin().await?;
    let groups = groups(&mut moment, &Filter::default()).await?;
    // To the end of today: what has not come yet has no sums.
    let to = Step::Day.ceil(millis(SystemTime::now()) / 1000 + 1);
    let span = Span { from: Step::Minute.floor(millis(since) / 1000), to };
    let mut spent: HashMap<_, (i128, u64)> = HashMap::new();
    for segment in span.segments() {
        let what = "group_id, SUM(cost_nano), SUM(cost_rest), SUM(total)";
        let rows = select(what, segment, &format!("group_id > {EVERYTHING}"), "group_id");
        for row in sqlx::query(AssertSqlSafe(rows)).persistent(false).fetch_all(&mut *moment).await? {
            let Some(names) = groups.get(&row.get(0)) else { continue };
            let (cost, tokens) = spent.entry((names.key.clone(), names.provider.clone())).or_default();
            *cost += i128::from(row.get::<i64, _>(1)) * 10_i128.pow(9) + i128::from(row.get::<i64, _>(2));
            *tokens += row.get::<i64, _>(3).cast_unsigned();
        }
    }
    moment.rollback().await?;
    let line =
        |((key, provider), (cost, tokens))| Spent { key, provider, cost: Cost::of_units(cost), tokens };
    Ok(spent.into_iter().map(line).collect())
}
