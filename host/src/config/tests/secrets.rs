use serde_json::{Map, json};

use super::Setup;
use crate::config::ProviderSettings;

const FILE: &str = r#"{"plugins": {"a": {"config": {
    "api_key": "sk-literal-abcdef-1111",
    "api_keys": ["${KEY}"],
    "base_url": "https://${KEY}.example.com/v1",
    "extra_headers": {"Authorization": "Bearer ${KEY}", "X-Own-Key": "plain-header-secret", "X-Title": "title"},
    "own": {"client_secret": "plain-own-secret", "list": ["${KEY}", "in the open"], "number": "${PIN}"}
}}}}"#;
const KEY: &str = "sk-from-a-variable-2222";

#[test]
fn secrets_are_masked_wherever_values_are_shown() {
    let setup = Setup::new()
        .file(FILE)
        .variable("KEY", KEY)
        .variable("PIN", "123456")
        .variable("ADMIN_TOKEN", "an-admin-token-3333");
    let config = setup.config();
    // With secrets, as the plugin asks for it: even then they are not printed.
    let settings = ProviderSettings::new("a", "p", &config.plugins["a"], &Map::new(), true).unwrap();
    let rows = settings.effective();
    for (pointer, shown) in [
        ("api_key", json!("sk-***1111")),
        ("api_keys", json!(["sk-***2222"])),
        ("base_url", json!("https://***/v1")),
        ("extra_headers/Authorization", json!("Bearer ***")),
        ("extra_headers/X-Own-Key", json!("pla***cret")),
        ("extra_headers/X-Title", json!("title")),
        ("own/client_secret", json!("pla***cret")),
        ("own/list", json!(["***", "in the open"])),
        ("own/number", json!("***")),
    ] {
        let pointer = format!("/plugins/a/config/{pointer}");
        assert_eq!(setup.shown(&rows, &pointer).unwrap().0, shown, "{pointer}");
    }
    let token = setup.shown(config.effective(), "/server/admin_token").unwrap();
    assert_eq!(token, (json!("an-***3333"), "environment: ADMIN_TOKEN".to_owned()));
    let printed = format!("{settings:?} {config:?} {rows:?} {}", serde_json::to_string(&*rows).unwrap());
    for secret in ["literal", "from-a-variable", "header-secret", "own-secret", "123456", "admin-token"] {
        assert!(!printed.contains(secret), "{secret} is in {printed}");
    }
    assert_eq!(
        settings.extra_headers["Authorization"],
        format!("Bearer {KEY}"),
        "only what is shown is masked"
    );
}

#[test]
fn problems_do_not_repeat_secrets() {
    let file = FILE
        .replace("\"api_keys\"", "\"timeout\": \"sk-by-mistake\", \"temperature\": \"${KEY}\", \"api_keys\"");
    let problems = Setup::new().file(&file).variable("KEY", KEY).variable("PIN", "1").problems();
    assert_eq!(problems.len(), 2);
    assert!(!problems.join("\n").contains("sk-"), "{problems:?}");
    let file = r#"{"plugins": {"a": {"config": {"api_key": 123456, "temperature": "${PIN}"}}}}"#;
    let problems = Setup::new().file(file).variable("PIN", "123456").problems();
    assert_eq!(problems.len(), 2);
    assert!(!problems.join("\n").contains("123456"), "{problems:?}");
}
