//! The kinds of addresses, range by range, with the neighbours that are not in them.
#![cfg(test)]

use domain::addresses::AddressClass;

use AddressClass as C;

const CASES: &[(AddressClass, &str)] = &[
    (
        C::Public,
        "1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 168.63.129.15 \
         168.63.129.17 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 191.255.255.255 192.0.1.0 192.0.3.0 \
         192.88.98.255 192.88.100.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 198.51.99.255 198.51.101.0 \
         203.0.112.255 203.0.114.0 223.255.255.255 ::ffff:8.8.8.8 64:ff9b::808:808 2001:200::1 2001:4860:4860::8888 \
         2001:db7:ffff::1 2001:db9::1 2003::1 2606:4700::1111 3fff:1000::1 2000::1 3ffe:ffff::1",
    ),
    (C::Unspecified, "0.0.0.0 :: ::ffff:0.0.0.0 64:ff9b::"),
    (C::ThisNetwork, "0.0.0.1 0.255.255.255 ::ffff:0.1.2.3 2002:1:203::1 ::2"),
    (C::Loopback, "127.0.0.1 127.255.255.255 ::1 ::ffff:127.0.0.1 ::ffff:7f00:1 ::127.0.0.1 64:ff9b::7f00:1"),
    (C::Loopback, "2002:7f00:1:: 2002:7f00:1:1234::5"),
    (
        C::Private,
        "10.0.0.0 10.255.255.255 172.16.0.0 172.31.255.255 192.168.0.0 192.168.255.255 ::ffff:10.0.0.1 64:ff9b::a00:1 \
         2002:c0a8:101::1 ::10.0.0.1",
    ),
    (C::Shared, "100.64.0.0 100.127.255.255 100.100.100.200 64:ff9b::6464:64c8"),
    (C::LinkLocal, "169.254.0.0 169.254.169.254 169.254.255.255 fe80::1 febf:ffff::1 ::ffff:169.254.169.254 64:ff9b::a9fe:a9fe"),
    (C::LinkLocal, "2002:a9fe:a9fe:: ::169.254.169.254 ::ffff:a9fe:a9fe"),
    (C::UniqueLocal, "fc00:: fdff:ffff::1 fd00:ec2::254"),
    (C::SiteLocal, "fec0:: feff:ffff::1"),
    (C::Multicast, "224.0.0.0 239.255.255.255 ff00:: ff02::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    (C::Broadcast, "255.255.255.255 ::ffff:255.255.255.255"),
    (C::Documentation, "192.0.2.0 192.0.2.255 198.51.100.7 203.0.113.255 2001:db8:: 2001:db8:ffff::1 3fff:fff::1"),
    (C::Benchmarking, "198.18.0.0 198.19.255.255 2001:2::1"),
    (C::ProtocolAssignments, "192.0.0.0 192.0.0.192 192.0.0.255 192.88.99.1 2001:1::1 2001:1ff::1 2001:30::1"),
    (C::PlatformService, "168.63.129.16 ::ffff:168.63.129.16"),
    (C::Discard, "100:: 100::ffff:ffff:ffff:ffff"),
    (C::Orchid, "2001:10:: 2001:1f::1 2001:20::1 2001:2f::1"),
    (C::Ipv4Compatible, "::8.8.8.8"),
    (C::LocalNat64, "64:ff9b:1:: 64:ff9b:1:ffff::808:808"),
    (C::SixToFour, "2002:808:808::1"),
    (C::Teredo, "2001:: 2001:0:4136:e378:8000:63bf:3fff:fdd2"),
    (
        C::Reserved,
        "240.0.0.0 255.255.255.254 ::ffff:0:7f00:1 64:ff9b:2::1 64:ff9b:0:0:0:1:: 100:0:0:1:: 200::1 1fff::1 4000::1 \
         5f00::1 f000::1 fe00::1",
    ),
];

#[test]
fn every_range_is_named_at_both_its_ends_and_its_neighbours_are_not_in_it() {
    for (class, addresses) in CASES {
        for address in addresses.split_whitespace() {
            assert_eq!(AddressClass::of(address.parse().unwrap()), *class, "{address}");
        }
    }
}

#[test]
fn a_name_on_the_list_never_leads_to_credentials_of_a_cloud() {
    for address in ["169.254.169.254", "fe80::a9fe:a9fe", "168.63.129.16", "0.0.0.0", "224.0.0.1"] {
        assert!(!AddressClass::of(address.parse().unwrap()).is_internal(), "{address}");
    }
}
