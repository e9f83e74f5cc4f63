//! What was spent this day and this month, and what may be.

use std::time::{Duration, SystemTime};

use rust_decimal::Decimal;

use super::calendar::{Date, Period, day_of, until_next};
use crate::providers::Cost;

/// How much may be spent, in US dollars; none is without a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// In a day of UTC.
    pub day: Option<Cost>,
    /// In a month of UTC.
    pub month: Option<Cost>,
}

impl Budget {
    /// These amounts of US dollars.
    pub fn of(day: Option<Decimal>, month: Option<Decimal>) -> Self {
        Self { day: day.map(Cost::from), month: month.map(Cost::from) }
    }

    /// Whether there is none.
    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }

    /// Why a request could not be let in even if nothing had been spent yet.
    pub(super) fn is_below(&self, cost: Cost) -> Option<TooDear> {
        let of = |period, budget: Option<Cost>| {
            budget.filter(|budget| cost > *budget).map(|budget| TooDear { period, budget, cost })
        };
        of(Period::Day, self.day).or_else(|| of(Period::Month, self.month))
    }
}

/// A request that alone may cost more than all that may be spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooDear {
    /// For which the budget is.
    pub period: Period,
    /// How much it is.
    pub budget: Cost,
    /// What the request may cost.
    pub cost: Cost,
}

/// A budget that is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overspent {
    /// For which it is.
    pub period: Period,
    /// How much it is.
    pub budget: Cost,
    /// What was spent of it.
    pub spent: Cost,
    /// After so long it begins anew; or, where only requests under way keep others out, one of them may have ended.
    pub wait: Duration,
}

impl Overspent {
    /// Whether only what is set aside for requests under way is too much.
    pub fn is_for_now(&self) -> bool {
        self.spent < self.budget
    }
}

/// When something under way may have ended.
pub(crate) const SOON: Duration = Duration::from_secs(1);

/// What was spent up to now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Since midnight, UTC.
    pub day: Cost,
    /// Since the first of the month, UTC.
    pub month: Cost,
}

impl Spent {
    /// Of two who counted the same, whoever has seen more is believed.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self { day: self.day.max(other.day), month: self.month.max(other.month) }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Spending {
    /// Whose sums these are.
    date: Date,
    spent: Spent,
    /// What requests under way may come to.
    reserved: Cost,
}

/// What was set aside for a request, and on which day.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reserved {
    cost: Cost,
    date: Date,
}

impl Spending {
    /// Sets something aside, if all that was spent and set aside before is below the budget: so it is never overspent
    /// by more than what is under way. What was `held` before is let go.
    pub(super) fn reserve(
        &mut self,
        cost: Cost,
        held: Reserved,
        budget: &Budget,
        now: SystemTime,
    ) -> Result<Reserved, Overspent> {
        self.turn_over(now);
        let reserved = self.reserved.less(held.cost);
        let sums =
            [(Period::Month, budget.month, self.spent.month), (Period::Day, budget.day, self.spent.day)];
        let over = sums.into_iter().filter_map(|(period, budget, spent)| {
            let budget = budget.filter(|budget| spent.plus(reserved) >= *budget)?;
            let wait = if spent >= budget { until_next(period, now) } else { SOON };
            Some(Overspent { period, budget, spent, wait })
        });
        // Of two that are used up, the one that is so for longer.
        if let Some(over) = over.max_by_key(|over| over.wait) {
            return Err(over);
        }
        self.reserved = reserved.plus(cost);
        Ok(Reserved { cost, date: self.date })
    }

    /// What was set aside has come to this. It counts for the day on which it was set aside.
    pub(super) fn settle(&mut self, held: Reserved, cost: Cost, now: SystemTime) {
        self.turn_over(now);
        self.reserved = self.reserved.less(held.cost);
        if held.date.day >= self.date.day {
            self.spent.day = self.spent.day.plus(cost);
        }
        if held.date.month >= self.date.month {
            self.spent.month = self.spent.month.plus(cost);
        }
    }

    /// At least so much was spent: somebody else has written it down.
    pub(super) fn recall(&mut self, spent: Spent, now: SystemTime) {
        self.turn_over(now);
        self.spent = self.spent.max(spent);
    }

    pub(super) fn spent(&mut self, now: SystemTime) -> Spent {
        self.turn_over(now);
        self.spent
    }

    /// What is left of the smaller rest, of which requests under way may still take some; none without a budget.
    pub(super) fn remaining(&mut self, budget: &Budget, now: SystemTime) -> Option<Cost> {
        self.turn_over(now);
        let left = |budget: Option<Cost>, spent: Cost| Some(budget?.less(spent));
        let lefts = [left(budget.day, self.spent.day), left(budget.month, self.spent.month)];
        lefts.into_iter().flatten().min()
    }

    /// Whether there is nothing to remember.
    pub(super) fn is_empty(&mut self, now: SystemTime) -> bool {
        self.turn_over(now);
        self.spent.month == Cost::default() && self.reserved == Cost::default()
    }

    /// Begins anew with a new day or month. A clock that is set back a little comes to the same midnight twice, and
    /// the second time nothing begins. One that is set back by more than that was wrong before: what was spent is
    /// then held to be of now.
    fn turn_over(&mut self, now: SystemTime) {
        let date = &mut self.date;
        if day_of(now) == date.day {
            return;
        }
        let now = Date::of(now);
        if now.day > date.day {
            self.spent.day = Cost::default();
        }
        if now.month > date.month {
            self.spent.month = Cost::default();
        }
        if now.day > date.day || now.day + 1 < date.day {
            date.day = now.day;
        }
        if now.month > date.month || now.month + 1 < date.month {
            date.month = now.month;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SystemTime {
        humantime::parse_rfc3339(text).unwrap()
    }

    fn usd(text: &str) -> Cost {
        text.parse::<Decimal>().unwrap().into()
    }

    const NONE: Reserved = Reserved { cost: Cost::ZERO, date: Date { day: 0, month: 0 } };

    #[test]
    fn what_is_under_way_counts_as_spent_until_it_is() {
        let now = at("2026-11-20T20:15:00Z");
        let budget = Budget { day: Some(usd("1")), month: Some(usd("1.5")) };
        let mut spending = Spending::default();
        let first = spending.reserve(usd("0.6"), NONE, &budget, now).unwrap();
        let second = spending.reserve(usd("0.6"), NONE, &budget, now).unwrap();
        assert_eq!(spending.remaining(&budget, now), Some(usd("1")), "nobody knows yet what they come to");
        let over = spending.reserve(usd("0"), NONE, &budget, now).unwrap_err();
        assert_eq!(over, Overspent { period: Period::Day, budget: usd("1"), spent: Cost::ZERO, wait: SOON });
        assert!(over.is_for_now());
        // Whoever has set something aside may change how much.
        let second = spending.reserve(usd("0.5"), second, &budget, now).unwrap();
        spending.settle(first, usd("0.25"), now);
        spending.settle(second, usd("0.5"), now);
        assert_eq!(spending.remaining(&budget, now), Some(usd("0.25")));
        assert_eq!(spending.spent(now), Spent { day: usd("0.75"), month: usd("0.75") });
        let third = spending.reserve(usd("0.1"), NONE, &budget, now).unwrap();
        spending.settle(third, usd("0.9"), now);
        let over = spending.reserve(usd("0"), NONE, &budget, now).unwrap_err();
        let wait = at("2026-12-01T00:00:00Z").duration_since(now).unwrap();
        assert_eq!(over, Overspent { period: Period::Month, budget: usd("1.5"), spent: usd("1.65"), wait });
        assert!(!over.is_for_now());
        assert_eq!(spending.reserved, Cost::ZERO);
    }

    #[test]
    fn a_day_begins_at_midnight_and_what_began_before_is_of_the_day_before() {
        let budget = Budget { day: Some(usd("1")), month: Some(usd("10")) };
        let mut spending = Spending::default();
        let late = at("2026-11-30T23:59:59.999Z");
        let held = spending.reserve(usd("2"), NONE, &budget, late).unwrap();
        assert_eq!(spending.reserve(usd("2"), NONE, &budget, late).unwrap_err().period, Period::Day);
        let midnight = at("2026-12-01T00:00:00Z");
        // What is still under way counts, whenever it began: nobody knows what it comes to.
        assert_eq!(spending.reserve(usd("2"), NONE, &budget, midnight).unwrap_err().wait, SOON);
        spending.settle(held, usd("2"), midnight);
        assert_eq!(spending.spent(midnight), Spent::default());
        assert!(spending.is_empty(midnight));
        let held = spending.reserve(usd("2"), NONE, &budget, midnight).unwrap();
        spending.settle(held, usd("3"), at("2026-12-02T00:00:00Z"));
        assert_eq!(spending.spent(midnight), Spent { day: Cost::ZERO, month: usd("3") });
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing_away_and_locks_nobody_out() {
        let budget = Budget { day: Some(usd("1")), ..Budget::default() };
        let mut spending = Spending::default();
        let spend = |spending: &mut Spending, now: &str| {
            let held = spending.reserve(usd("1"), NONE, &budget, at(now))?;
            spending.settle(held, usd("1"), at(now));
            Ok::<_, Overspent>(())
        };
        assert!(spend(&mut spending, "2026-11-20T00:00:01Z").is_ok());
        // Over midnight and back, and over it again.
        assert!(spend(&mut spending, "2026-11-19T23:59:59Z").is_err());
        assert!(spend(&mut spending, "2026-11-20T00:00:01Z").is_err());
        assert!(spend(&mut spending, "2026-11-21T00:00:00Z").is_ok());
        // It was years ahead: what was spent then is of today, and tomorrow is another day.
        assert!(spend(&mut spending, "2040-01-01T00:00:00Z").is_ok());
        assert!(spend(&mut spending, "2026-11-21T12:00:00Z").is_err());
        assert!(spend(&mut spending, "2026-11-22T00:00:00Z").is_ok());
    }

    #[test]
    fn what_was_written_down_counts_once() {
        let now = at("2026-11-20T20:15:00Z");
        let mut spending = Spending::default();
        let before = Spent { day: usd("1"), month: usd("7") };
        spending.recall(before, now);
        spending.recall(before, now);
        let held = spending.reserve(usd("1"), NONE, &Budget::default(), now).unwrap();
        spending.settle(held, usd("0.5"), now);
        spending.recall(before, now);
        assert_eq!(spending.spent(now), Spent { day: usd("1.5"), month: usd("7.5") });
    }
}
