//! Asks a running server whether it is ready, for container health checks and scripts.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::config::Config;

/// The server answers its own check of the storage within 2 s.
const TIMEOUT: Duration = Duration::from_secs(3);
/// The status line is at the beginning; the rest is for people and small.
const MAX_ANSWER_BYTES: usize = 16 * 1024;

/// Success when `/health/ready` of the configured address answers 200.
pub fn healthcheck(config: &Config) -> ExitCode {
    match address(config).and_then(|address| ask(address, TIMEOUT)) {
        Ok(answer) if answer.starts_with("HTTP/1.1 200 ") => ExitCode::SUCCESS,
        Ok(answer) => {
            let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
            let status = answer.lines().next().unwrap_or("no answer");
            let _ = writeln!(io::stderr(), "not ready: {status} {body}");
            ExitCode::FAILURE
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "no server answers on HOST={} PORT={}: {error}", config.host, config.port);
            ExitCode::FAILURE
        }
    }
}

/// The answer, if it comes within `limit`.
fn ask(address: SocketAddr, limit: Duration) -> io::Result<String> {
    let until = Instant::now() + limit;
    // The system has several words for a time that is over, none of which an operator takes for it.
    let in_words = |error: io::Error| match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => late(limit),
        _ => error,
    };
    let mut connection = TcpStream::connect_timeout(&address, limit).map_err(in_words)?;
    connection.set_write_timeout(Some(limit))?;
    connection.write_all(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").map_err(in_words)?;
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    while answer.len() < MAX_ANSWER_BYTES {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(late(limit));
        }
        connection.set_read_timeout(Some(left))?;
        match connection.read(&mut piece).map_err(in_words)? {
            0 => break,
            read => answer.extend_from_slice(&piece[..read]),
        }
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn late(limit: Duration) -> io::Error {
    io::Error::new(ErrorKind::TimedOut, format!("no answer within {} s", limit.as_secs_f64()))
}

/// Where the server is reached from this machine: "all addresses" is no address to connect to.
fn address(config: &Config) -> io::Result<SocketAddr> {
    let host = match config.host.parse::<IpAddr>() {
        Ok(any) if any.is_unspecified() && any.is_ipv4() => "127.0.0.1",
        Ok(any) if any.is_unspecified() => "::1",
        _ => &config.host,
    };
    let mut addresses = (host, config.port).to_socket_addrs()?;
    addresses.next().ok_or_else(|| io::Error::new(ErrorKind::NotFound, "the host name has no address"))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_server_that_hangs_is_told_as_no_answer_within_the_time() {
        // The system completes the connection, and nobody ever takes it.
        let hung = TcpListener::bind("127.0.0.1:0").unwrap();
        let error = ask(hung.local_addr().unwrap(), Duration::from_millis(500)).unwrap_err();
        assert_eq!(error.to_string(), "no answer within 0.5 s");
    }
}
