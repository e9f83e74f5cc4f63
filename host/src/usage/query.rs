//! What can be asked about usage, and how an answer is put together from sums.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::{RecordId, Span, Step, Sums};
use crate::providers::Cost;

/// What requests can be told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// Who answered.
    Provider,
    /// With what.
    Model,
    /// Who asked: the id of a virtual key.
    Key,
    /// Which way.
    Route,
}

impl Dimension {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Provider, Self::Model, Self::Key, Self::Route];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Model => "model",
            Self::Key => "key",
            Self::Route => "route",
        }
    }
}

/// What requests that are summed up together have in common; none is also where nobody looked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Names {
    /// See [`Dimension::Provider`].
    pub provider: Option<Arc<str>>,
    /// See [`Dimension::Model`].
    pub model: Option<Arc<str>>,
    /// See [`Dimension::Key`].
    pub key: Option<Arc<str>>,
    /// See [`Dimension::Route`].
    pub route: Option<Arc<str>>,
}

/// What requests must have to be counted.
pub type Filter = Names;

impl Names {
    /// One of them.
    pub fn get(&self, dimension: Dimension) -> Option<&Arc<str>> {
        match dimension {
            Dimension::Provider => self.provider.as_ref(),
            Dimension::Model => self.model.as_ref(),
            Dimension::Key => self.key.as_ref(),
            Dimension::Route => self.route.as_ref(),
        }
    }

    fn only(&self, by: &[Dimension]) -> Self {
        let kept = |dimension| by.contains(&dimension).then(|| self.get(dimension).cloned()).flatten();
        Self {
            provider: kept(Dimension::Provider),
            model: kept(Dimension::Model),
            key: kept(Dimension::Key),
            route: kept(Dimension::Route),
        }
    }

    /// Whether it has what is asked for.
    pub fn has(&self, filter: &Filter) -> bool {
        Dimension::ALL.into_iter().all(|dimension| match filter.get(dimension) {
            Some(wanted) => self.get(dimension) == Some(wanted),
            None => true,
        })
    }
}

/// A question.
#[derive(Clone, Debug)]
pub struct UsageQuery {
    /// When; from and to the beginning of minutes, or of steps where there are any.
    pub span: Span,
    /// What the groups have in common; none of them without any.
    pub by: Vec<Dimension>,
    /// The distance of the points of a series; none of them without.
    pub step: Option<Step>,
    /// What is counted.
    pub filter: Filter,
    /// So many groups at most, those that cost the most.
    pub limit: usize,
}

/// One point of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// In seconds since 1970.
    pub at: i64,
    /// Of which group.
    pub names: Names,
    /// What there was.
    pub sums: Sums,
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct UsageAnswer {
    /// Everything together.
    pub totals: Sums,
    /// The groups, those that cost the most first.
    pub groups: Vec<(Names, Sums)>,
    /// How many groups there are besides.
    pub left_out: usize,
    /// The points at which there was anything, by time; of groups where there are any.
    pub series: Vec<Point>,
}

/// An answer in the making.
#[derive(Debug)]
pub struct Aggregate<'a> {
    query: &'a UsageQuery,
    totals: Sums,
    groups: HashMap<Names, Sums>,
    series: BTreeMap<(i64, Names), Sums>,
}

impl<'a> Aggregate<'a> {
    /// Nothing yet.
    pub fn new(query: &'a UsageQuery) -> Self {
        Self { query, totals: Sums::default(), groups: HashMap::new(), series: BTreeMap::new() }
    }

    /// Adds what requests with these names took.
    pub fn add(&mut self, names: &Names, sums: &Sums) {
        self.totals.add(sums);
        if !self.query.by.is_empty() {
            self.groups.entry(names.only(&self.query.by)).or_default().add(sums);
        }
    }

    /// Adds what they took in one step of time, to the series alone.
    pub fn add_point(&mut self, at: i64, names: &Names, sums: &Sums) {
        self.series.entry((at, names.only(&self.query.by))).or_default().add(sums);
    }

    /// The answer.
    pub fn finish(self) -> UsageAnswer {
        let mut groups: Vec<_> = self.groups.into_iter().collect();
        groups.sort_by(|(a_names, a), (b_names, b)| {
            (b.cost, b.requests).cmp(&(a.cost, a.requests)).then_with(|| a_names.cmp(b_names))
        });
        let left_out = groups.len().saturating_sub(self.query.limit);
        groups.truncate(self.query.limit);
        let is_shown = |names: &Names| left_out == 0 || groups.iter().any(|(shown, _)| shown == names);
        let series = self.series.into_iter().filter(|((_, names), _)| is_shown(names));
        let series = series.map(|((at, names), sums)| Point { at, names, sums }).collect();
        UsageAnswer { totals: self.totals, groups, left_out, series }
    }
}

/// What was spent with a key at a provider.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spent {
    /// The id of the virtual key.
    pub key: Option<Arc<str>>,
    /// The provider.
    pub provider: Option<Arc<str>>,
    /// As far as it has prices.
    pub cost: Cost,
    /// Read and written.
    pub tokens: u64,
}

/// Where a list of records goes on: before this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// When it arrived, in milliseconds since 1970.
    pub millis: i64,
    /// Which one.
    pub id: RecordId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_those_that_cost_the_most() {
        let query = UsageQuery {
            span: Span { from: 0, to: 120 },
            by: vec![Dimension::Model],
            step: Some(Step::Minute),
            filter: Filter::default(),
            limit: 1,
        };
        let names = |provider: &str, model: &str| Names {
            provider: Some(provider.into()),
            model: Some(model.into()),
            ..Names::default()
        };
        let sums = |cost| Sums { requests: 1, cost, ..Sums::default() };
        let mut aggregate = Aggregate::new(&query);
        for (at, names, cost) in [(0, names("a", "m"), 2), (60, names("b", "m"), 2), (0, names("a", "n"), 3)]
        {
            aggregate.add(&names, &sums(cost));
            aggregate.add_point(at, &names, &sums(cost));
        }
        let answer = aggregate.finish();
        let group = Names { model: Some("m".into()), ..Names::default() };
        assert_eq!((answer.totals.cost, answer.totals.requests, answer.left_out), (7, 3, 1));
        assert_eq!(answer.groups, [(group.clone(), Sums { requests: 2, cost: 4, ..Sums::default() })]);
        let series: Vec<_> = answer.series.iter().map(|point| (point.at, &point.names)).collect();
        assert_eq!(series, [(0, &group), (60, &group)]);
    }

    #[test]
    fn a_filter_takes_what_has_all_of_it() {
        let names = Names { provider: Some("a".into()), model: Some("m".into()), ..Names::default() };
        assert!(names.has(&Filter::default()));
        assert!(names.has(&Filter { model: Some("m".into()), ..Filter::default() }));
        assert!(!names.has(&Filter { model: Some("m".into()), key: Some("k".into()), ..Filter::default() }));
    }
}
