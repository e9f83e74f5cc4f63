//! Typed views of the canonical embeddings JSON.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};

use crate::chat::Usage;
use crate::{ProviderError, Result, json};

/// Texts to be turned into vectors.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EmbedRequest {
    /// The model, in the provider's own words; none for the provider's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What to turn into vectors.
    pub input: EmbedInput,
    /// How long the vectors should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<usize>,
    /// How numbers are to be written; [`Embeddings`] sees to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding_format: Option<EncodingFormat>,
    /// Every other member, as the client wrote it.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

json::open_object! {
    EmbedRequest {
        model: "model",
        input: "input" required,
        dimensions: "dimensions",
        encoding_format: "encoding_format",
    }
}

/// The input of an embeddings request.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum EmbedInput {
    /// One text.
    Text(String),
    /// Several texts, a vector for each.
    Texts(Vec<String>),
    /// One text in tokens.
    Tokens(Vec<u32>),
    /// Several texts in tokens.
    TokenLists(Vec<Vec<u32>>),
}

impl<'de> Deserialize<'de> for EmbedInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let token = |value: &Value| u32::try_from(value.as_u64()?).ok();
        let input = match Value::deserialize(deserializer)? {
            Value::String(text) => Some(Self::Text(text)),
            // An empty list is one of texts.
            Value::Array(list) => match list.first() {
                None | Some(Value::String(_)) => {
                    json::all(&list, |text| text.as_str().map(str::to_owned)).map(Self::Texts)
                }
                Some(Value::Array(_)) => {
                    let tokens = |list: &Value| json::all(list.as_array()?, token);
                    json::all(&list, tokens).map(Self::TokenLists)
                }
                Some(_) => json::all(&list, token).map(Self::Tokens),
            },
            _ => None,
        };
        input.ok_or_else(|| D::Error::custom("expected a string, a list of strings, or tokens"))
    }
}

/// How the numbers of a vector are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EncodingFormat {
    /// As a list of numbers.
    #[default]
    Float,
    /// As 32-bit floats, little-endian, in base64: what OpenAI's own clients ask for.
    Base64,
}

impl EmbedRequest {
    /// Reads a request. The error names the field that is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        json::read_input("the request", bytes)
    }

    /// Writes it as JSON.
    pub fn to_json(&self) -> Vec<u8> {
        json::to_vec(self)
    }

    /// A member that has no field of its own, such as `truncate`; none where it is `null`.
    pub fn member(&self, name: &str) -> Option<&Value> {
        self.extra.get(name).filter(|value| !value.is_null())
    }

    /// The texts, for providers that do not take tokens.
    pub fn texts(&self) -> Result<Vec<&str>> {
        match &self.input {
            EmbedInput::Text(text) => Ok(vec![text]),
            // An empty list is read as texts, so it cannot be mistaken for tokens.
            EmbedInput::Texts(texts) => Ok(texts.iter().map(String::as_str).collect()),
            EmbedInput::Tokens(_) | EmbedInput::TokenLists(_) => {
                Err(ProviderError::invalid_input("this provider takes `input` as text, not as tokens"))
            }
        }
    }
}

/// What a provider answers an embeddings request with.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings(Form);

#[derive(Debug, Clone, PartialEq)]
enum Form {
    Raw(Vec<u8>),
    Built { vectors: Vec<Vec<f32>>, model: Option<String>, usage: Usage },
}

impl Embeddings {
    /// A vector for each text, in their order.
    pub fn new(vectors: Vec<Vec<f32>>) -> Self {
        Self(Form::Built { vectors, model: None, usage: Usage::default() })
    }

    /// An upstream answer that already is in the canonical form: its bytes reach the client untouched.
    ///
    /// The `with_` functions leave it as it is.
    pub fn raw(json: impl Into<Vec<u8>>) -> Self {
        Self(Form::Raw(json.into()))
    }

    /// The model that really answered.
    #[must_use]
    pub fn with_model(mut self, name: impl Into<String>) -> Self {
        if let Form::Built { model, .. } = &mut self.0 {
            *model = Some(name.into());
        }
        self
    }

    /// What it cost.
    #[must_use]
    pub fn with_usage(mut self, counted: Usage) -> Self {
        if let Form::Built { usage, .. } = &mut self.0 {
            *usage = counted;
        }
        self
    }

    /// The answer as JSON, its numbers written as the request wants them.
    pub fn into_json(self, default_model: &str, format: EncodingFormat) -> Vec<u8> {
        let (vectors, model, usage) = match self.0 {
            Form::Raw(bytes) => return bytes,
            Form::Built { vectors, model, usage } => (vectors, model, usage),
        };
        let written = |vector: &Vec<f32>| match format {
            EncodingFormat::Float => json!(vector),
            EncodingFormat::Base64 => {
                base64(&vector.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<_>>()).into()
            }
        };
        let data: Vec<Value> = (0_u32..)
            .zip(&vectors)
            .map(|(index, vector)| json!({"object": "embedding", "index": index, "embedding": written(vector)}))
            .collect();
        json::to_vec(&json!({
            "object": "list",
            "data": data,
            "model": model.as_deref().unwrap_or(default_model),
            "usage": {"prompt_tokens": usage.prompt_tokens, "total_tokens": usage.total_tokens},
        }))
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let bits =
            three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place) & 63) as usize];
            out.push(if place <= three.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_of_input_survive() {
        for input in [json!("a"), json!(["a", "b"]), json!([1, 2]), json!([[1], [2, 3]])] {
            let written = json!({"model": "m", "input": input, "encoding_format": "base64", "user": "u"});
            let request = EmbedRequest::parse(written.to_string().as_bytes()).unwrap();
            assert_eq!(serde_json::from_slice::<Value>(&request.to_json()).unwrap(), written);
        }
        let refused = EmbedRequest::parse(br#"{"input": {}}"#).unwrap_err();
        assert!(
            refused.message.contains("`input`") && refused.message.contains("list of strings"),
            "{refused}"
        );
        assert!(EmbedRequest::parse(br#"{"input": [1]}"#).unwrap().texts().is_err());
    }

    #[test]
    fn numbers_are_written_as_asked() {
        let vectors = || Embeddings::new(vec![vec![1.0, -0.5]]).with_usage(Usage::new(2, 0));
        let read = |format| -> Value { serde_json::from_slice(&vectors().into_json("m", format)).unwrap() };
        assert_eq!(
            read(EncodingFormat::Float),
            json!({"object": "list", "model": "m", "usage": {"prompt_tokens": 2, "total_tokens": 2},
                "data": [{"object": "embedding", "index": 0, "embedding": [1.0, -0.5]}]})
        );
        assert_eq!(read(EncodingFormat::Base64)["data"][0]["embedding"], "AACAPwAAAL8=");
    }

    #[test]
    fn base64_is_padded() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
