//! One table for all dialects: what a client of OpenAI's asks, what it must get, and, for each vendor, what must be
//! asked of it and what it answers. The client is OpenAI's own, the vendors are scripted, and between them are a real
//! host and the real libraries.
//!
//! A case is written once, in `cases/`. What is particular to a vendor is in a folder of its dialect, under the name of
//! the case; what a vendor cannot do is there, too, with the reason, and with what comes instead.

// What is asked, answered and got.
mod table;
// Those who answer.
pub(crate) mod vendor;

use serde_json::{Value, json};

use crate::clients::{finish, python, script};
use crate::harness::{Host, HostOptions, Library, SECRET};

pub(crate) use table::Way;
use table::{DIALECTS, Row};
pub(crate) use vendor::Vendor;

#[tokio::test]
async fn every_case_makes_the_round_trip_in_every_dialect() {
    let Some(mut client) = python("openai").await else { return };
    let (vendor, rows) = (Vendor::start().await, table::rows());
    let host = Host::start(providers(&vendor, &rows)).await;
    let table = host.dir().join("table.json");
    std::fs::write(&table, as_told_to_the_client(&rows).to_string()).unwrap();
    client.arg(script("dialects", "client.py")).arg(&table).env("HOST", host.address());
    finish(client).await;
    let wrong: Vec<String> = rows.iter().filter_map(|row| wrong_with(row, &vendor)).collect();
    assert!(wrong.is_empty(), "what vendors were asked:\n{}", wrong.join("\n"));
    host.stop().await;
}

fn providers(vendor: &Vendor, rows: &[Row]) -> HostOptions {
    let options = HostOptions::default().section("health", json!({ "enabled": false }));
    let options =
        DIALECTS.iter().fold(options, |options, dialect| options.builtin(&Library::built(dialect.name)));
    rows.iter().fold(options, |options, row| {
        let base_url = vendor.base_url(row.dialect.name, &row.case, row.way);
        let config = json!({ "base_url": base_url, "retry_attempts": 0 });
        options.entry(&row.provider(), json!({ "plugin": row.dialect.name, "config": config }))
    })
}

fn as_told_to_the_client(rows: &[Row]) -> Value {
    let told = rows.iter().map(|row| {
        let model = format!("{}/{}", row.provider(), row.model);
        json!({ "model": model, "stream": row.way == Way::Stream, "asks": row.asks, "gets": row.gets })
    });
    told.collect()
}

/// What is wrong with what the vendor was asked, if something is.
fn wrong_with(row: &Row, vendor: &Vendor) -> Option<String> {
    let asked = vendor.asked(row.dialect.name, &row.case, row.way);
    let problem = match (&row.asked, &asked[..]) {
        (None, []) => None,
        (Some(expected), [asked]) => {
            if asked.key(row.dialect.key) != SECRET {
                Some(format!("the key is not in {}", row.dialect.key))
            } else if asked.way() != row.way {
                Some("it was asked in the other way".to_owned())
            } else {
                missing("", expected, &asked.body).map(|missing| format!("{missing}, in {}", asked.body))
            }
        }
        (expected, asked) => Some(format!("asked {} times, expected {expected:?}", asked.len())),
    };
    problem.map(|problem| format!("{}: {problem}", row.provider()))
}

/// What is expected and not there. Members that are not named may be there; those that should not are expected to be
/// null.
fn missing(path: &str, expected: &Value, found: &Value) -> Option<String> {
    match (expected, found) {
        (Value::Object(members), Value::Object(_)) => members.iter().find_map(|(name, member)| {
            missing(&format!("{path}/{name}"), member, found.get(name).unwrap_or(&Value::Null))
        }),
        (Value::Array(items), Value::Array(others)) if items.len() == others.len() => (0..)
            .zip(items.iter().zip(others))
            .find_map(|(index, (item, other))| missing(&format!("{path}/{index}"), item, other)),
        _ => (expected != found).then(|| format!("{path} should be {expected}")),
    }
}
