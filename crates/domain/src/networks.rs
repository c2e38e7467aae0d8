//! IP networks in settings and on API keys.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A network such as `10.0.0.0/8` or `2001:db8::/32`, or one address. IPv4 written as IPv6 (`::ffff:10.0.0.0/104`) is IPv4.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IpNetwork {
    first: IpAddr,
    /// 0–32 for IPv4, 0–128 for IPv6.
    prefix_bits: u8,
}

/// The text is not a network.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidIpNetwork {
    /// Neither an address nor a network.
    #[error("not an IP address such as 192.0.2.7, nor a network such as 192.0.2.0/24 or 2001:db8::/32")]
    Syntax,
    /// The length of the prefix is no plain number, or more than the address has bits.
    #[error("the length after the slash must be 0–{most}")]
    Prefix {
        /// 32 or 128.
        most: u8,
    },
    /// The address has bits set after the prefix: a typing error in either would silently change who is meant.
    #[error("the address has bits set beyond the prefix; the network is {meant}, the single address {address}")]
    HostBits {
        /// The network that contains the address.
        meant: IpNetwork,
        /// The address without the prefix.
        address: IpAddr,
    },
}

/// A list of networks has an entry that is none.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidNetworkList {
    /// One entry is wrong.
    #[error("{entry:?}: {why}")]
    Entry {
        /// The entry, at most 60 characters of it.
        entry: Box<str>,
        /// What is wrong with it.
        why: InvalidIpNetwork,
    },
    /// Too many entries.
    #[error("at most {} networks are accepted, {found} were given", IpNetwork::MAX_LIST)]
    TooMany {
        /// How many there are.
        found: usize,
    },
}

impl IpNetwork {
    /// The most networks of one list: each request that the list decides about walks it.
    pub const MAX_LIST: usize = 256;

    /// The network of one address.
    pub fn single(address: IpAddr) -> Self {
        let first = address.to_canonical();
        Self { first, prefix_bits: bits(first) }
    }

    /// A network that is right as written in this source.
    pub(crate) const fn v4(octets: [u8; 4], prefix_bits: u8) -> Self {
        Self { first: IpAddr::V4(Ipv4Addr::from_octets(octets)), prefix_bits }
    }

    /// A network that is right as written in this source.
    pub(crate) const fn v6(segments: [u16; 8], prefix_bits: u8) -> Self {
        Self { first: IpAddr::V6(Ipv6Addr::from_segments(segments)), prefix_bits }
    }

    /// Whether the address belongs to it. IPv4 addresses in IPv6 spelling count as IPv4, so `::/0` has no IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix_bits)).unwrap_or(0);
                (u32::from(first) ^ u32::from(address)) & mask == 0
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix_bits)).unwrap_or(0);
                (u128::from(first) ^ u128::from(address)) & mask == 0
            }
            _ => false,
        }
    }

    /// The networks of a comma-separated list, with or without spaces around the entries; none of an empty text.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, InvalidNetworkList> {
        if text.trim().is_empty() {
            return Ok(Vec::new());
        }
        let found = text.split(',').count();
        if found > Self::MAX_LIST {
            return Err(InvalidNetworkList::TooMany { found });
        }
        let parse = |entry: &str| {
            let entry = entry.trim();
            entry.parse().map_err(|why| InvalidNetworkList::Entry { entry: entry.chars().take(60).collect(), why })
        };
        text.split(',').map(parse).collect()
    }

    fn masked(address: IpAddr, prefix_bits: u8) -> IpAddr {
        match address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(prefix_bits)).unwrap_or(0);
                IpAddr::V4((u32::from(address) & mask).into())
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(prefix_bits)).unwrap_or(0);
                IpAddr::V6((u128::from(address) & mask).into())
            }
        }
    }
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

impl FromStr for IpNetwork {
    type Err = InvalidIpNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidIpNetwork> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let written: IpAddr = address.parse().map_err(|_| InvalidIpNetwork::Syntax)?;
        let Some(prefix) = prefix else { return Ok(Self::single(written)) };

        let most = bits(written);
        let plain = prefix.bytes().all(|byte| byte.is_ascii_digit()) && (prefix == "0" || !prefix.starts_with('0'));
        let prefix_bits = prefix.parse().ok().filter(|number| plain && *number <= most).ok_or(InvalidIpNetwork::Prefix { most })?;
        // As 96 bits and more of IPv6 spell a network of IPv4, so fewer bits spell one that merely begins like it.
        let (address, prefix_bits) = match written.to_canonical() {
            IpAddr::V4(address) if written.is_ipv6() && prefix_bits >= 96 => (IpAddr::V4(address), prefix_bits - 96),
            _ => (written, prefix_bits),
        };
        let first = Self::masked(address, prefix_bits);
        let network = Self { first, prefix_bits };
        if first == address { Ok(network) } else { Err(InvalidIpNetwork::HostBits { meant: network, address }) }
    }
}

impl TryFrom<String> for IpNetwork {
    type Error = InvalidIpNetwork;

    fn try_from(text: String) -> Result<Self, InvalidIpNetwork> {
        text.parse()
    }
}

impl From<IpNetwork> for String {
    fn from(network: IpNetwork) -> Self {
        network.to_string()
    }
}

impl fmt::Display for IpNetwork {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.prefix_bits == bits(self.first) {
            self.first.fmt(formatter)
        } else {
            write!(formatter, "{}/{}", self.first, self.prefix_bits)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> IpNetwork {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_has_its_first_and_last_address_and_not_their_neighbours() {
        for (text, inside, outside) in [
            ("10.0.0.0/8", &["10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3"][..], &["9.255.255.255", "11.0.0.0", "::10.0.0.1"][..]),
            ("192.0.2.7", &["192.0.2.7"], &["192.0.2.6", "192.0.2.8"]),
            ("192.0.2.7/32", &["192.0.2.7"], &["192.0.2.6"]),
            ("0.0.0.0/0", &["0.0.0.0", "255.255.255.255", "::ffff:1.2.3.4"], &["::1", "::"]),
            ("::/0", &["::", "ffff::", "::7f00:1"], &["1.2.3.4", "::ffff:1.2.3.4"]),
            ("2001:db8::/33", &["2001:db8:7fff:ffff::1"], &["2001:db8:8000::", "2001:db7:ffff::"]),
            ("::ffff:10.0.0.0/104", &["10.9.9.9"], &["11.0.0.0"]),
            ("::ffff:0.0.0.0/96", &["10.9.9.9", "255.0.0.1"], &["::1"]),
            ("::1", &["::1"], &["::", "::2", "0.0.0.1"]),
        ] {
            for address in inside {
                assert!(network(text).contains(address.parse().unwrap()), "{address} in {text}");
            }
            for address in outside {
                assert!(!network(text).contains(address.parse().unwrap()), "{address} not in {text}");
            }
        }
    }

    #[test]
    fn a_network_is_written_back_in_its_shortest_form_and_read_again() {
        for (text, written) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("192.0.2.7/32", "192.0.2.7"),
            ("2001:DB8:0::/32", "2001:db8::/32"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(network(text).to_string(), written);
            assert_eq!(network(written), network(text));
            assert_eq!(serde_json::from_str::<IpNetwork>(&serde_json::to_string(&network(text)).unwrap()).unwrap(), network(text));
        }
    }

    #[test]
    fn what_is_not_plainly_one_network_is_refused() {
        for text in ["", "/8", "10", "10.0.0", "010.0.0.1", "0x0a.0.0.1", "example.com", "fe80::1%eth0", " 10.0.0.1", "[::1]"] {
            assert_eq!(text.parse::<IpNetwork>(), Err(InvalidIpNetwork::Syntax), "{text}");
        }
        for (text, most) in [
            ("10.0.0.0/33", 32),
            ("10.0.0.0/", 32),
            ("10.0.0.0/08", 32),
            ("10.0.0.0/+8", 32),
            ("10.0.0.0/8/8", 32),
            ("::/129", 128),
            ("::/256", 128),
        ] {
            let refusal = text.parse::<IpNetwork>();
            assert!(refusal == Err(InvalidIpNetwork::Prefix { most }), "{text} gave {refusal:?}");
        }
        for (text, message) in [
            ("10.0.0.7/8", "the address has bits set beyond the prefix; the network is 10.0.0.0/8, the single address 10.0.0.7"),
            ("::1/64", "the address has bits set beyond the prefix; the network is ::/64, the single address ::1"),
            (
                "::ffff:10.0.0.0/90",
                "the address has bits set beyond the prefix; the network is ::ffc0:0:0/90, the single address ::ffff:10.0.0.0",
            ),
        ] {
            assert_eq!(text.parse::<IpNetwork>().unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn a_list_names_its_wrong_entry() {
        assert_eq!(IpNetwork::parse_list(" 10.0.0.0/8 ,::1"), Ok(vec![network("10.0.0.0/8"), network("::1")]));
        assert_eq!(IpNetwork::parse_list("  "), Ok(vec![]));
        for text in ["10.0.0.0/8,", ",", "10.0.0.0/8,,::1", "10.0.0.0/8;::1"] {
            assert!(IpNetwork::parse_list(text).is_err(), "{text}");
        }
        let refusal = IpNetwork::parse_list("::1, office").unwrap_err().to_string();
        assert!(refusal.starts_with("\"office\": not an IP address"), "{refusal}");
        let many = ["::1"; 257].join(",");
        assert_eq!(IpNetwork::parse_list(&many), Err(InvalidNetworkList::TooMany { found: 257 }));
    }
}
