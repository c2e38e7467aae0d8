//! Which addresses outside the server may call on somebody else's behalf: images, data, webhooks, identity providers.
//!
//! Whoever calls out does it in this order: [`check_url`], resolve the name once, [`judge_resolution`], connect to exactly the
//! pinned addresses. A redirect is a new URL and starts over; a name that resolves otherwise a second later changes nothing.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use url::{Host, Url};

use crate::addresses::AddressClass;
use crate::host_names::{HostName, InvalidHostName};
use crate::networks::{InvalidIpNetwork, IpNetwork};

/// What an operator allows.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct OutboundPolicy {
    /// Whether calls may be unencrypted.
    pub plain_http: PlainHttp,
    /// Which ports may be called.
    pub ports: Ports,
    /// Hosts of which the addresses may be internal ([`AddressClass::is_internal`]), and whose names may be.
    pub allowed_hosts: Vec<HostName>,
    /// Networks that may be called although they are not public.
    pub allowed_networks: Vec<IpNetwork>,
}

/// Whether calls may be unencrypted.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum PlainHttp {
    /// Only `https`.
    #[default]
    Refused,
    /// `http` as well.
    Allowed,
}

/// Which ports may be called. Port 0 never may.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub enum Ports {
    /// The scheme's own and those from 1024 up: below live mail, terminals and other services that can be made to act on
    /// lines inside an HTTP request.
    #[default]
    OwnAndUnprivileged,
    /// These alone.
    Only(Vec<u16>),
}

/// A host in a URL.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum OutboundHost {
    /// A name to resolve.
    Name(HostName),
    /// An address to call as it is.
    Address(IpAddr),
}

/// A URL that may be called once its host's addresses are judged too.
#[derive(Clone, PartialEq, Eq)]
pub struct OutboundUrl {
    url: Url,
    host: OutboundHost,
    port: u16,
}

/// The judged addresses of one host. Connect to one of these and to nothing else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pinned {
    host: OutboundHost,
    addresses: Vec<IpAddr>,
}

/// Why a target outside is refused. The text is for the operator's log: to a client, the difference between two of these would
/// describe the inner network.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum OutboundRefusal {
    /// Longer than any proxy and server is sure to take.
    #[error("the URL has {size_bytes} bytes; at most {} are accepted", OutboundUrl::MAX_BYTES)]
    TooLong {
        /// Its length.
        size_bytes: usize,
    },
    /// Spaces, control characters or backslashes, which parsers repair in different ways.
    #[error("the URL contains a space, a control character or a backslash")]
    Characters,
    /// Not `https://` (or `http://`, where that is allowed).
    #[error("the URL begins with {found:?} instead of https://")]
    Scheme {
        /// What it begins with, at most 20 characters.
        found: Box<str>,
    },
    /// Unencrypted, which this server does not allow.
    #[error("the URL is http; only https is allowed")]
    PlainHttp,
    /// A name or password before the host, which also serves to disguise the host.
    #[error("the URL has a user name or password")]
    UserInfo,
    /// The host is missing or cannot be one.
    #[error("the URL's host {host:?} is not acceptable: {why}")]
    Host {
        /// As written, at most 100 characters.
        host: Box<str>,
        /// What is wrong with it.
        why: HostFlaw,
    },
    /// The port is not one that may be called.
    #[error("port {port} may not be called")]
    Port {
        /// The port; 0 when what was written is none.
        port: u16,
    },
    /// The host name has no address.
    #[error("{host} has no address")]
    NoAddress {
        /// The host.
        host: OutboundHost,
    },
    /// At least one of the host's addresses is not public and not on the operator's list. One is enough: which one a connection
    /// would use is chance, or the attacker's choice.
    #[error("{host} has the address {address}, which is {class}; the operator's list does not name it")]
    Address {
        /// The host.
        host: OutboundHost,
        /// The address.
        address: IpAddr,
        /// Its kind.
        class: AddressClass,
    },
    /// The host is an address and was resolved to another one.
    #[error("{host} was resolved to {address}")]
    OtherAddress {
        /// The host.
        host: OutboundHost,
        /// What it was resolved to.
        address: IpAddr,
    },
}

/// What is wrong with a host in a URL.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum HostFlaw {
    /// It means another host than it shows: a number, an octal or short IPv4 address, percent signs, characters that are mapped.
    #[error("it is read as {read_as:?}; write it so")]
    Spelling {
        /// What it means, at most 100 characters.
        read_as: Box<str>,
    },
    /// No name and no address.
    #[error(transparent)]
    Name(#[from] InvalidHostName),
    /// No parser makes a host of it.
    #[error("it cannot be read")]
    Unreadable,
    /// A name that means something inside a network only, and is not on the operator's list.
    #[error("it is a name of inner networks; the operator's list does not name it")]
    Internal,
}

/// An entry of the list of allowed targets is neither a host nor a network.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidAllowedTarget {
    /// It has digits and no letters, or a slash, so it was meant as a network.
    #[error("{entry:?}: {why}")]
    Network {
        /// The entry, at most 100 characters.
        entry: Box<str>,
        /// What is wrong with it.
        why: InvalidIpNetwork,
    },
    /// It was meant as a host.
    #[error("{entry:?}: {why}")]
    Host {
        /// The entry, at most 100 characters.
        entry: Box<str>,
        /// What is wrong with it.
        why: InvalidHostName,
    },
}

impl OutboundPolicy {
    /// The same with the targets of a comma-separated list of host names and networks allowed as well.
    pub fn allowing(mut self, list: &str) -> Result<Self, InvalidAllowedTarget> {
        for entry in list.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            match entry.parse() {
                Ok(network) => self.allowed_networks.push(network),
                Err(why) if entry.contains(['/', ':']) => return Err(InvalidAllowedTarget::Network { entry: cut(entry, 100), why }),
                Err(_) => {
                    let why = |why| InvalidAllowedTarget::Host { entry: cut(entry, 100), why };
                    self.allowed_hosts.push(entry.parse().map_err(why)?);
                }
            }
        }
        Ok(self)
    }

    fn judge(&self, host: &OutboundHost, address: IpAddr) -> Result<(), OutboundRefusal> {
        let class = AddressClass::of(address);
        let by_name = || matches!(host, OutboundHost::Name(name) if class.is_internal() && self.allowed_hosts.contains(name));
        if class.is_public() || by_name() || self.allowed_networks.iter().any(|network| network.contains(address)) {
            Ok(())
        } else {
            Err(OutboundRefusal::Address { host: host.clone(), address, class })
        }
    }

    fn judge_port(&self, port: u16, own: u16) -> Result<(), OutboundRefusal> {
        let allowed = match &self.ports {
            Ports::OwnAndUnprivileged => port == own || port >= 1024,
            Ports::Only(ports) => ports.contains(&port),
        };
        if allowed && port != 0 { Ok(()) } else { Err(OutboundRefusal::Port { port }) }
    }
}

/// Reads a URL that the server is asked to call. Its parser is the one the HTTP client uses, and it must have had nothing to
/// correct: what a person reads, what is judged and what is called are then the same host.
pub fn check_url(text: &str, policy: &OutboundPolicy) -> Result<OutboundUrl, OutboundRefusal> {
    if text.len() > OutboundUrl::MAX_BYTES {
        return Err(OutboundRefusal::TooLong { size_bytes: text.len() });
    }
    if text.contains(|character: char| character.is_control() || character.is_whitespace() || character == '\\') {
        return Err(OutboundRefusal::Characters);
    }
    let (scheme, rest) = text.split_once("://").unwrap_or((text, ""));
    let own_port = match scheme.to_ascii_lowercase().as_str() {
        "https" => 443,
        "http" if policy.plain_http == PlainHttp::Allowed => 80,
        "http" => return Err(OutboundRefusal::PlainHttp),
        _ => return Err(OutboundRefusal::Scheme { found: cut(scheme, 20) }),
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err(OutboundRefusal::UserInfo);
    }
    let (written, port) = split_port(authority)?;
    let port = port.unwrap_or(own_port);

    let refused = |why| OutboundRefusal::Host { host: cut(written, 100), why };
    let url = Url::parse(text).map_err(|_| refused(HostFlaw::Unreadable))?;
    let host = url.host().ok_or_else(|| refused(HostFlaw::Unreadable))?;
    let host = read_host(written, &host).map_err(refused)?;
    if url.port_or_known_default() != Some(port) {
        return Err(OutboundRefusal::Port { port });
    }
    policy.judge_port(port, own_port)?;
    match &host {
        OutboundHost::Name(name) if name.is_internal() && !policy.allowed_hosts.contains(name) => Err(refused(HostFlaw::Internal)),
        OutboundHost::Name(_) => Ok(()),
        OutboundHost::Address(address) => policy.judge(&host, *address),
    }?;
    Ok(OutboundUrl { url, host, port })
}

/// Judges what a host's name was resolved to: every address must be public, or allowed by the operator. For a host that is an
/// address, that address is what it was resolved to.
pub fn judge_resolution(host: &OutboundHost, addresses: &[IpAddr], policy: &OutboundPolicy) -> Result<Pinned, OutboundRefusal> {
    if addresses.is_empty() {
        return Err(OutboundRefusal::NoAddress { host: host.clone() });
    }
    for address in addresses {
        if let OutboundHost::Address(literal) = host
            && literal != address
        {
            return Err(OutboundRefusal::OtherAddress { host: host.clone(), address: *address });
        }
        policy.judge(host, *address)?;
    }
    Ok(Pinned { host: host.clone(), addresses: addresses.to_vec() })
}

/// The host as written, and the port if one is.
fn split_port(authority: &str) -> Result<(&str, Option<u16>), OutboundRefusal> {
    let end_of_host = if authority.starts_with('[') { authority.find(']').map_or(authority.len(), |end| end + 1) } else { 0 };
    let Some(colon) = authority[end_of_host..].find(':').map(|position| end_of_host + position) else { return Ok((authority, None)) };
    let (host, digits) = (&authority[..colon], &authority[colon + 1..]);
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    let port = digits.parse().ok().filter(|_| plain).ok_or(OutboundRefusal::Port { port: 0 })?;
    Ok((host, Some(port)))
}

/// The host, if what was written is what was read.
fn read_host(written: &str, read: &Host<&str>) -> Result<OutboundHost, HostFlaw> {
    let same = match read {
        Host::Domain(name) => written.eq_ignore_ascii_case(name),
        Host::Ipv4(address) => written.parse::<Ipv4Addr>().is_ok_and(|written| written == *address),
        Host::Ipv6(address) => {
            let written = written.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
            written.and_then(|written| written.parse::<Ipv6Addr>().ok()).is_some_and(|written| written == *address)
        }
    };
    match read {
        _ if !same => Err(HostFlaw::Spelling { read_as: cut(&read.to_string(), 100) }),
        Host::Domain(name) => Ok(OutboundHost::Name(name.parse()?)),
        Host::Ipv4(address) => Ok(OutboundHost::Address(IpAddr::V4(*address))),
        Host::Ipv6(address) => Ok(OutboundHost::Address(IpAddr::V6(*address))),
    }
}

fn cut(text: &str, characters: usize) -> Box<str> {
    text.chars().take(characters).collect()
}

impl OutboundUrl {
    /// The longest URL: what common proxies and servers take.
    pub const MAX_BYTES: usize = 2048;

    /// The whole URL, as it is called. Paths and queries of webhooks often are secrets: log the value itself instead,
    /// which shows the origin only.
    pub fn as_str(&self) -> &str {
        self.url.as_str()
    }

    /// The host to resolve.
    pub fn host(&self) -> &OutboundHost {
        &self.host
    }

    /// The port to connect to.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Pinned {
    /// The host whose addresses these are.
    pub fn host(&self) -> &OutboundHost {
        &self.host
    }

    /// The addresses, in the order in which they were resolved; at least one.
    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// Where to connect.
    pub fn sockets(&self, port: u16) -> impl Iterator<Item = SocketAddr> {
        self.addresses.iter().map(move |address| SocketAddr::new(*address, port))
    }
}

impl fmt::Display for OutboundUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}:{}", self.url.scheme(), self.host, self.port)
    }
}

impl fmt::Debug for OutboundUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "OutboundUrl({self})")
    }
}

impl fmt::Display for OutboundHost {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(formatter),
            Self::Address(IpAddr::V6(address)) => write!(formatter, "[{address}]"),
            Self::Address(address) => address.fmt(formatter),
        }
    }
}
