//! Records on their way from requests to whoever keeps them: taken in without waiting, taken out all at once.

use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::UsageRecord;

/// See the module.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    /// There is one, where there was none.
    arrived: Notify,
    most: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    records: Vec<UsageRecord>,
    is_closed: bool,
}

impl Queue {
    /// With room for so many.
    pub(super) fn new(most: usize) -> Self {
        Self { waiting: Mutex::default(), arrived: Notify::new(), most }
    }

    /// Takes one in, if there is room; says whether there was.
    pub(super) fn put(&self, record: UsageRecord) -> bool {
        let mut waiting = self.waiting();
        if waiting.is_closed || waiting.records.len() >= self.most {
            return false;
        }
        waiting.records.push(record);
        let is_first = waiting.records.len() == 1;
        drop(waiting);
        if is_first {
            self.arrived.notify_one();
        }
        true
    }

    /// Waits until there is one.
    pub(super) async fn arrived(&self) {
        while self.waiting().records.is_empty() {
            self.arrived.notified().await;
        }
    }

    /// Takes out what there is, for which this empty list, and the room in it, is left.
    pub(super) fn take(&self, empty: Vec<UsageRecord>) -> Vec<UsageRecord> {
        mem::replace(&mut self.waiting().records, empty)
    }

    /// Takes no more in.
    pub(super) fn close(&self) {
        self.waiting().is_closed = true;
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::record;
    use super::*;

    #[tokio::test]
    async fn all_that_had_room_is_taken_out_at_once() {
        let queue = Queue::new(2);
        let waits = async {
            queue.arrived().await;
            queue.take(Vec::new()).len()
        };
        let puts = async { [1, 2, 3].map(|at| queue.put(record(at))) };
        assert_eq!(tokio::join!(waits, puts), (2, [true, true, false]));
        assert!(queue.put(record(4)), "there is room again");
        queue.close();
        assert!(!queue.put(record(5)));
        queue.arrived().await;
        let left: Vec<i64> = queue.take(Vec::new()).iter().map(UsageRecord::millis).collect();
        assert_eq!(left, [4]);
    }
}
