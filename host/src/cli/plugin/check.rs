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
#[command(after_help = "\
Example:
  patchbay plugin check plugins/custom/libmock.so

Beside what a host would refuse there is advice, which never refuses anything.")]
pub(super) struct Check {
    /// The library; no running host sees or touches it
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// The report as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(command: &Check) -> Result<u8, Failure> {
    if !command.file.exists() {
        return Err(Failure::bad_input(format!("{} is not there", command.file.display())));
    }
    let report = progress::shown("checking", plugins::check_file(&command.file)).await;
    if command.json {
        output::line(&serde_json::to_string(&report).map_err(|error| Failure::failed(error.to_string()))?);
    } else {
        output::line(&render(&report, Paint::for_stdout()));
    }
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
                    problem.code.word()
                ));
                lines.push(format!("      hint: {}", problem.hint));
            }
        }
    }
    if !report.advice.is_empty() {
        lines.push("  advice".to_owned());
    }
    for advice in &report.advice {
        lines.push(format!("    {} {} [{}]", paint.dim("•"), advice.message, advice.code));
        lines.extend(advice.hint.map(|hint| format!("      hint: {hint}")));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::advice::Advice;
    use crate::plugins::check::CheckStep;
    use crate::plugins::{Problem, ProblemCode, Step};

    #[test]
    fn steps_are_listed_by_phase_with_a_tick_or_the_reason() {
        let problem = Problem {
            phase: Step::Trust.phase(),
            step: Step::Trust,
            code: ProblemCode::WrongMachine,
            message: "built for aarch64, this host is x86_64".into(),
            hint: "build it with --target x86_64-unknown-linux-gnu".into(),
        };
        let step = |step, outcome| CheckStep { step, outcome };
        let report = CheckReport {
            file: "libmock.so".into(),
            steps: vec![step(Step::File, Ok(())), step(Step::Read, Ok(())), step(Step::Trust, Err(problem))],
            advice: vec![Advice {
                code: "debug_build",
                message: "it was built for debugging".into(),
                hint: Some("build it with --release"),
            }],
        };
        let expected = "\
libmock.so
  discovery
    ✓ file
    ✓ read
  validation
    ✗ trust: built for aarch64, this host is x86_64 [wrong_machine]
      hint: build it with --target x86_64-unknown-linux-gnu
  advice
    • it was built for debugging [debug_build]
      hint: build it with --release";
        assert_eq!(render(&report, Paint::none()), expected);
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!((&json["passed"], &json["steps"][1]["passed"]), (&false.into(), &true.into()));
        assert_eq!(json["steps"][2]["problem"]["code"], "wrong_machine");
        assert_eq!(json["advice"][0]["code"], "debug_build");
    }
}
