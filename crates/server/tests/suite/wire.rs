//! A client that sends bytes as it likes, from an address of its own on this machine.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};

use crate::running::Server;

/// This machine, as most tests see it.
pub const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// An address of this machine that counts as another client.
pub fn neighbour(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 1, number)
}

/// A connection.
pub struct Wire {
    pub stream: TcpStream,
    unread: Vec<u8>,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The value of a header; names in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.to_ascii_lowercase().starts_with(&format!("{name}: ")).then(|| &line[name.len() + 2..]))
    }

    /// Checks that it is a refusal in the shape of all refusals.
    pub fn is_refusal(&self, status: u16, code: &str) {
        let envelope = self.json();
        assert_eq!((self.status, envelope["code"].as_str()), (status, Some(code)), "{self:?}");
        assert!(!envelope["requestId"].as_str().unwrap().is_empty(), "{self:?}");
    }
}

impl Wire {
    /// Connects from an address of this machine.
    pub async fn open(server: &Server, from: Ipv4Addr) -> Self {
        Self::try_open(server.port(), from).await.expect("a connection")
    }

    /// The same, where there may be none.
    pub async fn try_open(port: u16, from: Ipv4Addr) -> std::io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        if from != HERE {
            socket.bind(SocketAddr::from((from, 0)))?;
        }
        let stream = socket.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
        Ok(Self { stream, unread: Vec::new() })
    }

    /// Sends bytes; false where the other end has gone.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).await.is_ok()
    }

    /// The next answer; none where the connection ended without one.
    pub async fn answer(&mut self, within: Duration) -> Option<Answer> {
        timeout(within, self.read_answer()).await.unwrap_or_else(|_| panic!("neither an answer nor an end within {within:?}"))
    }

    /// Whether the other end says nothing more and ends the connection in time.
    pub async fn ends(&mut self, within: Duration) -> bool {
        if !self.unread.is_empty() {
            return false;
        }
        match timeout(within, self.more()).await {
            Ok(more) => !more,
            Err(_) => false,
        }
    }

    /// What is sent bit by bit, until it has been sent or the other end has had enough, and what it said to that.
    pub async fn drip(&mut self, bytes: &[u8], pause: Duration, within: Duration) -> Option<Answer> {
        let until = Instant::now() + within;
        for byte in bytes {
            if !self.send([*byte]).await {
                break;
            }
            if let Ok(more) = timeout(pause, self.more()).await
                && !more
            {
                break;
            }
            if !self.unread.is_empty() {
                return self.answer(within).await;
            }
            assert!(Instant::now() < until, "it still takes drops after {within:?}");
        }
        self.answer(within).await
    }

    async fn more(&mut self) -> bool {
        self.stream.read_buf(&mut self.unread).await.is_ok_and(|read| read > 0)
    }

    async fn read_answer(&mut self) -> Option<Answer> {
        let head_end = loop {
            if let Some(at) = self.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            if !self.more().await {
                return None;
            }
        };
        let head = String::from_utf8_lossy(&self.unread[..head_end]).into_owned();
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let mut answer = Answer { status, head, body: Vec::new() };
        let length = answer.header("content-length").and_then(|length| length.trim().parse::<usize>().ok()).unwrap_or(0);
        while self.unread.len() < head_end + length {
            if !self.more().await {
                return None;
            }
        }
        answer.body = self.unread[head_end..head_end + length].to_vec();
        self.unread.drain(..head_end + length);
        Some(answer)
    }
}
