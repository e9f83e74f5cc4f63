//! Days and months of UTC: budgets begin anew with them.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAY: u64 = 24 * 60 * 60;

/// What a budget is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// From midnight to midnight, UTC.
    Day,
    /// From the first to the last day, UTC.
    Month,
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Day => "day",
            Self::Month => "month",
        })
    }
}

/// What time it is. Of minutes tokio's clock decides, which never goes backwards; of days and months this one.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl Clock {
    /// Asks this one.
    pub fn of(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time.
    pub fn now(&self) -> SystemTime {
        (self.0)()
    }
}

/// The system's.
impl Default for Clock {
    fn default() -> Self {
        Self::of(SystemTime::now)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// A day, and its month. Counted through, so that each is one more than the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Date {
    pub(super) day: u64,
    pub(super) month: u64,
}

impl Date {
    pub(super) fn of(time: SystemTime) -> Self {
        let day = day_of(time);
        let (month, _) = month_of(day);
        Self { day, month }
    }
}

/// How long until the period after this moment's begins.
pub(super) fn until_next(period: Period, time: SystemTime) -> Duration {
    let day = day_of(time);
    let next = match period {
        Period::Day => day + 1,
        Period::Month => {
            let (month, of_month) = month_of(day);
            day - of_month + days_in(month)
        }
    };
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Duration::from_secs(next * DAY).saturating_sub(since)
}

/// When a period began that a moment is in.
pub(super) fn began(period: Period, time: SystemTime) -> SystemTime {
    let day = day_of(time);
    let first = match period {
        Period::Day => day,
        Period::Month => day - month_of(day).1,
    };
    UNIX_EPOCH + Duration::from_secs(first * DAY)
}

/// The day, counted from 1970.
pub(super) fn day_of(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / DAY
}

/// The month of a day, both counted from January 1970, and how many days of it are over.
fn month_of(day: u64) -> (u64, u64) {
    // No year is longer than 366 days: from there on it is at most a few months further.
    let mut month = day / 366 * 12;
    let mut rest = day - days_before_year(month / 12);
    while rest >= days_in(month) {
        rest -= days_in(month);
        month += 1;
    }
    (month, rest)
}

/// The days before a year, counted from 1970.
fn days_before_year(years: u64) -> u64 {
    let leap_days = |year: u64| year / 4 - year / 100 + year / 400;
    years * 365 + leap_days(1970 + years - 1) - leap_days(1969)
}

fn days_in(month: u64) -> u64 {
    let year = 1970 + month / 12;
    match month % 12 {
        1 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        1 => 28,
        3 | 5 | 8 | 10 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SystemTime {
        humantime::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn days_and_months_are_those_of_the_calendar() {
        for (time, month, next_day, next_month) in [
            ("1970-01-01T00:00:00Z", 0, "1970-01-02T00:00:00Z", "1970-02-01T00:00:00Z"),
            ("1999-12-31T23:59:59.5Z", 359, "2000-01-01T00:00:00Z", "2000-01-01T00:00:00Z"),
            ("2000-02-28T12:00:00Z", 361, "2000-02-29T00:00:00Z", "2000-03-01T00:00:00Z"),
            ("2024-02-29T00:00:00Z", 649, "2024-03-01T00:00:00Z", "2024-03-01T00:00:00Z"),
            ("2026-02-28T23:00:00Z", 673, "2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z"),
            ("2026-11-20T20:15:00Z", 682, "2026-11-21T00:00:00Z", "2026-12-01T00:00:00Z"),
            ("2100-02-28T00:00:00Z", 1561, "2100-03-01T00:00:00Z", "2100-03-01T00:00:00Z"),
        ] {
            let now = at(time);
            assert_eq!(Date::of(now).month, month, "{time}");
            assert_eq!(now + until_next(Period::Day, now), at(next_day), "{time}");
            assert_eq!(now + until_next(Period::Month, now), at(next_month), "{time}");
        }
        let now = at("2026-11-20T20:15:00Z");
        assert_eq!(began(Period::Day, now), at("2026-11-20T00:00:00Z"));
        assert_eq!(began(Period::Month, now), at("2026-11-01T00:00:00Z"));
        // Every day of two centuries follows on the one before.
        let mut last = Date::default();
        for day in 1..73_000 {
            let date = Date::of(UNIX_EPOCH + Duration::from_secs(day * DAY));
            let new_month = month_of(day).1 == 0;
            assert_eq!((date.day, date.month), (last.day + 1, last.month + u64::from(new_month)));
            last = date;
        }
    }
}
