//! A conversation in turns, as the dialects have it that know no messages in a row from the same speaker.

use serde_json::Value;

use super::object;
use crate::Result;
use crate::chat::{Message, Role};

/// Gathers messages into turns in alternation, each an object of its `role` and, in a member of the name `said`, of what
/// is said; `roles` are the words for the user and the model, and `parts` makes of a message, with its index, what is
/// said.
///
/// The system's messages are left out: see [`ChatRequest::instructions`](crate::ChatRequest::instructions). Results of
/// tools are in the user's turns, before all else, so that they follow their calls. A message of which no part comes is
/// as if it were not there. An error that names no member is about the message.
///
/// ```
/// # use patchbay_plugin_api::{ChatRequest, dialect::turns};
/// # use serde_json::json;
/// let messages = ChatRequest::ask("hi").messages;
/// let turns = turns(&messages, ["user", "model"], "parts", |_, message| Ok(vec![json!({"text": message.text()})]))?;
/// assert_eq!(turns, [json!({"role": "user", "parts": [{"text": "hi"}]})]);
/// # Ok::<(), patchbay_plugin_api::ProviderError>(())
/// ```
pub fn turns(
    messages: &[Message],
    [user, model]: [&'static str; 2],
    said: &str,
    mut parts: impl FnMut(usize, &Message) -> Result<Vec<Value>>,
) -> Result<Vec<Value>> {
    let mut turns: Vec<Turn> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let role = match &message.role {
            Role::System | Role::Developer => continue,
            Role::User | Role::Tool => user,
            Role::Assistant => model,
            Role::Other(_) => return Err(message.role.unknown(index)),
        };
        let parts = parts(index, message).map_err(|error| match error.param {
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
    let written = |turn: Turn| object([("role", turn.role.into()), (said, turn.parts.into())]);
    Ok(turns.into_iter().map(written).collect())
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

    #[test]
    fn whoever_goes_on_stays_in_the_same_turn() {
        let said = |role: &str, text: &str| Message::new(Role::from(role), text);
        let messages = [
            said("system", "be brief"),
            said("user", "a"),
            said("user", "b"),
            said("assistant", ""),
            said("tool", "c"),
            said("tool", "d"),
            said("assistant", "e"),
        ];
        let made = turns(&messages, ["u", "m"], "says", |index, message| {
            let text = message.text();
            Ok(if text.is_empty() { Vec::new() } else { vec![format!("{index}{text}").into()] })
        });
        let expected =
            [json!({"role": "u", "says": ["4c", "5d", "1a", "2b"]}), json!({"role": "m", "says": ["6e"]})];
        assert_eq!(made.unwrap(), expected);
    }

    #[test]
    fn an_error_says_which_message() {
        let critic = Message::new(Role::from("critic"), "");
        let error = turns(&[critic], ["u", "m"], "says", |_, _| Ok(Vec::new())).unwrap_err();
        assert_eq!(error.message, "a message has the unknown role `critic`");
        assert_eq!(error.param.as_deref(), Some("messages[0].role"));

        let refused = |param: Option<&str>| {
            let error = ProviderError::unsupported("it");
            let error = param.into_iter().fold(error, ProviderError::with_param);
            turns(&[Message::user("")], ["u", "m"], "says", |_, _| Err(error.clone())).unwrap_err().param
        };
        assert_eq!(
            (refused(None).unwrap(), refused(Some("stop")).unwrap()),
            ("messages[0]".into(), "stop".into())
        );
    }
}
