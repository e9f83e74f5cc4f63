//! How a vendor answers with vectors.

use super::{Errors, Json};
use crate::chat::Usage;
use crate::embed::Embeddings;
use crate::{ProviderError, Result};

/// Where a vendor's answer holds vectors, as paths of [`Json`]; take what it does not say from [`Vectors::PLAIN`].
///
/// ```
/// use patchbay_plugin_api::Embeddings;
/// use patchbay_plugin_api::dialect::{Errors, Vectors};
///
/// const VECTORS: Vectors = Vectors { list: "/vectors", each: "/of", tokens: &["/read"], ..Vectors::PLAIN };
///
/// let vectors = VECTORS.read(br#"{"vectors": [{"of": [1, 0.5]}]}"#, &Errors::PLAIN)?;
/// assert_eq!(vectors, Embeddings::new(vec![vec![1.0, 0.5]]));
/// # Ok::<(), patchbay_plugin_api::ProviderError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Vectors {
    /// The path to the list.
    pub list: &'static str,
    /// The path, from an item of the list, to the vector's numbers.
    pub each: &'static str,
    /// The paths to how many tokens were read, of which the first that is there holds.
    pub tokens: &'static [&'static str],
    /// The path to the model that made them.
    pub model: &'static str,
    /// Whether they have to be made as long as one, where the vendor does not see to it. OpenAI's are, so that its
    /// clients take a product of two for their likeness.
    pub to_length_one: bool,
}

impl Vectors {
    /// A list as OpenAI's.
    pub const PLAIN: Self = Self {
        list: "/data",
        each: "/embedding",
        tokens: &["/usage/prompt_tokens"],
        model: "/model",
        to_length_one: false,
    };

    /// Reads an answer, which may be an error in the place of one.
    pub fn read(&self, answer: &[u8], errors: &Errors) -> Result<Embeddings> {
        const WHAT: &str = "the provider's embeddings";
        let answer = errors.read(WHAT, answer)?;
        let read = |vector: Json<'_>| vector.at(self.each).to::<Vec<f32>>(WHAT);
        let mut vectors = answer.items(self.list).map(read).collect::<Result<Vec<_>>>()?;
        // Whoever asks has something to be turned into vectors.
        if vectors.is_empty() {
            return Err(ProviderError::unreadable("the provider's answer holds no embeddings"));
        }
        if self.to_length_one {
            vectors.iter_mut().for_each(|vector| scale(vector));
        }
        let tokens = self.tokens.iter().find_map(|path| answer.number(path)).unwrap_or_default();
        let vectors = Embeddings::new(vectors).with_usage(Usage::new(tokens, 0));
        Ok(answer.string(self.model).into_iter().fold(vectors, Embeddings::with_model))
    }
}

/// Makes a vector as long as one. What is nothing stays it.
fn scale(vector: &mut [f32]) {
    let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|number| *number /= length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::dialect::NOWHERE;

    const CUT: Vectors = Vectors {
        list: "/embeddings/float",
        each: "",
        tokens: &["/billed", "/read"],
        model: NOWHERE,
        to_length_one: true,
    };

    #[test]
    fn vectors_are_read_with_what_they_cost() {
        let plain = br#"{"data": [{"embedding": [2, 0]}], "model": "m", "usage": {"prompt_tokens": 3}}"#;
        let expected = Embeddings::new(vec![vec![2.0, 0.0]]).with_model("m").with_usage(Usage::new(3, 0));
        assert_eq!(Vectors::PLAIN.read(plain, &Errors::PLAIN), Ok(expected));

        let cut = br#"{"embeddings": {"float": [[3, 4], [0, 0]]}, "model": "m", "read": 7}"#;
        let expected = Embeddings::new(vec![vec![0.6, 0.8], vec![0.0, 0.0]]).with_usage(Usage::new(7, 0));
        assert_eq!(CUT.read(cut, &Errors::PLAIN), Ok(expected));
    }

    #[test]
    fn an_answer_without_vectors_is_none() {
        for (body, kind) in [
            ("<html>", ErrorKind::UnreadableAnswer),
            ("{}", ErrorKind::UnreadableAnswer),
            (r#"{"data": []}"#, ErrorKind::UnreadableAnswer),
            (r#"{"data": [{"embedding": ["a"]}]}"#, ErrorKind::UnreadableAnswer),
            (r#"{"data": [{}]}"#, ErrorKind::UnreadableAnswer),
            (r#"{"error": "no"}"#, ErrorKind::Provider),
        ] {
            let error = Vectors::PLAIN.read(body.as_bytes(), &Errors::PLAIN).unwrap_err();
            assert_eq!(error.kind, kind, "{body}");
        }
    }
}
