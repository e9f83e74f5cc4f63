//! What is told of a configuration that has changed.

use super::Setup;
use crate::config::changed_settings;

#[test]
fn what_changed_is_told_with_what_waits_for_a_start() {
    let read = |text: &str| Setup::new().file(text).config();
    let first = read(
        r#"{"server": {"port": 1}, "plugins": {"a": {"config": {"api_key": "short"}}, "b": {"weight": 2}}}"#,
    );
    let running = read(
        r#"{"server": {"port": 2}, "limits": {"max_concurrent": 1}, "plugins": {"a": {"config": {"api_key": "short"}}, "b": {"weight": 2}}}"#,
    );
    let next = read(
        r#"{"server": {"port": 2}, "limits": {"max_concurrent": 2}, "routing": {"chains": {"m": ["a/m"]}},
            "telemetry": {"traces": {"headers": {"x-key": "other"}}}, "plugins": {"a": {"config": {"api_key": "other"}}, "c": {"priority": 3}}}"#,
    );
    let told: Vec<String> = changed_settings(&first, &running, &next)
        .into_iter()
        .map(|it| {
            let waits = if it.needs_restart { ", waits" } else { "" };
            let waits = if it.is_known { ", waits as before" } else { waits };
            format!("{}: {} to {}{waits}", it.pointer, it.before, it.after)
        })
        .collect();
    for expected in [
        "/limits/max_concurrent: 1 to 2",
        "/plugins/c/priority: null to 3",
        "/plugins/b/weight: 2 to null",
        "/plugins/a: \"***\" to \"*** (another)\"",
        "/routing/chains/m: null to [\"a/m\"]",
        "/server/port: 1 to 2, waits as before",
        "/telemetry/traces/headers/x-key: null to \"***\", waits",
    ] {
        assert!(told.iter().any(|line| line == expected), "{expected} is not in {told:#?}");
    }
    assert!(!told.iter().any(|line| line.contains("short") || line.contains("\"other")), "{told:#?}");
    assert_eq!(changed_settings(&next, &next, &next), []);
}
