//! `patchbay audit`: who changed what.

use clap::Args;
use serde::Deserialize;
use serde_json::Value;

use super::Failure;
use super::output::{self, Paint};
use super::remote::{Remote, RemoteArgs};
use super::table::{Table, or_dash};

/// Show who changed what on a running host, and who was refused, the latest on top
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  patchbay audit
  patchbay audit --limit 500 --json

WHO is admin_token, local (on the host's own machine, where no token is needed), the id of a key, nobody, watch \
(files that --watch saw change), or signal (SIGHUP). Secrets are masked. The last 10000 changes and 1000 refusals are kept.

--json prints the answer of GET /api/audit: {\"entries\": [{\"id\", \"at\", \"who\", \"key_id\", \"key_name\", \"address\", \
\"request_id\", \"route\", \"target\", \"outcome\", \"status\", \"code\", \"before\", \"after\"}], \"next_before\"}.")]
pub(super) struct Audit {
    /// So many entries, up to 500
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    limit: u32,

    /// Those before the entry of this id: the last answer's next_before
    #[arg(long, value_name = "ID")]
    before: Option<i64>,

    /// Print the host's answer as it is
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: RemoteArgs,
}

/// As far as it is shown.
#[derive(Debug, Deserialize)]
struct Trail {
    entries: Vec<Entry>,
    next_before: Option<i64>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    at: String,
    who: String,
    key_id: Option<String>,
    address: Option<String>,
    route: String,
    target: Option<String>,
    outcome: String,
    status: u16,
    code: Option<String>,
    before: Value,
    after: Value,
}

pub(super) async fn run(command: Audit) -> Result<u8, Failure> {
    let before = command.before.map(|id| format!("&before={id}")).unwrap_or_default();
    let path = format!("/api/audit?limit={}{before}", command.limit);
    let (body, trail) = Remote::new(command.remote)?.read::<Trail>(&path).await?;
    output::answer(command.json, &body, |paint| trail.render(paint));
    if let (Some(next), false) = (trail.next_before, command.json) {
        output::note(&format!("there are more: `patchbay audit --before {next}`"));
    }
    Ok(0)
}

impl Trail {
    fn render(&self, paint: Paint) -> String {
        if self.entries.is_empty() {
            return "nothing was changed yet".to_owned();
        }
        let mut table = Table::new(["TIME", "WHO", "FROM", "ROUTE", "TARGET", "OUTCOME", "CHANGED"]);
        for entry in &self.entries {
            let outcome =
                format!("{} {}", entry.outcome, entry.code.clone().unwrap_or(entry.status.to_string()));
            table.row([
                entry.at.clone(),
                entry.key_id.as_ref().unwrap_or(&entry.who).clone(),
                or_dash(entry.address.as_ref()),
                entry.route.clone(),
                or_dash(entry.target.as_ref()),
                outcome,
                changed(&entry.before, &entry.after),
            ]);
        }
        table.render(paint)
    }
}

/// What differs, each with what it was and is: `values.priority 50 -> 5`.
fn changed(before: &Value, after: &Value) -> String {
    let mut differences = Vec::new();
    collect("", before, after, &mut differences);
    if differences.is_empty() { "-".to_owned() } else { differences.join(", ") }
}

/// What says the most stands in front: a line may be cut where the screen ends.
fn weight(name: &str) -> usize {
    const FIRST: [&str; 6] = ["name", "scopes", "models", "providers", "limits", "expires_at"];
    const LAST: [&str; 4] = ["id", "hint", "created_at", "expired"];
    let place = |names: &[&str]| names.iter().position(|known| *known == name);
    let between = FIRST.len();
    place(&FIRST).or_else(|| place(&LAST).map(|last| between + 1 + last)).unwrap_or(between)
}

fn collect(place: &str, before: &Value, after: &Value, differences: &mut Vec<String>) {
    if let (Value::Object(_) | Value::Null, Value::Object(_) | Value::Null) = (before, after) {
        let members = |value: &Value| value.as_object().map(|it| it.keys().cloned().collect::<Vec<_>>());
        let mut names = members(before).unwrap_or_default();
        names.extend(members(after).unwrap_or_default());
        names.sort_unstable_by(|a, b| (weight(a), a).cmp(&(weight(b), b)));
        names.dedup();
        for name in names {
            let place = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
            collect(&place, &before[&name], &after[&name], differences);
        }
    } else {
        differences.push(format!("{place} {before} -> {after}"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::testing::{FakeHost, run};

    #[tokio::test]
    async fn what_is_asked_for_is_asked() {
        let host = FakeHost::start([("200 OK", r#"{"entries": [], "next_before": null}"#)]).await;
        assert_eq!(run(&host, &["audit", "--limit", "7", "--before", "12"]).await, Ok(0));
        assert_eq!(host.requests()[0].line, "GET /api/audit?limit=7&before=12 HTTP/1.1");
    }

    #[test]
    fn what_matters_of_a_key_stands_in_front() {
        let key = json!({"id": "key_1", "name": "team", "hint": "pb-1...2", "scopes": ["chat"], "created_at": "T",
            "limits": {"max_concurrent": 2}, "expired": false});
        let expected = "name null -> \"team\", scopes null -> [\"chat\"], limits.max_concurrent null -> 2, \
                        id null -> \"key_1\", hint null -> \"pb-1...2\", created_at null -> \"T\", expired null -> false";
        assert_eq!(changed(&Value::Null, &key), expected);
    }

    #[test]
    fn entries_are_lines() {
        let entry = |more: Value| {
            let mut entry = json!({"id": 1, "at": "T", "who": "admin_token", "address": "::1", "request_id": "r",
                "route": "PATCH /api/providers/{name}", "target": "p", "outcome": "done", "status": 200, "code": null,
                "before": {"values": {"priority": 50}}, "after": {"values": {"priority": 5, "weight": 2}}});
            entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            entry
        };
        let refused = json!({"who": "key", "key_id": "key_1", "target": null, "outcome": "refused", "status": 403,
            "code": "forbidden", "before": null, "after": null});
        let unasked = json!({"who": "signal", "address": null, "request_id": null});
        let trail =
            json!({"entries": [entry(json!({})), entry(refused), entry(unasked)], "next_before": null});
        let trail: Trail = serde_json::from_value(trail).unwrap();
        let expected = "\
TIME  WHO          FROM  ROUTE                        TARGET  OUTCOME            CHANGED
T     admin_token  ::1   PATCH /api/providers/{name}  p       done 200           values.priority 50 -> 5, values.weight null -> 2
T     key_1        ::1   PATCH /api/providers/{name}  -       refused forbidden  -
T     signal       -     PATCH /api/providers/{name}  p       done 200           values.priority 50 -> 5, values.weight null -> 2";
        assert_eq!(trail.render(Paint::none()), expected);
    }
}
