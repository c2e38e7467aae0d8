//! The least HTTP/1.1 client that can keep a connection open: a generator should cost next to nothing.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::error::{BenchError, Result, While as _};

/// Longer than any server's own limit for one render.
const ANSWER_WITHIN: Duration = Duration::from_mins(2);

/// One connection, used for one request at a time.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// One answer; the body is borrowed from the connection's buffer.
#[derive(Debug)]
pub struct Answer<'a> {
    /// The status code.
    pub status: u16,
    /// Whether it says when to come back.
    pub retries: bool,
    /// The body, with a chunked one put together.
    pub body: &'a [u8],
}

/// The bytes of a request. `headers` are lines without the line end.
pub fn request(method: &str, path: &str, headers: &[String], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\n", body.len()).into_bytes();
    for header in headers {
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

impl Connection {
    /// Opens a connection.
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.while_doing(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true).while_doing(|| format!("connecting to {address}"))?;
        Ok(Self { stream, buffer: Vec::with_capacity(1 << 18) })
    }

    /// Sends `request` and reads the whole answer.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        let whole = async {
            self.stream.write_all(request).await.while_doing(|| "sending a request".to_owned())?;
            self.read_answer().await
        };
        let (status, retries, start) = timeout(ANSWER_WITHIN, whole)
            .await
            .map_err(|_| BenchError::TimedOut { what: "an answer over HTTP".to_owned(), after: ANSWER_WITHIN })??;
        Ok(Answer { status, retries, body: &self.buffer[start..] })
    }

    async fn more(&mut self) -> Result<()> {
        let read = self.stream.read_buf(&mut self.buffer).await.while_doing(|| "reading an answer".to_owned())?;
        if read == 0 {
            return Err(BenchError::Answer { what: "server".to_owned(), answer: "by closing the connection".to_owned() });
        }
        Ok(())
    }

    /// Leaves exactly head and body in the buffer; returns the status, whether it has `Retry-After`, and where the body starts.
    async fn read_answer(&mut self) -> Result<(u16, bool, usize)> {
        self.buffer.clear();
        let head_end = loop {
            match memchr::memmem::find(&self.buffer, b"\r\n\r\n") {
                Some(at) => break at + 4,
                None => self.more().await?,
            }
        };
        let head = String::from_utf8_lossy(&self.buffer[..head_end]).to_ascii_lowercase();
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
        let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let retries = field("retry-after:").is_some();
        if let Some(length) = field("content-length:").and_then(|text| text.parse::<usize>().ok()) {
            while self.buffer.len() < head_end + length {
                self.more().await?;
            }
        } else if field("transfer-encoding:") == Some("chunked") {
            self.read_chunks(head_end).await?;
        }
        Ok((status, retries, head_end))
    }

    async fn read_chunks(&mut self, head_end: usize) -> Result<()> {
        let mut body_end = head_end;
        loop {
            let size_end = loop {
                match memchr::memmem::find(&self.buffer[body_end..], b"\r\n") {
                    Some(at) => break body_end + at,
                    None => self.more().await?,
                }
            };
            let size = String::from_utf8_lossy(&self.buffer[body_end..size_end]).into_owned();
            let size = size.split(';').next().and_then(|text| usize::from_str_radix(text.trim(), 16).ok()).unwrap_or(0);
            while self.buffer.len() < size_end + 2 + size + 2 {
                self.more().await?;
            }
            let chunk = size_end + 2;
            self.buffer.copy_within(chunk..chunk + size, body_end);
            self.buffer.drain(body_end + size..chunk + size + 2);
            body_end += size;
            if size == 0 {
                self.buffer.truncate(body_end);
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_chunked_answer_is_put_together_and_the_connection_serves_the_next_request() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut asked = [0; 1024];
            for answer in [
                &b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n%PD\r\n5;x=y\r\nF-1.4\r\n0\r\n\r\n"[..],
                &b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nfull"[..],
            ] {
                let _request = stream.read(&mut asked).await.expect("a request");
                for part in answer.chunks(7) {
                    stream.write_all(part).await.expect("sent");
                    stream.flush().await.expect("sent");
                }
            }
        });
        let mut connection = Connection::open(address).await.expect("open");
        let first = connection.exchange(&request("GET", "/", &[], b"")).await.expect("an answer");
        assert_eq!((first.status, first.body), (200, &b"%PDF-1.4"[..]));
        let second = connection.exchange(&request("GET", "/", &[], b"")).await.expect("an answer");
        assert_eq!((second.status, second.body), (503, &b"full"[..]));
    }
}
