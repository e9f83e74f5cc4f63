//! Texts to vectors.

use patchbay_plugin_api::{EmbedRequest, Embeddings, Result, Usage};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::answer::{Counted, read};

/// A request for a vector of each text. Cohere wants to know what they are for; where it is not told in its own
/// words, they are to be found again.
pub(crate) fn body(request: &EmbedRequest, model: &str) -> Result<Value> {
    let own = |name: &str| request.extra.get(name).filter(|value| !value.is_null());
    let mut body = json!({
        "model": model, "texts": request.texts()?, "embedding_types": ["float"],
        "input_type": own("input_type").cloned().unwrap_or_else(|| "search_document".into()),
    });
    if let Some(dimensions) = request.dimensions {
        body["output_dimension"] = dimensions.into();
    }
    if let Some(truncate) = own("truncate") {
        body["truncate"] = truncate.clone();
    }
    Ok(body)
}

#[derive(Deserialize)]
struct Answered {
    embeddings: Vectors,
    meta: Option<Counted>,
}

#[derive(Deserialize)]
struct Vectors {
    float: Vec<Vec<f32>>,
}

pub(crate) fn read_vectors(body: &[u8]) -> Result<Embeddings> {
    let answered: Answered = read("the provider's embeddings", body)?;
    let vectors = Embeddings::new(answered.embeddings.float);
    Ok(answered.meta.map(Usage::from).into_iter().fold(vectors, Embeddings::with_usage))
}
