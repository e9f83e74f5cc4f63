//! Changes to a part of something, as JSON.

use serde_json::{Map, Value};

/// RFC 7396: members are replaced, objects are merged, null removes.
pub(crate) fn merge(target: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (name, value) in patch {
        match value {
            Value::Null => drop(target.remove(name)),
            Value::Object(patch) => {
                let member = target.entry(name.clone()).or_insert_with(|| Value::Object(Map::new()));
                if !member.is_object() {
                    *member = Value::Object(Map::new());
                }
                if let Value::Object(member) = member {
                    merge(member, patch);
                }
            }
            value => drop(target.insert(name.clone(), value.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(target: &Value, patch: &Value, expected: &Value) {
        let object = |value: &Value| value.as_object().unwrap().clone();
        let mut merged = object(target);
        merge(&mut merged, &object(patch));
        assert_eq!(Value::Object(merged), *expected);
    }

    #[test]
    fn patches_merge_and_null_removes() {
        check(&json!({"a": 1}), &json!({"b": 2}), &json!({"a": 1, "b": 2}));
        check(
            &json!({"c": {"x": 1, "y": 2}}),
            &json!({"c": {"x": null, "z": 3}}),
            &json!({"c": {"y": 2, "z": 3}}),
        );
        check(&json!({"c": 1}), &json!({"c": {"x": {"deep": null}}}), &json!({"c": {"x": {}}}));
        check(&json!({"c": {"x": 1}}), &json!({"c": [1]}), &json!({"c": [1]}));
    }
}
