//! Texts to vectors.

use patchbay_plugin_api::dialect::{self, object};
use patchbay_plugin_api::{EmbedRequest, Embeddings, Result, Usage};
use serde::Deserialize;
use serde_json::{Value, json};

/// A request for a vector of each text. Google asks for the model of each again.
pub(crate) fn body(request: &EmbedRequest, model: &str) -> Result<Value> {
    let asked = |text: &str| {
        object([
            ("model", format!("models/{model}").into()),
            ("content", json!({"parts": [{"text": text}]})),
            ("outputDimensionality", request.dimensions.into()),
        ])
    };
    Ok(json!({"requests": request.texts()?.into_iter().map(asked).collect::<Vec<_>>()}))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answered {
    embeddings: Vec<Vector>,
    /// Older models do not count.
    #[serde(default)]
    usage_metadata: Value,
}

#[derive(Deserialize)]
struct Vector {
    values: Vec<f32>,
}

pub(crate) fn read(body: &[u8]) -> Result<Embeddings> {
    let answered: Answered = dialect::read("the provider's embeddings", body)?;
    let vectors = answered.embeddings.into_iter().map(|vector| of_length_one(vector.values)).collect();
    let counted = answered.usage_metadata["promptTokenCount"].as_u64().unwrap_or_default();
    Ok(Embeddings::new(vectors).with_usage(Usage::new(counted, 0)))
}

/// As OpenAI's vectors are, for whose clients a product is a likeness. Google cuts vectors to the dimensions that are
/// asked for, and what is left is shorter.
fn of_length_one(mut vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|number| *number /= length);
    }
    vector
}
