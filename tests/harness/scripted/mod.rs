//! An upstream that does exactly what its script says, down to the bytes and the end of the connection.

// What it does.
pub mod script;

use std::collections::HashMap;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinSet, yield_now};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::PATIENCE;
use script::{Script, Step};

/// See the module. Plays any number of parts, told apart by the path of the request. Ends when it is dropped.
pub struct Scripted {
    address: String,
    /// Bound, so that nobody else gets the port, and never listened on.
    refusing: TcpSocket,
    /// Never accepted from.
    ignoring: TcpListener,
    /// Fills the queue of those who wait to be accepted, in which there is room for one: the system does not answer
    /// whoever comes after it.
    _waiting: TcpStream,
    parts: Parts,
    _serving: AbortOnDropHandle<()>,
}

type Parts = Arc<Mutex<HashMap<String, Arc<Part>>>>;

/// What is played to whoever asks at one path.
struct Part {
    streamed: Script,
    whole: Script,
    gate: Semaphore,
    notes: watch::Sender<Notes>,
}

/// What was seen of those who asked for one part.
#[derive(Clone, Copy, Debug, Default)]
pub struct Notes {
    /// How many asked.
    pub requests: usize,
    /// How many are still connected.
    pub open: usize,
    /// How many went away before the script was over.
    pub left: usize,
    /// What was written to all of them.
    pub written: usize,
    /// Whether one of them does not read: what is written now has to wait.
    pub blocked: bool,
}

impl Scripted {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (refusing, ignoring) = (bound(), bound().listen(0).unwrap());
        let waiting = TcpStream::connect(ignoring.local_addr().unwrap()).await.unwrap();
        let parts = Parts::default();
        let serving = tokio::spawn(serve(listener, Arc::clone(&parts)));
        let serving = AbortOnDropHandle::new(serving);
        Self { address, refusing, ignoring, _waiting: waiting, parts, _serving: serving }
    }

    /// Plays this to whoever asks for a stream, or for a whole answer, at the `base_url` that it answers with.
    pub fn play(&self, name: &str, streamed: &Script, whole: &Script) -> String {
        let address = match streamed.0.first() {
            Some(Step::Refuse) => self.refusing.local_addr().unwrap().to_string(),
            Some(Step::Ignore) => self.ignoring.local_addr().unwrap().to_string(),
            _ => self.address.clone(),
        };
        let part = Part {
            streamed: streamed.clone(),
            whole: whole.clone(),
            gate: Semaphore::new(0),
            notes: watch::Sender::default(),
        };
        self.parts.lock().unwrap().insert(name.to_owned(), Arc::new(part));
        format!("http://{address}/{name}/v1")
    }

    /// Lets a script go on that waits at its gate, or will.
    pub fn release(&self, name: &str) {
        self.part(name).gate.add_permits(1);
    }

    pub fn notes(&self, name: &str) -> Notes {
        *self.part(name).notes.borrow()
    }

    /// Waits until it has seen this of those who ask for this part.
    pub async fn sees(&self, name: &str, what: impl Fn(&Notes) -> bool) -> Notes {
        let mut notes = self.part(name).notes.subscribe();
        let seen = timeout(PATIENCE, notes.wait_for(what)).await.map(|notes| *notes.unwrap());
        seen.unwrap_or_else(|_| panic!("waited in vain at {name}: {:?}", self.notes(name)))
    }

    fn part(&self, name: &str) -> Arc<Part> {
        Arc::clone(&self.parts.lock().unwrap()[name])
    }
}

fn bound() -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    socket
}

async fn serve(listener: TcpListener, parts: Parts) {
    // Those who are still connected when this is dropped are cut off.
    let mut connections = JoinSet::new();
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        socket.set_nodelay(true).unwrap();
        let parts = Arc::clone(&parts);
        connections.spawn(async move {
            let mut socket = socket;
            // Who asks for something else than chat is not noted.
            let Some((name, streamed)) = read_request(&mut socket).await else { return };
            let Some(part) = parts.lock().unwrap().get(&name).cloned() else { return };
            part.serve(socket, streamed).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

const MODELS: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n{\"data\":[]}";

/// Which part a request for chat is for, and whether it is for a stream.
async fn read_request(socket: &mut TcpStream) -> Option<(String, bool)> {
    let mut read = Vec::new();
    let head = loop {
        if let Some(end) = memchr::memmem::find(&read, b"\r\n\r\n") {
            break end + 4;
        }
        if socket.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8(read[..head].to_vec()).unwrap();
    if text.starts_with("GET ") {
        // A check of its health finds it well: how it serves is all that is scripted.
        socket.write_all(MODELS.as_bytes()).await.ok()?;
        return None;
    }
    let name = text.strip_prefix("POST /")?.split_once("/v1/chat/completions")?.0.to_owned();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let whole = head + length.parse::<usize>().unwrap();
    while read.len() < whole {
        socket.read_buf(&mut read).await.ok().filter(|read| *read > 0)?;
    }
    let body: Value = serde_json::from_slice(&read[head..whole]).unwrap();
    Some((name, body["stream"] == true))
}

impl Part {
    async fn serve(&self, socket: TcpStream, streamed: bool) {
        self.notes.send_modify(|notes| {
            notes.requests += 1;
            notes.open += 1;
        });
        let script = if streamed { &self.streamed } else { &self.whole };
        let mut stayed = true;
        for step in &script.0 {
            stayed = self.take(step, &socket).await;
            if !stayed {
                break;
            }
        }
        drop(socket);
        self.notes.send_modify(|notes| {
            notes.open -= 1;
            notes.left += usize::from(!stayed);
        });
    }

    /// Whether the peer is still there afterwards.
    async fn take(&self, step: &Step, socket: &TcpStream) -> bool {
        match step {
            Step::Refuse | Step::Ignore => panic!("nobody can be connected"),
            Step::Send(bytes) => self.write(bytes, socket).await,
            Step::Trickle(bytes) => {
                for byte in bytes {
                    if !self.write(&[*byte], socket).await {
                        return false;
                    }
                }
                true
            }
            Step::Repeat(bytes) => {
                while self.write(bytes, socket).await {}
                false
            }
            Step::Gate => {
                tokio::select! {
                    pass = self.gate.acquire() => {
                        pass.unwrap().forget();
                        true
                    }
                    () = gone(socket) => false,
                }
            }
            Step::Hang => {
                gone(socket).await;
                false
            }
            Step::Reset => {
                socket.set_zero_linger().unwrap();
                true
            }
        }
    }

    async fn write(&self, bytes: &[u8], socket: &TcpStream) -> bool {
        let mut rest = bytes;
        while !rest.is_empty() {
            match socket.try_write(rest) {
                Ok(written) => {
                    self.notes.send_modify(|notes| notes.written += written);
                    rest = &rest[written..];
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.notes.send_modify(|notes| notes.blocked = true);
                    tokio::select! {
                        writable = socket.writable() => writable.unwrap(),
                        () = gone(socket) => return false,
                    }
                    self.notes.send_modify(|notes| notes.blocked = false);
                }
                Err(_) => return false,
            }
        }
        // Who only ever writes would leave the test no turn.
        yield_now().await;
        true
    }
}

/// Waits until the peer has gone away.
async fn gone(socket: &TcpStream) {
    let mut buffer = [0; 64];
    while socket.readable().await.is_ok() {
        match socket.try_read(&mut buffer) {
            Ok(read) if read > 0 => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            _ => return,
        }
    }
}
