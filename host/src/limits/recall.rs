//! What was spent before this process began, or before there was a budget, as it was written down.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use tracing::error;

use super::calendar::{Period, began};
use super::limiter::Limiter;
use super::spending::Spent;
use crate::access::KeyBook;
use crate::plugins::problem::chain;
use crate::providers::{Cost, Registry};
use crate::store::{Store, StoreError};
use crate::usage::UsageBook;

/// Reads what was spent today and this month. Of what was counted here as well, the larger is believed.
pub async fn recall(limiter: &Limiter, keys: &KeyBook, store: &dyn Store) -> Result<(), StoreError> {
    let now = limiter.now();
    let (mut all, mut of_keys, mut of_providers) = (Spent::default(), HashMap::new(), HashMap::new());
    for period in [Period::Day, Period::Month] {
        for line in store.spent(began(period, now)).await? {
            let sums = [
                Some(&mut all),
                line.key.map(|key| of_keys.entry(key).or_default()),
                line.provider.map(|name| of_providers.entry(name).or_default()),
            ];
            for sum in sums.into_iter().flatten() {
                add(sum, period, line.cost);
            }
        }
    }
    limiter.recall_all(all);
    for (name, spent) in of_providers {
        limiter.provider(&name).recall(spent);
    }
    for key in keys.list() {
        if let Some(spent) = of_keys.get(key.id.as_str()) {
            limiter.recall_key(key.hash, *spent);
        }
    }
    Ok(())
}

fn add(sum: &mut Spent, period: Period, cost: Cost) {
    let part = match period {
        Period::Day => &mut sum.day,
        Period::Month => &mut sum.month,
    };
    *part = part.plus(cost);
}

/// What was spent with each key today and this month, by its id: also with those that no budget counts.
pub async fn spent_with_keys(
    usage: &UsageBook,
    now: SystemTime,
) -> Result<HashMap<Arc<str>, Spent>, StoreError> {
    let mut of_keys = HashMap::new();
    for period in [Period::Day, Period::Month] {
        for line in usage.spent(began(period, now)).await? {
            if let Some(key) = line.key {
                add(of_keys.entry(key).or_default(), period, line.cost);
            }
        }
    }
    Ok(of_keys)
}

/// Reads it again whenever something was configured: of what had no budget until then, nothing was counted here.
pub async fn keep_recalled(registry: Arc<Registry>, keys: Arc<KeyBook>, store: Arc<dyn Store>) {
    let mut publications = registry.publications();
    while publications.changed().await.is_ok() {
        if let Err(problem) = recall(&registry.limiter, &keys, &*store).await {
            error!(
                problem = chain(&problem),
                "what was spent could not be read: budgets that are new count from now on"
            );
        }
    }
}

#[cfg(test)]
mod tests;
