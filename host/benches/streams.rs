//! Thousands of slow streams at one time: what each of them costs the host in memory, and each piece in computing.
//! The exit status is other than 0 when one of them did not come to its end.
//!
//! `cargo bench -p patchbay --bench streams -- --streams 2000`

// Tables are what this program is for.
#![allow(clippy::print_stdout, clippy::print_stderr)]

#[path = "../../tests/scenario/mod.rs"]
#[allow(dead_code)]
mod scenario;

use std::path::Path;
use std::process::ExitCode;

use scenario::paint;
use scenario::streams::{self, Extent, Outcome};

const HELP: &str = "--streams N (2000): at one time, --rounds N (64): how often each is told something, \
                    --bytes N (for 64 and for 4096): how much, --program FILE: another build of the host, to \
                    compare with";

fn main() -> ExitCode {
    let (mut streams, mut rounds, mut sizes) = (2000, 64, vec![64, 4096]);
    let mut program = env!("CARGO_BIN_EXE_patchbay").to_owned();
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        // Cargo's own.
        if name == "--bench" {
            continue;
        }
        let value = arguments.next().unwrap_or_default();
        let number = value.parse().ok().filter(|number| *number > 4);
        match (name.as_str(), number) {
            ("--program", _) => program = value,
            ("--streams", Some(number)) => streams = number,
            ("--rounds", Some(number)) => rounds = number,
            ("--bytes", Some(number)) => sizes = vec![number],
            _ => return complain(HELP),
        }
    }
    println!(
        "{:>7} {:>6} {:>6} {:>10} {:>10} {:>12} {:>12} {:>12} {:>5} {:>10} {:>9}",
        "streams",
        "rounds",
        "bytes",
        "before MiB",
        "open MiB",
        "KiB a stream",
        "told MiB",
        "peak MiB",
        "fds",
        "us a piece",
        "pieces/s"
    );
    for bytes in sizes {
        let extent = Extent { streams, rounds, bytes };
        match measure(program.as_ref(), extent) {
            Ok(outcome) => show(extent, outcome),
            Err(error) => return complain(&error.to_string()),
        }
    }
    ExitCode::SUCCESS
}

fn complain(what: &str) -> ExitCode {
    eprintln!("{what}");
    ExitCode::FAILURE
}

fn measure(program: &Path, extent: Extent) -> std::io::Result<Outcome> {
    streams::run(program, &paint::built("openai_compatible")?, extent)
}

fn show(extent: Extent, outcome: Outcome) {
    let Extent { streams, rounds, bytes } = extent;
    let Outcome { before, open, told, peak_kib, cpu, elapsed, .. } = outcome;
    #[allow(clippy::cast_precision_loss)]
    let mib = |kib: u64| kib as f64 / 1024.0;
    #[allow(clippy::cast_precision_loss)]
    let (each, pieces) =
        (peak_kib.saturating_sub(before.rss_kib) as f64 / streams as f64, (streams * (rounds - 1)) as f64);
    println!(
        "{streams:>7} {rounds:>6} {bytes:>6} {:>10.1} {:>10.1} {each:>12.1} {:>12.1} {:>12.1} {:>5} {:>10.1} {:>9.0}",
        mib(before.rss_kib),
        mib(open.rss_kib),
        mib(told.rss_kib),
        mib(peak_kib),
        open.descriptors,
        cpu.as_secs_f64() * 1e6 / pieces,
        pieces / elapsed.as_secs_f64(),
    );
}
