//! The answers of the small S3, and its faults.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::net::{Shutdown, TcpStream};
use std::time::SystemTime;

use jiff::Timestamp;

use super::http::{Connection, Request};
use super::objects::Objects;
use super::{ACCESS_KEY_ID, BUCKET, Fault, Shared};

const MOST_LISTED: usize = 1000;
/// What a stalled body sends before it stops.
const STALLED_AFTER_BYTES: u64 = 1000;

/// Answers the requests of a connection until the client or a fault ends it.
pub(super) fn serve(shared: &Shared, stream: &TcpStream) -> io::Result<()> {
    let mut connection = Connection::new(stream)?;
    while let Some(request) = connection.request()? {
        let fault = {
            let mut state = shared.lock();
            state.requests.push(format!("{} {}", request.method, request.target));
            let fault = state.fault;
            match &mut state.fault {
                Fault::Unavailable(times) => *times = times.saturating_sub(1),
                Fault::CutBodies { times, .. } if request.method == "GET" => *times = times.saturating_sub(1),
                _ => {}
            }
            fault
        };
        match fault {
            Fault::Closed => break,
            Fault::Silent => {
                shared.wait_while_silent();
                break;
            }
            Fault::Unavailable(1..) => {
                refuse(&mut connection, "503 Slow Down", "SlowDown")?;
                break;
            }
            _ => {}
        }
        if !answer(shared, &mut connection, &request, fault)? {
            break;
        }
    }
    stream.shutdown(Shutdown::Both)
}

/// Whether the connection can go on.
fn answer(shared: &Shared, connection: &mut Connection<'_>, request: &Request, fault: Fault) -> io::Result<bool> {
    let authorization = request.headers.get("authorization").map_or("", String::as_str);
    if !authorization.contains(&format!("Credential={ACCESS_KEY_ID}/")) {
        return refuse(connection, "403 Forbidden", "InvalidAccessKeyId");
    }
    let (bucket, name) = request.path.trim_start_matches('/').split_once('/').unwrap_or((request.path.trim_start_matches('/'), ""));
    if bucket != BUCKET {
        return refuse(connection, "404 Not Found", "NoSuchBucket");
    }
    let upload = request.query.get("uploadId").map(String::as_str);
    match (request.method.as_str(), upload) {
        ("GET" | "HEAD", _) if name.is_empty() => list(shared, connection, request),
        ("GET" | "HEAD", None) => get(shared, connection, request, name, fault),
        ("PUT", _) => put(shared, connection, request, name),
        ("DELETE", None) => {
            shared.lock().objects.delete(name);
            connection.head("204 No Content", "", 0)?;
            Ok(true)
        }
        ("DELETE", Some(id)) => {
            let aborted = shared.lock().objects.abort(id);
            found(connection, aborted, |connection| connection.head("204 No Content", "", 0))
        }
        ("POST", None) if request.query.contains_key("uploads") => {
            io::copy(&mut connection.body(request)?, &mut io::sink())?;
            let id = shared.lock().objects.begin(name);
            let body = "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>";
            connection.xml("200 OK", &body.replace("{id}", &id))?;
            Ok(true)
        }
        ("POST", Some(id)) => {
            io::copy(&mut connection.body(request)?, &mut io::sink())?;
            let completed = shared.lock().objects.complete(id)?;
            let body = "<CompleteMultipartUploadResult><ETag>\"whole\"</ETag></CompleteMultipartUploadResult>";
            found(connection, completed, |connection| connection.xml("200 OK", body))
        }
        _ => refuse(connection, "501 Not Implemented", "NotImplemented"),
    }
}

fn put(shared: &Shared, connection: &mut Connection<'_>, request: &Request, name: &str) -> io::Result<bool> {
    let path = shared.lock().objects.new_path();
    let length: u64 = request.headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let stored = Objects::write(&path, &mut connection.body(request)?)?;
    if stored.size_bytes != length {
        // The client went away in the middle.
        return Ok(false);
    }
    let (id, number) = (request.query.get("uploadId"), request.query.get("partNumber").and_then(|number| number.parse().ok()));
    let kept = if let (Some(id), Some(number)) = (id, number) {
        shared.lock().objects.part(id, number, stored)
    } else {
        shared.lock().objects.put(name, stored);
        Some(())
    };
    found(connection, kept, |connection| connection.head("200 OK", "ETag: \"part\"\r\n", 0))
}

fn get(shared: &Shared, connection: &mut Connection<'_>, request: &Request, name: &str, fault: Fault) -> io::Result<bool> {
    let opened = shared.lock().objects.get(name).map(|stored| stored.open().map(|file| (file, stored.size_bytes, stored.modified)));
    let Some((mut file, size, modified)) = opened.transpose()? else {
        if request.method == "HEAD" {
            connection.head("404 Not Found", "", 0)?;
            return Ok(true);
        }
        return refuse(connection, "404 Not Found", "NoSuchKey");
    };
    let modified = format!("Last-Modified: {}\r\n", moment(modified, "%a, %d %b %Y %H:%M:%S GMT")?);
    if request.method == "HEAD" {
        connection.head("200 OK", &modified, size)?;
        return Ok(true);
    }
    let (first, length) = match request.headers.get("range").and_then(|range| range.strip_prefix("bytes=")?.split_once('-')) {
        None => (0, size),
        Some((first, last)) => {
            let first: u64 = first.parse().map_err(io::Error::other)?;
            if first >= size {
                return refuse(connection, "416 Range Not Satisfiable", "InvalidRange");
            }
            (first, last.parse().map_or(size - 1, |last: u64| last.min(size - 1)) + 1 - first)
        }
    };
    file.seek(SeekFrom::Start(first))?;
    if request.headers.contains_key("range") {
        let range = format!("{modified}Content-Range: bytes {first}-{}/{size}\r\n", first + length - 1);
        connection.head("206 Partial Content", &range, length)?;
    } else {
        connection.head("200 OK", &modified, length)?;
    }
    let body = file.take(length);
    match fault {
        Fault::CutBodies { times: 1.., after_bytes } => connection.copy(&mut body.take(after_bytes)).map(|_| false),
        Fault::StalledBodies => {
            connection.copy(&mut body.take(STALLED_AFTER_BYTES))?;
            // Until the client closes its end.
            connection.request().map(|_| false)
        }
        Fault::WrongBytes => connection.copy(&mut wrong_first_byte(body)?).map(|_| true),
        _ => connection.copy(&mut { body }).map(|_| true),
    }
}

fn wrong_first_byte(mut body: impl Read) -> io::Result<impl Read> {
    let mut first = [0];
    body.read_exact(&mut first)?;
    Ok(io::Cursor::new([!first[0]]).chain(body))
}

fn list(shared: &Shared, connection: &mut Connection<'_>, request: &Request) -> io::Result<bool> {
    if request.method == "HEAD" {
        connection.head("200 OK", "", 0)?;
        return Ok(true);
    }
    let text = |name: &str| request.query.get(name).map_or("", String::as_str);
    let limit = text("max-keys").parse().unwrap_or(MOST_LISTED).min(MOST_LISTED);
    let mut body = Vec::new();
    {
        let state = shared.lock();
        let (page, more) = state.objects.list(text("prefix"), text("start-after"), limit);
        write!(body, "<ListBucketResult><KeyCount>{}</KeyCount><IsTruncated>{more}</IsTruncated>", page.len())?;
        for (name, stored) in page {
            let (name, moment) = (escaped(name), moment(stored.modified, "%Y-%m-%dT%H:%M:%S.000Z")?);
            write!(body, "<Contents><Key>{name}</Key><Size>{}</Size><LastModified>{moment}</LastModified></Contents>", stored.size_bytes)?;
        }
        write!(body, "</ListBucketResult>")?;
    }
    connection.xml("200 OK", &String::from_utf8_lossy(&body))?;
    Ok(true)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn moment(time: SystemTime, format: &str) -> io::Result<String> {
    Ok(Timestamp::try_from(time).map_err(io::Error::other)?.strftime(format).to_string())
}

/// Answers well when the upload was known.
fn found(connection: &mut Connection<'_>, known: Option<()>, well: impl FnOnce(&mut Connection<'_>) -> io::Result<()>) -> io::Result<bool> {
    if known.is_none() {
        return refuse(connection, "404 Not Found", "NoSuchUpload");
    }
    well(connection).map(|()| true)
}

/// Ends the connection, as a body may be under way.
fn refuse(connection: &mut Connection<'_>, status: &str, code: &str) -> io::Result<bool> {
    connection.xml(status, &format!("<Error><Code>{code}</Code><Message>refused by the test server</Message></Error>")).map(|()| false)
}
