//! What clients and upstreams may say to each other in OpenAI's dialect.

use proptest::collection::vec;
use proptest::prelude::{BoxedStrategy, Just, Strategy, any};
use proptest::prop_oneof;
use proptest::sample::{Index, select};

use super::json::{self, Object, list, object_with, or_null, string, value};

/// A request: what is sent, and what is in it.
#[derive(Clone, Debug)]
pub struct Asked {
    pub body: Object,
    /// The model, without the provider's name before it.
    pub model: String,
    /// What there is of `stream_options`, if it is for a stream.
    pub options: Option<Object>,
}

/// Members of a request that somebody on the way may be tempted to read.
const TEMPTING: [&str; 16] = [
    "temperature",
    "top_p",
    "n",
    "max_tokens",
    "stop",
    "seed",
    "user",
    "tools",
    "tool_choice",
    "functions",
    "response_format",
    "logit_bias",
    "metadata",
    "provider",
    "strategy",
    "include_raw",
];

pub fn request() -> BoxedStrategy<Asked> {
    // With more before it, it does not mean any.
    let model = "m[^\\pC\"\\\\]{0,20}";
    let options = object_with(vec![("include_usage", Just("true".to_owned()).boxed())], &[]);
    let tempting = vec(select(&TEMPTING[..]), 0..5);
    (model, proptest::option::of(options), tempting)
        .prop_flat_map(|(model, options, mut tempting)| {
            tempting.sort_unstable();
            tempting.dedup();
            let mut known: Vec<_> = tempting.into_iter().map(|name| (name, value())).collect();
            known.push(("model", Just(format!("\"up/{model}\"")).boxed()));
            known.push(("messages", messages()));
            let stream = if options.is_some() { "true" } else { "false" };
            known.push(("stream", Just(stream.to_owned()).boxed()));
            if let Some(options) = &options {
                known.push(("stream_options", Just(options.text.clone()).boxed()));
            }
            let body = object_with(known, &["stream_options"]);
            (body, Just(model), Just(options)).prop_map(|(body, model, options)| Asked {
                body,
                model,
                options,
            })
        })
        .boxed()
}

fn messages() -> BoxedStrategy<String> {
    let role = select(vec!["\"system\"", "\"user\"", "\"assistant\"", "\"tool\"", "\"ro\\u0062ot\""]);
    let kind = select(vec!["\"text\"", "\"image_url\"", "\"input_audio\"", "\"no\\u0062ody knows\""]);
    let part = object_with(vec![("type", kind.prop_map(str::to_owned).boxed()), ("text", string())], &[]);
    let parts = list(vec(part.prop_map(text_of), 0..3).boxed());
    let content = prop_oneof![3 => string(), 1 => parts, 1 => Just("null".to_owned())];
    let message =
        object_with(vec![("role", role.prop_map(str::to_owned).boxed()), ("content", content.boxed())], &[]);
    list(vec(message.prop_map(text_of), 1..4).boxed())
}

/// A whole answer.
pub fn answer() -> BoxedStrategy<String> {
    let message = object_with(vec![("role", fixed("\"assistant\"")), ("content", or_null(string()))], &[]);
    let choice = object_with(
        vec![
            ("index", fixed("0")),
            ("message", message.prop_map(text_of).boxed()),
            ("finish_reason", or_null(string())),
        ],
        &[],
    );
    let choices = list(vec(choice.prop_map(text_of), 1..3).boxed());
    let answer = object_with(head(choices), &["error"]);
    answer.prop_map(text_of).boxed()
}

/// The chunks of a streamed answer, to its last word.
pub fn chunks() -> BoxedStrategy<Vec<String>> {
    let says = |content: BoxedStrategy<String>, finish: BoxedStrategy<String>| {
        let delta = object_with(vec![("content", content)], &[]);
        let members = vec![
            ("index", fixed("0")),
            ("delta", delta.prop_map(text_of).boxed()),
            ("finish_reason", finish),
        ];
        let choice = object_with(members, &[]);
        object_with(head(list(vec(choice.prop_map(text_of), 1..3).boxed())), &["error"]).prop_map(text_of)
    };
    let usage = object_with(head(fixed("[]")), &["error"]).prop_map(text_of);
    (vec(says(string(), fixed("null")), 1..5), says(or_null(string()), fixed("\"stop\"")), vec(usage, 0..2))
        .prop_map(|(mut chunks, last, usage)| {
            chunks.push(last);
            chunks.extend(usage);
            chunks
        })
        .boxed()
}

/// What answers and chunks have in common.
fn head(choices: BoxedStrategy<String>) -> Vec<(&'static str, BoxedStrategy<String>)> {
    vec![
        ("id", or_null(string())),
        ("created", json::number()),
        ("model", string()),
        ("usage", value()),
        ("choices", choices),
    ]
}

/// Chunks as server-sent events, in one of the ways to write them.
pub fn events(chunks: Vec<String>) -> BoxedStrategy<Vec<u8>> {
    let end = select(vec!["\n", "\r\n", "\r"]);
    let before = select(vec!["", "", ": keep-alive", "event: message", "id: 1", "retry: 10", "data"]);
    let count = chunks.len() + 1;
    (end, vec((before, any::<bool>()), count))
        .prop_map(move |(end, styles)| {
            let mut stream = String::new();
            let data = chunks.iter().map(String::as_str).chain(["[DONE]"]);
            for (data, (before, tight)) in data.zip(styles) {
                match before {
                    "" => {}
                    // An event of its own, with nothing in it.
                    "data" => stream += &format!("data{end}{end}"),
                    line => stream += &format!("{line}{end}"),
                }
                for line in data.split('\n') {
                    // The blank behind the colon may be missing, unless the next one would be taken for it.
                    let blank = if tight && !line.starts_with(' ') { "" } else { " " };
                    stream += &format!("data:{blank}{line}{end}");
                }
                stream += end;
            }
            stream.into_bytes()
        })
        .boxed()
}

/// Bytes in the pieces in which they are read.
pub fn pieces(bytes: Vec<u8>) -> BoxedStrategy<Vec<Vec<u8>>> {
    let cuts = prop_oneof![4 => vec(any::<Index>(), 0..8), 1 => vec(any::<Index>(), 200)];
    cuts.prop_map(move |cuts| {
        let mut cuts: Vec<usize> =
            cuts.iter().map(|cut| cut.index(bytes.len())).filter(|cut| *cut > 0).collect();
        cuts.sort_unstable();
        cuts.dedup();
        let mut pieces = Vec::new();
        let mut from = 0;
        for to in cuts.into_iter().chain([bytes.len()]) {
            pieces.push(bytes[from..to].to_vec());
            from = to;
        }
        pieces
    })
    .boxed()
}

fn fixed(text: &str) -> BoxedStrategy<String> {
    Just(text.to_owned()).boxed()
}

fn text_of(object: Object) -> String {
    object.text
}
