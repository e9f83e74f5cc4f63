//! A conversation in turns, as the dialects have it that know no messages in a row from the same speaker.

use serde_json::Value;

use super::object::Members;
use crate::Result;
use crate::chat::{ChatRequest, Message, Piece, Role, ToolCall};

/// How a vendor has a conversation in turns: as objects of their `role`, and of a list of what is said.
///
/// The system's messages are left out: see [`ChatRequest::instructions`]. Results of tools are in the user's turns,
/// before all else, so that they follow their calls. A message in which nothing is said is as if it were not there. An
/// error that names no member is about its message.
///
/// ```
/// # use patchbay_plugin_api::chat::{ChatRequest, Said};
/// # use patchbay_plugin_api::dialect::Turns;
/// # use serde_json::json;
/// let turns = Turns {
///     roles: ["user", "model"],
///     said: "parts",
///     piece: |piece| match piece.said {
///         Said::Text(text) => Ok(json!({"text": text})),
///         _ => Err(piece.unsupported()),
///     },
///     call: |_, call| Ok(json!({"call": call.function.name})),
///     result: |_, said| Ok(vec![json!({"result": said})]),
/// };
/// let made = turns.of(&ChatRequest::ask("hi"))?;
/// assert_eq!(made, [json!({"role": "user", "parts": [{"text": "hi"}]})]);
/// # Ok::<(), patchbay_plugin_api::ProviderError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Turns<P, C, R>
where
    // Here, so that closures know what they are given.
    P: Fn(Piece<'_>) -> Result<Value>,
    C: Fn(usize, &ToolCall) -> Result<Value>,
    R: Fn(usize, Vec<Value>) -> Result<Vec<Value>>,
{
    /// The words for the user and for the model.
    pub roles: [&'static str; 2],
    /// The member that holds what is said.
    pub said: &'static str,
    /// What becomes of a piece; blank texts are not said.
    pub piece: P,
    /// What becomes of a call of a tool, by its place among those of its message.
    pub call: C,
    /// What becomes of a result, by the index of its message and of the pieces that it says.
    pub result: R,
}

impl<P, C, R> Turns<P, C, R>
where
    P: Fn(Piece<'_>) -> Result<Value>,
    C: Fn(usize, &ToolCall) -> Result<Value>,
    R: Fn(usize, Vec<Value>) -> Result<Vec<Value>>,
{
    /// The turns, in alternation.
    pub fn of(&self, request: &ChatRequest) -> Result<Vec<Value>> {
        let mut turns: Vec<Turn> = Vec::new();
        for (index, message) in request.messages.iter().enumerate() {
            let role = match &message.role {
                Role::System | Role::Developer => continue,
                Role::User | Role::Tool => self.roles[0],
                Role::Assistant => self.roles[1],
                Role::Other(_) => return Err(message.role.unknown(index)),
            };
            let parts = self.parts(index, message).map_err(|error| match error.param {
                None => error.with_param(&format!("messages[{index}]")),
                Some(_) => error,
            })?;
            if parts.is_empty() {
                continue;
            }
            if turns.last().is_none_or(|turn| turn.role != role) {
                turns.push(Turn { role, results: 0, parts: Vec::new() });
            }
            if let Some(turn) = turns.last_mut() {
                turn.add(parts, message.role == Role::Tool);
            }
        }
        Ok(turns.into_iter().map(|turn| self.written(turn.role, turn.parts)).collect())
    }

    /// The parts of the system's message, which are these, and the turns. These vendors answer somebody: where there are
    /// only instructions, they are the question.
    pub fn after(&self, mut system: Vec<Value>, request: &ChatRequest) -> Result<(Vec<Value>, Vec<Value>)> {
        let mut turns = self.of(request)?;
        if turns.is_empty() && !system.is_empty() {
            turns.push(self.written(self.roles[0], std::mem::take(&mut system)));
        }
        Ok((system, turns))
    }

    fn written(&self, role: &str, said: Vec<Value>) -> Value {
        let mut turn = Members::default();
        turn.put("role", role.into());
        turn.put(self.said, said.into());
        turn.into_value()
    }

    fn parts(&self, index: usize, message: &Message) -> Result<Vec<Value>> {
        let mut parts = message.said().map(&self.piece).collect::<Result<Vec<_>>>()?;
        if message.role == Role::Tool {
            parts = (self.result)(index, parts)?;
        }
        for (place, call) in message.tool_calls.iter().enumerate() {
            parts.push((self.call)(place, call)?);
        }
        Ok(parts)
    }
}

/// What one side says until it is the other's turn.
struct Turn {
    role: &'static str,
    /// How many of the parts are results of tools: the first ones.
    results: usize,
    parts: Vec<Value>,
}

impl Turn {
    fn add(&mut self, parts: Vec<Value>, are_results: bool) {
        let (at, count) = (if are_results { self.results } else { self.parts.len() }, parts.len());
        self.parts.splice(at..at, parts);
        self.results += if are_results { count } else { 0 };
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ProviderError;
    use crate::chat::Said;

    type Piece = fn(super::Piece<'_>) -> Result<Value>;
    type Call = fn(usize, &ToolCall) -> Result<Value>;
    type Results = fn(usize, Vec<Value>) -> Result<Vec<Value>>;

    const TURNS: Turns<Piece, Call, Results> = Turns {
        roles: ["u", "m"],
        said: "says",
        piece: |piece| match piece.said {
            Said::Text(text) => Ok(text.into()),
            _ => Err(piece.unsupported()),
        },
        call: |place, call| Ok(format!("{place}:{}", call.id).into()),
        result: |index, said| match said.is_empty() {
            true => Err(ProviderError::unsupported("silence").with_param("result")),
            false => Ok(vec![json!({"of": index, "said": said})]),
        },
    };

    #[test]
    fn whoever_goes_on_stays_in_the_same_turn() {
        let said = |role: &str, text: &str| Message::new(Role::from(role), text);
        let calls = ["x", "y"].map(|id| ToolCall::function(id, "f", "{}")).to_vec();
        let messages = vec![
            said("system", "be brief"),
            said("user", "a"),
            said("user", "b"),
            said("assistant", ""),
            Message { tool_calls: calls, ..said("assistant", "e") },
            said("user", "f"),
            said("tool", "c"),
            said("tool", "d"),
            said("user", "g"),
        ];
        let request = ChatRequest { messages, ..ChatRequest::default() };
        let expected = [
            json!({"role": "u", "says": ["a", "b"]}),
            json!({"role": "m", "says": ["e", "0:x", "1:y"]}),
            json!({"role": "u", "says": [{"of": 6, "said": ["c"]}, {"of": 7, "said": ["d"]}, "f", "g"]}),
        ];
        assert_eq!(TURNS.of(&request).unwrap(), expected);
    }

    #[test]
    fn instructions_alone_are_the_question() {
        let brief = || vec!["be brief".into()];
        let (system, turns) = TURNS.after(brief(), &ChatRequest::default()).unwrap();
        assert_eq!((system, turns), (Vec::new(), vec![json!({"role": "u", "says": ["be brief"]})]));
        let (system, turns) = TURNS.after(brief(), &ChatRequest::ask("a")).unwrap();
        assert_eq!((system, turns), (brief(), vec![json!({"role": "u", "says": ["a"]})]));
        assert_eq!(TURNS.after(Vec::new(), &ChatRequest::default()), Ok((Vec::new(), Vec::new())));
    }

    #[test]
    fn an_error_says_which_message() {
        let refused = |message: Message| {
            let messages = vec![Message::user("a"), message];
            TURNS.of(&ChatRequest { messages, ..ChatRequest::default() }).unwrap_err()
        };
        let error = refused(Message::new(Role::from("critic"), ""));
        assert_eq!(error.message, "a message has the unknown role `critic`");
        assert_eq!(error.param.as_deref(), Some("messages[1].role"));

        let scent = json!({"role": "user", "content": [{"type": "scent"}]});
        let error = refused(serde_json::from_value(scent).unwrap());
        assert_eq!(error.param.as_deref(), Some("messages[1]"));
        assert_eq!(refused(Message::new(Role::Tool, "")).param.as_deref(), Some("result"));
    }
}
