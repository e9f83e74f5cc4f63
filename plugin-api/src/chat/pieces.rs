//! What a message says, piece by piece, however it was written.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{Content, FunctionCall, Message, Part};
use crate::{ProviderError, Result};

/// One thing that a message says, with the further members that the client gave it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Piece<'a> {
    /// What it is.
    pub said: Said<'a>,
    members: Option<&'a Map<String, Value>>,
}

/// What a piece is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Said<'a> {
    /// A text, which may be empty; also the words with which a model refused.
    Text(&'a str),
    /// An image, by its address or as a `data:` URL: see [`Media::of`].
    Image(&'a str),
    /// Speech.
    Audio {
        /// In base64.
        data: &'a str,
        /// Such as `wav`.
        format: &'a str,
    },
    /// A file, usually as a `data:` URL.
    File(&'a str),
    /// A part of a type that this version does not know, or without what its type needs, whole.
    Other(&'a str, &'a Map<String, Value>),
}

/// Where an image, a file or speech is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Media<'a> {
    /// At an address.
    At(&'a str),
    /// In the request itself.
    Inline {
        /// Such as `image/png`, without its parameters.
        media_type: Cow<'a, str>,
        /// In base64.
        data: &'a str,
    },
}

impl Message {
    /// What the message says, in its order.
    ///
    /// ```
    /// # use patchbay_plugin_api::{Message, chat::Said};
    /// let message = Message::user("look");
    /// let said: Vec<_> = message.pieces().map(|piece| piece.said).collect();
    /// assert_eq!(said, [Said::Text("look")]);
    /// ```
    pub fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        let (text, parts) = match &self.content {
            None => (None, &[][..]),
            Some(Content::Text(text)) => (Some(Piece { said: Said::Text(text), members: None }), &[][..]),
            Some(Content::Parts(parts)) => (None, &parts[..]),
        };
        text.into_iter().chain(parts.iter().map(Piece::of))
    }

    /// The same without blank texts, which many vendors refuse.
    pub fn said(&self) -> impl Iterator<Item = Piece<'_>> {
        self.pieces().filter(|piece| !matches!(piece.said, Said::Text(text) if text.trim().is_empty()))
    }
}

impl<'a> Piece<'a> {
    /// A further member, such as `cache_control`.
    pub fn member(&self, name: &str) -> Option<&'a Value> {
        self.members?.get(name)
    }

    /// Where it is, if it is an image, a file or speech; the error of [`unsupported`](Self::unsupported) otherwise.
    ///
    /// ```
    /// # use patchbay_plugin_api::chat::{ChatRequest, Media};
    /// let asked = br#"{"messages": [{"role": "user", "content": [
    ///     {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}]}]}"#;
    /// let asked = ChatRequest::parse(asked)?;
    /// let speech = asked.messages[0].pieces().next().unwrap();
    /// assert_eq!(speech.media()?, Media::Inline { media_type: "audio/wav".into(), data: "AAAA" });
    /// # Ok::<(), patchbay_plugin_api::ProviderError>(())
    /// ```
    pub fn media(&self) -> Result<Media<'a>> {
        match self.said {
            Said::Image(url) | Said::File(url) => Media::of(url),
            Said::Audio { data, format } => {
                Ok(Media::Inline { media_type: format!("audio/{format}").into(), data })
            }
            Said::Text(_) | Said::Other(..) => Err(self.unsupported()),
        }
    }

    /// The error of a provider that does not take it.
    pub fn unsupported(&self) -> ProviderError {
        let kind = match self.said {
            Said::Text(_) => "text",
            Said::Image(_) => "image_url",
            Said::Audio { .. } => "input_audio",
            Said::File(_) => "file",
            Said::Other("file", _) => return ProviderError::unsupported("files without `file_data`"),
            Said::Other(kind, _) => kind,
        };
        ProviderError::unsupported(&format!("parts of type `{kind}`"))
    }

    fn of(part: &'a Part) -> Self {
        match part {
            Part::Text { text, extra } => Self { said: Said::Text(text), members: Some(extra) },
            Part::ImageUrl { image_url, extra } => {
                Self { said: Said::Image(&image_url.url), members: Some(extra) }
            }
            Part::Other(members) => Self { said: Said::of(members), members: Some(members) },
        }
    }
}

impl<'a> Said<'a> {
    fn of(members: &'a Map<String, Value>) -> Self {
        let kind = members.get("type").and_then(Value::as_str).unwrap_or_default();
        let known = members.get(kind).and_then(|said| {
            let text = |member: &str| said[member].as_str();
            match kind {
                "refusal" => said.as_str().map(Self::Text),
                "file" => text("file_data").map(Self::File),
                "input_audio" => Some(Self::Audio { data: text("data")?, format: text("format")? }),
                _ => None,
            }
        });
        known.unwrap_or(Self::Other(kind, members))
    }
}

impl<'a> Media<'a> {
    /// Reads an address, or what a `data:` URL holds.
    ///
    /// ```
    /// # use patchbay_plugin_api::chat::Media;
    /// let media = Media::of("data:image/png;base64,AAAA")?;
    /// assert_eq!(media, Media::Inline { media_type: "image/png".into(), data: "AAAA" });
    /// # Ok::<(), patchbay_plugin_api::ProviderError>(())
    /// ```
    pub fn of(url: &'a str) -> Result<Self> {
        let refused = |message: &str| ProviderError::invalid_input(message.to_owned());
        let Some(inline) = url.strip_prefix("data:") else { return Ok(Self::At(url)) };
        let (about, data) =
            inline.split_once(',').ok_or_else(|| refused("a `data:` URL has no data: it needs a comma"))?;
        let about = about
            .strip_suffix(";base64")
            .ok_or_else(|| refused("a `data:` URL must be of a media type and in base64"))?;
        match about.split(';').next().unwrap_or_default() {
            "" => Err(refused("a `data:` URL does not say its type, such as image/png")),
            // A common mistake, which vendors do not forgive.
            "image/jpg" => Ok(Self::Inline { media_type: "image/jpeg".into(), data }),
            media_type => Ok(Self::Inline { media_type: media_type.into(), data }),
        }
    }
}

/// The type of an image by the end of its name, for vendors that want to be told it beside an address.
///
/// ```
/// # use patchbay_plugin_api::chat::image_type;
/// assert_eq!(image_type("https://x.test/a.JPG?width=9"), Some("image/jpeg"));
/// assert_eq!(image_type("https://x.test/a"), None);
/// ```
pub fn image_type(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next()?;
    Some(match path.rsplit_once('.')?.1.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "heic" => "image/heic",
        "heif" => "image/heif",
        "gif" => "image/gif",
        _ => return None,
    })
}

impl FunctionCall {
    /// The arguments as an object, for dialects that have them so; none where the model wrote something else.
    ///
    /// ```
    /// # use patchbay_plugin_api::ToolCall;
    /// assert_eq!(ToolCall::function("1", "f", " ").function.object(), Some(Default::default()));
    /// assert_eq!(ToolCall::function("1", "f", "{\"a").function.object(), None);
    /// ```
    pub fn object(&self) -> Option<Map<String, Value>> {
        match self.arguments.trim() {
            "" => Some(Map::new()),
            arguments => serde_json::from_str(arguments).ok(),
        }
    }

    /// The same for providers that take nothing else: others may take whatever the model wrote.
    pub fn only_object(&self) -> Result<Map<String, Value>> {
        let other = || ProviderError::unsupported("a tool call's arguments that are not a JSON object");
        self.object().ok_or_else(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Role;
    use serde::Deserialize as _;
    use serde_json::json;

    #[test]
    fn pieces_are_what_they_say() {
        let content = json!([
            {"type": "text", "text": "look", "cache_control": 1},
            {"type": "image_url", "image_url": {"url": "https://x/a.png"}},
            {"type": "refusal", "refusal": "no"},
            {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
            {"type": "file", "file": {"file_data": "data:x"}},
            {"type": "file", "file": {"file_id": "1"}},
            {"type": "input_audio", "input_audio": {}},
            {"type": "scent"},
        ]);
        let content = Some(Content::deserialize(content).unwrap());
        let message = Message { content, ..Message::new(Role::User, "") };
        let pieces: Vec<_> = message.pieces().collect();
        assert_eq!(pieces[0].member("cache_control"), Some(&json!(1)));
        let said: Vec<_> = pieces.into_iter().map(|piece| piece.said).collect();
        assert_eq!(
            said[..5],
            [
                Said::Text("look"),
                Said::Image("https://x/a.png"),
                Said::Text("no"),
                Said::Audio { data: "AA", format: "wav" },
                Said::File("data:x"),
            ]
        );
        let kinds = said[5..].iter().map(|said| match said {
            Said::Other(kind, _) => *kind,
            other => panic!("{other:?}"),
        });
        assert_eq!(kinds.collect::<Vec<_>>(), ["file", "input_audio", "scent"]);
        let media: Vec<_> = message.pieces().map(|piece| piece.media().ok()).collect();
        assert_eq!(media[1], Some(Media::At("https://x/a.png")));
        assert_eq!(media.iter().flatten().count(), 2, "a text has none, and what cannot be read");
        let unsupported = message.pieces().last().unwrap().unsupported();
        assert_eq!(unsupported.message, "this provider does not support parts of type `scent`");
        assert_eq!(Message { content: None, ..Message::user("") }.pieces().count(), 0);
        assert_eq!((Message::user(" \n").said().count(), Message::user(" a").said().count()), (0, 1));
    }

    #[test]
    fn arguments_are_an_object_or_refused() {
        let arguments = |written: &str| crate::ToolCall::function("1", "f", written).function.only_object();
        assert_eq!(arguments(r#" {"a": 1} "#).map(Value::from), Ok(json!({"a": 1})));
        for written in ["[", "[]", "a"] {
            assert!(arguments(written).unwrap_err().message.ends_with("not a JSON object"), "{written}");
        }
    }

    #[test]
    fn media_are_at_an_address_or_in_base64() {
        assert_eq!(Media::of("https://x/a.png"), Ok(Media::At("https://x/a.png")));
        let jpeg = Media::Inline { media_type: "image/jpeg".into(), data: "AA" };
        assert_eq!(Media::of("data:image/jpg;name=a;base64,AA"), Ok(jpeg));
        for (url, says) in [
            ("data:image/png", "no data"),
            ("data:image/png,AA", "in base64"),
            ("data:;base64,AA", "does not say its type"),
        ] {
            let error = Media::of(url).unwrap_err();
            assert!(error.message.contains(says), "{error} does not say {says}");
        }
    }
}
