//! As much HTTP as the provider needs: one request per connection, both ends.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use percent_encoding::percent_decode_str;
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(15);
const BODY_BYTES: usize = 1024 * 1024;

/// What came in.
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: HashMap<String, String>,
    /// Names in lower case.
    pub(super) headers: HashMap<String, String>,
    pub(super) body: String,
}

impl Request {
    pub(super) fn read(stream: &TcpStream) -> io::Result<Self> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut reader = BufReader::new(stream);
        let (first, headers) = head(&mut reader)?;
        let mut words = first.split(' ');
        let (method, target) = (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0).min(BODY_BYTES);
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let body = String::from_utf8(body).map_err(io::Error::other)?;
        Ok(Self { method, path: path.to_owned(), query: form(query), headers, body })
    }
}

/// What goes out.
pub(super) struct Response {
    pub(super) status: &'static str,
    /// `Name: value`.
    pub(super) header: Option<String>,
    pub(super) body: String,
}

impl Response {
    pub(super) fn json(status: &'static str, body: &Value) -> Self {
        Self { status, header: Some("Content-Type: application/json".into()), body: body.to_string() }
    }

    pub(super) fn redirect(to: &str) -> Self {
        Self { status: "302 Found", header: Some(format!("Location: {to}")), body: String::new() }
    }

    pub(super) fn write(&self, mut stream: &TcpStream) -> io::Result<()> {
        let header = self.header.as_ref().map(|header| format!("{header}\r\n")).unwrap_or_default();
        let (status, length) = (self.status, self.body.len());
        write!(stream, "HTTP/1.1 {status}\r\n{header}Content-Length: {length}\r\nConnection: close\r\n\r\n{}", self.body)
    }
}

/// The fields of a query or a form.
pub(super) fn form(text: &str) -> HashMap<String, String> {
    let decoded = |part: &str| percent_decode_str(&part.replace('+', " ")).decode_utf8_lossy().into_owned();
    let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.map(|(name, value)| (decoded(name), decoded(value))).collect()
}

/// Asks a server on this machine. The status, the headers (names in lower case) and the body.
pub(super) fn ask(address: SocketAddr, method: &str, target: &str, body: &str) -> io::Result<(u16, HashMap<String, String>, String)> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "{method} {target} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())?;
    let mut reader = BufReader::new(stream);
    let (first, headers) = head(&mut reader)?;
    let mut answer = String::new();
    reader.read_to_string(&mut answer)?;
    let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.ok_or_else(|| io::Error::other(format!("not a status: {first:?}")))?, headers, answer))
}

fn head(reader: &mut impl BufRead) -> io::Result<(String, HashMap<String, String>)> {
    let mut next = || {
        let mut text = String::new();
        reader.read_line(&mut text).map(|_| text.trim_end().to_owned())
    };
    let first = next()?;
    let mut headers = HashMap::new();
    loop {
        let text = next()?;
        let Some((name, value)) = text.split_once(':') else { return Ok((first, headers)) };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
}
