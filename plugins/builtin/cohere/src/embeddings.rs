//! Texts to vectors.

use patchbay_plugin_api::dialect::{self, object};
use patchbay_plugin_api::{EmbedRequest, Embeddings, Result};
use serde::Deserialize;
use serde_json::Value;

use crate::answer;

/// A request for a vector of each text. Cohere wants to know what they are for; where it is not told in its own
/// words, they are to be found again.
pub(crate) fn body(request: &EmbedRequest, model: &str) -> Result<Value> {
    let own = |name| request.extra.get(name).cloned();
    Ok(object([
        ("model", model.into()),
        ("texts", request.texts()?.into()),
        ("embedding_types", ["float"].as_slice().into()),
        ("input_type", own("input_type").unwrap_or_else(|| "search_document".into())),
        ("output_dimension", request.dimensions.into()),
        ("truncate", own("truncate").into()),
    ]))
}

#[derive(Deserialize)]
struct Answered {
    embeddings: Vectors,
    #[serde(default)]
    meta: Value,
}

#[derive(Deserialize)]
struct Vectors {
    float: Vec<Vec<f32>>,
}

pub(crate) fn read(body: &[u8]) -> Result<Embeddings> {
    let answered: Answered = dialect::read("the provider's embeddings", body)?;
    Ok(Embeddings::new(answered.embeddings.float).with_usage(answer::usage(&answered.meta)))
}
