//! Where a request truly comes from, when proxies stand in front: which of their headers to believe.
//!
//! Each proxy appends the address it was called from to `X-Forwarded-For`, so the list is believed from its right end and
//! only as far as the proxies that wrote it are trusted. What stands further left anybody can have written.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU8;
use std::str::FromStr;

use crate::networks::{InvalidNetworkList, IpNetwork};

const LOOPBACK: [IpNetwork; 2] = [IpNetwork::v4([127, 0, 0, 0], 8), IpNetwork::v6([0, 0, 0, 0, 0, 0, 0, 1], 128)];
const LINK_LOCAL: [IpNetwork; 2] = [IpNetwork::v4([169, 254, 0, 0], 16), IpNetwork::v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10)];
const UNIQUE_LOCAL: [IpNetwork; 4] = [
    IpNetwork::v4([10, 0, 0, 0], 8),
    IpNetwork::v4([172, 16, 0, 0], 12),
    IpNetwork::v4([192, 168, 0, 0], 16),
    IpNetwork::v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7),
];

/// Which proxies are believed about the requests they pass on (`TRUST_PROXY`).
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub enum TrustProxy {
    /// None: the address of the connection counts (`false` or `0`).
    #[default]
    Nobody,
    /// So many proxies stand in front, each of which every request passes: `true` is one, a number says how many.
    Hops(NonZeroU8),
    /// The proxies with these addresses: a comma-separated list of networks, addresses and the words `loopback`,
    /// `linklocal` and `uniquelocal`.
    Networks(Vec<IpNetwork>),
}

/// The text is no value of `TRUST_PROXY`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidTrustProxy {
    /// Too many hops.
    #[error("at most {} proxies can be trusted by number", TrustProxy::MAX_HOPS)]
    Hops,
    /// Not a list either.
    #[error(
        "accepted are false, true (one proxy), a number of proxies, or a list of networks and the words loopback, linklocal, uniquelocal: {0}"
    )]
    List(#[from] InvalidNetworkList),
}

/// Where a request comes from, as far as somebody trusted says so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClientAddress {
    /// The caller's address; IPv4 in IPv6 spelling has become IPv4.
    pub address: IpAddr,
    /// How the caller reached the outermost trusted proxy; none when no trusted proxy says so.
    pub scheme: Option<ForwardedScheme>,
    /// Why the search for the address ended there.
    pub found_by: FoundBy,
}

/// How a request reached the outermost trusted proxy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ForwardedScheme {
    /// Unencrypted.
    Http,
    /// Encrypted.
    Https,
}

/// Why the walk through the proxies ended at an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FoundBy {
    /// It is no trusted proxy: the caller.
    NotTrusted,
    /// It is a trusted proxy that names nobody before it: it calls on its own behalf, or there are fewer proxies than configured.
    NobodyBefore,
    /// It is a trusted proxy, but what it wrote is no address: the caller is unknown. Worth a line in the log.
    UnreadableEntry,
}

impl TrustProxy {
    /// The most proxies that can be trusted by number.
    pub const MAX_HOPS: u8 = 16;

    /// Whether the server itself is called by a trusted proxy; only then do its other headers count.
    pub fn trusts_peer(&self, peer: IpAddr) -> bool {
        self.trusts(peer, 0)
    }

    /// Who calls: `peer` is the other end of the connection, the lists are the values of all `X-Forwarded-For` and
    /// `X-Forwarded-Proto` headers in the order in which they came.
    ///
    /// The walk goes from the peer leftwards and ends at the first address that is not trusted, at the end of the list or
    /// at an entry that is no address. The scheme is taken from as many places from the right as trusted proxies were passed, or
    /// from the last one there is: a proxy in between that hands on a single value is common.
    pub fn resolve(&self, peer: IpAddr, forwarded_for: &[&str], forwarded_proto: &[&str]) -> ClientAddress {
        let mut address = peer.to_canonical();
        let mut passed = 0;
        let mut entries = from_the_right(forwarded_for);
        let found_by = loop {
            if !self.trusts(address, passed) {
                break FoundBy::NotTrusted;
            }
            passed += 1;
            let Some(entry) = entries.next() else { break FoundBy::NobodyBefore };
            let Some(before) = forwarded_address(entry) else { break FoundBy::UnreadableEntry };
            address = before;
        };
        let scheme = from_the_right(forwarded_proto).take(passed).last().and_then(forwarded_scheme);
        ClientAddress { address, scheme, found_by }
    }

    fn trusts(&self, address: IpAddr, passed: usize) -> bool {
        match self {
            Self::Nobody => false,
            Self::Hops(hops) => passed < usize::from(hops.get()),
            Self::Networks(networks) => networks.iter().any(|network| network.contains(address)),
        }
    }
}

fn from_the_right<'a>(headers: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
    headers.iter().rev().flat_map(|header| header.rsplit(',')).map(str::trim)
}

/// Some load balancers write the port as well.
fn forwarded_address(entry: &str) -> Option<IpAddr> {
    let bracketed = || entry.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    let with_port = || entry.parse::<SocketAddr>().ok().map(|socket| socket.ip());
    entry.parse().ok().or_else(bracketed).or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

fn forwarded_scheme(entry: &str) -> Option<ForwardedScheme> {
    if entry.eq_ignore_ascii_case("https") {
        Some(ForwardedScheme::Https)
    } else if entry.eq_ignore_ascii_case("http") {
        Some(ForwardedScheme::Http)
    } else {
        None
    }
}

impl FromStr for TrustProxy {
    type Err = InvalidTrustProxy;

    fn from_str(text: &str) -> Result<Self, InvalidTrustProxy> {
        match text {
            "false" | "0" | "" => return Ok(Self::Nobody),
            "true" => return Ok(Self::Hops(NonZeroU8::MIN)),
            _ => {}
        }
        if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0') {
            let hops = text.parse().ok().filter(|hops: &NonZeroU8| hops.get() <= Self::MAX_HOPS);
            return hops.map(Self::Hops).ok_or(InvalidTrustProxy::Hops);
        }
        let mut networks = Vec::new();
        for entry in text.split(',').map(str::trim) {
            match entry {
                "loopback" => networks.extend(LOOPBACK),
                "linklocal" => networks.extend(LINK_LOCAL),
                "uniquelocal" => networks.extend(UNIQUE_LOCAL),
                _ => {
                    let why = |why| InvalidNetworkList::Entry { entry: entry.chars().take(60).collect(), why };
                    networks.push(entry.parse().map_err(why)?);
                }
            }
        }
        if networks.len() > IpNetwork::MAX_LIST {
            return Err(InvalidNetworkList::TooMany { found: networks.len() }.into());
        }
        Ok(Self::Networks(networks))
    }
}

impl fmt::Display for TrustProxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => formatter.write_str("false"),
            Self::Hops(hops) => hops.fmt(formatter),
            Self::Networks(networks) => formatter.write_str(&networks.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trust(text: &str) -> TrustProxy {
        text.parse().unwrap()
    }

    #[test]
    fn the_client_is_the_first_address_from_the_right_that_is_not_trusted() {
        use FoundBy::{NobodyBefore, NotTrusted, UnreadableEntry};
        let cases: &[(&str, &str, &[&str], &str, FoundBy)] = &[
            // setting, peer, X-Forwarded-For, client
            ("false", "10.0.0.1", &["1.2.3.4"], "10.0.0.1", NotTrusted),
            ("0", "10.0.0.1", &["1.2.3.4"], "10.0.0.1", NotTrusted),
            ("true", "10.0.0.1", &["9.9.9.9, 1.2.3.4"], "1.2.3.4", NotTrusted),
            ("true", "10.0.0.1", &[], "10.0.0.1", NobodyBefore),
            ("1", "10.0.0.1", &["9.9.9.9", "1.2.3.4"], "1.2.3.4", NotTrusted),
            ("2", "10.0.0.1", &["9.9.9.9, 1.2.3.4, 10.0.0.2"], "1.2.3.4", NotTrusted),
            ("2", "10.0.0.1", &["9.9.9.9", "1.2.3.4,10.0.0.2"], "1.2.3.4", NotTrusted),
            ("3", "10.0.0.1", &["1.2.3.4"], "1.2.3.4", NobodyBefore),
            ("10.0.0.0/8", "10.0.0.1", &["9.9.9.9, 10.0.0.3, 1.2.3.4, 10.0.0.2"], "1.2.3.4", NotTrusted),
            ("10.0.0.0/8", "10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3", NobodyBefore),
            ("10.0.0.0/8", "5.6.7.8", &["9.9.9.9"], "5.6.7.8", NotTrusted),
            ("loopback", "::1", &["9.9.9.9"], "9.9.9.9", NotTrusted),
            ("loopback, uniquelocal", "::ffff:127.0.0.1", &["9.9.9.9, 192.168.1.1, fd00::1"], "9.9.9.9", NotTrusted),
            ("linklocal", "fe80::1", &["2001:db8::7"], "2001:db8::7", NotTrusted),
            ("10.0.0.0/8", "10.0.0.1", &["::ffff:10.0.0.2"], "10.0.0.2", NobodyBefore),
            // Ports and brackets, as some balancers write them.
            ("true", "10.0.0.1", &["1.2.3.4:5678"], "1.2.3.4", NotTrusted),
            ("true", "10.0.0.1", &["[2001:db8::7]:5678"], "2001:db8::7", NotTrusted),
            ("true", "10.0.0.1", &["[2001:db8::7]"], "2001:db8::7", NotTrusted),
            // Whoever wrote garbage is as far as anybody can see.
            ("true", "10.0.0.1", &["1.2.3.4, unknown"], "10.0.0.1", UnreadableEntry),
            ("true", "10.0.0.1", &["1.2.3.4,"], "10.0.0.1", UnreadableEntry),
            ("true", "10.0.0.1", &["1.2.3.4", ""], "10.0.0.1", UnreadableEntry),
            ("2", "10.0.0.1", &["1.2.3.4, 010.0.0.1, 10.0.0.2"], "10.0.0.2", UnreadableEntry),
            ("10.0.0.0/8", "10.0.0.1", &["9.9.9.9, \"10.0.0.3\", 10.0.0.2"], "10.0.0.2", UnreadableEntry),
            ("10.0.0.0/8", "10.0.0.1", &["garbage, 1.2.3.4"], "1.2.3.4", NotTrusted),
            ("true", "10.0.0.1", &["1.2.3.4%eth0"], "10.0.0.1", UnreadableEntry),
            ("true", "10.0.0.1", &["127.1"], "10.0.0.1", UnreadableEntry),
        ];
        for (setting, peer, headers, client, found_by) in cases {
            let resolved = trust(setting).resolve(peer.parse().unwrap(), headers, &[]);
            assert_eq!((resolved.address.to_string().as_str(), resolved.found_by), (*client, *found_by), "{setting} {peer} {headers:?}");
        }
    }

    #[test]
    fn the_scheme_is_what_the_outermost_trusted_proxy_saw() {
        use ForwardedScheme::{Http, Https};
        type Case<'a> = (&'a str, &'a [&'a str], &'a [&'a str], Option<ForwardedScheme>);
        let cases: &[Case<'_>] = &[
            // setting, X-Forwarded-For, X-Forwarded-Proto; the peer is 10.0.0.1
            ("false", &["1.2.3.4"], &["https"], None),
            ("127.0.0.1", &["1.2.3.4"], &["https"], None),
            ("true", &["1.2.3.4"], &["https"], Some(Https)),
            ("true", &["1.2.3.4"], &["HTTP"], Some(Http)),
            ("true", &["1.2.3.4"], &[], None),
            ("true", &[], &["https"], Some(Https)),
            ("true", &["1.2.3.4"], &["wss"], None),
            // The caller forged the left one; the proxy appended what it saw.
            ("true", &["1.2.3.4"], &["https, http"], Some(Http)),
            ("true", &["1.2.3.4"], &["https", "http"], Some(Http)),
            ("2", &["1.2.3.4, 10.0.0.2"], &["https, http"], Some(Https)),
            ("2", &["1.2.3.4, 10.0.0.2"], &["http, https, http"], Some(Https)),
            // The inner proxy hands on the outer one's value.
            ("2", &["1.2.3.4, 10.0.0.2"], &["https"], Some(Https)),
            ("10.0.0.0/8", &["1.2.3.4, 10.0.0.2"], &["http, https, http"], Some(Https)),
        ];
        for (setting, hops, protos, scheme) in cases {
            let resolved = trust(setting).resolve([10, 0, 0, 1].into(), hops, protos);
            assert_eq!(resolved.scheme, *scheme, "{setting} {hops:?} {protos:?}");
        }
    }

    #[test]
    fn the_setting_says_who_is_trusted_or_what_is_wrong_with_it() {
        assert_eq!(trust("true"), trust("1"));
        assert_eq!(trust(""), TrustProxy::Nobody);
        assert_eq!(trust("loopback,10.0.0.0/8").to_string(), "127.0.0.0/8,::1,10.0.0.0/8");
        for setting in ["false", "3", "10.0.0.0/8,::1"] {
            assert_eq!(trust(setting).to_string(), setting);
        }
        for setting in ["17", "300", "99999999999"] {
            assert_eq!(setting.parse::<TrustProxy>(), Err(InvalidTrustProxy::Hops));
        }
        for setting in ["True", "yes", "01", "-1", "loopback,", "10.0.0.1/8", "proxy.example", "Loopback", "*"] {
            assert!(matches!(setting.parse::<TrustProxy>(), Err(InvalidTrustProxy::List(_))), "{setting}");
        }
    }
}
