//! What the two say to each other: lines of JSON, one of them with open files.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::{Handed, PROMPT};

/// Of what is said here. Another one is not understood.
pub(super) const VERSION: u32 = 1;

/// Thousands of providers have room in it.
const LONGEST: usize = 1 << 20;

/// One line.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Word {
    /// The successor: hand over.
    TakeOver { version: u32 },
    /// The predecessor: no, and why.
    Refused { reason: String },
    /// The predecessor: here it is, with the open files.
    Handed {
        /// Counts the hosts since one began alone; names what each has for itself.
        term: u64,
        /// Who serves now.
        providers: Vec<String>,
        /// Whether a supervisor has opened the socket.
        opened: bool,
    },
    /// The successor: everything is loaded.
    Ready,
    /// The predecessor: then serve.
    Yours,
    /// The successor: it serves.
    Taken,
    /// The predecessor: it begins no request any more, and only ends those that it has begun.
    Rests,
}

/// One side of the connection.
#[derive(Debug)]
pub(super) struct Wire {
    stream: UnixStream,
    /// What has come, and is not a whole line yet.
    read: Vec<u8>,
    files: Vec<OwnedFd>,
}

impl Wire {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self { stream, read: Vec::new(), files: Vec::new() }
    }

    pub(super) async fn say(&self, word: &Word) -> io::Result<()> {
        self.send(word, None).await
    }

    /// Says it, and hands over copies of the open files.
    pub(super) async fn hand(&self, word: &Word, handed: &Handed) -> io::Result<()> {
        self.send(word, Some(handed)).await
    }

    async fn send(&self, word: &Word, handed: Option<&Handed>) -> io::Result<()> {
        let mut line = serde_json::to_vec(word)?;
        line.push(b'\n');
        let files = handed.map(|handed| [handed.listener.as_fd(), handed.lock.as_fd()]);
        let (mut rest, mut files) = (&line[..], files);
        let sending = async {
            while !rest.is_empty() {
                let send = || {
                    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
                    let mut ancillary = SendAncillaryBuffer::new(&mut space);
                    if let Some(files) = &files {
                        ancillary.push(SendAncillaryMessage::ScmRights(files));
                    }
                    Ok(sendmsg(&self.stream, &[IoSlice::new(rest)], &mut ancillary, SendFlags::NOSIGNAL)?)
                };
                let sent = self.stream.async_io(Interest::WRITABLE, send).await?;
                rest = &rest[sent..];
                // They go with the first byte.
                files = None;
            }
            Ok(())
        };
        within(PROMPT, sending).await
    }

    /// What the other side says next; an error when it has gone.
    pub(super) async fn hear(&mut self, patience: Duration) -> io::Result<Word> {
        within(patience, async {
            loop {
                if let Some(end) = memchr::memchr(b'\n', &self.read) {
                    let line: Vec<u8> = self.read.drain(..=end).collect();
                    return Ok(serde_json::from_slice(&line)?);
                }
                if self.read.len() > LONGEST {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                self.receive().await?;
            }
        })
        .await
    }

    /// Returns when the other side has gone, whatever it says until then.
    pub(super) async fn gone(mut self) {
        while self.receive().await.is_ok() {
            self.read.clear();
        }
    }

    async fn receive(&mut self) -> io::Result<()> {
        let mut bytes = [0; 4096];
        let files = &mut self.files;
        let receive = || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
            let mut ancillary = RecvAncillaryBuffer::new(&mut space);
            let flags = RecvFlags::CMSG_CLOEXEC;
            let received = recvmsg(&self.stream, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, flags)?;
            for message in ancillary.drain() {
                if let RecvAncillaryMessage::ScmRights(received) = message {
                    files.extend(received);
                }
            }
            Ok(received.bytes)
        };
        let received = self.stream.async_io(Interest::READABLE, receive).await?;
        if received == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.read.extend_from_slice(&bytes[..received]);
        Ok(())
    }

    /// The open files that came with what was heard.
    pub(super) fn handed(&mut self, opened: bool) -> io::Result<Handed> {
        let files: Result<[OwnedFd; 2], _> = std::mem::take(&mut self.files).try_into();
        let [listener, lock] = files.map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        Ok(Handed { listener: TcpListener::from(listener), lock: File::from(lock), opened })
    }
}

async fn within<T>(patience: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(patience, work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
