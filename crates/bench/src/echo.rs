//! The load the generator would be: for every document of the floor, one HTTP exchange of the same size over loopback.
//!
//! Floor and server then share the cores with the same generator, and their rates can be divided.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use crate::error::{Result, While as _};
use crate::http::{Connection, request};

/// The running exchange; it ends when this is dropped.
pub struct Echo {
    documents: mpsc::Sender<usize>,
    _tasks: JoinSet<()>,
}

impl Echo {
    /// Opens `connections` to a loopback server that answers with as many bytes as it is asked for.
    pub async fn start(connections: usize) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.while_doing(|| "opening the echo port".to_owned())?;
        let address = listener.local_addr().while_doing(|| "opening the echo port".to_owned())?;
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener));
        let (documents, queue) = mpsc::channel(1024);
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..connections {
            tasks.spawn(ask(address, Arc::clone(&queue)));
        }
        Ok(Self { documents, _tasks: tasks })
    }

    /// One document of `size_bytes` was printed: make the exchange a client would have made.
    pub async fn document(&self, size_bytes: usize) {
        let _nobody_left = self.documents.send(size_bytes).await;
    }
}

async fn ask(address: SocketAddr, queue: Arc<Mutex<mpsc::Receiver<usize>>>) {
    let Ok(mut connection) = Connection::open(address).await else { return };
    // As long as a render request with its key.
    let body = br#"{"template":"bench-document","data":{}}"#;
    let headers = [format!("X-Api-Key: {}", "0".repeat(40)), "Content-Type: application/json".to_owned()];
    loop {
        let Some(size) = queue.lock().await.recv().await else { return };
        if connection.exchange(&request("POST", &format!("/echo/{size}"), &headers, body)).await.is_err() {
            return;
        }
    }
}

async fn accept(listener: TcpListener) {
    let mut served = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        served.spawn(answer(stream));
    }
}

async fn answer(mut stream: TcpStream) {
    let mut asked = vec![0; 4096];
    // The requests are small and come one at a time, so that one read holds a whole one.
    while let Ok(length @ 1..) = stream.read(&mut asked).await {
        let head = String::from_utf8_lossy(&asked[..length]);
        let size = head.split(' ').nth(1).and_then(|path| path.rsplit('/').next()?.parse().ok()).unwrap_or(0);
        let mut bytes = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n").into_bytes();
        bytes.resize(bytes.len() + size, b' ');
        if stream.write_all(&bytes).await.is_err() {
            return;
        }
    }
}
