//! A proxy that notes what it is asked for, answers plain requests itself and refuses tunnels.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

use crate::harness::scripted::script::answer;

/// See the module. Ends when it is dropped.
pub struct Proxy {
    url: String,
    /// The head of each request, in lower case but for its first line.
    heads: Arc<Mutex<Vec<String>>>,
    _serving: AbortOnDropHandle<()>,
}

impl Proxy {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heads = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&heads);
        let serving = tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let Some(head) = read_head(&mut socket).await else { continue };
                let answer = if head.starts_with("CONNECT ") {
                    "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned()
                } else {
                    let body = answer("by proxy");
                    let length = body.len();
                    format!(
                        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
                    )
                };
                noted.lock().unwrap().push(head);
                // Who does not want the answer fails its test by itself.
                let _ = socket.write_all(answer.as_bytes()).await;
            }
        });
        Self { url, heads, _serving: AbortOnDropHandle::new(serving) }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// The first lines of the requests so far.
    pub fn asked(&self) -> Vec<String> {
        let heads = self.heads.lock().unwrap();
        heads.iter().map(|head| head.lines().next().unwrap().to_owned()).collect()
    }

    /// All of the requests' heads.
    pub fn heads(&self) -> String {
        self.heads.lock().unwrap().join("\n").to_ascii_lowercase()
    }
}

/// The head, once the body that it announces has come too.
async fn read_head(socket: &mut TcpStream) -> Option<String> {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Some(head.to_owned());
            }
        }
        if socket.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    }
}
