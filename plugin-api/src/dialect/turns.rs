//! A conversation in turns, as the dialects have it that know no messages in a row from the same speaker.

use serde_json::Value;

use crate::chat::{Message, Role};
use crate::{ProviderError, Result};

/// What one side says until it is the other's turn.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// The word for who says it.
    pub role: &'static str,
    /// What is said, never nothing.
    pub parts: Vec<Value>,
}

/// Gathers messages into turns in alternation; `roles` are the words for the user and the model, and `parts` makes of
/// a message, with its index, what is said.
///
/// The system's messages are left out: see [`ChatRequest::system_text`](crate::ChatRequest::system_text). Results of
/// tools are in the user's turns. A message of which no part comes is as if it were not there.
///
/// ```
/// # use patchbay_plugin_api::{ChatRequest, dialect::turns};
/// # use serde_json::json;
/// let request = ChatRequest::ask("hi");
/// let turns = turns(&request.messages, ["user", "model"], |_, message| Ok(vec![json!({"text": message.text()})]))?;
/// assert_eq!((turns[0].role, &turns[0].parts), ("user", &vec![json!({"text": "hi"})]));
/// # Ok::<(), patchbay_plugin_api::ProviderError>(())
/// ```
pub fn turns(
    messages: &[Message],
    [user, model]: [&'static str; 2],
    mut parts: impl FnMut(usize, &Message) -> Result<Vec<Value>>,
) -> Result<Vec<Turn>> {
    let mut turns: Vec<Turn> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let role = match &message.role {
            Role::System | Role::Developer => continue,
            Role::User | Role::Tool => user,
            Role::Assistant => model,
            Role::Other(word) => {
                let error = ProviderError::invalid_input(format!("a message has the unknown role `{word}`"));
                return Err(error.with_param(&format!("messages[{index}].role")));
            }
        };
        let parts = parts(index, message)?;
        match turns.last_mut() {
            _ if parts.is_empty() => {}
            Some(turn) if turn.role == role => turn.parts.extend(parts),
            _ => turns.push(Turn { role, parts }),
        }
    }
    Ok(turns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_goes_on_stays_in_the_same_turn() {
        let said = |role: &str, text: &str| Message::new(Role::from(role), text);
        let messages = [
            said("system", "be brief"),
            said("user", "a"),
            said("user", "b"),
            said("assistant", ""),
            said("tool", "c"),
            said("assistant", "d"),
        ];
        let made = turns(&messages, ["u", "m"], |index, message| {
            let text = message.text();
            Ok(if text.is_empty() { Vec::new() } else { vec![format!("{index}{text}").into()] })
        });
        let turn =
            |role, parts: &[&str]| Turn { role, parts: parts.iter().map(|part| (*part).into()).collect() };
        assert_eq!(made, Ok(vec![turn("u", &["1a", "2b", "4c"]), turn("m", &["5d"])]));

        let error = turns(&[said("critic", "")], ["u", "m"], |_, _| Ok(Vec::new())).unwrap_err();
        assert_eq!(error.message, "a message has the unknown role `critic`");
        assert_eq!(error.param.as_deref(), Some("messages[0].role"));
    }
}
