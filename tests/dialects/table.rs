//! The table: a file for each case, and for each dialect another one with what is particular to it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::harness::libraries;

/// A vendor's dialect, as far as the table has to know it.
pub struct Dialect {
    pub name: &'static str,
    /// The header that the key stands in.
    pub key: &'static str,
    /// The model that is asked for where a case does not say another.
    model: &'static str,
    pub framing: Framing,
}

/// How a vendor tells the events of a stream apart.
#[derive(Clone, Copy)]
pub enum Framing {
    /// `data:`, and nothing else.
    Data,
    /// `event:` with the event's type before it.
    Named,
    /// A line each.
    Lines,
}

/// OpenAI's stands for all that are served by a plan: there one vendor is as another.
pub const DIALECTS: [Dialect; 5] = [
    Dialect { name: "anthropic", key: "x-api-key", model: "claude-sonnet-4-6", framing: Framing::Named },
    Dialect {
        name: "cohere",
        key: "authorization",
        model: "command-a-reasoning-08-2025",
        framing: Framing::Named,
    },
    Dialect { name: "gemini", key: "x-goog-api-key", model: "gemini-3.5-flash", framing: Framing::Data },
    Dialect { name: "ollama", key: "authorization", model: "qwen3:8b", framing: Framing::Lines },
    Dialect { name: "openai", key: "authorization", model: "gpt-6-luna", framing: Framing::Data },
];

/// What a client asks, and what it gets from whatever vendor.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What it is about, where its name does not say it all.
    #[serde(rename = "about")]
    _about: Option<String>,
    /// The arguments of OpenAI's client, but for the model and the way.
    asks: Value,
    /// What has to come of it: see `client.py`.
    gets: Value,
    /// The one way that it makes sense in.
    only: Option<Way>,
}

/// The two ways to ask.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    Whole,
    Stream,
}

impl Way {
    pub const BOTH: [Self; 2] = [Self::Whole, Self::Stream];

    pub fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Stream => "stream",
        }
    }
}

/// What is particular to a dialect in a case. Vendors' words are kept as they stand in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fixture {
    model: Option<String>,
    /// What the vendor must be asked: the part of it that matters here. Without it the vendor is not asked at all.
    pub asked: Option<Value>,
    /// The vendor's whole answer.
    pub whole: Option<Box<RawValue>>,
    /// The events of its stream; a text stands for itself.
    pub stream: Option<Vec<Box<RawValue>>>,
    /// What it answers instead of both.
    pub failure: Option<Failure>,
    /// What this vendor cannot do, and what comes instead.
    instead: Option<String>,
    /// That, where the client can see it.
    gets: Option<Value>,
}

/// A vendor's answer of failure.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    pub status: u16,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    pub body: Box<RawValue>,
}

/// One case in one dialect, asked in one way.
pub struct Row {
    pub dialect: &'static Dialect,
    pub case: String,
    pub way: Way,
    pub model: String,
    pub asks: Value,
    pub gets: Value,
    /// None where the vendor is not asked.
    pub asked: Option<Value>,
}

impl Row {
    /// Every row has a provider of its own: whoever fails is left alone for a while, and one case must not see
    /// what became of another.
    pub fn provider(&self) -> String {
        format!("{}-{}-{}", self.dialect.name, self.case, self.way.name())
    }
}

pub fn fixture(dialect: &str, case: &str) -> Fixture {
    read(&folder(dialect).join(format!("{case}.json")))
}

/// Every case in every dialect, in every way that it makes sense in.
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for dialect in &DIALECTS {
        for case in names("cases") {
            let (shared, own) = (shared(&case), fixture(dialect.name, &case));
            let ways = Way::BOTH.into_iter().filter(|way| shared.only.is_none_or(|only| only == *way));
            rows.extend(ways.map(|way| Row {
                dialect,
                case: case.clone(),
                way,
                model: own.model.clone().unwrap_or_else(|| dialect.model.to_owned()),
                asks: shared.asks.clone(),
                gets: own.gets.as_ref().unwrap_or(&shared.gets).clone(),
                asked: own.asked.clone(),
            }));
        }
    }
    rows
}

fn shared(case: &str) -> Case {
    read(&folder("cases").join(format!("{case}.json")))
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/dialects").join(name)
}

fn names(folder_name: &str) -> BTreeSet<String> {
    let files =
        std::fs::read_dir(folder(folder_name)).unwrap_or_else(|error| panic!("{folder_name}: {error}"));
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    names.map(|name| name.strip_suffix(".json").expect(&name).to_owned()).collect()
}

fn read<T: DeserializeOwned>(path: &Path) -> T {
    let read = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&read).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_dialect_has_every_case() {
    let cases = names("cases");
    assert!(cases.len() >= 30, "{cases:?}");
    for Dialect { name, .. } in &DIALECTS {
        assert_eq!(names(name), cases, "{name}: each case needs a file, also where the vendor cannot do it");
        for case in &cases {
            let (shared, own) = (shared(case), fixture(name, case));
            let why = own.instead.as_ref().map_or(0, String::len);
            assert!(own.gets.is_none() || why > 20, "{name}/{case}: why does something else come of it?");
            let (whole, stream) = (shared.only != Some(Way::Stream), shared.only != Some(Way::Whole));
            let answered = (own.whole.is_some(), own.stream.is_some(), own.failure.is_some());
            let expected = match (&own.asked, &own.failure) {
                (None, _) => (false, false, false),
                (_, Some(_)) => (false, false, true),
                (_, None) => (whole, stream, false),
            };
            assert_eq!(answered, expected, "{name}/{case}: a whole answer, a stream, a failure");
        }
    }
}

#[test]
fn every_plugin_is_in_the_table_or_served_by_a_plan() {
    let planned: BTreeSet<String> = libraries::vendors()
        .map(|(id, _)| id.to_owned())
        .into_iter()
        .chain(["openai-compatible".to_owned()])
        .collect();
    let plugins =
        std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/builtin")).unwrap();
    let crates = plugins.map(Result::unwrap).filter(|entry| entry.path().join("Cargo.toml").exists());
    for name in crates.map(|entry| entry.file_name().into_string().unwrap()) {
        let in_table = DIALECTS.iter().any(|dialect| dialect.name == name);
        assert!(
            in_table || planned.contains(&name),
            "{name} has a dialect of its own: give it its files here"
        );
    }
}
