//! What was spent before this process began, or before there was a budget, as it was written down.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::timeout;
use tracing::{error, info};

use super::calendar::{Period, began};
use super::limiter::Limiter;
use super::spending::Spent;
use crate::access::KeyBook;
use crate::plugins::problem::chain;
use crate::providers::{Cost, Registry};
use crate::store::StoreError;
use crate::usage::UsageBook;

/// What could not be read is tried again after this long.
const PAUSE: Duration = Duration::from_secs(2);

/// What is on its way into the store is waited for this long.
const FLUSHED_WITHIN: Duration = Duration::from_secs(1);

/// Reads what was spent today and this month. Of what was counted here as well, the larger is believed.
async fn recall(limiter: &Limiter, keys: &KeyBook, usage: &UsageBook) -> Result<(), StoreError> {
    let now = limiter.now();
    let (mut all, mut of_keys, mut of_providers) = (Spent::default(), HashMap::new(), HashMap::new());
    for period in [Period::Day, Period::Month] {
        for line in usage.spent(began(period, now)).await? {
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

/// The same once more, for budgets that are new: of what had none until then, nothing was counted here.
pub async fn recall_again(limiter: &Limiter, keys: &KeyBook, usage: &UsageBook) -> Result<(), StoreError> {
    // Without what does not get there in time it is better than nothing.
    let _ = timeout(FLUSHED_WITHIN, usage.flush()).await;
    recall(limiter, keys, usage).await
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

/// Reads it for the first time, and says whether it could be read. A store that is away just now keeps nobody from
/// starting: [`keep_recalled`] tries again.
///
/// # Errors
///
/// When the store is damaged: that does not mend itself.
pub async fn recall_first(limiter: &Limiter, keys: &KeyBook, usage: &UsageBook) -> Result<bool, StoreError> {
    match recall(limiter, keys, usage).await {
        Err(problem @ StoreError::Damaged(_)) => Err(problem),
        Err(problem) => {
            tell(&problem);
            Ok(false)
        }
        Ok(()) => Ok(true),
    }
}

/// Reads it again whenever something was configured.
pub async fn keep_recalled(
    registry: Arc<Registry>,
    keys: Arc<KeyBook>,
    usage: UsageBook,
    mut is_recalled: bool,
) {
    let mut publications = registry.publications();
    loop {
        let published = if is_recalled {
            publications.changed().await
        } else {
            timeout(PAUSE, publications.changed()).await.unwrap_or(Ok(()))
        };
        if published.is_err() {
            return;
        }
        match recall_again(&registry.limiter, &keys, &usage).await {
            Ok(()) if !is_recalled => info!("what was spent is known again"),
            Err(problem) if is_recalled => tell(&problem),
            _ => continue,
        }
        is_recalled = !is_recalled;
    }
}

fn tell(problem: &StoreError) {
    error!(
        problem = chain(problem),
        "what was spent could not be read: until it can be, budgets know what was counted since the start alone"
    );
}

#[cfg(test)]
mod tests;
