//! Prometheus' text format, version 0.0.4: what every scraper reads, whatever else it knows.

use std::fmt::{Display, Write as _};

use super::numbers::{Counter, Histogram};

/// What a family's numbers mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// They only grow.
    Counter,
    /// They are what is.
    Gauge,
    /// They tell how often something took how long.
    Histogram,
}

/// The labels of one series.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

/// The text as far as it is written.
#[derive(Debug, Default)]
pub(super) struct Text(String);

impl Text {
    /// Begins a family. All of its series come before the next one begins.
    pub(super) fn family<'a>(&'a mut self, name: &'a str, kind: Kind, help: &str) -> Family<'a> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        // Writing to a string does not fail, here and below.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
        Family { name, text: &mut self.0 }
    }

    /// A family of one series without labels.
    pub(super) fn single(&mut self, name: &str, kind: Kind, help: &str, value: impl Display) {
        self.family(name, kind, help).sample(&[], value);
    }

    /// All of it.
    pub(super) fn into_string(self) -> String {
        self.0
    }
}

/// A family whose series are written.
pub(super) struct Family<'a> {
    name: &'a str,
    text: &'a mut String,
}

impl Family<'_> {
    /// One number.
    pub(super) fn sample(&mut self, labels: Labels<'_>, value: impl Display) {
        self.line("", labels, None, value);
    }

    /// One that is counted; nothing while there was nothing to count.
    pub(super) fn counted(&mut self, labels: Labels<'_>, counter: &Counter) {
        match counter.get() {
            0 => {}
            count => self.sample(labels, count),
        }
    }

    /// One of several states: 1 for the one that it is in.
    pub(super) fn state(&mut self, labels: Labels<'_>, label: &str, states: &[&str], now: &str) {
        for state in states {
            let labels: Vec<_> = labels.iter().copied().chain([(label, *state)]).collect();
            self.sample(&labels, u8::from(*state == now));
        }
    }

    /// How often something took how long; nothing while it never did.
    pub(super) fn histogram(&mut self, labels: Labels<'_>, histogram: &Histogram) {
        let (below, all) = histogram.cumulative();
        if all == 0 {
            return;
        }
        for (bound, count) in below {
            self.line("_bucket", labels, Some(&bound.as_secs_f64().to_string()), count);
        }
        self.line("_bucket", labels, Some("+Inf"), all);
        self.line("_sum", labels, None, histogram.sum());
        self.line("_count", labels, None, all);
    }

    fn line(&mut self, suffix: &str, labels: Labels<'_>, bound: Option<&str>, value: impl Display) {
        self.text.push_str(self.name);
        self.text.push_str(suffix);
        let bound = bound.map(|bound| ("le", bound));
        for (place, (name, value)) in labels.iter().copied().chain(bound).enumerate() {
            let _ = write!(self.text, "{}{name}=\"", if place == 0 { '{' } else { ',' });
            escape(value, self.text);
            self.text.push('"');
        }
        let end = if labels.is_empty() && bound.is_none() { "" } else { "}" };
        let _ = writeln!(self.text, "{end} {value}");
    }
}

fn escape(value: &str, text: &mut String) {
    for letter in value.chars() {
        match letter {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            _ => text.push(letter),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn values_are_escaped_and_families_described() {
        let mut text = Text::default();
        let mut family = text.family("x_total", Kind::Counter, "Many.");
        family.sample(&[("a", "1"), ("b", "\"\\\n,é")], 7);
        family.counted(&[], &Counter::default());
        text.single("y_seconds", Kind::Gauge, "Some.", 0.5);
        let expected = "# HELP x_total Many.\n# TYPE x_total counter\nx_total{a=\"1\",b=\"\\\"\\\\\\n,é\"} 7\n\
                        # HELP y_seconds Some.\n# TYPE y_seconds gauge\ny_seconds 0.5\n";
        assert_eq!(text.into_string(), expected);
    }

    #[test]
    fn one_state_is_the_one() {
        let mut text = Text::default();
        text.family("x", Kind::Gauge, "X.").state(&[("p", "q")], "state", &["open", "closed"], "closed");
        let lines = "x{p=\"q\",state=\"open\"} 0\nx{p=\"q\",state=\"closed\"} 1\n";
        assert!(text.into_string().ends_with(lines));
    }

    #[test]
    fn a_histogram_ends_with_everything() {
        let (mut text, histogram) = (Text::default(), Histogram::of_own_work());
        text.family("x_seconds", Kind::Histogram, "X.").histogram(&[], &histogram);
        assert!(!text.0.contains("bucket"), "it never took any time");
        histogram.observe(Duration::from_micros(20));
        histogram.observe(Duration::from_secs(2));
        text.family("x_seconds", Kind::Histogram, "X.").histogram(&[("route", "r")], &histogram);
        let text = text.into_string();
        for line in [
            "x_seconds_bucket{route=\"r\",le=\"0.00001\"} 0\n",
            "x_seconds_bucket{route=\"r\",le=\"0.000025\"} 1\n",
            "x_seconds_bucket{route=\"r\",le=\"1\"} 1\n",
            "x_seconds_bucket{route=\"r\",le=\"+Inf\"} 2\nx_seconds_sum{route=\"r\"} 2.00002\nx_seconds_count{route=\"r\"} 2\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
    }
}
