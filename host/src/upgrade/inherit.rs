//! The host that comes: asks the one that serves, and takes over once it can.

use std::fs::File;
use std::io;
use std::path::Path;

use tokio::net::UnixStream;
use tracing::warn;

use super::wire::{VERSION, Wire, Word};
use super::{Handed, PROMPT, SOCKET, within};

/// Why the host that serves goes on serving.
#[derive(Debug, thiserror::Error)]
pub enum TakeOverError {
    /// It said no.
    #[error("the running host does not hand over: {0}")]
    Refused(String),
    /// It has gone, or is no host.
    #[error(
        "the running host does not hand over: its log says why; where another host has taken over meanwhile, try again, \
         and where it has ended, start without --take-over"
    )]
    Broken(#[source] io::Error),
    /// Some would not be served any more.
    #[error(
        "the running host goes on, for these of its providers do not start here: {0}; the log above says why, \
         `patchbay reload --dry-run` tries it on the running host"
    )]
    Worse(String),
}

/// What the host that serves has handed over. Dropped before it is taken, that one goes on.
#[derive(Debug)]
pub struct Inheritance {
    /// Counts the hosts since one began alone.
    pub term: u64,
    providers: Vec<String>,
    wire: Wire,
}

/// Asks the host that runs on a data directory to hand over; none where no host does.
///
/// # Errors
///
/// When there is one, and it does not.
pub async fn ask(data_dir: &Path) -> Result<Option<(Inheritance, Handed)>, TakeOverError> {
    // What cannot be opened cannot be in use, or its lock tells.
    let Ok(folder) = File::open(data_dir) else { return Ok(None) };
    let Ok(stream) = UnixStream::connect(within(&folder, SOCKET)).await else { return Ok(None) };
    let mut wire = Wire::new(stream);
    wire.say(&Word::TakeOver { version: VERSION }).await.map_err(TakeOverError::Broken)?;
    // It may have a change to finish first.
    match wire.hear(PROMPT * 2).await.map_err(TakeOverError::Broken)? {
        Word::Handed { term, providers, opened } => {
            let handed = wire.handed(opened).map_err(TakeOverError::Broken)?;
            Ok(Some((Inheritance { term, providers, wire }, handed)))
        }
        Word::Refused { reason } => Err(TakeOverError::Refused(reason)),
        _ => Err(TakeOverError::Broken(io::ErrorKind::InvalidData.into())),
    }
}

impl Inheritance {
    /// Whether all who served still do, as far as they are wanted.
    pub fn is_served<'a>(&self, failed: impl Iterator<Item = &'a str>) -> Result<(), TakeOverError> {
        let lost: Vec<_> = failed.filter(|name| self.providers.iter().any(|served| served == name)).collect();
        if lost.is_empty() { Ok(()) } else { Err(TakeOverError::Worse(lost.join(", "))) }
    }

    /// Everything is loaded. When this returns the other host has let go of the connections that come.
    pub async fn ready(&mut self) -> Result<(), TakeOverError> {
        self.wire.say(&Word::Ready).await.map_err(TakeOverError::Broken)?;
        match self.wire.hear(PROMPT).await.map_err(TakeOverError::Broken)? {
            Word::Yours => Ok(()),
            _ => Err(TakeOverError::Broken(io::ErrorKind::InvalidData.into())),
        }
    }

    /// Connections are taken here. Should the other host not hear it, it has gone, which is as good.
    pub async fn taken(self) -> Predecessor {
        let _ = self.wire.say(&Word::Taken).await;
        Predecessor { wire: self.wire }
    }
}

/// The host that was taken over from, for as long as it is there.
#[derive(Debug)]
pub struct Predecessor {
    wire: Wire,
}

impl Predecessor {
    /// Returns when it begins no request any more.
    pub async fn rests(&mut self) {
        match self.wire.hear(PROMPT).await {
            Ok(Word::Rests) => {}
            // It was killed, which is rest enough.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
            // One that does not even say so does not answer either.
            said => warn!(?said, "the host before this one does not say that it rests"),
        }
    }

    /// Returns when it has ended.
    pub async fn gone(self) {
        self.wire.gone().await;
    }
}
