//! What a message says: a text, or a list of parts.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::json::open_object;

/// The content of a message.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Content {
    /// One text.
    Text(String),
    /// Texts, images and what else a model may read.
    Parts(Vec<Part>),
}

/// One part of a content.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// A text.
    Text {
        /// The text.
        text: String,
        /// Further members, such as `cache_control`.
        extra: Map<String, Value>,
    },
    /// An image.
    ImageUrl {
        /// Where it is.
        image_url: ImageUrl,
        /// Further members.
        extra: Map<String, Value>,
    },
    /// A part this version does not know, whole.
    Other(Map<String, Value>),
}

/// Where an image is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ImageUrl {
    /// An address, or a `data:` URL that holds the image itself.
    pub url: String,
    /// How closely the model should look: `low`, `high` or `auto`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Further members.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

open_object! {
    ImageUrl {
        url: "url" required,
        detail: "detail",
    }
}

impl Content {
    /// The text alone: that of all text parts, one line each, where there are several.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Parts(parts) => {
                let mut texts = parts.iter().filter_map(|part| match part {
                    Part::Text { text, .. } => Some(text.as_str()),
                    _ => None,
                });
                let first = texts.next().unwrap_or_default();
                texts.fold(Cow::Borrowed(first), |all, next| Cow::Owned(format!("{all}\n{next}")))
            }
        }
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrParts;
        impl<'de> Visitor<'de> for TextOrParts {
            type Value = Content;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of parts")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Content, E> {
                Ok(Content::from(text))
            }

            fn visit_string<E: de::Error>(self, text: String) -> Result<Content, E> {
                Ok(Content::Text(text))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, parts: A) -> Result<Content, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(parts)).map(Content::Parts)
            }
        }
        deserializer.deserialize_any(TextOrParts)
    }
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut part = Map::deserialize(deserializer)?;
        match part.get("type").and_then(Value::as_str) {
            Some("text") => match part.remove("text") {
                Some(Value::String(text)) => Ok(Self::Text { text, extra: without_type(part) }),
                _ => Err(de::Error::custom("a part of type `text` needs `text`, a string")),
            },
            Some("image_url") => {
                let image = part.remove("image_url").unwrap_or_default();
                let image_url = ImageUrl::deserialize(image).map_err(|_| {
                    de::Error::custom(
                        "a part of type `image_url` needs `image_url`, an object with `url`, a string",
                    )
                })?;
                Ok(Self::ImageUrl { image_url, extra: without_type(part) })
            }
            Some(_) => Ok(Self::Other(part)),
            None => Err(de::Error::custom("a part needs `type`, a string")),
        }
    }
}

/// The type is written by [`Part`]'s own `Serialize`.
fn without_type(mut part: Map<String, Value>) -> Map<String, Value> {
    part.remove("type");
    part
}

impl Serialize for Part {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Written<'a> {
            r#type: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            text: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            image_url: Option<&'a ImageUrl>,
            #[serde(flatten)]
            extra: &'a Map<String, Value>,
        }
        match self {
            Self::Text { text, extra } => {
                Written { r#type: "text", text: Some(text), image_url: None, extra }.serialize(serializer)
            }
            Self::ImageUrl { image_url, extra } => {
                Written { r#type: "image_url", text: None, image_url: Some(image_url), extra }
                    .serialize(serializer)
            }
            Self::Other(part) => part.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn parts_keep_what_they_do_not_know() {
        let written = json!([
            {"type": "text", "text": "look", "cache_control": {"type": "ephemeral"}},
            {"type": "image_url", "image_url": {"url": "data:x", "detail": "low", "format": "png"}, "id": 1},
            {"type": "input_audio", "input_audio": {"data": "AAAA"}},
            {"type": "text", "text": "closely"},
        ]);
        let content = Content::deserialize(&written).unwrap();
        assert_eq!(content.text(), "look\nclosely");
        assert_eq!(serde_json::to_value(&content).unwrap(), written);
    }

    #[test]
    fn a_broken_part_is_refused_in_a_sentence() {
        for (part, says) in [
            (json!({"type": "text"}), "needs `text`"),
            (json!({"type": "image_url", "image_url": "http://x"}), "needs `image_url`"),
            (json!({"text": "no type"}), "needs `type`"),
        ] {
            let refused = Content::deserialize(json!([part])).unwrap_err().to_string();
            assert!(refused.contains(says), "{refused}");
        }
    }
}
