//! Where a render worker listens: a socket file of this machine, or a host and a port.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Longest path that the system takes for a socket file (`sun_path`), with room for the ending of its successor.
const LONGEST_PATH_BYTES: usize = 90;

/// What an [`Address`] looks like, for messages about one that does not.
pub const ADDRESS_FORM: &str = "unix:///path/of/a/socket (at most 90 bytes of path) or tcp://host:port";

/// Where a render worker listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// A socket file: only this machine reaches it, and only whom the rights of the file let in.
    Unix(PathBuf),
    /// A TCP port. A name may lead to several addresses, each of which is a worker.
    Tcp {
        /// A name, or an address (IPv6 without brackets).
        host: String,
        /// The port.
        port: u16,
    },
}

/// The text is no address of a worker.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not {ADDRESS_FORM}")]
pub struct AddressError(String);

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let refused = || AddressError(text.chars().take(120).collect());
        if let Some(path) = text.strip_prefix("unix://") {
            let fits = path.starts_with('/') && path.len() > 1 && path.len() <= LONGEST_PATH_BYTES && !path.contains('\0');
            return if fits { Ok(Self::Unix(PathBuf::from(path))) } else { Err(refused()) };
        }
        let (host, port) = text.strip_prefix("tcp://").and_then(|rest| rest.rsplit_once(':')).ok_or_else(refused)?;
        let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(refused)?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = bracketed.unwrap_or(host);
        let is_name = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
        let is_address = bracketed.is_some() && host.parse::<std::net::Ipv6Addr>().is_ok();
        if host.is_empty() || host.len() > 253 || !(is_address || bracketed.is_none() && is_name) {
            return Err(refused());
        }
        Ok(Self::Tcp { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(formatter, "unix://{}", path.display()),
            Self::Tcp { host, port } if host.contains(':') => write!(formatter, "tcp://[{host}]:{port}"),
            Self::Tcp { host, port } => write!(formatter, "tcp://{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_it_is_written() {
        for text in
            ["unix:///run/pulp-engine/render.sock", "tcp://render:9100", "tcp://10.0.0.7:9100", "tcp://[::1]:9100", "tcp://r_1.a-b:1"]
        {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_two_forms() {
        let long = format!("unix:///{}", "x".repeat(LONGEST_PATH_BYTES));
        for text in [
            "",
            "render:9100",
            "unix://",
            "unix:///",
            "unix://relative",
            "tcp://",
            "tcp://render",
            "tcp://:1",
            "tcp://a:0",
            "tcp://a:70000",
            "tcp://::1:9",
            "tcp://[a]:9",
            "tcp://a/b:9",
            "http://a:9",
            &long,
        ] {
            let said = text.parse::<Address>().unwrap_err().to_string();
            assert!(said.contains("unix:///path") && said.contains("tcp://host:port"), "{said}");
        }
    }
}
