//! What a case is made of: what is played, and what has to come of it.

use serde_json::{Value, json};

use super::form::Form;
use crate::harness::scripted::script::Script;

/// What comes of an upstream's misbehaviour.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Nothing at all: the answer is these words, and whole.
    Whole(String),
    /// Nobody has seen anything yet: an error, unless somebody else can be asked.
    Fails { status: u16, code: &'static str, said: &'static str, retry_after: Option<&'static str> },
    /// These words were seen, so the answer ends here.
    Cut { words: &'static str, code: &'static str, said: &'static str },
}

impl Outcome {
    /// Whether somebody else is asked then.
    pub fn falls_over(&self) -> bool {
        matches!(self, Self::Fails { code, .. } if *code != "invalid_input")
    }

    /// Whether a client that has seen these words has seen all that comes before the gate.
    pub fn may_go_on(&self, seen: &str) -> bool {
        match self {
            Self::Cut { words, .. } => seen == *words,
            Self::Whole(_) | Self::Fails { .. } => !seen.is_empty(),
        }
    }
}

/// A failure that a client does not get to know more of than this.
pub fn fails(status: u16, code: &'static str, said: &'static str) -> Outcome {
    Outcome::Fails { status, code, said, retry_after: None }
}

pub fn cut(words: &'static str, code: &'static str, said: &'static str) -> Outcome {
    Outcome::Cut { words, code, said }
}

pub fn whole(words: impl Into<String>) -> Outcome {
    Outcome::Whole(words.into())
}

/// A case, made of what is played and of what has to come of it.
pub struct Case {
    /// To whoever asks for a stream.
    streamed: Option<(Script, Outcome)>,
    /// To whoever asks for a whole answer.
    whole: Option<(Script, Outcome)>,
    /// The provider's configuration, where the usual one will not do.
    pub config: Value,
}

impl Case {
    pub fn streamed(script: Script, outcome: Outcome) -> Self {
        Self { streamed: Some((script, outcome)), whole: None, config: json!({}) }
    }

    pub fn and_whole(mut self, script: Script, outcome: Outcome) -> Self {
        self.whole = Some((script, outcome));
        self
    }

    /// The same, whatever is asked for.
    pub fn both(script: Script, outcome: Outcome) -> Self {
        Self::streamed(script.clone(), outcome.clone()).and_whole(script, outcome)
    }

    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.config[name] = value.into();
        self
    }

    /// Every form in which something is played, what that is, and what has to come of it.
    pub fn forms(&self) -> impl Iterator<Item = (Form, &(Script, Outcome))> {
        let streamed = self.streamed.iter().flat_map(|played| Form::STREAMED.map(|form| (form, played)));
        streamed.chain(self.whole.iter().flat_map(|played| Form::WHOLE.map(|form| (form, played))))
    }
}
