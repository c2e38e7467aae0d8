//! The outbound guard: whatever it lets through is on the public Internet or on the operator's list.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use domain::addresses::AddressClass;
use domain::outbound::{OutboundHost, OutboundPolicy, PlainHttp, check_url, judge_resolution};
use fuzz::arbitrary::{self, Unstructured};
use fuzz::{changed, search, text};

/// Addresses at which mistakes are made.
const NOTABLE: [&str; 24] = [
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.1",
    "192.0.2.1",
    "192.168.0.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "8.8.8.8",
    "::",
    "::1",
    "64:ff9b::",
    "64:ff9b:1::",
    "100::",
    "2001::",
    "2001:db8::",
    "2002::",
    "fc00::",
    "fe80::",
    "2606:4700::",
];

fn address(random: &mut Unstructured<'_>) -> arbitrary::Result<IpAddr> {
    let notable: IpAddr = random.choose(&NOTABLE)?.parse().unwrap();
    Ok(match (notable, random.int_in_range(0..=5)?) {
        (IpAddr::V4(_), 0) => IpAddr::V4(random.arbitrary::<u32>()?.into()),
        (IpAddr::V4(near), 1) => IpAddr::V4((u32::from(near) ^ (1 << random.int_in_range(0..=31)?)).into()),
        (IpAddr::V4(inner), 2) => IpAddr::V6(inner.to_ipv6_mapped()),
        (IpAddr::V4(inner), 3) => IpAddr::V6((0x64_ff9b_u128 << 96 | u128::from(u32::from(inner))).into()),
        (IpAddr::V4(inner), 4) => IpAddr::V6((0x2002_u128 << 112 | u128::from(u32::from(inner)) << 80).into()),
        (IpAddr::V6(_), 0) => IpAddr::V6(random.arbitrary::<u128>()?.into()),
        (IpAddr::V6(near), 1 | 2) => IpAddr::V6((u128::from(near) ^ (1 << random.int_in_range(0..=127)?)).into()),
        (IpAddr::V6(prefix), 3) => IpAddr::V6((u128::from(prefix) | u128::from(random.arbitrary::<u64>()?)).into()),
        (notable, _) => notable,
    })
}

/// Said anew with what the standard library knows, and with arithmetic for the rest.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => address.to_ipv4_mapped().map_or_else(|| is_public_v6(address), is_public_v4),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let std = address.is_private() || address.is_loopback() || address.is_link_local() || address.is_multicast();
    let more = address.is_broadcast() || address.is_documentation() || address.is_unspecified();
    let special = a == 0 || a >= 240 || (a, b & 0xc0) == (100, 64) || (a, b, c) == (192, 0, 0) || (a, b, c) == (192, 88, 99);
    !std && !more && !special && (a, b & 0xfe) != (198, 18) && address != Ipv4Addr::new(168, 63, 129, 16)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let bits = u128::from(address);
    let begins = |prefix: u128, length: u32| bits >> (128 - length) == prefix >> (128 - length);
    if begins(0x64_ff9b << 96, 96) {
        return is_public_v4(Ipv4Addr::from(u32::try_from(bits & 0xffff_ffff).unwrap()));
    }
    // 2000::/3 without 2001::/23, the two ranges for documentation and 6to4.
    begins(0x2000 << 112, 3)
        && !begins(0x2001 << 112, 23)
        && !begins(0x2001_0db8 << 96, 32)
        && !begins(0x3fff << 112, 20)
        && !begins(0x2002 << 112, 16)
}

#[test]
fn an_address_is_public_exactly_when_a_second_opinion_says_so() {
    let (mut public, mut other) = (0, 0);
    search(|random| {
        let address = address(random)?;
        let class = AddressClass::of(address);
        assert_eq!(class.is_public(), is_public(address), "{address} is {class}");
        assert!(!(class.is_public() && class.is_internal()));
        if class.is_public() {
            public += 1;
        } else {
            other += 1;
        }
        Ok(())
    });
    assert!(public > 100 && other > 100, "{public} public, {other} other");
}

#[test]
fn whatever_resolution_is_accepted_is_public_or_on_the_list_and_pinned_as_it_is() {
    let policy = OutboundPolicy::default().allowing("minio, 10.0.0.0/24, fd00::/64, 64:ff9b::a00:1").unwrap();
    let (mut accepted, mut refused) = (0, 0);
    search(|random| {
        let name = *random.choose(&["example.com", "minio"])?;
        let host = OutboundHost::Name(name.parse().unwrap());
        let addresses: Vec<IpAddr> = (0..random.int_in_range(0..=4)?).map(|_| address(random)).collect::<Result<_, _>>()?;
        let listed = |address: &IpAddr| match address.to_canonical() {
            IpAddr::V4(address) => address.octets()[..3] == [10, 0, 0],
            IpAddr::V6(address) => address.segments()[..4] == [0xfd00, 0, 0, 0] || address == "64:ff9b::a00:1".parse::<Ipv6Addr>().unwrap(),
        };
        let named = |address: &IpAddr| name == "minio" && AddressClass::of(*address).is_internal();
        let expected = !addresses.is_empty() && addresses.iter().all(|address| is_public(*address) || listed(address) || named(address));
        match judge_resolution(&host, &addresses, &policy) {
            Ok(pinned) => {
                assert!(expected, "{addresses:?}");
                assert_eq!((pinned.host(), pinned.addresses()), (&host, &*addresses));
                accepted += 1;
            }
            Err(refusal) => {
                assert!(!expected, "{addresses:?}: {refusal}");
                refused += 1;
            }
        }
        Ok(())
    });
    assert!(accepted > 100 && refused > 100, "{accepted} accepted, {refused} refused");
}

/// How C's resolver reads a host before it asks any name server: one to four decimal, octal or hexadecimal numbers.
fn is_number_to_c(host: &str) -> bool {
    let number = |part: &str| {
        let lower = part.to_ascii_lowercase();
        let (digits, radix) = match lower.strip_prefix("0x") {
            Some(digits) => (digits, 16),
            None if lower.len() > 1 && lower.starts_with('0') => (&lower[1..], 8),
            None => (&lower[..], 10),
        };
        !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix))
    };
    host.split('.').count() <= 4 && host.split('.').all(number)
}

#[test]
fn whatever_url_is_accepted_shows_the_host_that_is_called() {
    let seeds = [
        "https://example.com/hook?a=b",
        "http://8.8.8.8:8080/",
        "https://[2606:4700::1111]/x",
        "https://xn--mnchen-3ya.de:8443",
        "https://127.0.0.1/",
        "https://0x7f.1/",
        "https://2130706433/",
        "https://user:pass@example.com/",
        "https://[::ffff:127.0.0.1]/",
        "https://minio:9000/bucket",
        "https://metadata.google.internal/",
        "https://8.8.8.8./",
    ];
    let words = [
        "@",
        ":",
        "/",
        "\\",
        "#",
        "?",
        "%2e",
        "%31",
        "[",
        "]",
        ".",
        "0x",
        "0",
        "127.1",
        "localhost",
        "。",
        "\u{ad}",
        "１",
        ":443",
        "::",
        "\t",
        "https://",
        "http:",
    ];
    let policy = OutboundPolicy { plain_http: PlainHttp::Allowed, ..OutboundPolicy::default() }.allowing("minio").unwrap();
    let (mut accepted, mut refused) = (0, 0);
    search(|random| {
        let seed = *random.choose(&seeds)?;
        let one = changed(random, seed, &words)?;
        let Ok(url) = check_url(&one, &policy) else {
            refused += 1;
            let _ = check_url(&text(random, 60, "https://[]0x127.1@:%\\")?, &policy);
            return Ok(());
        };
        accepted += 1;
        // What a person reads, and what the crudest parser takes for the host.
        let shown = one.split_once("://").unwrap().1.split(['/', '?', '#', '\\']).next().unwrap();
        assert!(!shown.contains(['@', '%']) && shown.is_ascii(), "{one}");
        let called = url::Url::parse(url.as_str()).unwrap();
        assert_eq!(called.port_or_known_default(), Some(url.port()), "{one}");
        assert!(called.username().is_empty() && called.password().is_none(), "{one}");
        match url.host() {
            OutboundHost::Name(name) => {
                assert_eq!(called.host_str(), Some(name.as_str()), "{one}");
                assert!(shown.to_ascii_lowercase().starts_with(name.as_str()), "{one}");
                assert!(!is_number_to_c(name.as_str()) && !name.as_str().ends_with('.'), "{one}");
                assert!(name.as_str() == "minio" || name.as_str().contains('.') && !name.as_str().ends_with(".localhost"), "{one}");
            }
            OutboundHost::Address(address) => {
                assert!(is_public(*address), "{one}");
                let shown: IpAddr = shown
                    .parse()
                    .or_else(|_| shown.split(']').next().unwrap().trim_start_matches('[').parse())
                    .or_else(|_| shown.split(':').next().unwrap().parse())
                    .unwrap();
                assert_eq!(shown, *address, "{one}");
            }
        }
        Ok(())
    });
    assert!(accepted > 100 && refused > 100, "{accepted} accepted, {refused} refused");
}
