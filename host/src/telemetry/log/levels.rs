//! How much is logged, in words: `info,patchbay::plugins=debug`.

use thiserror::Error;
use tracing_subscriber::filter::{EnvFilter, LevelFilter, ParseError};

use super::{ACCESS, AUDIT};

/// Nobody writes longer ones by hand.
const MAX_BYTES: usize = 2000;

/// Words that cannot be followed.
#[derive(Debug, Error)]
pub enum BadLevel {
    /// A part of them.
    #[error(
        "{0:?} is not a level: use off, error, warn, info, debug or trace, or levels per module as in \
         info,patchbay::plugins=debug"
    )]
    Level(String),
    /// A part of them, or all.
    #[error("{0:?} cannot be read as a log filter such as info,patchbay::plugins=debug")]
    Filter(String, #[source] ParseError),
    /// All of them.
    #[error("the log filter is longer than {MAX_BYTES} bytes: name whole modules")]
    Long,
}

/// The filter that the words stand for. In a filter a lone word that is no level names a module, so `verbose` would
/// silence everything: here it is refused.
pub(super) fn filter(words: &str) -> Result<EnvFilter, BadLevel> {
    if words.len() > MAX_BYTES {
        return Err(BadLevel::Long);
    }
    // The fields of a span, in brackets, have commas of their own.
    let parts: Vec<&str> = if words.contains(['[', '{']) { vec![words] } else { words.split(',').collect() };
    if words.trim_matches([' ', ',']).is_empty() {
        return Err(BadLevel::Level(words.to_owned()));
    }
    for part in parts.into_iter().filter(|part| !part.trim().is_empty()) {
        let is_module = part.contains(['=', '[', ']', '{', '}', ':']);
        if !is_module && part.trim().parse::<LevelFilter>().is_err() {
            return Err(BadLevel::Level(part.trim().to_owned()));
        }
        loose(part)?;
    }
    complete(words)
}

/// The same in the words of every other Rust program, where a module may stand alone.
pub(super) fn loose(words: &str) -> Result<EnvFilter, BadLevel> {
    complete(words)
}

/// The lines about requests have a switch of their own, and those about what operators change are for whoever keeps
/// the log: both are only kept back here where the words name them.
fn complete(words: &str) -> Result<EnvFilter, BadLevel> {
    let words = words.trim();
    let unreadable = |error| BadLevel::Filter(words.to_owned(), error);
    EnvFilter::try_new(words).map_err(unreadable)?;
    let mut whole = words.to_owned();
    for target in [ACCESS, AUDIT].into_iter().filter(|target| !words.contains(target)) {
        whole.push_str(&format!(",{target}=info"));
    }
    EnvFilter::try_new(whole).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_that_is_wrong_is_named() {
        for (words, part) in [
            ("verbose", "\"verbose\""),
            ("info,noisy", "\"noisy\""),
            ("info, patchbay=loud", "\"patchbay=loud\""),
            ("", "\"\""),
            (",", "\",\""),
        ] {
            let error = filter(words).unwrap_err().to_string();
            assert!(error.starts_with(part), "{words}: {error}");
        }
        assert!(matches!(filter(&"a::b=info,".repeat(300)), Err(BadLevel::Long)));
    }

    #[test]
    fn lines_about_requests_and_changes_are_kept_back_by_name_alone() {
        for (words, access, audit) in [
            ("warn", "info", "info"),
            ("off", "info", "info"),
            ("patchbay::access=off,info", "off", "info"),
            ("error,patchbay::audit=warn", "info", "warn"),
        ] {
            let filter = filter(words).unwrap().to_string();
            let expected = [format!("patchbay::access={access}"), format!("patchbay::audit={audit}")];
            assert!(expected.iter().all(|part| filter.contains(part)), "{filter}");
        }
    }
}
