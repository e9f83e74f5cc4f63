use clap::Parser as _;
use patchbay::cli::{self, CommandLine, Failure};
use patchbay::config::Environment;
use patchbay::plugins::{self, conformance, probe};
use patchbay::telemetry::log;
use tokio::runtime::Builder;

/// The host's own: what a plugin allocates, its library gives back to the allocator that it was built with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    // Before anything else: the child that opens a library first must have nothing of the host in it.
    if let Some(code) = probe::run_if_asked().or_else(conformance::run_if_asked) {
        std::process::exit(code);
    }
    let environment = Environment::capture();
    let command_line = CommandLine::parse();
    let outcome = run(command_line, environment);
    log::flush();
    let code = outcome.unwrap_or_else(Failure::report);
    plugins::end_process(code);
}

fn run(command_line: CommandLine, environment: Environment) -> Result<u8, Failure> {
    log::init(command_line.log_options(&environment)?)?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .map_err(|error| Failure::runtime(&error))?;
    let outcome = runtime.block_on(cli::run(command_line, environment));
    // What still runs is nothing that anybody waits for.
    runtime.shutdown_background();
    outcome
}
