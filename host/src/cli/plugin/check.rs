//! `patchbay plugin check`: would a host take this library, and if not, why.

use std::path::PathBuf;

use clap::Args;

use crate::cli::Failure;
use crate::cli::output::{self, Paint};
use crate::cli::progress;
use crate::plugins;
use crate::plugins::check::CheckReport;

/// Take a library through everything that a host does before it loads one
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  patchbay plugin check plugins/custom/libmock.so")]
pub(super) struct Check {
    /// The library; no running host sees or touches it
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) async fn run(command: &Check) -> Result<u8, Failure> {
    if !command.file.exists() {
        return Err(Failure::bad_input(format!("{} is not there", command.file.display())));
    }
    let report = progress::shown("checking", plugins::check_file(&command.file)).await;
    output::line(&render(&report, Paint::for_stdout()));
    Ok(if report.passed() { 0 } else { 1 })
}

pub(super) fn render(report: &CheckReport, paint: Paint) -> String {
    let mut lines = vec![report.file.display().to_string()];
    let mut phase = None;
    for step in &report.steps {
        if phase != Some(step.step.phase()) {
            phase = Some(step.step.phase());
            lines.push(format!("  {}", step.step.phase().word()));
        }
        match &step.outcome {
            Ok(()) => lines.push(format!("    {} {}", paint.good("✓"), step.step.word())),
            Err(problem) => {
                lines.push(format!(
                    "    {} {}: {} [{}]",
                    paint.bad("✗"),
                    step.step.word(),
                    problem.message,
                    problem.code
                ));
                lines.push(format!("      hint: {}", problem.hint));
            }
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::check::CheckStep;
    use crate::plugins::{Problem, Step};

    #[test]
    fn steps_are_listed_by_phase_with_a_tick_or_the_reason() {
        let problem = Problem {
            phase: Step::Trust.phase(),
            step: Step::Trust,
            code: "wrong_machine",
            message: "built for aarch64, this host is x86_64".into(),
            hint: "build it with --target x86_64-unknown-linux-gnu".into(),
        };
        let step = |step, outcome| CheckStep { step, outcome };
        let report = CheckReport {
            file: "libmock.so".into(),
            steps: vec![step(Step::File, Ok(())), step(Step::Read, Ok(())), step(Step::Trust, Err(problem))],
        };
        let expected = "\
libmock.so
  discovery
    ✓ file
    ✓ read
  validation
    ✗ trust: built for aarch64, this host is x86_64 [wrong_machine]
      hint: build it with --target x86_64-unknown-linux-gnu";
        assert_eq!(render(&report, Paint::none()), expected);
    }
}
