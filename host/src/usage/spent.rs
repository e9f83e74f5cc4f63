//! What was spent: what the store says, and what is on its way there.

use std::collections::HashMap;
use std::io;
use std::time::SystemTime;

use tracing::warn;

use super::journal::Rest;
use super::{Spent, UsageBook};
use crate::store::StoreError;

impl UsageBook {
    /// What was spent from this minute until now, by key and provider; of one of these there may be several lines.
    pub async fn spent(&self, since: SystemTime) -> Result<Vec<Spent>, StoreError> {
        let _still = self.0.shared.moving.lock().await;
        let mut spent = self.0.store.spent(since).await?;
        // Bound to a name, for the file is locked as long as it is matched on.
        let rest = self.0.shared.journal().rest();
        let waiting = match rest {
            Ok(rest) => {
                let read = tokio::task::spawn_blocking(move || waiting(rest, since)).await;
                read.unwrap_or_else(|panic| Err(io::Error::other(panic)))
            }
            Err(error) => Err(error),
        };
        match waiting {
            Ok(waiting) => spent.extend(waiting),
            Err(error) => warn!(%error, "what was spent is known without the usage that waits in a file"),
        }
        Ok(spent)
    }
}

fn waiting(mut rest: Rest, since: SystemTime) -> io::Result<Vec<Spent>> {
    let mut sums = HashMap::new();
    loop {
        let portion = rest.next()?;
        if portion.is_empty() {
            return Ok(sums.into_values().collect());
        }
        for record in portion.records.into_iter().filter(|record| record.at >= since) {
            let (key, provider) = (record.key, record.provider);
            let sum = sums.entry((key.clone(), provider.clone())).or_insert_with(|| Spent {
                key,
                provider,
                ..Spent::default()
            });
            sum.cost = sum.cost.plus(record.cost.unwrap_or_default());
            sum.tokens += record.usage.map_or(0, |usage| usage.total_tokens);
        }
    }
}
