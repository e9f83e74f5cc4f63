//! Texts to vectors.

use patchbay_plugin_api::{EmbedRequest, Embeddings, Result, Usage};
use serde::Deserialize;
use serde_json::{Value, json};

/// A request for a vector of each text. Google asks for the model of each again.
pub(crate) fn body(request: &EmbedRequest, model: &str) -> Result<Value> {
    let asked = |text: &str| {
        let mut asked = json!({"model": format!("models/{model}"), "content": {"parts": [{"text": text}]}});
        if let Some(dimensions) = request.dimensions {
            asked["outputDimensionality"] = dimensions.into();
        }
        asked
    };
    Ok(json!({"requests": request.texts()?.into_iter().map(asked).collect::<Vec<_>>()}))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answered {
    embeddings: Vec<Vector>,
    #[serde(default)]
    usage_metadata: Counted,
}

#[derive(Deserialize)]
struct Vector {
    values: Vec<f32>,
}

/// Older models do not count.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Counted {
    prompt_token_count: u64,
}

pub(crate) fn read(body: &[u8]) -> Result<Embeddings> {
    let answered: Answered = crate::read("the provider's embeddings", body)?;
    let vectors = answered.embeddings.into_iter().map(|vector| of_length_one(vector.values)).collect();
    Ok(Embeddings::new(vectors).with_usage(Usage::new(answered.usage_metadata.prompt_token_count, 0)))
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
