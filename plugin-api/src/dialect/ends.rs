//! Why a vendor's answers end.

use super::{Counts, Json};
use crate::chat::FinishReason;
use crate::http_provider::Chunks;
use crate::{ErrorKind, ProviderError, Result};

/// A vendor's words for why an answer ended; take what it does not say from [`Ends::UNKNOWN`]. Behind a `*` stands what
/// occurs anywhere in a word, so that `*` alone means all that are left.
///
/// ```
/// use patchbay_plugin_api::dialect::Ends;
/// use patchbay_plugin_api::{ErrorKind, FinishReason};
///
/// const ENDS: Ends = Ends {
///     stop: &["END_TURN"],
///     content_filter: &["*SAFETY"],
///     failed: &[(&["BUSY", "*FULL"], ErrorKind::Provider, "the provider had too much to do")],
///     ..Ends::UNKNOWN
/// };
///
/// assert_eq!(ENDS.of("IMAGE_SAFETY"), Ok(FinishReason::ContentFilter));
/// assert_eq!(ENDS.of("BUSY").unwrap_err().kind, ErrorKind::Provider);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Ends {
    /// The answer is whole.
    pub stop: Words,
    /// The limit of tokens was reached.
    pub length: Words,
    /// The model wants tools to be called.
    pub tool_calls: Words,
    /// The rest is withheld.
    pub content_filter: Words,
    /// It is no answer, with the kind and the message of the error.
    pub failed: &'static [(Words, ErrorKind, &'static str)],
}

type Words = &'static [&'static str];

impl Ends {
    /// Words are taken for OpenAI's.
    pub const UNKNOWN: Self =
        Self { stop: &[], length: &[], tool_calls: &[], content_filter: &[], failed: &[] };

    /// What a word means. One that stands nowhere is handed on as it is.
    pub fn of(&self, word: &str) -> Result<FinishReason> {
        if let Some((_, kind, message)) = self.failed.iter().find(|(words, ..)| are_meant(words, word)) {
            return Err(ProviderError::new(*kind, *message));
        }
        let reasons = [
            (self.stop, FinishReason::Stop),
            (self.length, FinishReason::Length),
            (self.tool_calls, FinishReason::ToolCalls),
            (self.content_filter, FinishReason::ContentFilter),
        ];
        let meant = reasons.into_iter().find(|(words, _)| are_meant(words, word));
        Ok(meant.map_or_else(|| FinishReason::from(word), |(_, reason)| reason))
    }
}

fn are_meant(words: &[&str], word: &str) -> bool {
    words.iter().any(|known| known.strip_prefix('*').map_or(*known == word, |part| word.contains(part)))
}

/// What a stream says of its end before it is there: why, and what was counted. It is kept as it was written, and looked
/// at only once.
///
/// ```
/// # use patchbay_plugin_api::dialect::{Counts, Ending, Ends, Json};
/// # use patchbay_plugin_api::{Answer, Chunks, FinishReason, Usage};
/// const COUNTS: Counts = Counts { prompt: &["/in"], completion: &["/out"], ..Counts::NONE };
///
/// let answer = Chunks::gather(|out| {
///     let mut ending = Ending::default();
///     for event in [r#"{"counts": {"in": 3, "out": 1}}"#, "{}", r#"{"counts": {"out": 5}, "why": "stop"}"#] {
///         let [counts, why] = Json::from(event).members(["counts", "why"]);
///         ending.keep(counts, why);
///     }
///     ending.end(&Ends::UNKNOWN, &COUNTS, out)
/// })?;
/// assert_eq!(answer, Answer::text("").with_finish_reason(FinishReason::Stop).with_usage(Usage::new(3, 5)));
/// # Ok::<(), patchbay_plugin_api::ProviderError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Ending {
    first_counts: String,
    last_counts: String,
    reason: String,
}

impl Ending {
    /// Keeps what an event has of it, until another one says something newer.
    pub fn keep(&mut self, counts: Json<'_>, reason: Json<'_>) {
        if !counts.is_null() {
            let kept =
                if self.first_counts.is_empty() { &mut self.first_counts } else { &mut self.last_counts };
            counts.as_str().clone_into(kept);
        }
        if !reason.is_null() {
            self.reason = reason.text("").into_owned();
        }
    }

    /// Ends the answer, with the reason that was kept; without one it is the empty one, which is good unless [`Ends`]
    /// says otherwise: where an answer has to say why it ends, look whether it does before. What the last counts leave
    /// out is as it was when the stream began.
    pub fn end(&self, ends: &Ends, counts: &Counts, out: &mut Chunks) -> Result<()> {
        let counted = [&self.last_counts, &self.first_counts].map(|counted| Json::from(&**counted));
        out.end(ends.of(&self.reason)?, counts.of(&counted));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDS: Ends = Ends {
        stop: &["", "done"],
        length: &["full"],
        tool_calls: &["call"],
        content_filter: &["*"],
        failed: &[(&["ill", "*BAD"], ErrorKind::Provider, "it was bad")],
    };

    #[test]
    fn words_mean_what_the_table_says() {
        for (word, reason, unlisted) in [
            ("", FinishReason::Stop, FinishReason::Other(String::new())),
            ("done", FinishReason::Stop, FinishReason::Other("done".into())),
            ("full", FinishReason::Length, FinishReason::Other("full".into())),
            ("call", FinishReason::ToolCalls, FinishReason::Other("call".into())),
            ("length", FinishReason::ContentFilter, FinishReason::Length),
        ] {
            assert_eq!((ENDS.of(word), Ends::UNKNOWN.of(word)), (Ok(reason), Ok(unlisted)), "{word}");
        }
        let error = ENDS.of("TOO_BAD_CALL").unwrap_err();
        assert_eq!((error.kind, &*error.message), (ErrorKind::Provider, "it was bad"));
    }
}
