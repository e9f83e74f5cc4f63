//! Where log lines go and which are written: lower-case messages, values as fields, on stderr.

use std::io::{self, IsTerminal as _};

use thiserror::Error;
use tracing_subscriber::filter::{EnvFilter, LevelFilter, ParseError};
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

/// How much is logged, and in which form.
#[derive(Debug)]
pub struct LogOptions {
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
    #[error(
        "{variable}={value} is not a level: use off, error, warn, info, debug or trace, or levels per module as \
         in info,patchbay::plugins=debug"
    )]
    Level { variable: &'static str, value: String },
    #[error("{variable}={value} cannot be read as a log filter such as info,patchbay::plugins=debug")]
    Filter { variable: &'static str, value: String, source: ParseError },
    #[error("LOG_FORMAT={value} is not a log format: use text or json")]
    Format { value: String },
    #[error("the log was set up already")]
    SetUp(#[from] TryInitError),
}

impl LogOptions {
    /// Reads `LOG_LEVEL` (or `RUST_LOG`) and `LOG_FORMAT`; an empty variable counts as none.
    ///
    /// # Errors
    ///
    /// When a variable does not say what it should; the error names it.
    pub fn read(environment: impl Fn(&str) -> Option<String>) -> Result<LogOptions, LogError> {
        let set = |variable| environment(variable).filter(|value| !value.is_empty());
        let filter = if let Some(value) = set("LOG_LEVEL") {
            check_levels(&value)?;
            parse("LOG_LEVEL", value)?
        } else if let Some(value) = set("RUST_LOG") {
            parse("RUST_LOG", value)?
        } else {
            EnvFilter::new("info")
        };
        let format = match set("LOG_FORMAT").as_deref() {
            None | Some("text") => LogFormat::Text,
            Some("json") => LogFormat::Json,
            Some(value) => return Err(LogError::Format { value: value.into() }),
        };
        Ok(LogOptions { filter, format })
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
    let lines = tracing_subscriber::fmt()
        .with_env_filter(options.filter)
        .with_writer(io::stderr)
        .with_ansi(colours)
        // It would complain on the very stderr that could not be written to, and panic there.
        .log_internal_errors(false);
    match options.format {
        LogFormat::Text => lines.finish().try_init()?,
        LogFormat::Json => lines.json().flatten_event(true).finish().try_init()?,
    }
    Ok(())
}

/// In a filter a lone word that is no level names a module, so `LOG_LEVEL=verbose` would silence everything.
fn check_levels(value: &str) -> Result<(), LogError> {
    let is_module = |part: &str| part.contains(['=', '[', ']', '{', '}', ':']);
    let is_level = |part: &str| part.trim().parse::<LevelFilter>().is_ok();
    if value.split(',').all(|part| is_module(part) || is_level(part)) {
        Ok(())
    } else {
        Err(LogError::Level { variable: "LOG_LEVEL", value: value.into() })
    }
}

fn parse(variable: &'static str, value: String) -> Result<EnvFilter, LogError> {
    EnvFilter::try_new(&value).map_err(|source| LogError::Filter { variable, value, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<(String, LogFormat), String> {
        let environment = |name: &str| {
            variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned())
        };
        let read = LogOptions::read(environment).map_err(|error| error.to_string())?;
        Ok((read.filter.to_string(), read.format))
    }

    fn filter(variables: &[(&str, &str)]) -> String {
        read(variables).unwrap().0
    }

    #[test]
    fn log_level_comes_before_rust_log() {
        assert_eq!(filter(&[]), "info");
        assert_eq!(filter(&[("RUST_LOG", "warn")]), "warn");
        assert_eq!(filter(&[("LOG_LEVEL", "DEBUG"), ("RUST_LOG", "warn")]), "debug");
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
