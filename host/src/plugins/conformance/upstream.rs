//! The upstream that a tested plugin asks: on loopback, and it answers what the check at hand wants.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// No request is larger: beyond it something else is talking.
const MAX_REQUEST_BYTES: usize = 1 << 20;

/// What the next requests are answered with, whatever they ask for.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    status: u16,
    headers: String,
    /// Each is a piece of its own for whoever reads it.
    pieces: Vec<Vec<u8>>,
    end: End,
}

/// How an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// As it should.
    Whole,
    /// With the connection, in the middle.
    Broken,
    /// Not at all, until the reader leaves.
    Never,
    /// With the connection, in the middle of the head.
    InHead,
    /// Before the head; the reader may wait for ever.
    Silent,
}

impl Reply {
    pub(super) fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = format!("content-type: {content_type}\r\n");
        Self { status, headers, pieces: vec![body.into()], end: End::Whole }
    }

    pub(super) fn json(body: &str) -> Self {
        Self::new(200, "application/json", body)
    }

    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers += &format!("{name}: {value}\r\n");
        self
    }

    pub(super) fn pieces(mut self, pieces: impl IntoIterator<Item = Vec<u8>>) -> Self {
        self.pieces = pieces.into_iter().collect();
        self
    }

    pub(super) fn ends(mut self, end: End) -> Self {
        self.end = end;
        self
    }

    /// As it goes over the wire.
    fn bytes(&self) -> Vec<u8> {
        let (status, headers) = (self.status, &self.headers);
        let mut bytes =
            format!("HTTP/1.1 {status} -\r\n{headers}transfer-encoding: chunked\r\n\r\n").into_bytes();
        for piece in self.pieces.iter().filter(|piece| !piece.is_empty()) {
            bytes.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
            bytes.extend_from_slice(piece);
            bytes.extend_from_slice(b"\r\n");
        }
        if self.end == End::Whole {
            bytes.extend_from_slice(b"0\r\n\r\n");
        }
        bytes
    }
}

/// See the module.
pub(super) struct Upstream {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    reply: Mutex<Arc<Reply>>,
    asked: AtomicUsize,
    /// Whether the last request had the key in it.
    with_key: AtomicBool,
    /// Requests whose answers are on their way.
    busy: watch::Sender<usize>,
}

impl Upstream {
    pub(super) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            reply: Mutex::new(Arc::new(Reply::json("{}"))),
            asked: AtomicUsize::new(0),
            with_key: AtomicBool::new(false),
            busy: watch::Sender::new(0),
        });
        let serving = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let serving = Arc::clone(&serving);
                tokio::spawn(async move {
                    // A reader that leaves is what many checks are about.
                    let _ = serve(socket, &serving).await;
                });
            }
        });
        Ok(Self { address, shared })
    }

    pub(super) fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    /// An address where nobody listens: it was free just now.
    pub(super) async fn nobody() -> io::Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        Ok(format!("http://{}", listener.local_addr()?))
    }

    pub(super) fn answers(&self, reply: Reply) {
        *self.shared.reply.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(reply);
    }

    /// How many requests there were.
    pub(super) fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::Relaxed)
    }

    /// Whether the last request had the key in it.
    pub(super) fn saw_the_key(&self) -> bool {
        self.shared.with_key.load(Ordering::Relaxed)
    }

    /// Waits until nobody is waited for: every answer has ended, or its reader has left. False when one goes on.
    pub(super) async fn is_left_alone(&self, patience: Duration) -> bool {
        let mut busy = self.shared.busy.subscribe();
        tokio::time::timeout(patience, busy.wait_for(|busy| *busy == 0)).await.is_ok()
    }
}

async fn serve(mut socket: TcpStream, shared: &Shared) -> io::Result<()> {
    socket.set_nodelay(true)?;
    loop {
        let request = read_request(&mut socket).await?;
        shared.busy.send_modify(|busy| *busy += 1);
        let with_key = memchr::memmem::find(&request, super::KEY.as_bytes()).is_some();
        shared.with_key.store(with_key, Ordering::Relaxed);
        shared.asked.fetch_add(1, Ordering::Relaxed);
        let reply = Arc::clone(&shared.reply.lock().unwrap_or_else(PoisonError::into_inner));
        let answered = answer(&mut socket, &reply).await;
        shared.busy.send_modify(|busy| *busy -= 1);
        answered?;
        if reply.end != End::Whole {
            return Ok(());
        }
    }
}

async fn answer(socket: &mut TcpStream, reply: &Reply) -> io::Result<()> {
    match reply.end {
        End::Silent => until_left(socket).await,
        End::InHead => socket.write_all(b"HTTP/1.1 200 O").await,
        // All in one write: what keeps the pieces apart is that each is a chunk of its own.
        End::Whole | End::Broken => socket.write_all(&reply.bytes()).await,
        End::Never => {
            socket.write_all(&reply.bytes()).await?;
            until_left(socket).await
        }
    }
}

async fn until_left(socket: &mut TcpStream) -> io::Result<()> {
    let mut ignored = [0; 64];
    while socket.read(&mut ignored).await? > 0 {}
    Ok(())
}

/// Reads a request to its end; what it asks for makes no difference.
async fn read_request(socket: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while bytes.len() < MAX_REQUEST_BYTES {
        if socket.read_buf(&mut bytes).await? == 0 {
            break;
        }
        let Some(head) = memchr::memmem::find(&bytes, b"\r\n\r\n") else { continue };
        let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        if bytes.len() - head - 4 >= length.unwrap_or(0_usize) {
            return Ok(bytes);
        }
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}
