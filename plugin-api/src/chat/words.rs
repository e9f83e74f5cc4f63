//! Words with a meaning, of which upstreams keep inventing more.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ProviderError;

macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$meaning:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$meaning])* $variant,)+
            /// A word this version does not know, kept as it is.
            Other(String),
        }

        impl $name {
            /// The word as it stands in the JSON.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::Other(word) => word,
                }
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                match word {
                    $($word => Self::$variant,)+
                    other => Self::Other(other.to_owned()),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer).map(|word| Self::from(word.as_str()))
            }
        }
    };
}

words! {
    /// Who says a message.
    Role {
        /// The instructions the conversation runs under.
        System = "system",
        /// The same, in the newer word.
        Developer = "developer",
        /// The person or program that asks.
        User = "user",
        /// The model.
        Assistant = "assistant",
        /// The result of a tool the model called.
        Tool = "tool",
    }
}

impl Role {
    /// The error of a message, by its index, whose role is none of these.
    pub fn unknown(&self, index: usize) -> ProviderError {
        let error = ProviderError::invalid_input(format!("a message has the unknown role `{self}`"));
        error.with_param(&format!("messages[{index}].role"))
    }
}

words! {
    /// Why an answer ended.
    FinishReason {
        /// The model was done.
        Stop = "stop",
        /// The limit of tokens was reached.
        Length = "length",
        /// The model wants tools to be called.
        ToolCalls = "tool_calls",
        /// The provider withheld the rest.
        ContentFilter = "content_filter",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_words_are_kept() {
        for word in ["system", "user", "critic"] {
            assert_eq!(serde_json::to_string(&Role::from(word)).unwrap(), format!("\"{word}\""));
        }
        let reason: FinishReason = serde_json::from_str("\"end_turn\"").unwrap();
        assert_eq!(reason, FinishReason::Other("end_turn".into()));
        assert_eq!(FinishReason::from("tool_calls"), FinishReason::ToolCalls);
    }
}
