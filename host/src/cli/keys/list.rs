//! `patchbay keys list`: who was given a key.

use clap::Args;
use serde::Deserialize;
use serde_json::Number;

use crate::cli::Failure;
use crate::cli::output::{self, Paint};
use crate::cli::remote::{Remote, RemoteArgs};
use crate::cli::table::{Table, or_dash};

/// List the keys of a running host, the oldest on top
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  patchbay keys list
  patchbay keys list --json

--json prints the answer of GET /api/keys: {\"keys\": [{\"id\", \"name\", \"hint\", \"scopes\", \"models\", \
\"providers\", \"limits\", \"spent\": {\"today_usd\", \"this_month_usd\"}, \"created_at\", \"expires_at\", \"expired\"}], \"total_count\"}.")]
pub(super) struct List {
    /// Print the host's answer as it is
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: RemoteArgs,
}

/// As far as it is shown.
#[derive(Debug, Deserialize)]
struct Keys {
    keys: Vec<Key>,
}

#[derive(Debug, Deserialize)]
struct Key {
    id: String,
    name: String,
    hint: String,
    scopes: Vec<String>,
    models: Vec<String>,
    providers: Vec<String>,
    limits: Limits,
    spent: Spent,
    expires_at: Option<String>,
    expired: bool,
}

#[derive(Debug, Deserialize)]
struct Limits {
    requests_per_minute: Option<u32>,
    tokens_per_minute: Option<u32>,
    max_concurrent: Option<u32>,
    budget_usd_per_day: Option<Number>,
    budget_usd_per_month: Option<Number>,
}

#[derive(Debug, Deserialize)]
struct Spent {
    today_usd: Number,
    this_month_usd: Number,
}

pub(super) async fn run(command: List) -> Result<u8, Failure> {
    let (body, keys) = Remote::new(command.remote)?.read::<Keys>("/api/keys").await?;
    output::answer(command.json, &body, |paint| keys.render(paint));
    Ok(0)
}

impl Keys {
    fn render(&self, paint: Paint) -> String {
        if self.keys.is_empty() {
            return "no keys yet: `patchbay keys create NAME` makes one".to_owned();
        }
        let mut table = Table::new([
            "ID",
            "NAME",
            "KEY",
            "FOR",
            "MODELS",
            "PROVIDERS",
            "LIMITS",
            "USD TODAY",
            "USD THIS MONTH",
            "EXPIRES",
        ]);
        let all_or = |names: &[String]| if names.is_empty() { "all".to_owned() } else { names.join(" ") };
        // Of how much, where that is limited.
        let of = |spent: &Number, budget: Option<&Number>| match budget {
            Some(budget) => format!("{spent} of {budget}"),
            None => spent.to_string(),
        };
        for key in &self.keys {
            let expires = or_dash(key.expires_at.as_ref());
            table.row([
                key.id.clone(),
                key.name.clone(),
                key.hint.clone(),
                key.scopes.join(" "),
                all_or(&key.models),
                all_or(&key.providers),
                key.limits.render(),
                of(&key.spent.today_usd, key.limits.budget_usd_per_day.as_ref()),
                of(&key.spent.this_month_usd, key.limits.budget_usd_per_month.as_ref()),
                if key.expired { format!("{expires} (over)") } else { expires },
            ]);
        }
        table.render(paint)
    }
}

impl Limits {
    /// Its own, but for budgets; what is not among them is as for everybody.
    fn render(&self) -> String {
        let own = [
            self.requests_per_minute.map(|limit| format!("{limit} requests/min")),
            self.tokens_per_minute.map(|limit| format!("{limit} tokens/min")),
            self.max_concurrent.map(|limit| format!("{limit} at once")),
        ];
        let own: Vec<_> = own.into_iter().flatten().collect();
        or_dash(Some(own.join(", ")).filter(|own| !own.is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_line() {
        let keys: Keys = serde_json::from_str(
            r#"{"keys":[{"id":"key_1","name":"team","hint":"pb-1...2","scopes":["chat"],"models":["a/*","m"],
            "providers":[],"limits":{"budget_usd_per_day":5,"budget_usd_per_month":null,"requests_per_minute":null,"tokens_per_minute":3000,
            "max_concurrent":2},
            "spent":{"today_usd":0.25,"this_month_usd":7},"expires_at":null,"expired":false}],"total_count":1}"#,
        )
        .unwrap();
        let expected = "\
ID     NAME  KEY       FOR   MODELS  PROVIDERS  LIMITS                      USD TODAY  USD THIS MONTH  EXPIRES
key_1  team  pb-1...2  chat  a/* m   all        3000 tokens/min, 2 at once  0.25 of 5  7               -";
        assert_eq!(keys.render(Paint::none()), expected);
        let none = Keys { keys: Vec::new() };
        assert!(none.render(Paint::none()).starts_with("no keys yet"));
    }
}
