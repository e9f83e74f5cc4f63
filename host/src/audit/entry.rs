//! One change, or one that was refused. Field names are contract.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What was before and after is told up to here.
const LARGEST_PICTURE: usize = 8 * 1024;

/// Who changed what, or wanted to, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AuditedChange")]
pub struct Entry {
    /// Who did it.
    #[serde(flatten)]
    pub who: Who,
    /// From where; none of what was not asked for over HTTP.
    pub address: Option<IpAddr>,
    /// The request's id, as its answer and the log have it; none where there was no request.
    pub request_id: Option<String>,
    /// The method and path of the route; without a request, of the one that does the same.
    pub route: String,
    /// The provider, plugin or key that it was about.
    pub target: Option<String>,
    /// What came of it.
    pub outcome: Outcome,
    /// The answer's status.
    pub status: u16,
    /// The answer's code, where it was an error.
    pub code: Option<String>,
    /// What has changed.
    #[serde(flatten)]
    pub change: Change,
    /// Refusals since the one before that were not noted, for there were too many of them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub not_noted: u64,
}

/// By what somebody was let in, or was not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "who", rename_all = "snake_case")]
pub enum Who {
    /// Whoever has the admin token.
    AdminToken,
    /// Whoever is on this machine, where no token is needed.
    Local,
    /// Whoever has this key.
    Key {
        /// The key's id.
        key_id: String,
        /// Its name.
        key_name: String,
    },
    /// Who showed nothing that is known.
    Nobody,
    /// Whoever changed files that the host watches.
    Watch,
    /// Whoever sent the process SIGHUP.
    Signal,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "AuditOutcome")]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was tried.
    Failed,
    /// Nobody tried, for it was not allowed.
    Refused,
}

/// What was before and after, as far as it differs. Secrets are masked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AuditChange")]
pub struct Change {
    /// Before.
    pub before: Value,
    /// After.
    pub after: Value,
}

impl Who {
    /// The key's id, if it is one.
    pub fn key_id(&self) -> Option<&str> {
        match self {
            Self::Key { key_id, .. } => Some(key_id),
            _ => None,
        }
    }

    /// In one word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::AdminToken => "admin_token",
            Self::Local => "local",
            Self::Key { .. } => "key",
            Self::Nobody => "nobody",
            Self::Watch => "watch",
            Self::Signal => "signal",
        }
    }
}

/// What two pictures of the same differ in.
pub fn changed(before: Value, after: Value) -> Change {
    let (before, after) = differing(before, after);
    Change { before: bounded(before), after: bounded(after) }
}

fn differing(before: Value, after: Value) -> (Value, Value) {
    match (before, after) {
        (before, after) if before == after => (Value::Null, Value::Null),
        (Value::Object(before), Value::Object(mut after)) => {
            let (mut gone, mut come) = (Map::new(), Map::new());
            for (name, before) in before {
                let Some(after) = after.remove(&name) else {
                    gone.insert(name, before);
                    continue;
                };
                if before != after {
                    let (before, after) = differing(before, after);
                    gone.insert(name.clone(), before);
                    come.insert(name, after);
                }
            }
            come.extend(after);
            (Value::Object(gone), Value::Object(come))
        }
        different => different,
    }
}

fn bounded(picture: Value) -> Value {
    let length = picture.to_string().len();
    if length <= LARGEST_PICTURE {
        return picture;
    }
    serde_json::json!({ "omitted": format!("{length} bytes, which is more than is kept") })
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_differs_is_kept() {
        for (before, after, expected) in [
            (json!({"a": 1}), json!({"a": 1}), (json!(null), json!(null))),
            (json!(null), json!({"a": 1}), (json!(null), json!({"a": 1}))),
            (json!({"a": 1}), json!(null), (json!({"a": 1}), json!(null))),
            (
                json!({"a": 1, "b": {"c": 1, "d": 2}, "gone": 1}),
                json!({"a": 1, "b": {"c": 1, "d": 3}, "new": [1]}),
                (json!({"b": {"d": 2}, "gone": 1}), json!({"b": {"d": 3}, "new": [1]})),
            ),
        ] {
            let change = changed(before, after);
            assert_eq!((change.before, change.after), expected);
        }
        let change = changed(json!(null), json!("x".repeat(LARGEST_PICTURE)));
        assert!(change.after["omitted"].as_str().unwrap().starts_with("8194 bytes"), "{change:?}");
    }

    #[test]
    fn entries_are_read_as_they_were_written() {
        let json = json!({
            "who": "key", "key_id": "key_1", "key_name": "ops", "address": "10.0.0.1", "request_id": "r",
            "route": "DELETE /api/keys/{id}", "target": "key_2", "outcome": "done", "status": 204, "code": null,
            "before": {"a": 1}, "after": null,
        });
        let entry: Entry = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(serde_json::to_value(entry).unwrap(), json);
    }
}
