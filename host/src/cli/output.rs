//! What a command says: results on stdout, everything about them on stderr.

use std::io::{self, IsTerminal as _, Write};

/// One line, or several, of result. Flushed: a script may be waiting for it.
pub(super) fn line(text: &str) {
    write(&mut io::stdout().lock(), text);
}

/// Text as it comes, a piece of a line at a time. Says whether there still is a reader.
pub(super) fn piece(text: &[u8]) -> bool {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text).and_then(|()| stdout.flush()).is_ok()
}

/// What a person answers to.
pub(super) fn prompt(text: &str) {
    let mut stderr = io::stderr().lock();
    // Who does not see it does not answer.
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

/// JSON that a host has answered with, as it is.
pub(super) fn json(body: &[u8]) {
    line(String::from_utf8_lossy(body).trim_end());
}

/// What a host has answered with: as it is for a program, or as a person likes to read it.
pub(super) fn answer(as_json: bool, body: &[u8], readable: impl FnOnce(Paint) -> String) {
    if as_json {
        json(body);
    } else {
        line(&readable(Paint::for_stdout()));
    }
}

/// Something for the person who is watching.
pub(super) fn note(text: &str) {
    write(&mut io::stderr().lock(), text);
}

/// A reader that has gone (`patchbay ... | head -1`) is no reason to fail, let alone to panic as `println!` does.
fn write(stream: &mut impl Write, text: &str) {
    let _ = stream
        .write_all(text.as_bytes())
        .and_then(|()| stream.write_all(b"\n"))
        .and_then(|()| stream.flush());
}

/// Colours, where they are wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint {
    colours: bool,
}

impl Paint {
    pub(super) fn for_stdout() -> Paint {
        Paint { colours: io::stdout().is_terminal() && super::environment("NO_COLOR").is_none() }
    }

    #[cfg(test)]
    pub(super) fn none() -> Paint {
        Paint { colours: false }
    }

    pub(super) fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    pub(super) fn bad(self, text: &str) -> String {
        self.paint("31", text)
    }

    /// What stands behind the rest.
    pub(super) fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    fn paint(self, colour: &str, text: &str) -> String {
        if self.colours { format!("\u{1b}[{colour}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}
