//! What a plugin says it can do: the router asks nothing else of it.

use serde::{Serialize, Serializer};

/// A word of `supported_features` that this host knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Feature {
    ChatCompletion,
    Streaming,
    FunctionCalling,
    Vision,
    Embeddings,
    JsonOutput,
    Reasoning,
    ModelList,
    HealthCheck,
    CredentialsCheck,
}

impl Feature {
    pub const ALL: [Self; 10] = [
        Self::ChatCompletion,
        Self::Streaming,
        Self::FunctionCalling,
        Self::Vision,
        Self::Embeddings,
        Self::JsonOutput,
        Self::Reasoning,
        Self::ModelList,
        Self::HealthCheck,
        Self::CredentialsCheck,
    ];

    pub fn word(self) -> &'static str {
        match self {
            Self::ChatCompletion => "chat_completion",
            Self::Streaming => "streaming",
            Self::FunctionCalling => "function_calling",
            Self::Vision => "vision",
            Self::Embeddings => "embeddings",
            Self::JsonOutput => "json_output",
            Self::Reasoning => "reasoning",
            Self::ModelList => "model_list",
            Self::HealthCheck => "health_check",
            Self::CredentialsCheck => "credentials_check",
        }
    }
}

/// The set of features. Words of a later vocabulary are kept, so that they can be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features {
    known: u16,
    unknown: Vec<String>,
}

impl Features {
    pub fn has(&self, feature: Feature) -> bool {
        self.known & (1 << feature as u8) != 0
    }

    /// The words that mean nothing to this host.
    pub fn unknown(&self) -> &[String] {
        &self.unknown
    }

    /// All words: the known ones in the vocabulary's order, then the unknown ones as written.
    pub fn words(&self) -> impl Iterator<Item = &str> + '_ {
        let known = Feature::ALL.iter().filter(|feature| self.has(**feature)).map(|feature| feature.word());
        known.chain(self.unknown.iter().map(String::as_str))
    }
}

impl FromIterator<String> for Features {
    fn from_iter<I: IntoIterator<Item = String>>(words: I) -> Self {
        let mut features = Self::default();
        for word in words {
            match Feature::ALL.into_iter().find(|feature| feature.word() == word) {
                Some(feature) => features.known |= 1 << feature as u8,
                None if features.unknown.contains(&word) => {}
                None => features.unknown.push(word),
            }
        }
        features
    }
}

impl Serialize for Features {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.words())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_words_are_kept_and_shown() {
        let words = ["vision", "telepathy", "streaming", "vision", "telepathy"];
        let features: Features = words.into_iter().map(str::to_owned).collect();
        assert!(features.has(Feature::Vision) && features.has(Feature::Streaming));
        assert!(!features.has(Feature::Embeddings));
        assert_eq!(features.unknown(), ["telepathy"]);
        assert_eq!(serde_json::to_string(&features).unwrap(), r#"["streaming","vision","telepathy"]"#);
    }
}
