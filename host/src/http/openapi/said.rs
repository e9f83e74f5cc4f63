//! What every route does, in words, with what it takes and answers.

pub(in crate::http) mod asking;
pub(in crate::http) mod host;
pub(in crate::http) mod keys;
pub(in crate::http) mod people;
pub(in crate::http) mod plugins;
pub(in crate::http) mod providers;
pub(in crate::http) mod telling;
pub(in crate::http) mod usage;

const CHAT: &str = "Chat";
const OPENAI: &str = "OpenAI";
const PROVIDERS: &str = "Providers";
const PLUGINS: &str = "Plugins";
const KEYS: &str = "Keys";
const USAGE: &str = "Usage";
const HOST: &str = "Host";
const PEOPLE: &str = "People";

/// In the order in which they are shown.
pub(super) const TAGS: [(&str, &str); 8] = [
    (CHAT, "Asking whichever provider serves best."),
    (
        OPENAI,
        "The same for clients made for OpenAI's API: fields that the host does not know are passed on, \
         and back.",
    ),
    (PROVIDERS, "Who is configured, how they do, and changing that while the host runs."),
    (PLUGINS, "The libraries that providers are made from, swapped while the host runs."),
    (KEYS, "Keys that the host gives out itself: shown once, kept hashed."),
    (USAGE, "Who used how much of what, and what it costs."),
    (HOST, "The process, what happens to it, and who changed what."),
    (PEOPLE, "Pages for browsers, and this document."),
];

/// What a handler answers, as it stands in the file of this name.
macro_rules! example {
    ($name:literal) => {
        include_str!(concat!("../examples/", $name, ".json"))
    };
}

/// The events that it streams.
macro_rules! stream {
    ($name:literal) => {
        include_str!(concat!("../examples/", $name, ".txt"))
    };
}

/// The schema of a body that is read by other means than a type.
macro_rules! body {
    ($name:literal) => {
        serde_json::from_str::<serde_json::Value>(include_str!(concat!("../bodies/", $name, ".json")))
            .unwrap_or_default()
    };
}

use {body, example, stream};
