//! Stretches of time, and the sums that fill them.

/// How long one sum of a store goes. Seconds since 1970 are cut where UTC cuts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// From second 0 to second 59.
    Minute,
    /// From minute 0 to minute 59.
    Hour,
    /// Of UTC.
    Day,
    /// So that a year does not take hundreds of days. They begin as the first of 1970 does, which is no use to people.
    Fortnight,
}

impl Step {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Minute, Self::Hour, Self::Day, Self::Fortnight];

    /// Those that people ask for.
    pub const ASKED: [Self; 3] = [Self::Minute, Self::Hour, Self::Day];

    /// Its length.
    pub fn seconds(self) -> i64 {
        match self {
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
            Self::Fortnight => 14 * 86_400,
        }
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Fortnight => "fortnight",
        }
    }

    /// The last beginning of one, up to this second.
    pub fn floor(self, second: i64) -> i64 {
        second - second.rem_euclid(self.seconds())
    }

    /// The next beginning of one, from this second on.
    pub fn ceil(self, second: i64) -> i64 {
        self.floor(second + self.seconds() - 1)
    }

    fn finer(self) -> Option<Self> {
        match self {
            Self::Minute => None,
            Self::Hour => Some(Self::Minute),
            Self::Day => Some(Self::Hour),
            Self::Fortnight => Some(Self::Day),
        }
    }
}

/// A stretch of time, in seconds since 1970; the end is not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// From here.
    pub from: i64,
    /// To here.
    pub to: i64,
}

/// A stretch of time that sums of one length fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Their length.
    pub step: Step,
    /// Where they are.
    pub span: Span,
}

impl Span {
    /// The same, from the beginning of a step to the end of one.
    pub fn widened(self, step: Step) -> Self {
        Self { from: step.floor(self.from), to: step.ceil(self.to) }
    }

    /// The fewest sums that fill it, which begins and ends with a minute.
    pub fn segments(self) -> Vec<Segment> {
        let mut segments = Vec::new();
        self.cover(Step::Fortnight, &mut segments);
        segments
    }

    fn cover(self, step: Step, segments: &mut Vec<Segment>) {
        if self.from >= self.to {
            return;
        }
        let inner = Self { from: step.ceil(self.from), to: step.floor(self.to) };
        match step.finer() {
            None => segments.push(Segment { step, span: self }),
            Some(finer) if inner.from >= inner.to => self.cover(finer, segments),
            Some(finer) => {
                Self { from: self.from, to: inner.from }.cover(finer, segments);
                segments.push(Segment { step, span: inner });
                Self { from: inner.to, to: self.to }.cover(finer, segments);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_filled_by_the_fewest_sums() {
        const DAY: i64 = 86_400;
        let check = |from, to, expected: &[(Step, i64, i64)]| {
            let found: Vec<_> =
                Span { from, to }.segments().iter().map(|it| (it.step, it.span.from, it.span.to)).collect();
            assert_eq!(found, expected);
        };
        check(DAY, DAY, &[]);
        check(DAY, 3 * DAY, &[(Step::Day, DAY, 3 * DAY)]);
        check(
            13 * DAY,
            57 * DAY,
            &[
                (Step::Day, 13 * DAY, 14 * DAY),
                (Step::Fortnight, 14 * DAY, 56 * DAY),
                (Step::Day, 56 * DAY, 57 * DAY),
            ],
        );
        check(60, 180, &[(Step::Minute, 60, 180)]);
        check(3_600, 7_200 + 60, &[(Step::Hour, 3_600, 7_200), (Step::Minute, 7_200, 7_260)]);
        check(
            DAY - 3_660,
            2 * DAY + 7_260,
            &[
                (Step::Minute, DAY - 3_660, DAY - 3_600),
                (Step::Hour, DAY - 3_600, DAY),
                (Step::Day, DAY, 2 * DAY),
                (Step::Hour, 2 * DAY, 2 * DAY + 7_200),
                (Step::Minute, 2 * DAY + 7_200, 2 * DAY + 7_260),
            ],
        );
    }
}
