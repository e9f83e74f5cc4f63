use std::collections::{BTreeMap, HashSet};
use std::time::UNIX_EPOCH;

use super::*;
use crate::providers::Cost;
use crate::store::sqlite::usage::{TABLES, columns};
use crate::usage::testing::record;
use crate::usage::{Dimension, Filter, Names, Span, Step, of_millis};

/// Sunday the first of November 2026, in seconds.
const DAY: i64 = 1_793_491_200;

fn at(second: i64) -> UsageRecord {
    record((DAY + second) * 1000)
}

fn query(from: i64, to: i64) -> UsageQuery {
    let span = Span { from: DAY + from, to: DAY + to };
    UsageQuery { span, by: Vec::new(), step: None, filter: Filter::default(), limit: 10 }
}

async fn requests(store: &SqliteStore, query: &UsageQuery) -> u64 {
    store.usage(query).await.unwrap().totals.requests
}

#[tokio::test]
async fn a_request_is_counted_once_however_often_it_comes() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir).await;
    let records: Vec<_> = (0..1200).map(at).collect();
    store.write_usage(&records[..700]).await.unwrap();
    // Some of them for the second time, and one of them twice.
    let again = [&records[600..], &records[1199..]].concat();
    store.write_usage(&again).await.unwrap();
    let answer = store.usage(&query(0, 86_400)).await.unwrap();
    assert_eq!((answer.totals.requests, answer.totals.prompt, answer.totals.total), (1200, 12_000, 18_000));
    assert_eq!(Cost::of_units(answer.totals.cost).to_string(), "1.2000000000000012");
    let mut kept = store.recent_usage(None, 2000).await.unwrap();
    kept.reverse();
    assert_eq!(kept, records);
    let page = store.recent_usage(Some(Place { millis: kept[1].millis(), id: kept[1].id }), 5).await.unwrap();
    assert_eq!(page, records[..1]);
}

/// Whatever sums an answer is made from, it is the same as counting one by one.
#[tokio::test]
async fn sums_are_those_of_the_requests_in_any_span() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir).await;
    // Three days, with a request every seventeen minutes.
    let records: Vec<_> = (0..250).map(|number| at(number * 1020)).collect();
    store.write_usage(&records).await.unwrap();
    for (from, to) in [
        (0, 86_400),
        (0, 3 * 86_400),
        (60, 120),
        (3_540, 7_260),
        (1_020, 260_040),
        (86_340, 172_860),
        (90_000, 93_600),
    ] {
        let within = |record: &&UsageRecord| {
            let second = record.millis() / 1000 - DAY;
            (from..to).contains(&second)
        };
        let expected = records.iter().filter(within).count() as u64;
        assert_eq!(requests(&store, &query(from, to)).await, expected, "{from} {to}");
    }
    let series = UsageQuery { step: Some(Step::Hour), ..query(0, 86_400) };
    let answer = store.usage(&series).await.unwrap();
    assert_eq!(answer.series.len(), 24);
    assert_eq!(answer.series.iter().map(|point| point.sums.requests).sum::<u64>(), answer.totals.requests);
    assert!(answer.series[0].sums.latency.quantile(0.5).is_some());
}

#[tokio::test]
async fn groups_and_filters_see_the_same_requests() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir).await;
    let mut records = Vec::new();
    for (provider, model, key, count) in
        [("a", "m", Some("key_1"), 5), ("a", "n", Some("key_2"), 3), ("b", "m", None, 2)]
    {
        records.extend((0..count).map(|second| UsageRecord {
            provider: Some(provider.into()),
            model: Some(model.into()),
            key: key.map(Into::into),
            ..at(second * 60)
        }));
    }
    store.write_usage(&records).await.unwrap();
    let by = |dimension| UsageQuery { by: vec![dimension], ..query(0, 3600) };
    for (dimension, expected) in [
        (Dimension::Provider, [(Some("a"), 8), (Some("b"), 2)].as_slice()),
        (Dimension::Model, &[(Some("m"), 7), (Some("n"), 3)]),
        (Dimension::Key, &[(Some("key_1"), 5), (Some("key_2"), 3), (None, 2)]),
        (Dimension::Route, &[(Some("/v1/chat/completions"), 10)]),
    ] {
        let answer = store.usage(&by(dimension)).await.unwrap();
        let groups: Vec<_> = answer
            .groups
            .iter()
            .map(|(names, sums)| (names.get(dimension).map(|name| &**name), sums.requests))
            .collect();
        assert_eq!(groups, expected);
    }
    let filter = Filter { model: Some("m".into()), ..Filter::default() };
    let filtered = UsageQuery { filter: filter.clone(), step: Some(Step::Minute), ..by(Dimension::Provider) };
    let answer = store.usage(&filtered).await.unwrap();
    assert_eq!((answer.totals.requests, answer.groups.len(), answer.series.len()), (7, 2, 7));
    let lone = UsageQuery { filter, step: Some(Step::Minute), ..query(0, 3600) };
    let series: Vec<_> = store.usage(&lone).await.unwrap().series.iter().map(|it| it.sums.requests).collect();
    assert_eq!(series, [2, 2, 1, 1, 1]);
    let nobody = Filter { key: Some("key_9".into()), ..Filter::default() };
    assert_eq!(requests(&store, &UsageQuery { filter: nobody, ..query(0, 3600) }).await, 0);
}

#[tokio::test]
async fn models_that_nobody_answers_for_make_no_groups() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir).await;
    let bogus = (0..10_000).map(|number| UsageRecord {
        model: Some(format!("bogus-{number}").into()),
        status: Some(404),
        error: Some("model_not_found".into()),
        cost: None,
        ..at(number / 10)
    });
    store.write_usage(&bogus.collect::<Vec<_>>()).await.unwrap();
    // And one upstream that answers to any name.
    let echoed = (0..10_100)
        .map(|number| UsageRecord { model: Some(format!("e-{number}").into()), ..at(number / 10) });
    let echoed: Vec<_> = echoed.collect();
    for portion in echoed.chunks(1000) {
        store.write_usage(portion).await.unwrap();
    }
    let count: i64 =
        sqlx::query("SELECT COUNT(*) FROM usage_groups").fetch_one(&store.pool()).await.unwrap().get(0);
    assert_eq!(count, 10_000);
    let everything = UsageQuery { by: vec![Dimension::Model], ..query(0, 3600) };
    let answer = store.usage(&everything).await.unwrap();
    assert_eq!((answer.totals.requests, answer.totals.errors), (20_100, 10_000));
    assert_eq!((&answer.groups[0].0, answer.groups[0].1.requests), (&Names::default(), 10_101));
    // Each request has its name all the same.
    let kept = store.recent_usage(None, 30_000).await.unwrap();
    let models: HashSet<_> = kept.into_iter().filter_map(|record| record.model).collect();
    assert!(echoed.iter().all(|record| record.model.as_ref().is_some_and(|model| models.contains(model))));
    assert_eq!(models.len(), 20_100);
}

/// Before a request was in a group, all of it stood in its document.
#[tokio::test]
async fn a_request_without_a_group_is_read_as_it_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir).await;
    let before = UsageRecord { attempts: 3, ..at(1) };
    let sql = "INSERT INTO usage_requests (at, id, document) VALUES (?, ?, ?)";
    let query = sqlx::query(sql).bind(before.millis()).bind(before.id.bytes().to_vec());
    query.bind(serde_json::to_string(&before).unwrap()).execute(&store.pool()).await.unwrap();
    let after = UsageRecord { provider: None, model: None, key: None, error: Some("x".into()), ..at(2) };
    store.write_usage(std::slice::from_ref(&after)).await.unwrap();
    assert_eq!(store.recent_usage(None, 9).await.unwrap(), [after, before]);
}

#[tokio::test]
async fn what_was_spent_is_exact_to_the_last_digit() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir).await;
    let costs = ["0.1", "0.2", "0.000000000000000001", "1234.000000000000000009"];
    let records: Vec<_> = costs
        .iter()
        .zip(0..)
        .map(|(cost, day)| UsageRecord {
            cost: Some(serde_json::from_str(cost).unwrap()),
            ..at(day * 86_400 - 60)
        })
        .chain([UsageRecord { key: None, cost: None, ..at(0) }])
        .collect();
    store.write_usage(&records).await.unwrap();
    let spent = async |second: i64| {
        let spent = store.spent(of_millis((DAY + second) * 1000)).await.unwrap();
        let line = |spent: Spent| (spent.key.as_deref().map(str::to_owned), spent.cost.to_string());
        spent.into_iter().map(line).collect::<BTreeMap<_, _>>()
    };
    let all = BTreeMap::from([
        (None, "0".to_owned()),
        (Some("key_1".to_owned()), "1234.30000000000000001".to_owned()),
    ]);
    assert_eq!(spent(-86_400).await, all);
    assert_eq!(
        spent(86_400).await,
        BTreeMap::from([(Some("key_1".to_owned()), "1234.00000000000000001".to_owned())])
    );
}

#[tokio::test]
async fn what_is_too_old_goes_in_small_steps_and_gives_its_space_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir).await;
    // Fat ones, so that there is space to be given back.
    let fat = |second| UsageRecord { request_id: "x".repeat(1000).into(), ..at(second) };
    let old: Vec<_> = (0..10_000).map(fat).collect();
    for portion in old.chunks(1000) {
        store.write_usage(portion).await.unwrap();
    }
    store.write_usage(&[at(86_400), at(86_400 * 2)]).await.unwrap();
    let size = async || {
        // Into the file itself.
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&store.pool()).await.unwrap();
        std::fs::metadata(dir.path().join("store.sqlite")).unwrap().len()
    };
    let before = size().await;
    let horizon = UsageHorizon { requests: (DAY + 86_400) * 1000, minutes: DAY + 86_400, hours: DAY };
    let mut steps = 0;
    while !store.prune_usage(&horizon).await.unwrap() {
        steps += 1;
    }
    assert!(steps > 2, "{steps}");
    assert!(size().await < before - (4 << 20), "{before}");
    let kept: Vec<_> = store.recent_usage(None, 100).await.unwrap().iter().map(UsageRecord::millis).collect();
    assert_eq!(kept, [(DAY + 86_400 * 2) * 1000, (DAY + 86_400) * 1000]);
    // The hours are still there, the minutes are not.
    assert_eq!(requests(&store, &query(0, 3600)).await, 3600);
    assert_eq!(requests(&store, &query(60, 120)).await, 0);
    let nothing = UsageHorizon { requests: i64::MAX, minutes: i64::MAX, hours: i64::MAX };
    while !store.prune_usage(&nothing).await.unwrap() {}
    for table in ["usage_requests", "usage_sums", "usage_groups"] {
        let sql = AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
        assert_eq!(sqlx::query(sql).fetch_one(&store.pool()).await.unwrap().get::<i64, _>(0), 0, "{table}");
    }
    assert_eq!(store.spent(UNIX_EPOCH).await.unwrap(), []);
}

#[tokio::test]
async fn estimates_are_told_apart_also_in_a_file_from_before_there_were_any() {
    let dir = tempfile::tempdir().unwrap();
    {
        let store = store(&dir).await;
        store.write_usage(&[at(0)]).await.unwrap();
        let (_, table) = TABLES.split_at(TABLES.find("CREATE TABLE usage_sums").unwrap());
        let names = columns(usize::MAX, "", "").replace(", estimated", "");
        let before = format!(
            "ALTER TABLE usage_sums RENAME TO later; {table}
             INSERT INTO usage_sums SELECT step, at, group_id, {names} FROM later;
             DROP TABLE later; PRAGMA user_version = 4;"
        );
        sqlx::raw_sql(AssertSqlSafe(before)).execute(&store.pool()).await.unwrap();
        store.close().await;
    }
    let store = store(&dir).await;
    store.write_usage(&[UsageRecord { estimated: true, ..at(1) }, at(2)]).await.unwrap();
    let query = UsageQuery { by: vec![Dimension::Key], step: Some(Step::Minute), ..query(0, 60) };
    let answer = store.usage(&query).await.unwrap();
    for sums in [&answer.totals, &answer.groups[0].1, &answer.series[0].sums] {
        assert_eq!((sums.requests, sums.estimated, sums.prompt), (3, 1, 30));
    }
    let kept = store.recent_usage(None, 10).await.unwrap();
    assert_eq!(kept.iter().map(|record| record.estimated).collect::<Vec<_>>(), [false, true, false]);
}
