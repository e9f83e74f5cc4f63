//! The request to upstream: the client's members, but for those the plan has rules for.

use bytes::Bytes;
use patchbay_plugin_api::Plan;
use patchbay_plugin_api::plan::ModelRule;

use crate::providers::Members;

/// The body that asks for a whole answer.
pub(super) fn whole(plan: &Plan, body: Members) -> Bytes {
    let mut members = apply(plan, body);
    members.remove("stream");
    members.remove("stream_options");
    members.write()
}

/// The body that asks for a stream.
pub(super) fn streamed(plan: &Plan, body: Members) -> Bytes {
    let mut members = apply(plan, body);
    members.set("stream", Bytes::from_static(b"true"));
    if plan.stream.include_usage {
        // What else the client asked of the stream stays.
        let mut options =
            members.get("stream_options").and_then(|json| Members::parse(json).ok()).unwrap_or_default();
        options.set("include_usage", Bytes::from_static(b"true"));
        members.set("stream_options", options.write());
    } else {
        members.remove("stream_options");
    }
    members.write()
}

/// The rules in their order: what the client called things first, then what upstream calls them.
fn apply(plan: &Plan, mut members: Members) -> Members {
    set_model(&plan.model, &mut members);
    for name in &plan.body.drop {
        members.remove(name);
    }
    for (from, to) in &plan.body.rename {
        members.rename(from, to);
    }
    for (name, value) in &plan.body.defaults {
        if !members.has(name) {
            members.set_json(name.clone(), value);
        }
    }
    for (name, value) in &plan.body.set {
        members.set_json(name.clone(), value);
    }
    members
}

fn set_model(rule: &ModelRule, members: &mut Members) {
    let given: Option<String> = members.get("model").and_then(|json| serde_json::from_slice(json).ok());
    let asked = given.as_deref().filter(|model| !model.is_empty() && *model != "auto");
    let Some(model) = asked.or(rule.default.as_deref()) else { return members.remove("model") };
    let model = rule.strip_prefix.as_deref().and_then(|prefix| model.strip_prefix(prefix)).unwrap_or(model);
    let model = rule.aliases.get(model).map_or(model, String::as_str);
    // As the client wrote it, where that is what upstream calls it.
    if given.as_deref() != Some(model) {
        members.set_json("model", model);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(plan: &Value, body: &str, expected_whole: &str, expected_streamed: &str) {
        let mut full = json!({"version": 1, "dialect": "openai"});
        full.as_object_mut().unwrap().extend(plan.as_object().unwrap().clone());
        let plan: Plan = serde_json::from_value(full).unwrap();
        let members = Members::parse(&Bytes::copy_from_slice(body.as_bytes())).unwrap();
        assert_eq!(whole(&plan, members.clone()), expected_whole);
        assert_eq!(streamed(&plan, members), expected_streamed);
    }

    #[test]
    fn without_rules_only_the_stream_members_change() {
        check(
            &json!({}),
            r#"{"model":"m","messages":[ 1.50 ],"x":{"y":1},"stream":false}"#,
            r#"{"model":"m","messages":[ 1.50 ],"x":{"y":1}}"#,
            r#"{"model":"m","messages":[ 1.50 ],"x":{"y":1},"stream":true,"stream_options":{"include_usage":true}}"#,
        );
        check(
            &json!({"stream": {"include_usage": false}}),
            r#"{"stream_options":{"include_usage":true}}"#,
            "{}",
            r#"{"stream":true}"#,
        );
        check(
            &json!({}),
            r#"{"stream_options":{"a":1,"include_usage":false}}"#,
            "{}",
            r#"{"stream_options":{"a":1,"include_usage":true},"stream":true}"#,
        );
    }

    #[test]
    fn the_model_is_chosen_by_default_prefix_and_alias() {
        let rule = json!({"model": {"default": "d", "aliases": {"fast": "f-1"}, "strip_prefix": "vendor/"},
                          "stream": {"include_usage": false}});
        for (body, model) in [
            (r#"{"model":"auto"}"#, "d"),
            (r#"{"model":""}"#, "d"),
            (r#"{"model":"fast"}"#, "f-1"),
            (r#"{"model":"vendor/fast"}"#, "f-1"),
            (r#"{"model":"vendor/x"}"#, "x"),
            (r#"{"model":"other/x"}"#, "other/x"),
        ] {
            let whole = format!(r#"{{"model":"{model}"}}"#);
            let streamed = format!(r#"{{"model":"{model}","stream":true}}"#);
            check(&rule, body, &whole, &streamed);
        }
    }

    #[test]
    fn body_rules_apply_in_order() {
        check(
            &json!({"body": {"drop": ["user"], "rename": {"max_tokens": "max_completion_tokens"},
                            "defaults": {"max_completion_tokens": 5, "top_k": 1}, "set": {"safe": true}},
                   "stream": {"include_usage": false}}),
            r#"{"user":"u","max_tokens":9,"safe":false}"#,
            r#"{"max_completion_tokens":9,"safe":true,"top_k":1}"#,
            r#"{"max_completion_tokens":9,"safe":true,"top_k":1,"stream":true}"#,
        );
    }
}
