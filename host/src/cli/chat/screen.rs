//! Text that came from elsewhere, on its way to a person.

use std::io::{self, IsTerminal as _};

use crate::cli::output;

/// Where the text goes: to a file as it is; to a terminal without what would move its cursor, change its title or
/// have it answer in the user's place.
#[derive(Debug)]
pub(in crate::cli) struct Screen {
    is_terminal: bool,
    /// The beginning of a character whose rest has not come yet.
    held: Vec<u8>,
}

impl Screen {
    pub(in crate::cli) fn new() -> Screen {
        Screen { is_terminal: io::stdout().is_terminal(), held: Vec::new() }
    }

    /// Says whether there still is a reader.
    pub(in crate::cli) fn show(&mut self, piece: &[u8]) -> bool {
        if self.is_terminal { output::piece(self.harmless(piece).as_bytes()) } else { output::piece(piece) }
    }

    fn harmless(&mut self, piece: &[u8]) -> String {
        self.held.extend_from_slice(piece);
        let complete = match std::str::from_utf8(&self.held) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => self.held.len(),
        };
        let complete: Vec<u8> = self.held.drain(..complete).collect();
        let text = String::from_utf8_lossy(&complete);
        text.chars().filter(|letter| matches!(letter, '\n' | '\t') || !letter.is_control()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_left_out() {
        for (pieces, expected) in [
            (&[&b"a\n\tb"[..]][..], "a\n\tb"),
            (&[b"\x1b[2Ja\x07\r"], "[2Ja"),
            (&[b"\xc2", b"\x9b2J"], "2J"),
            (&[b"h\xc3", b"\xa9", b"!"], "hé!"),
            (&[b"\xff", b"a"], "\u{fffd}a"),
        ] {
            let mut screen = Screen { is_terminal: true, held: Vec::new() };
            let text: String = pieces.iter().map(|piece| screen.harmless(piece)).collect();
            assert_eq!(text, expected, "{pieces:?}");
        }
    }
}
