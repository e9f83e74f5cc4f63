//! What came of a test.

use serde::{Deserialize, Serialize};

/// No check says more: what is wrong at one byte usually is at the next.
const MOST_FINDINGS: usize = 3;

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
        Self::Failed { findings: vec![finding.into()] }
    }

    /// The same with something more that was wrong.
    pub(super) fn and(self, more: Vec<String>) -> Self {
        let mut findings = if let Self::Failed { findings } = self { findings } else { Vec::new() };
        findings.extend(more);
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
        let finding = finding.into();
        if !self.0.contains(&finding) {
            self.0.push(finding);
        }
        self.0.len() < MOST_FINDINGS
    }

    pub(super) fn outcome(self) -> Outcome {
        if self.0.is_empty() { Outcome::Passed } else { Outcome::Failed { findings: self.0 } }
    }
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
