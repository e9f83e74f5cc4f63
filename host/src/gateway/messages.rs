//! The messages of a request: checked without taking them apart, so that the first wrong one can be named.

use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The roles of OpenAI's chat API.
const ROLES: [&str; 5] = ["system", "developer", "user", "assistant", "tool"];

const EMPTY: &str = "Messages must not be empty";

/// What the messages ask of whoever answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    /// There are images in them.
    pub(super) images: bool,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    role: Option<&'a RawValue>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow)]
    function_call: Option<&'a RawValue>,
}

/// What a look reads of a message.
#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
}

/// Checks the JSON of `messages`; the error says what is wrong where.
pub(super) fn check(json: &Bytes) -> Result<Contents, String> {
    let mut contents = Contents::default();
    for (index, message) in list(json)?.into_iter().enumerate() {
        let at = place(index);
        let message = object(message).ok_or_else(|| no_object(&at))?;
        check_one(&message, &at, &mut contents)?;
    }
    Ok(contents)
}

/// Reads from `messages` only what is decided by; whether the rest is right is for whoever answers to say. What a
/// client of OpenAI's may send grows faster than this host.
pub(super) fn look(json: &Bytes) -> Result<Contents, String> {
    // All of them in one pass: this runs for every request. What is wrong where is looked for afterwards.
    let messages: Vec<Object<Content<'_>>> = serde_json::from_slice(json).map_err(|_| first_wrong(json))?;
    if messages.is_empty() {
        return Err(EMPTY.to_owned());
    }
    let mut contents = Contents::default();
    for (index, Object(Content { content })) in messages.into_iter().enumerate() {
        if let Some(parts) = content.filter(|content| content.get().starts_with('[')) {
            check_parts(parts, &place(index), &mut contents)?;
        }
    }
    Ok(contents)
}

/// Why these are not messages.
fn first_wrong(json: &Bytes) -> String {
    let is_wrong = |message| object::<Content<'_>>(message).is_none();
    match list(json).map(|messages| messages.into_iter().position(is_wrong)) {
        Ok(wrong) => no_object(&place(wrong.unwrap_or_default())),
        Err(problem) => problem,
    }
}

fn place(index: usize) -> String {
    format!("messages[{index}]")
}

fn no_object(at: &str) -> String {
    format!("{at} must be an object with role and content")
}

fn list(json: &Bytes) -> Result<Vec<&RawValue>, String> {
    let messages: Vec<&RawValue> =
        serde_json::from_slice(json).map_err(|_| "Messages must be a list".to_owned())?;
    if messages.is_empty() { Err(EMPTY.to_owned()) } else { Ok(messages) }
}

fn check_one(message: &Message<'_>, at: &str, contents: &mut Contents) -> Result<(), String> {
    let role = message.role.and_then(|role| serde_json::from_str::<String>(role.get()).ok());
    match role {
        None => return Err(format!("{at}.role is missing or not a string")),
        Some(role) if !ROLES.contains(&role.as_str()) => {
            return Err(format!("{at}.role must be one of {}", ROLES.join(", ")));
        }
        Some(_) => {}
    }
    let Some(content) = message.content else {
        return match (message.tool_calls, message.function_call) {
            (None, None) => Err(format!("{at}.content is missing (it may be null only beside tool_calls)")),
            _ => Ok(()),
        };
    };
    match content.get().as_bytes().first() {
        Some(b'"') => Ok(()),
        Some(b'[') => check_parts(content, at, contents),
        _ => Err(format!("{at}.content must be a string or a list of parts")),
    }
}

fn check_parts(content: &RawValue, at: &str, contents: &mut Contents) -> Result<(), String> {
    let parts: Vec<&RawValue> =
        serde_json::from_str(content.get()).map_err(|_| format!("{at}.content must be a list of parts"))?;
    for (index, part) in parts.into_iter().enumerate() {
        let kind = object::<Part<'_>>(part).and_then(|part| part.kind);
        match kind.map(RawValue::get) {
            Some(r#""image_url""# | r#""input_image""# | r#""image""#) => contents.images = true,
            Some(kind) if kind.starts_with('"') => {}
            _ => return Err(format!("{at}.content[{index}] must be an object with a type")),
        }
    }
    Ok(())
}

fn object<'a, T: Deserialize<'a>>(json: &'a RawValue) -> Option<T> {
    serde_json::from_str(json.get()).ok().map(|Object(object)| object)
}

/// What is read of an object. A list would do too for serde, but not for upstreams.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members)).map(Object)
            }
        }
        deserializer.deserialize_map(Members(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(json: &str) -> Result<Contents, String> {
        check(&Bytes::copy_from_slice(json.as_bytes()))
    }

    #[test]
    fn good_messages_pass() {
        for json in [
            r#"[{"role":"user","content":"hi"}]"#,
            r#"[{"role":"system","content":""},{"role":"developer","content":"x"}]"#,
            r#"[{"role":"assistant","content":null,"tool_calls":[{"id":"t"}]},{"role":"tool","content":"1","tool_call_id":"t"}]"#,
            r#"[{"role":"assistant","tool_calls":[]}]"#,
            r#"[{"role":"us\u0065r","content":[{"type":"text","text":"x"}],"name":"n"}]"#,
        ] {
            assert_eq!(checked(json), Ok(Contents { images: false }), "{json}");
        }
        let image =
            r#"[{"role":"user","content":[{"type":"text","text":"x"},{"type":"image_url","image_url":{}}]}]"#;
        assert_eq!(checked(image), Ok(Contents { images: true }));
    }

    #[test]
    fn a_look_leaves_to_upstream_what_it_does_not_decide_by() {
        let looked = |json: &'static str| look(&Bytes::from_static(json.as_bytes()));
        for json in [
            r#"[{"role":"function","name":"f","content":"1"},{"role":"assistant","content":null,"audio":{"id":"a"}}]"#,
            r#"[{"role":"robot"}]"#,
        ] {
            assert_eq!(looked(json), Ok(Contents { images: false }), "{json}");
        }
        let image = r#"[{"role":"user","content":[{"type":"image_url","image_url":{}}]}]"#;
        assert_eq!(looked(image), Ok(Contents { images: true }));
        assert_eq!(looked("[]").unwrap_err(), "Messages must not be empty");
        for (json, words) in [
            (r#"{"role":"user"}"#, "Messages must be a list"),
            (r#"[["user","hi"]]"#, "messages[0] must be an object"),
            (r#"[{"role":"user"},{},"hi",7]"#, "messages[2] must be an object"),
        ] {
            assert!(looked(json).unwrap_err().starts_with(words), "{json}");
        }
    }

    #[test]
    fn the_first_wrong_one_is_named() {
        for (json, words) in [
            (r#""hi""#, "Messages must be a list"),
            ("null", "Messages must be a list"),
            (r#"{"role":"user"}"#, "Messages must be a list"),
            ("[]", "Messages must not be empty"),
            (r#"["hi"]"#, "messages[0] must be an object"),
            (r#"[["user","hi",null,null]]"#, "messages[0] must be an object"),
            (r#"[{"role":"user","content":"a"},{"content":"b"}]"#, "messages[1].role is missing"),
            (r#"[{"role":7,"content":"b"}]"#, "messages[0].role is missing or not a string"),
            (
                r#"[{"role":"robot","content":"b"}]"#,
                "messages[0].role must be one of system, developer, user",
            ),
            (r#"[{"role":"user"}]"#, "messages[0].content is missing"),
            (r#"[{"role":"user","content":null}]"#, "messages[0].content is missing"),
            (r#"[{"role":"user","content":7}]"#, "messages[0].content must be a string or a list of parts"),
            (
                r#"[{"role":"user","content":[{"type":"text"},"x"]}]"#,
                "messages[0].content[1] must be an object",
            ),
            (r#"[{"role":"user","content":[{}]}]"#, "messages[0].content[0] must be an object with a type"),
        ] {
            let error = checked(json).unwrap_err();
            assert!(error.starts_with(words), "{json}: {error}");
        }
    }
}
