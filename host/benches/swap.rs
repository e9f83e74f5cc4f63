//! Reload under load, for minutes: a table of how it goes on, and an exit status other than 0 when a stream was
//! bad or memory grew.
//!
//! `cargo bench -p patchbay --bench swap -- --rounds 2000 --clients 24`

// Tables are what this program is for.
#![allow(clippy::print_stdout, clippy::print_stderr)]

#[path = "../../tests/scenario/mod.rs"]
#[allow(dead_code)]
mod scenario;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use scenario::paint;
use scenario::swap::{self, Extent, LEVEL_AFTER, Outcome, Row};

const HELP: &str = "--rounds N (2000), --clients N (24), --row N (200): rounds for each row of the table, \
                    --program FILE: another build of the host, to compare with";

fn main() -> ExitCode {
    let mut extent = Extent { rounds: 2000, clients: 24, row: 200 };
    let mut program = env!("CARGO_BIN_EXE_patchbay").to_owned();
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        if name == "--program" {
            program = arguments.next().unwrap_or_default();
            continue;
        }
        let place = match name.as_str() {
            "--rounds" => &mut extent.rounds,
            "--clients" => &mut extent.clients,
            "--row" => &mut extent.row,
            // Cargo's own.
            "--bench" => continue,
            _ => return complain(HELP),
        };
        match arguments.next().and_then(|number| number.parse().ok()) {
            Some(number) if number > 0 => *place = number,
            _ => return complain(HELP),
        }
    }
    match measure(program.as_ref(), extent) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error.to_string()),
    }
}

fn complain(what: &str) -> ExitCode {
    eprintln!("{what}");
    ExitCode::FAILURE
}

fn measure(program: &Path, extent: Extent) -> std::io::Result<()> {
    let chameleon = paint::built("chameleon")?;
    println!("{extent:?}, a library of {} KiB", chameleon.len() / 1024);
    println!(
        "{:>6} {:>9} {:>9} {:>7} {:>5} {:>10} {:>10} {:>9} {:>8} {:>4} {:>7}",
        "round",
        "reloads/s",
        "whole",
        "left",
        "bad",
        "p50 ms",
        "p99 ms",
        "RSS MiB",
        "threads",
        "fds",
        "mapped"
    );
    let Outcome { rows, resident, settled } = swap::run(program, &chameleon, extent, show)?;
    println!("without clients: {settled:?}");
    println!("resident: {} {:?}", resident.len(), resident.first());
    let level = rows.iter().find(|row| row.round >= LEVEL_AFTER).map(|row| row.footprint.rss_kib);
    let end = rows.last().map(|row| row.footprint.rss_kib);
    if let (Some(level), Some(end)) = (level, end)
        && extent.rounds > LEVEL_AFTER
        // It may grow by a tenth.
        && end * 10 > level * 11
    {
        return Err(std::io::Error::other(format!("memory grew from {level} to {end} KiB")));
    }
    Ok(())
}

fn show(row: &Row) {
    let at = |share: usize| row.reloads.get(row.reloads.len() * share / 100).copied().unwrap_or_default();
    let millis = |time: Duration| format!("{:.2}", time.as_secs_f64() * 1e3);
    #[allow(clippy::cast_precision_loss)]
    let (reloads, rss) = (row.reloads.len() as f64, row.footprint.rss_kib as f64);
    println!(
        "{:>6} {:>9.1} {:>9} {:>7} {:>5} {:>10} {:>10} {:>9.1} {:>8} {:>4} {:>7}",
        row.round,
        reloads / row.elapsed.as_secs_f64(),
        row.streams.whole,
        row.streams.left,
        row.streams.bad,
        millis(at(50)),
        millis(at(99)),
        rss / 1024.0,
        row.footprint.threads,
        row.footprint.descriptors,
        row.footprint.mapped
    );
}
