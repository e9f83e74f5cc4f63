//! What is asked for about usage, as it stands in a URL.

use std::time::{Duration, SystemTime};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::usage::{Dimension, Filter, Place, RecordId, RequestQuery, Span, Step, UsageQuery, millis};

/// What is answered about where nothing is said.
const LAST: Duration = Duration::from_secs(86_400);

const GROUPS: usize = 100;
const MOST_GROUPS: usize = 1000;

/// A day of minutes, and more than a month of hours.
const MOST_POINTS: i64 = 1500;

const REQUESTS: usize = 100;
const MOST_REQUESTS: usize = 1000;

/// So many single requests are looked at for one answer: some seconds' work at most.
const LOOK_AT: usize = 200_000;

/// As it is written. Anything else would be a misspelt filter.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::http) struct UsageWish {
    /// A time or a date in UTC; a day before `to` where nothing is said.
    from: Option<String>,
    /// A time or a date in UTC; now where nothing is said.
    to: Option<String>,
    /// A list with commas of `provider`, `model`, `key`, `route` and `time`.
    by: String,
    /// How far the points of the series are apart: `minute`, `hour` or `day`.
    #[schemars(extend("enum" = ["minute", "hour", "day"]))]
    step: Option<String>,
    /// Only of this provider.
    provider: Option<String>,
    /// Only of this model.
    model: Option<String>,
    /// Only with the key of this id.
    key: Option<String>,
    /// Only on this route.
    route: Option<String>,
    /// So many groups at most; 100 where nothing is said.
    #[schemars(range(min = 1, max = MOST_GROUPS))]
    limit: Option<usize>,
}

impl UsageWish {
    /// The question; single minutes are there since this second.
    pub(super) fn query(self, now: SystemTime, minutes_since: i64) -> Result<UsageQuery, String> {
        let to = self.to.as_deref().map_or(Ok(now), |text| time("to", text))?;
        let from = self.from.as_deref().map_or(Ok(to - LAST), |text| time("from", text))?;
        if from >= to {
            return Err("from has to be before to".to_owned());
        }
        let (by, with_time) = dimensions(&self.by)?;
        let mut step = self.step.as_deref().map(step).transpose()?;
        let span = Span { from: millis(from) / 1000, to: millis(to).saturating_add(999) / 1000 };
        if with_time && step.is_none() {
            step = Some(fitting(span));
        }
        // What is older is there by the hour.
        let finest = if span.from < minutes_since { Step::Hour } else { Step::Minute };
        let span = span.widened(step.unwrap_or(finest));
        if let Some(step) = step {
            let points = (span.to - span.from) / step.seconds();
            if step < finest {
                return Err(
                    "step=minute goes not as far back as from does (usage.minutes_days): ask for step=hour"
                        .to_owned(),
                );
            }
            if points > MOST_POINTS {
                return Err(format!(
                    "from here to there are {points} points, of which {MOST_POINTS} may be asked for: name a longer step \
                     (minute, hour or day), or a shorter time"
                ));
            }
        }
        let limit = limit(self.limit, GROUPS, MOST_GROUPS)?;
        let name = |name: Option<String>| name.map(Into::into);
        let filter = Filter {
            provider: name(self.provider),
            model: name(self.model),
            key: name(self.key),
            route: name(self.route),
        };
        Ok(UsageQuery { span, by, step, filter, limit })
    }
}

/// A list of single requests.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::http) struct RecentWish {
    /// Only those that arrived since this time or date in UTC.
    from: Option<String>,
    /// Only those that arrived before this time or date in UTC.
    to: Option<String>,
    /// Only of this provider.
    provider: Option<String>,
    /// Only of this model.
    model: Option<String>,
    /// Only with the key of this id.
    key: Option<String>,
    /// Only on this route.
    route: Option<String>,
    /// Only with this code of an error.
    error: Option<String>,
    /// Only those that failed.
    failed: bool,
    /// Only those that took so long.
    min_latency_ms: u64,
    /// Those that arrived before: `next` of the answer before.
    #[schemars(regex(pattern = "^[0-9]{1,18}-[0-9a-f]{32}$"))]
    before: Option<String>,
    /// So many at most; 100 where nothing is said.
    #[schemars(range(min = 1, max = MOST_REQUESTS))]
    limit: Option<usize>,
}

impl RecentWish {
    pub(super) fn query(self) -> Result<RequestQuery, String> {
        let place = |text: &str| {
            let (at, id) = text.split_once('-')?;
            Some(Place { millis: at.parse().ok()?, id: RecordId::of_text(id)? })
        };
        let mut before = match self.before.as_deref() {
            None => None,
            Some(text) => Some(place(text).ok_or("before has to be what was next in the answer before")?),
        };
        let instant = |name: &str, text: Option<&str>| text.map(|text| time(name, text)).transpose();
        let since = instant("from", self.from.as_deref())?.map_or(0, millis);
        if let Some(to) = instant("to", self.to.as_deref())?.map(millis) {
            if since >= to {
                return Err("from has to be before to".to_owned());
            }
            // Nothing that arrived at that moment.
            let end = Place { millis: to, id: RecordId::FIRST };
            before = Some(before.filter(|before| before.millis < to).unwrap_or(end));
        }
        let name = |name: Option<String>| name.map(Into::into);
        Ok(RequestQuery {
            before,
            since,
            filter: Filter {
                provider: name(self.provider),
                model: name(self.model),
                key: name(self.key),
                route: name(self.route),
            },
            error: self.error,
            failed: self.failed,
            min_latency: Duration::from_millis(self.min_latency_ms),
            limit: limit(self.limit, REQUESTS, MOST_REQUESTS)?,
            look_at: LOOK_AT,
        })
    }
}

fn limit(wanted: Option<usize>, default: usize, most: usize) -> Result<usize, String> {
    match wanted.unwrap_or(default) {
        limit if (1..=most).contains(&limit) => Ok(limit),
        limit => Err(format!("limit is {limit}, and may be from 1 to {most}")),
    }
}

/// A date stands for its beginning.
fn time(name: &str, text: &str) -> Result<SystemTime, String> {
    let whole = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    humantime::parse_rfc3339_weak(&whole).map_err(|_| {
        format!("{name} is {text:?}, no time in UTC: write it as in 2026-11-01T12:00:00Z, or as a date")
    })
}

fn dimensions(by: &str) -> Result<(Vec<Dimension>, bool), String> {
    let (mut dimensions, mut with_time) = (Vec::new(), false);
    for word in by.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        match Dimension::ALL.into_iter().find(|dimension| dimension.word() == word) {
            _ if word == "time" => with_time = true,
            Some(dimension) if dimensions.contains(&dimension) => {}
            Some(dimension) => dimensions.push(dimension),
            None => {
                return Err(format!(
                    "by has {word:?}: it takes provider, model, key, route and time, with commas in between"
                ));
            }
        }
    }
    Ok((dimensions, with_time))
}

fn step(word: &str) -> Result<Step, String> {
    let found = Step::ASKED.into_iter().find(|step| step.word() == word);
    found.ok_or_else(|| format!("step is {word:?}: it takes minute, hour or day"))
}

/// The one that gives neither a few points nor very many.
fn fitting(span: Span) -> Step {
    match span.to - span.from {
        ..=10_800 => Step::Minute,
        10_801..=1_209_600 => Step::Hour,
        _ => Step::Day,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str) -> Result<UsageQuery, String> {
        let uri = format!("/api/usage?{query}").parse().unwrap();
        let wish =
            axum::extract::Query::<UsageWish>::try_from_uri(&uri).map_err(|error| error.body_text())?;
        // Sunday the first of November 2026 at noon, and half a second.
        let now = humantime::parse_rfc3339("2026-11-01T12:00:00.5Z").unwrap();
        wish.0.query(now, millis(now) / 1000 - 86_400 * 14)
    }

    #[test]
    fn a_question_is_understood() {
        const NOON: i64 = 1_793_534_400;
        for (query, from, to, step) in [
            ("", NOON - 86_400, NOON + 60, None),
            ("by=time", NOON - 86_400, NOON + 3_600, Some(Step::Hour)),
            ("step=day", NOON - 36 * 3_600, NOON + 12 * 3_600, Some(Step::Day)),
            ("from=2026-11-01&to=2026-11-01T01:00:30Z", NOON - 43_200, NOON - 43_200 + 3_660, None),
            ("from=2026-11-01T11:00:00Z&by=time,model", NOON - 3_600, NOON + 60, Some(Step::Minute)),
            ("from=2026-01-01T00:30:00Z&to=2026-01-02", 1_767_225_600, 1_767_312_000, None),
        ] {
            let found = asked(query).unwrap();
            assert_eq!((found.span, found.step), (Span { from, to }, step), "{query}");
        }
        let found = asked("by=model,%20provider,model&provider=up&limit=7").unwrap();
        assert_eq!(found.by, [Dimension::Model, Dimension::Provider]);
        assert_eq!((found.filter.provider.as_deref(), found.limit), (Some("up"), 7));
    }

    #[test]
    fn what_is_not_understood_is_said() {
        for (query, problem) in [
            ("from=yesterday", "from is \"yesterday\", no time in UTC: write it as in 2026"),
            ("from=2026-11-02", "from has to be before to"),
            ("by=vendor", "by has \"vendor\": it takes provider, model"),
            ("step=week", "step is \"week\": it takes minute, hour or day"),
            ("step=minute&from=2026-01-01&to=2026-01-02", "step=minute goes not as far back"),
            ("step=minute&from=2026-10-29", "are 5041 points, of which 1500"),
            ("limit=0", "limit is 0, and may be from 1 to 1000"),
            ("modle=x", "unknown field `modle`, expected one of"),
        ] {
            let error = asked(query).unwrap_err();
            assert!(error.contains(problem), "{query}: {error}");
        }
    }

    #[test]
    fn a_list_goes_on_where_it_ended() {
        let id = RecordId::next();
        let before = |before: &str| RecentWish { before: Some(before.to_owned()), ..RecentWish::default() };
        let query = before(&format!("1793534400123-{id}")).query().unwrap();
        assert_eq!((query.before, query.limit), (Some(Place { millis: 1_793_534_400_123, id }), REQUESTS));
        assert!(before("yesterday").query().unwrap_err().contains("what was next"));
    }

    #[test]
    fn a_list_is_of_what_was_asked_for() {
        let asked = |query: &str| {
            let uri = format!("/api/usage/requests?{query}").parse().unwrap();
            let wish =
                axum::extract::Query::<RecentWish>::try_from_uri(&uri).map_err(|error| error.body_text())?;
            wish.0.query()
        };
        let day = "from=2026-11-01&to=2026-11-02";
        let query = asked(&format!("{day}&failed=true&min_latency_ms=2000&key=k&error=timed_out")).unwrap();
        assert_eq!((query.since, query.before.unwrap().millis), (1_793_491_200_000, 1_793_577_600_000));
        assert_eq!((query.failed, query.min_latency), (true, Duration::from_secs(2)));
        assert_eq!((query.filter.key.as_deref(), query.error.as_deref()), (Some("k"), Some("timed_out")));
        // Whoever goes on within a time does not begin anew.
        let on = format!("1793534400123-{}", RecordId::FIRST);
        let query = asked(&format!("{day}&before={on}")).unwrap();
        assert_eq!(query.before.unwrap().millis, 1_793_534_400_123);
        for (query, problem) in [
            ("from=2026-11-02&to=2026-11-01", "from has to be before to"),
            ("from=yesterday", "from is \"yesterday\", no time in UTC"),
            ("slow=1", "unknown field `slow`, expected one of"),
            ("min_latency_ms=2s", "min_latency_ms: invalid digit"),
        ] {
            let error = asked(query).unwrap_err();
            assert!(error.contains(problem), "{query}: {error}");
        }
    }
}
