//! What kind of network an IP address belongs to: which ones are the public Internet, and why the others are not.
//!
//! The ranges are those of the IANA registries of special-purpose IPv4 and IPv6 addresses (RFC 6890 and its
//! successors). IPv6 outside 2000::/3 has not been given to anybody as global unicast, so it is never public.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::networks::IpNetwork;

/// The kind of an address. Only [`AddressClass::Public`] may be called without an operator having named it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AddressClass {
    /// Global unicast: somebody on the Internet.
    Public,
    /// No address: `0.0.0.0`, `::`; connecting to it reaches this machine.
    Unspecified,
    /// `0.0.0.0/8`, this network without a number.
    ThisNetwork,
    /// This machine.
    Loopback,
    /// A private network (RFC 1918).
    Private,
    /// Shared with a carrier's NAT (RFC 6598); clouds have services there.
    Shared,
    /// The cable this machine is on; clouds serve credentials at `169.254.169.254`.
    LinkLocal,
    /// A private IPv6 network (RFC 4193); clouds serve credentials there as well.
    UniqueLocal,
    /// The deprecated private IPv6 networks.
    SiteLocal,
    /// Many receivers.
    Multicast,
    /// All receivers.
    Broadcast,
    /// For examples in texts.
    Documentation,
    /// For measuring network devices.
    Benchmarking,
    /// Set aside for protocols (`192.0.0.0/24`, `192.88.99.0/24`, `2001::/23`).
    ProtocolAssignments,
    /// A public-looking address that a cloud's own host answers on every machine (`168.63.129.16`).
    PlatformService,
    /// Swallows what is sent to it (RFC 6666).
    Discard,
    /// A hash of a key, no place (RFC 4843, RFC 7343).
    Orchid,
    /// An IPv4 address in the deprecated compatible spelling, `::a.b.c.d`.
    Ipv4Compatible,
    /// An address behind a local translator, `64:ff9b:1::/48`, whose IPv4 address only that translator knows.
    LocalNat64,
    /// A tunnel over IPv4 through relays nobody answers for, `2002::/16`.
    SixToFour,
    /// A tunnel through a relay, `2001::/32`.
    Teredo,
    /// Not given to anybody.
    Reserved,
}

use AddressClass as C;

/// The first that contains the address counts.
const V4: [(IpNetwork, AddressClass); 18] = [
    (IpNetwork::v4([0, 0, 0, 0], 32), C::Unspecified),
    (IpNetwork::v4([0, 0, 0, 0], 8), C::ThisNetwork),
    (IpNetwork::v4([10, 0, 0, 0], 8), C::Private),
    (IpNetwork::v4([100, 64, 0, 0], 10), C::Shared),
    (IpNetwork::v4([127, 0, 0, 0], 8), C::Loopback),
    (IpNetwork::v4([168, 63, 129, 16], 32), C::PlatformService),
    (IpNetwork::v4([169, 254, 0, 0], 16), C::LinkLocal),
    (IpNetwork::v4([172, 16, 0, 0], 12), C::Private),
    (IpNetwork::v4([192, 0, 0, 0], 24), C::ProtocolAssignments),
    (IpNetwork::v4([192, 0, 2, 0], 24), C::Documentation),
    (IpNetwork::v4([192, 88, 99, 0], 24), C::ProtocolAssignments),
    (IpNetwork::v4([192, 168, 0, 0], 16), C::Private),
    (IpNetwork::v4([198, 18, 0, 0], 15), C::Benchmarking),
    (IpNetwork::v4([198, 51, 100, 0], 24), C::Documentation),
    (IpNetwork::v4([203, 0, 113, 0], 24), C::Documentation),
    (IpNetwork::v4([224, 0, 0, 0], 4), C::Multicast),
    (IpNetwork::v4([255, 255, 255, 255], 32), C::Broadcast),
    (IpNetwork::v4([240, 0, 0, 0], 4), C::Reserved),
];

/// The first that contains the address counts; what only looks like IPv6 is judged before this list.
const V6: [(IpNetwork, AddressClass); 17] = [
    (IpNetwork::v6([0, 0, 0, 0, 0, 0, 0, 0], 128), C::Unspecified),
    (IpNetwork::v6([0, 0, 0, 0, 0, 0, 0, 1], 128), C::Loopback),
    (IpNetwork::v6([0, 0, 0, 0, 0, 0, 0, 0], 96), C::Ipv4Compatible),
    (IpNetwork::v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48), C::LocalNat64),
    (IpNetwork::v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64), C::Discard),
    (IpNetwork::v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32), C::Teredo),
    (IpNetwork::v6([0x2001, 2, 0, 0, 0, 0, 0, 0], 48), C::Benchmarking),
    (IpNetwork::v6([0x2001, 0x10, 0, 0, 0, 0, 0, 0], 28), C::Orchid),
    (IpNetwork::v6([0x2001, 0x20, 0, 0, 0, 0, 0, 0], 28), C::Orchid),
    (IpNetwork::v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), C::ProtocolAssignments),
    (IpNetwork::v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), C::Documentation),
    (IpNetwork::v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), C::SixToFour),
    (IpNetwork::v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), C::Documentation),
    (IpNetwork::v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), C::UniqueLocal),
    (IpNetwork::v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), C::LinkLocal),
    (IpNetwork::v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10), C::SiteLocal),
    (IpNetwork::v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), C::Multicast),
];

const GLOBAL_UNICAST: IpNetwork = IpNetwork::v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);
const NAT64: IpNetwork = IpNetwork::v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96);

impl AddressClass {
    /// The kind of an address. IPv4 in one of its IPv6 spellings is judged by the IPv4 address; the deprecated
    /// spellings and tunnels are public in no case.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => first(&V4, address.into()).unwrap_or(Self::Public),
            IpAddr::V6(address) => Self::of_v6(address),
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        let [.., high, low] = address.segments();
        // A network that reaches IPv4 through the well-known translator gets such addresses for every public name.
        if NAT64.contains(address.into()) {
            return Self::of(embedded(high, low).into());
        }
        let class = first(&V6, address.into())
            .unwrap_or_else(|| if GLOBAL_UNICAST.contains(address.into()) { Self::Public } else { Self::Reserved });
        let inside = match class {
            Self::Ipv4Compatible => Self::of(embedded(high, low).into()),
            Self::SixToFour => Self::of(embedded(address.segments()[1], address.segments()[2]).into()),
            _ => Self::Public,
        };
        // The log should say that somebody tried to reach 127.0.0.1, not merely how it was spelled.
        if inside == Self::Public { class } else { inside }
    }

    /// Whether the address is on the public Internet.
    pub fn is_public(self) -> bool {
        self == Self::Public
    }

    /// Whether a host that the operator allowed by its name may have such an address: an internal network or this machine.
    /// Where clouds hand out credentials it may not, whatever a name server says; that takes a network on the list.
    pub fn is_internal(self) -> bool {
        matches!(self, Self::Loopback | Self::Private | Self::Shared | Self::UniqueLocal)
    }
}

fn first(ranges: &[(IpNetwork, AddressClass)], address: IpAddr) -> Option<AddressClass> {
    ranges.iter().find(|(network, _)| network.contains(address)).map(|(_, class)| *class)
}

fn embedded(high: u16, low: u16) -> Ipv4Addr {
    (u32::from(high) << 16 | u32::from(low)).into()
}

impl fmt::Display for AddressClass {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Public => "public",
            Self::Unspecified => "unspecified",
            Self::ThisNetwork => "of this network",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::Shared => "shared with a carrier",
            Self::LinkLocal => "link-local",
            Self::UniqueLocal => "unique local",
            Self::SiteLocal => "site-local",
            Self::Multicast => "multicast",
            Self::Broadcast => "broadcast",
            Self::Documentation => "for documentation",
            Self::Benchmarking => "for benchmarking",
            Self::ProtocolAssignments => "set aside for protocols",
            Self::PlatformService => "a service of the cloud's host",
            Self::Discard => "discard-only",
            Self::Orchid => "ORCHID",
            Self::Ipv4Compatible => "IPv4-compatible IPv6",
            Self::LocalNat64 => "behind a local NAT64",
            Self::SixToFour => "6to4",
            Self::Teredo => "Teredo",
            Self::Reserved => "reserved",
        })
    }
}
