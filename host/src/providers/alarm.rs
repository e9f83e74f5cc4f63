//! A time limit that every chunk moves on, and that is hardly ever reached: moving it on costs next to nothing.

use std::pin::Pin;

use tokio::time::{Instant, Sleep, sleep_until};

/// See the module.
#[derive(Debug)]
pub struct Alarm {
    due: Instant,
    /// Set to `due` or earlier: the runtime's timer is only touched when it goes off too early.
    sleep: Pin<Box<Sleep>>,
}

impl Alarm {
    /// Goes off then.
    pub fn at(due: Instant) -> Self {
        Self { due, sleep: Box::pin(sleep_until(due)) }
    }

    /// Goes off then instead.
    pub fn set(&mut self, due: Instant) {
        self.due = due;
        if due < self.sleep.deadline() {
            self.sleep.as_mut().reset(due);
        }
    }

    /// Done when it has gone off. Cancel-safe.
    pub async fn rung(&mut self) {
        loop {
            self.sleep.as_mut().await;
            if self.sleep.deadline() >= self.due {
                return;
            }
            self.sleep.as_mut().reset(self.due);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn it_goes_off_when_it_was_set_to_last() {
        let begin = Instant::now();
        let at = |millis| begin + Duration::from_millis(millis);
        let mut alarm = Alarm::at(at(1));
        alarm.set(at(60));
        alarm.rung().await;
        assert!(begin.elapsed() >= Duration::from_millis(60));
        alarm.set(begin + Duration::from_secs(3600));
        alarm.set(at(70));
        // Within the hour.
        alarm.rung().await;
        assert!(begin.elapsed() >= Duration::from_millis(70));
    }
}
