//! What came of a test.

use serde::{Deserialize, Serialize};

/// No check says more: what is wrong at one byte usually is at the next.
const MOST_FINDINGS: usize = 3;

/// Nor is what it says longer, in bytes.
const LONGEST_FINDING: usize = 1000;

/// What came of all of it.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The library.
    pub file: String,
    /// What its manifest says it is; none where that could not be read.
    pub plugin: Option<Subject>,
    /// Every check, in the order they were made.
    pub checks: Vec<Checked>,
    /// How many came to what.
    pub summary: Summary,
}

/// What was tested.
#[derive(Debug, Serialize)]
pub struct Subject {
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: String,
}

/// How many checks came to what.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The plugin did as it must.
    pub passed: usize,
    /// It did not.
    pub failed: usize,
    /// Nobody knows.
    pub not_tested: usize,
}

/// One check and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// What the plugin has to do.
    pub name: String,
    /// Whether it did.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The plugin did as it must.
    Passed,
    /// It did not.
    Failed {
        /// In sentences, the first few.
        findings: Vec<String>,
    },
    /// Nobody knows.
    NotTested {
        /// What it would take.
        why: String,
    },
}

impl Outcome {
    pub(super) fn not_tested(why: impl Into<String>) -> Self {
        Self::NotTested { why: why.into() }
    }

    pub(super) fn failed(finding: impl Into<String>) -> Self {
        Self::Failed { findings: vec![short(finding.into())] }
    }

    /// The same with something more that was wrong.
    pub(super) fn and(self, more: Vec<String>) -> Self {
        let mut findings = if let Self::Failed { findings } = self { findings } else { Vec::new() };
        findings.extend(more.into_iter().map(short));
        findings.truncate(MOST_FINDINGS + 1);
        Self::Failed { findings }
    }
}

/// What a check finds, as it goes.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<String>);

impl Findings {
    /// Adds one, if it is not there yet. False when it is enough.
    pub(super) fn add(&mut self, finding: impl Into<String>) -> bool {
        let finding = short(finding.into());
        if !self.0.contains(&finding) {
            self.0.push(finding);
        }
        self.0.len() < MOST_FINDINGS
    }

    pub(super) fn outcome(self) -> Outcome {
        if self.0.is_empty() { Outcome::Passed } else { Outcome::Failed { findings: self.0 } }
    }
}

/// A plugin's words may be any number.
fn short(mut finding: String) -> String {
    if finding.len() > LONGEST_FINDING {
        let end = (0..=LONGEST_FINDING).rfind(|end| finding.is_char_boundary(*end));
        finding.truncate(end.unwrap_or_default());
        finding.push('…');
    }
    finding
}

impl Summary {
    pub(super) fn of(checks: &[Checked]) -> Self {
        checks.iter().fold(Self::default(), |mut sum, checked| {
            match checked.outcome {
                Outcome::Passed => sum.passed += 1,
                Outcome::Failed { .. } => sum.failed += 1,
                Outcome::NotTested { .. } => sum.not_tested += 1,
            }
            sum
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_few_and_short() {
        let mut findings = Findings::default();
        assert!(findings.add("one") && findings.add("one") && findings.add("é".repeat(1000)));
        assert!(!findings.add("three"));
        let Outcome::Failed { findings } = findings.outcome().and(vec!["four".into(), "five".into()]) else {
            panic!("findings are a failure");
        };
        let lengths: Vec<usize> = findings.iter().map(String::len).collect();
        assert_eq!(lengths, [3, 1003, 5, 4]);
    }
}
