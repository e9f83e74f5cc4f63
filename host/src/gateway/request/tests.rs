use super::*;
use crate::testing;

fn parse(json: &str) -> Result<ChatRequest, RequestError> {
    ChatRequest::parse(&Bytes::copy_from_slice(json.as_bytes()))
}

fn with(members: &str) -> Result<ChatRequest, RequestError> {
    parse(&format!(r#"{{"messages":[{{"role":"user","content":"x"}}],{members}}}"#))
}

#[test]
fn defaults_come_after_the_request_and_the_configuration() {
    let plain = testing::settings("p");
    let mut own = testing::settings("p");
    (own.temperature, own.max_tokens) = (Some(0.2), Some(64));
    for (members, settings, expected) in [
        (r#""x":1"#, &plain, r#""x":1,"model":"m","temperature":0.7,"max_tokens":1000"#),
        (r#""x":1"#, &own, r#""x":1,"model":"m","temperature":0.2,"max_tokens":64"#),
        (r#""temperature":"0","max_tokens":" 5 ""#, &own, r#""temperature":0,"max_tokens":5,"model":"m""#),
        (
            r#""temperature":null,"max_completion_tokens":5"#,
            &plain,
            r#""max_completion_tokens":5,"model":"m","temperature":0.7"#,
        ),
        (
            r#""model":"a/b","provider":"q","include_raw":true,"stream":true,"stop":["x"]"#,
            &own,
            r#""model":"m","stop":["x"],"temperature":0.2,"max_tokens":64"#,
        ),
    ] {
        let body = with(members).unwrap().body_for(settings, Some("m")).write();
        let expected = format!(r#"{{"messages":[{{"role":"user","content":"x"}}],{expected}}}"#);
        assert_eq!(body, expected, "{members}");
    }
    let without = with(r#""model":"auto""#).unwrap();
    assert_eq!(without.model, None);
    assert!(without.body_for(&plain, None).get("model").is_none());
}

#[test]
fn of_openais_surface_only_the_model_changes() {
    let json = r#"{"model":"p/m","messages":[{"role":"robot"}],"temperature":"hot","provider":{"order":["x"]},"n":null,"stream":true,"stream_options":{"include_usage":true}}"#;
    let request = ChatRequest::parse_openai(&Bytes::from_static(json.as_bytes())).unwrap();
    assert_eq!((request.model.as_deref(), request.provider.as_deref()), (Some("p/m"), None));
    assert!(request.stream && request.include_usage);
    let body = request.body_for(&testing::settings("p"), Some("m")).write();
    assert_eq!(body, json.replace("p/m", "m"));
    for (json, expected) in [
        (r#"{"model":"m"}"#, "messages is required"),
        (r#"{"messages":[{}],"stream":1}"#, "stream must be true or false"),
        (r#"{"messages":[{}],"stream_options":1}"#, "stream_options must be an object"),
    ] {
        let error = ChatRequest::parse_openai(&Bytes::from_static(json.as_bytes())).unwrap_err();
        assert_eq!(error.to_string(), expected, "{json}");
    }
}

#[test]
fn embeddings_need_an_input() {
    let parse = |json: &'static str| EmbedRequest::parse(&Bytes::from_static(json.as_bytes()));
    let request = parse(r#"{"input":[[1,2]],"model":"auto","x":1.50}"#).unwrap();
    assert_eq!(request.model, None);
    assert_eq!(request.body_for(Some("e")).write(), r#"{"input":[[1,2]],"model":"e","x":1.50}"#);
    assert_eq!(parse(r#"{"input":null}"#).unwrap_err(), RequestError::Missing("input"));
}

#[test]
fn what_is_wrong_is_said() {
    for (json, expected) in [
        ("", "the body is not a JSON object"),
        ("[]", "the body is not a JSON object"),
        ("{}", "messages is required"),
        (r#"{"messages":"hi"}"#, "Messages must be a list"),
    ] {
        let error = parse(json).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{json}: {error}");
    }
    for (members, expected) in [
        (r#""temperature":"warm""#, "temperature must be a number"),
        (r#""temperature":"NaN""#, "temperature must be a number"),
        (r#""temperature":[1]"#, "temperature must be a number"),
        (r#""max_tokens":1.5"#, "max_tokens must be a whole number"),
        (r#""max_tokens":"0""#, "max_tokens must be at least 1"),
        (r#""max_tokens":-3"#, "max_tokens must be at least 1"),
        (r#""model":7"#, "model must be a string"),
        (r#""include_raw":"yes""#, "include_raw must be true or false"),
        (
            r#""strategy":"dice""#,
            "strategy \"dice\" is not known; known: priority_first, round_robin, weighted, least_latency, lowest_cost",
        ),
    ] {
        assert_eq!(with(members).unwrap_err().to_string(), expected, "{members}");
    }
}

#[test]
fn needs_are_read_from_the_request() {
    use Feature::{ChatCompletion, FunctionCalling, JsonOutput, Vision};
    let needs = |members: &str| with(members).unwrap().needs;
    assert_eq!(needs(r#""tools":[],"response_format":{"type":"text"}"#), [ChatCompletion]);
    assert_eq!(needs(r#""tools":[{}]"#), [ChatCompletion, FunctionCalling]);
    assert_eq!(needs(r#""response_format":{"type":"json_schema"}"#), [ChatCompletion, JsonOutput]);
    let image = r#"{"messages":[{"role":"user","content":[{"type":"image_url"}]}]}"#;
    assert_eq!(parse(image).unwrap().needs, [ChatCompletion, Vision]);
}
