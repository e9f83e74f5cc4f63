//! One HTTP/1.1 connection. Answers are read to their proper end, or it is an error.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An answer that says nothing for so long will never say anything.
const STALLED: Duration = Duration::from_secs(60);

pub(crate) struct Connection {
    address: SocketAddr,
    stream: BufReader<TcpStream>,
}

/// An answer whose body is still to be read.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    length: Option<usize>,
    chunked: bool,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(STALLED))?;
        stream.set_write_timeout(Some(STALLED))?;
        Ok(Self { address, stream: BufReader::new(stream) })
    }

    /// Sends a request; its answer is read with [`Self::head`] and [`Self::body`].
    pub(crate) fn send(&mut self, method: &str, path: &str, body: &str) -> io::Result<()> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes())
    }

    pub(crate) fn head(&mut self) -> io::Result<Head> {
        let status = self.line()?;
        let status = status.split(' ').nth(1).and_then(|code| code.parse().ok());
        let mut head =
            Head { status: status.ok_or_else(|| broken("no status"))?, length: None, chunked: false };
        loop {
            let line = self.line()?.to_ascii_lowercase();
            match line.split_once(':').map(|(name, value)| (name, value.trim())) {
                None if line.is_empty() => return Ok(head),
                Some(("content-length", value)) => head.length = value.parse().ok(),
                Some(("transfer-encoding", "chunked")) => head.chunked = true,
                _ => {}
            }
        }
    }

    /// The next piece of a chunked body; none at its proper end.
    pub(crate) fn chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let size = usize::from_str_radix(&self.line()?, 16).map_err(|_| broken("no chunk size"))?;
        let mut chunk = vec![0; size];
        self.stream.read_exact(&mut chunk)?;
        if !self.line()?.is_empty() {
            return Err(broken("a chunk is longer than it says"));
        }
        Ok((size > 0).then_some(chunk))
    }

    pub(crate) fn body(&mut self, head: &Head) -> io::Result<String> {
        let mut body = vec![0; head.length.unwrap_or_default()];
        if head.chunked {
            while let Some(chunk) = self.chunk()? {
                body.extend(chunk);
            }
        } else {
            self.stream.read_exact(&mut body)?;
        }
        String::from_utf8(body).map_err(io::Error::other)
    }

    /// One request and its whole answer.
    pub(crate) fn ask(&mut self, method: &str, path: &str, body: &str) -> io::Result<(u16, String)> {
        self.send(method, path, body)?;
        let head = self.head()?;
        Ok((head.status, self.body(&head)?))
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        match line.strip_suffix("\r\n") {
            Some(line) => Ok(line.to_owned()),
            None => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was cut")),
        }
    }
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
