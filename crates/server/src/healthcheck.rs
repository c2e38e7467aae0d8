//! Asks a running server whether it is ready, for container health checks and scripts.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::process::ExitCode;
use std::time::Duration;

use crate::config::Config;

/// The server answers its own check of the storage within 2 s.
const TIMEOUT: Duration = Duration::from_secs(3);
/// The status line is at the beginning; the rest is for people and small.
const MAX_ANSWER_BYTES: u64 = 16 * 1024;

/// Success when `/health/ready` of the configured address answers 200.
pub fn healthcheck(config: &Config) -> ExitCode {
    match ask(config) {
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

fn ask(config: &Config) -> io::Result<String> {
    let mut connection = TcpStream::connect_timeout(&address(config)?, TIMEOUT)?;
    connection.set_read_timeout(Some(TIMEOUT))?;
    connection.set_write_timeout(Some(TIMEOUT))?;
    connection.write_all(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    connection.take(MAX_ANSWER_BYTES).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Where the server is reached from this machine: "all addresses" is no address to connect to.
fn address(config: &Config) -> io::Result<SocketAddr> {
    let host = match config.host.parse::<IpAddr>() {
        Ok(any) if any.is_unspecified() && any.is_ipv4() => "127.0.0.1",
        Ok(any) if any.is_unspecified() => "::1",
        _ => &config.host,
    };
    let mut addresses = (host, config.port).to_socket_addrs()?;
    addresses.next().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the host name has no address"))
}
