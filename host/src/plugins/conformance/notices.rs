//! What no check looks for by itself: panics, and the key where it should not be.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use super::KEY;

/// What no check looks for by itself, in the order it was noticed; the first few are told already.
#[derive(Debug, Default)]
pub(super) struct Notices {
    all: Vec<String>,
    told: usize,
}

pub(super) type Noticed = Arc<Mutex<Notices>>;

/// No plugin has more to say that is worth telling.
const MOST_NOTICES: usize = 64;

impl Notices {
    pub(super) fn take(&mut self) -> Vec<String> {
        let new = self.all[self.told..].to_vec();
        self.told = self.all.len();
        new
    }
}

/// Notes something; the same thing once.
pub(super) fn notice(noticed: &Mutex<Notices>, what: String) {
    let mut noticed = noticed.lock().unwrap_or_else(PoisonError::into_inner);
    if !noticed.all.contains(&what) && noticed.all.len() < MOST_NOTICES {
        noticed.all.push(what);
    }
}

/// Everything that is logged, as the log of a host would have it.
struct Ear(Noticed);

impl Write for Ear {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if memchr::memmem::find(line, KEY.as_bytes()).is_some() {
            notice(&self.0, "the key is in a line of the log of its own making".to_owned());
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// From here on.
pub(super) fn listen_to_the_log(noticed: &Noticed) {
    let ear = Mutex::new(Ear(Arc::clone(noticed)));
    let lines = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(ear);
    // Only this process's own, and it has none yet.
    let _ = tracing::subscriber::set_global_default(lines.finish());
}
