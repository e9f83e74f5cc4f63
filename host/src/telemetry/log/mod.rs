//! Where log lines go and which are written: lower-case messages, values as fields, on stderr.

// Which are written.
mod control;
mod levels;
// Where they go.
mod writer;

use std::io::{self, IsTerminal as _};
use std::sync::OnceLock;
use std::time::Duration;

use thiserror::Error;
use tracing::warn;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::reload;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

use control::Apply;
pub use control::{InForce, LogControl, Setting, Temporary};
pub use levels::BadLevel;
use writer::LineWriter;

/// The lines about requests, as filters know them.
pub(super) const ACCESS: &str = "patchbay::access";

/// And those about what operators change.
pub(crate) const AUDIT: &str = "patchbay::audit";

/// Who does not read stderr for so long does not read it at all.
const FLUSH_PATIENCE: Duration = Duration::from_secs(1);

/// How much is logged, and in which form.
#[derive(Debug)]
pub struct LogOptions {
    level: String,
    filter: EnvFilter,
    format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Error)]
pub enum LogError {
    #[error("{variable}={value} cannot be followed")]
    Level { variable: &'static str, value: String, source: BadLevel },
    #[error("LOG_FORMAT={value} is not a log format: use text or json")]
    Format { value: String },
    #[error("no thread could be started to write the log with")]
    Thread(#[source] io::Error),
    #[error("the log was set up already")]
    SetUp(#[from] TryInitError),
}

/// The log of this process.
static LOG: OnceLock<(LogControl, LineWriter)> = OnceLock::new();

impl LogOptions {
    /// Reads `LOG_LEVEL` (or `RUST_LOG`) and `LOG_FORMAT`; an empty variable counts as none.
    ///
    /// # Errors
    ///
    /// When a variable does not say what it should; the error names it.
    pub fn read(environment: impl Fn(&str) -> Option<String>) -> Result<LogOptions, LogError> {
        let set = |variable| environment(variable).filter(|value| !value.is_empty());
        let (variable, level, read) = if let Some(level) = set("LOG_LEVEL") {
            let read = levels::filter(&level);
            ("LOG_LEVEL", level, read)
        } else {
            let level = set("RUST_LOG").unwrap_or_else(|| "info".to_owned());
            let read = levels::loose(&level);
            ("RUST_LOG", level, read)
        };
        let filter = read.map_err(|source| LogError::Level { variable, value: level.clone(), source })?;
        let format = match set("LOG_FORMAT").as_deref() {
            None | Some("text") => LogFormat::Text,
            Some("json") => LogFormat::Json,
            Some(value) => return Err(LogError::Format { value: value.into() }),
        };
        Ok(LogOptions { level, filter, format })
    }
}

/// Starts logging, once for the whole process.
///
/// # Errors
///
/// When it was started before.
pub fn init(options: LogOptions) -> Result<(), LogError> {
    let colours =
        io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let lost = match options.format {
        LogFormat::Text => writer::lost_as_text,
        LogFormat::Json => writer::lost_as_json,
    };
    let writer = LineWriter::start(io::stderr(), lost).map_err(LogError::Thread)?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(options.filter)
        .with_writer(writer.clone())
        .with_ansi(colours)
        // It would complain on the very stderr that could not be written to, and panic there.
        .log_internal_errors(false);
    let apply = match options.format {
        LogFormat::Text => {
            let lines = lines.with_filter_reloading();
            let handle = lines.reload_handle();
            lines.finish().try_init()?;
            applying(handle)
        }
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_filter_reloading();
            let handle = lines.reload_handle();
            lines.finish().try_init()?;
            applying(handle)
        }
    };
    // Only one can have begun.
    let _ = LOG.set((LogControl::new(&options.level, apply), writer));
    Ok(())
}

fn applying<S: 'static>(handle: reload::Handle<EnvFilter, S>) -> Apply {
    Box::new(move |filter| {
        if let Err(error) = handle.reload(filter) {
            warn!(%error, "the log's level cannot be changed");
        }
    })
}

/// The log of this process, to be changed; of one without a log, nothing is.
pub fn control() -> LogControl {
    LOG.get().map(|(control, _)| control.clone()).unwrap_or_default()
}

/// Waits until what was logged is written, within reason. For the end, and before somebody else writes to stderr.
pub fn flush() {
    if let Some((_, writer)) = LOG.get() {
        writer.flush(FLUSH_PATIENCE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<(String, LogFormat), String> {
        let environment = |name: &str| {
            variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned())
        };
        let read = LogOptions::read(environment).map_err(|error| error.to_string())?;
        assert!(read.filter.to_string().contains("patchbay::access=info"), "{}", read.filter);
        Ok((read.level, read.format))
    }

    fn filter(variables: &[(&str, &str)]) -> String {
        read(variables).unwrap().0
    }

    #[test]
    fn log_level_comes_before_rust_log() {
        assert_eq!(filter(&[]), "info");
        assert_eq!(filter(&[("RUST_LOG", "warn")]), "warn");
        assert_eq!(filter(&[("LOG_LEVEL", "DEBUG"), ("RUST_LOG", "warn")]), "DEBUG");
        assert_eq!(filter(&[("LOG_LEVEL", ""), ("RUST_LOG", "warn")]), "warn");
    }

    #[test]
    fn levels_may_differ_per_module() {
        let value = filter(&[("LOG_LEVEL", "info,patchbay::plugins=debug")]);
        assert!(value.contains("patchbay::plugins=debug") && value.contains("info"), "{value}");
        // Unlike LOG_LEVEL, this variable may hold a module alone: every other Rust program reads it so.
        assert!(filter(&[("RUST_LOG", "patchbay")]).contains("patchbay"));
    }

    #[test]
    fn a_bad_value_is_an_error_that_names_it() {
        for (variable, value) in [
            ("LOG_LEVEL", "verbose"),
            ("LOG_LEVEL", "info,noisy"),
            ("LOG_LEVEL", "patchbay=loud"),
            ("RUST_LOG", "patchbay=loud"),
            ("LOG_FORMAT", "yaml"),
        ] {
            let error = read(&[(variable, value)]).unwrap_err();
            assert!(error.contains(&format!("{variable}={value}")), "{error}");
        }
    }

    #[test]
    fn the_format_is_text_unless_said_otherwise() {
        assert_eq!(read(&[]).unwrap().1, LogFormat::Text);
        assert_eq!(read(&[("LOG_FORMAT", "json")]).unwrap().1, LogFormat::Json);
    }
}
