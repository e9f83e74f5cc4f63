//! What a key may be asked to be.

use super::NewKey;

pub(super) const LONGEST_NAME: usize = 128;
pub(super) const LONGEST_LIST: usize = 1_000;
pub(super) const LONGEST_ENTRY: usize = 256;

/// Each that counts is remembered.
pub(super) const MOST_PER_MINUTE: u32 = 1_000_000;

/// Ten years, in seconds.
pub(super) const LONGEST_LIFE: u64 = 315_360_000;

/// Says what is wrong with what is asked for, and how to mend it.
pub(super) fn check(wanted: &NewKey) -> Result<(), String> {
    let name = wanted.name.trim();
    if name.is_empty() || name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(format!("name must be a text of 1 to {LONGEST_NAME} bytes, such as the team's"));
    }
    if wanted.scopes.is_empty() {
        return Err("scopes must name at least one of chat, read and admin".to_owned());
    }
    if wanted.models.len().max(wanted.providers.len()) > LONGEST_LIST {
        return Err(format!("models and providers may name {LONGEST_LIST} each"));
    }
    for name in wanted.models.iter().chain(&wanted.providers) {
        let stars = name.strip_suffix('*').unwrap_or(name).contains('*');
        if name.is_empty() || name.len() > LONGEST_ENTRY || stars {
            return Err(format!(
                "{name:?} is no name that a key can be bound to: write it as \"model\", \"provider/model\" or with one * \
                 at the end, in {LONGEST_ENTRY} bytes"
            ));
        }
    }
    if wanted.limits.requests_per_minute.is_some_and(|limit| limit.get() > MOST_PER_MINUTE) {
        return Err(format!("limits.requests_per_minute may be up to {MOST_PER_MINUTE}"));
    }
    let budgets = [wanted.limits.budget_usd_per_day, wanted.limits.budget_usd_per_month];
    if budgets.into_iter().flatten().any(|budget| budget.is_zero()) {
        return Err("a budget must be above 0 US dollars: leave it out for a key without one".to_owned());
    }
    if wanted.expires_in.is_some_and(|time| time == 0 || time > LONGEST_LIFE) {
        return Err(format!(
            "expires_in is in seconds, from 1 to {LONGEST_LIFE}; leave it out for a key without end"
        ));
    }
    Ok(())
}
