//! As much HTTP as the small S3 needs: connections that are kept, bodies of a known length.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Take, Write};
use std::net::TcpStream;
use std::time::Duration;

use percent_encoding::percent_decode_str;

const PATIENCE: Duration = Duration::from_mins(1);

pub(super) struct Request {
    pub(super) method: String,
    /// As it came, with the query.
    pub(super) target: String,
    pub(super) path: String,
    pub(super) query: HashMap<String, String>,
    /// Names in lower case.
    pub(super) headers: HashMap<String, String>,
}

pub(super) struct Connection<'a> {
    reader: BufReader<&'a TcpStream>,
    stream: &'a TcpStream,
}

impl<'a> Connection<'a> {
    pub(super) fn new(stream: &'a TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { reader: BufReader::with_capacity(64 * 1024, stream), stream })
    }

    /// The next request without its body; nothing when the client is done.
    pub(super) fn request(&mut self) -> io::Result<Option<Request>> {
        let first = self.line()?;
        let mut words = first.split(' ');
        let (Some(method), Some(target)) = (words.next(), words.next()) else { return Ok(None) };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let query = pairs.map(|(name, value)| (decoded(name), decoded(value))).collect();
        let mut headers = HashMap::new();
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        Ok(Some(Request { method: method.to_owned(), target: target.to_owned(), path: decoded(path), query, headers }))
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.reader.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    /// The body of the request; to be read to its end before the next one.
    pub(super) fn body(&mut self, request: &Request) -> io::Result<Take<&mut BufReader<&'a TcpStream>>> {
        let encoded = request.headers.get("content-encoding").is_some_and(|encoding| encoding.contains("aws-chunked"));
        if encoded || request.headers.contains_key("transfer-encoding") {
            return Err(io::Error::other("only bodies of a known length are understood"));
        }
        if request.headers.contains_key("expect") {
            self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let length = request.headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        Ok(self.reader.by_ref().take(length))
    }

    pub(super) fn head(&mut self, status: &str, headers: &str, length: u64) -> io::Result<()> {
        let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n");
        self.stream.write_all(head.as_bytes())
    }

    pub(super) fn xml(&mut self, status: &str, body: &str) -> io::Result<()> {
        let body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{body}");
        self.head(status, "Content-Type: application/xml\r\n", body.len() as u64)?;
        self.stream.write_all(body.as_bytes())
    }

    pub(super) fn copy(&mut self, bytes: &mut impl Read) -> io::Result<u64> {
        io::copy(bytes, &mut &*self.stream)
    }
}
