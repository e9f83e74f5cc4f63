//! Any JSON, as text: written in every way that the grammar allows.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{BoxedStrategy, Just, Strategy, any};
use proptest::prop_oneof;
use proptest::sample::select;

/// An object as it is written, and the members that are in it.
#[derive(Clone, Debug)]
pub struct Object {
    pub text: String,
    /// The names, and the text of each value.
    pub members: Vec<(String, String)>,
}

/// A member: its name as it is written, and the text of its value.
pub type Written = (String, String);

/// A string with its quotes.
pub fn string() -> BoxedStrategy<String> {
    // Half of an emoji is what a client is left with that cuts a text between two units of UTF-16.
    quoted(vec(prop_oneof![12 => unit(), 1 => Just(r"\ud83d".to_owned())], 0..12))
}

/// A number, however large or long.
pub fn number() -> BoxedStrategy<String> {
    "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,4})?".boxed()
}

/// Any value at all.
pub fn value() -> BoxedStrategy<String> {
    let word = select(vec!["null", "true", "false", "\"\"", "[]", "{ }"]).prop_map(str::to_owned);
    let deep = (1..100_usize).prop_map(|depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
    let leaf = prop_oneof![4 => word, 4 => number(), 8 => string(), 1 => deep];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let members = vec((quoted(vec(unit(), 0..6)), inner.clone()), 0..4);
        prop_oneof![
            list(vec(inner, 0..4).boxed()),
            object(members.boxed(), &[]).prop_map(|object| object.text)
        ]
    })
    .boxed()
}

/// A list of these.
pub fn list(items: BoxedStrategy<Vec<String>>) -> BoxedStrategy<String> {
    (items, space())
        .prop_map(|(items, space)| format!("[{space}{}]", items.join(&format!(",{space}"))))
        .boxed()
}

/// An object with these members in any order, none of them twice.
pub fn object(
    members: BoxedStrategy<Vec<Written>>,
    reserved: &'static [&'static str],
) -> BoxedStrategy<Object> {
    let members = members.prop_map(move |members| {
        let mut seen: BTreeSet<String> = reserved.iter().map(|name| (*name).to_owned()).collect();
        members.into_iter().filter(|(name, _)| seen.insert(read(name))).collect::<Vec<_>>()
    });
    written(members.boxed())
}

/// An object with these members, and others of any name but theirs, and but those that are reserved.
pub fn object_with(
    known: Vec<(&'static str, BoxedStrategy<String>)>,
    reserved: &'static [&'static str],
) -> BoxedStrategy<Object> {
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    let known: Vec<_> = known.into_iter().map(|(name, value)| (Just(format!("{name:?}")), value)).collect();
    let others = vec((quoted(vec(unit(), 0..6)), value()), 0..4);
    let members = (known, others).prop_map(move |(mut members, others)| {
        let mut seen: BTreeSet<String> =
            names.iter().chain(reserved).map(|name| (*name).to_owned()).collect();
        members.extend(others.into_iter().filter(|(name, _)| seen.insert(read(name))));
        members
    });
    written(members.boxed())
}

/// A value that may as well not be there.
pub fn or_null(value: BoxedStrategy<String>) -> BoxedStrategy<String> {
    option::weighted(0.8, value).prop_map(|value| value.unwrap_or_else(|| "null".to_owned())).boxed()
}

/// A string as text without quotes, for whoever needs to know what it says.
pub fn read(quoted: &str) -> String {
    serde_json::from_str(quoted).unwrap()
}

fn written(members: BoxedStrategy<Vec<Written>>) -> BoxedStrategy<Object> {
    let shuffled = members.prop_shuffle();
    let all = (shuffled, space(), space()).prop_map(|(members, before, after)| {
        let pairs: Vec<String> =
            members.iter().map(|(name, value)| format!("{before}{name}{after}:{after}{value}")).collect();
        let text = format!("{{{}{before}}}", pairs.join(","));
        let members = members.into_iter().map(|(name, value)| (read(&name), value)).collect();
        Object { text, members }
    });
    all.boxed()
}

fn space() -> BoxedStrategy<String> {
    prop_oneof![4 => Just(String::new()), 1 => "[ \t\n]{1,3}"].boxed()
}

/// What stands for something else, or looks as if it did.
const SPELLINGS: [&str; 20] = [
    r"\n",
    r"\r",
    r"\t",
    r"\b",
    r"\f",
    r"\/",
    r"\\",
    "\\\"",
    r"\u0000",
    r"\u00e9",
    r"\u2028",
    r"\uFEFF",
    r"\ud83d\ude00",
    "é",
    "\u{2028}",
    "😀",
    "data: ",
    "[DONE]",
    "{{key}}",
    "\u{7f}",
];

/// Something within a string: a character, as itself or in one of its other spellings.
fn unit() -> BoxedStrategy<String> {
    // Those that have to be escaped are among the spellings.
    let must_be_escaped = |c: char| c < ' ' || ['"', '\\'].contains(&c);
    let plain = any::<char>().prop_map(move |c| if must_be_escaped(c) { '_' } else { c });
    prop_oneof![4 => plain.prop_map(String::from), 2 => "[a-z ]{1,8}", 1 => select(&SPELLINGS[..]).prop_map(str::to_owned)]
        .boxed()
}

fn quoted(units: impl Strategy<Value = Vec<String>> + 'static) -> BoxedStrategy<String> {
    units.prop_map(|units| format!("\"{}\"", units.concat())).boxed()
}
