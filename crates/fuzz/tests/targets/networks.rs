//! Networks and the walk through proxies: what a caller forges is never believed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use domain::forwarding::{ForwardedScheme, TrustProxy};
use domain::networks::IpNetwork;
use fuzz::arbitrary::{self, Unstructured};
use fuzz::{changed, search, text};

fn address(random: &mut Unstructured<'_>) -> arbitrary::Result<IpAddr> {
    Ok(match random.int_in_range(0..=3)? {
        0 => IpAddr::V6(random.arbitrary::<u128>()?.into()),
        1 => IpAddr::V6(Ipv4Addr::from(random.arbitrary::<u32>()?).to_ipv6_mapped()),
        2 => IpAddr::V6(Ipv6Addr::from(random.arbitrary::<u128>()? >> random.int_in_range(0..=127)?)),
        _ => IpAddr::V4(random.arbitrary::<u32>()?.into()),
    })
}

#[test]
fn a_network_is_read_as_it_is_written_and_contains_what_begins_alike() {
    let seeds = ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "::ffff:10.0.0.0/104", "::/0", "0.0.0.0/0", "fe80::/10"];
    let (mut accepted, mut inside) = (0, 0);
    search(|random| {
        let seed = *random.choose(&seeds)?;
        let one =
            if random.ratio(1, 4)? { seed.to_owned() } else { changed(random, seed, &["/", "0", "1", ".", ":", "::", "/32", "+", "%1"])? };
        let Ok(network) = one.parse::<IpNetwork>() else { return Ok(()) };
        accepted += 1;
        let written = network.to_string();
        assert_eq!(written.parse(), Ok(network), "{one} was written as {written}");
        let (first, length) = written.split_once('/').unwrap_or((&written, "none"));
        let first: IpAddr = first.parse().unwrap();
        let most = if first.is_ipv4() { 32 } else { 128 };
        let length = length.parse().unwrap_or(most);
        let near = if random.arbitrary()? { flipped(first, random.int_in_range(0..=most - 1)?) } else { address(random)? };
        assert!(most == 128 && first.to_canonical().is_ipv4() || network.contains(first), "{written}");
        // The network ::/90 and its like begin as IPv4 in IPv6 spelling does, and have none of it.
        let alike = first.is_ipv4() == near.to_canonical().is_ipv4() && binary(first, length) == binary(near.to_canonical(), length);
        assert_eq!(network.contains(near), alike, "{near} in {written}");
        inside += usize::from(alike);
        Ok(())
    });
    assert!(accepted > 100 && inside > 100, "{accepted} accepted, {inside} inside");
}

/// The first `length` binary digits of an address.
fn binary(address: IpAddr, length: usize) -> String {
    match address {
        IpAddr::V4(address) => format!("{:032b}", u32::from(address))[..length].to_owned(),
        IpAddr::V6(address) => format!("{:0128b}", u128::from(address))[..length].to_owned(),
    }
}

fn flipped(address: IpAddr, bit: usize) -> IpAddr {
    match address {
        IpAddr::V4(address) => IpAddr::V4((u32::from(address) ^ (1 << bit)).into()),
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) ^ (1 << bit)).into()),
    }
}

#[test]
fn lists_and_settings_are_read_without_harm() {
    search(|random| {
        let seed = *random.choose(&["loopback, uniquelocal,10.0.0.0/8", "true", "3", "::1,192.0.2.0/24"])?;
        let one = changed(random, seed, &[",", "loopback", "linklocal", " ", "0", "9", "true"])?;
        if let Ok(trust) = one.parse::<TrustProxy>() {
            assert_eq!(trust.to_string().parse(), Ok(trust), "{one}");
        }
        let noise = text(random, 300, "0123456789abcdef:./,% ")?;
        if let Ok(list) = IpNetwork::parse_list(&noise) {
            let written: Vec<_> = list.iter().map(ToString::to_string).collect();
            assert_eq!(IpNetwork::parse_list(&written.join(",")), Ok(list));
        }
        Ok(())
    });
}

/// An entry that nobody trusted wrote; these addresses occur nowhere else.
fn forged(random: &mut Unstructured<'_>) -> arbitrary::Result<String> {
    Ok(match random.int_in_range(0..=3)? {
        0 => format!("198.51.100.{}", random.arbitrary::<u8>()?),
        1 => format!("[2001:db8:bad::{:x}]:80", random.arbitrary::<u16>()?),
        2 => format!("::ffff:198.51.100.{}", random.arbitrary::<u8>()?),
        _ => text(random, 12, "0123456789.:[]\" ")?.replace(',', ""),
    })
}

/// An entry or the connection of one of our proxies, in one of the usual spellings.
fn trusted(random: &mut Unstructured<'_>) -> arbitrary::Result<String> {
    let last = random.arbitrary::<u8>()?;
    Ok(match random.int_in_range(0..=4)? {
        0 => format!("10.0.0.{last}:8080"),
        1 => format!("::ffff:10.0.0.{last}"),
        2 => format!(" fd00::{last:x}"),
        3 => format!("[fd00::{last:x}]"),
        _ => format!("10.0.0.{last}"),
    })
}

fn is_forged(address: IpAddr) -> bool {
    let ranges = ["198.51.100.0/24", "2001:db8:bad::/48"].map(|text| text.parse::<IpNetwork>().unwrap());
    ranges.iter().any(|range| range.contains(address))
}

/// The entries as one or several headers.
fn headers(random: &mut Unstructured<'_>, entries: &[String]) -> arbitrary::Result<Vec<String>> {
    let mut headers: Vec<String> = Vec::new();
    for entry in entries {
        match headers.last_mut() {
            Some(header) if random.ratio(3, 4)? => {
                header.push(',');
                header.push_str(entry);
            }
            _ => headers.push(entry.clone()),
        }
    }
    Ok(headers)
}

#[test]
fn no_address_left_of_an_untrusted_hop_is_ever_the_client() {
    let mut found = 0;
    search(|random| {
        let (caller, peer): (IpAddr, IpAddr) = ("203.0.113.9".parse().unwrap(), "10.0.0.1".parse().unwrap());
        let mut entries = Vec::new();
        for _ in 0..random.int_in_range(0..=4)? {
            entries.push(forged(random)?);
        }
        // The connection itself is the innermost proxy; each further one is an entry right of the caller's.
        let more_proxies = random.int_in_range(0..=3)?;
        entries.push(caller.to_string());
        for _ in 0..more_proxies {
            entries.push(trusted(random)?);
        }
        let mut damaged = false;
        if random.ratio(1, 8)? {
            damaged = true;
            let last = entries.len() - 1;
            let right = random.int_in_range(last - more_proxies..=last)?;
            entries[right] = random.choose(&["unknown", "", "\"10.0.0.7\"", "10.0.0", "_hidden"])?.to_string();
        }
        let headers = headers(random, &entries)?;
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        let setting = if random.arbitrary()? { "uniquelocal".to_owned() } else { (more_proxies + 1).to_string() };
        let client = setting.parse::<TrustProxy>().unwrap().resolve(peer, &headers, &[]);
        assert!(!is_forged(client.address), "{setting}: {headers:?} gave {client:?}");
        assert!(damaged || client.address == caller, "{setting}: {headers:?} gave {client:?}");
        found += usize::from(client.address == caller);

        let nobody = TrustProxy::Nobody.resolve(caller, &headers, &["https"]);
        assert_eq!((nobody.address, nobody.scheme), (caller, None));
        Ok(())
    });
    assert!(found > 100, "{found} callers found");
}

#[test]
fn no_scheme_that_the_caller_wrote_is_believed_where_each_proxy_appends_its_own() {
    search(|random| {
        let more_proxies = random.int_in_range(0..=3)?;
        let mut entries = vec!["203.0.113.9".to_owned()];
        let mut schemes = vec!["https".to_owned(); random.int_in_range(0..=3)?];
        for _ in 0..=more_proxies {
            schemes.push("http".into());
        }
        for _ in 0..more_proxies {
            entries.push(trusted(random)?);
        }
        let (entries, schemes) = (headers(random, &entries)?, headers(random, &schemes)?);
        let entries: Vec<&str> = entries.iter().map(String::as_str).collect();
        let schemes: Vec<&str> = schemes.iter().map(String::as_str).collect();
        let client = "uniquelocal".parse::<TrustProxy>().unwrap().resolve("10.0.0.1".parse().unwrap(), &entries, &schemes);
        assert_eq!(client.scheme, Some(ForwardedScheme::Http), "{entries:?} {schemes:?}");
        Ok(())
    });
}
