//! The outbound guard, case by case: what an attacker writes into a URL or into a name server.
#![cfg(test)]

use std::net::IpAddr;

use domain::addresses::AddressClass;
use domain::outbound::{
    HostFlaw, InvalidAllowedTarget, OutboundHost, OutboundPolicy, OutboundRefusal, PlainHttp, Ports, check_url, judge_resolution,
};

fn strict() -> OutboundPolicy {
    OutboundPolicy::default()
}

fn lenient() -> OutboundPolicy {
    let policy = OutboundPolicy { plain_http: PlainHttp::Allowed, ..OutboundPolicy::default() };
    policy.allowing("minio, billing.internal, 10.1.0.0/16, fd00:1::/32, 127.0.0.1").unwrap()
}

fn host(text: &str) -> OutboundHost {
    text.parse().map_or_else(|_| OutboundHost::Name(text.parse().unwrap()), OutboundHost::Address)
}

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn urls_of_public_hosts_pass_and_are_called_as_they_are_shown() {
    for (text, shown) in [
        ("https://example.com", "https://example.com:443"),
        ("https://Example.COM/a?b=c#d", "https://example.com:443"),
        ("HTTPS://example.com:443/", "https://example.com:443"),
        ("https://example.com:8443/x@y:z", "https://example.com:8443"),
        ("https://xn--mnchen-3ya.de/ü", "https://xn--mnchen-3ya.de:443"),
        ("https://a_b.example.com", "https://a_b.example.com:443"),
        ("https://8.8.8.8/", "https://8.8.8.8:443"),
        ("https://[2606:4700::1111]:8443/", "https://[2606:4700::1111]:8443"),
        ("https://[2606:4700:0:0::1111]/", "https://[2606:4700::1111]:443"),
        ("https://example.com?u=http://127.0.0.1/", "https://example.com:443"),
    ] {
        let url = check_url(text, &strict()).unwrap_or_else(|refusal| panic!("{text}: {refusal}"));
        assert_eq!(url.to_string(), shown);
        assert!(!format!("{url:?}").contains("b=c"), "the query may be a secret");
    }
}

#[test]
fn urls_that_show_one_host_and_mean_another_are_refused() {
    for text in [
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.1/",
        "https://127.1/",
        "https://0177.0.0.1/",
        "https://127.0.0.01/",
        "https://0/",
        "https://8.8.2056/",
        "https://134744072/",
        "https://%31%32%37.0.0.1/",
        "https://ex%61mple.com/",
        "https://１２７.0.0.1/",
        "https://ｅxample.com/",
        "https://exa\u{ad}mple.com/",
        "https://münchen.de/",
        "https://example。com/",
        "https://127.0.0.1./",
        "https://8.8.8.8./",
        "https:///example.com/",
        "https:////example.com/",
        "https://?example.com",
        "https://[::ffff:8.8.8.8%25eth0]/",
    ] {
        let refusal = check_url(text, &lenient());
        assert!(matches!(refusal, Err(OutboundRefusal::Host { .. })), "{text} gave {refusal:?}");
    }
}

#[test]
fn urls_that_parsers_read_differently_are_refused() {
    for (text, expected) in [
        ("https://example.com\\@127.0.0.1/", OutboundRefusal::Characters),
        ("https://exam\tple.com/", OutboundRefusal::Characters),
        ("https://example.com/\r\nHost: x", OutboundRefusal::Characters),
        (" https://example.com/", OutboundRefusal::Characters),
        ("https://example.com/\0", OutboundRefusal::Characters),
        ("https://user@example.com/", OutboundRefusal::UserInfo),
        ("https://user:pass@example.com/", OutboundRefusal::UserInfo),
        ("https://@example.com/", OutboundRefusal::UserInfo),
        ("https://example.com@127.0.0.1/", OutboundRefusal::UserInfo),
        ("http://example.com/", OutboundRefusal::PlainHttp),
        ("ftp://example.com/", OutboundRefusal::Scheme { found: "ftp".into() }),
        ("file:///etc/passwd", OutboundRefusal::Scheme { found: "file".into() }),
        ("gopher://example.com/", OutboundRefusal::Scheme { found: "gopher".into() }),
        ("https:example.com", OutboundRefusal::Scheme { found: "https:example.com".into() }),
        ("//example.com/", OutboundRefusal::Scheme { found: "//example.com/".into() }),
        ("", OutboundRefusal::Scheme { found: "".into() }),
        ("https://example.com:0/", OutboundRefusal::Port { port: 0 }),
        ("https://example.com:/", OutboundRefusal::Port { port: 0 }),
        ("https://example.com:0443/", OutboundRefusal::Port { port: 0 }),
        ("https://example.com:65536/", OutboundRefusal::Port { port: 0 }),
        ("https://example.com:+443/", OutboundRefusal::Port { port: 0 }),
        ("https://example.com:25/", OutboundRefusal::Port { port: 25 }),
        ("https://example.com:80/", OutboundRefusal::Port { port: 80 }),
    ] {
        assert_eq!(check_url(text, &strict()), Err(expected), "{text}");
    }
    let long = format!("https://example.com/{}", "a".repeat(2048));
    assert_eq!(check_url(&long, &strict()), Err(OutboundRefusal::TooLong { size_bytes: 2068 }));
}

#[test]
fn names_of_inner_networks_are_refused_unless_the_operator_names_them() {
    for name in [
        "localhost",
        "a.localhost",
        "LOCALHOST",
        "printer.local",
        "metadata.google.internal",
        "metadata",
        "kubernetes.default.svc.cluster.local",
        "router.lan",
        "intranet",
    ] {
        let refusal = check_url(&format!("https://{name}/"), &strict());
        assert!(matches!(refusal, Err(OutboundRefusal::Host { why: HostFlaw::Internal, .. })), "{name} gave {refusal:?}");
    }
    for name in ["localhost.", "metadata.google.internal.", "example.com.", "a..b", ".example.com", "-a.example", "a,b.example", ""] {
        let refusal = check_url(&format!("https://{name}/"), &lenient());
        assert!(matches!(refusal, Err(OutboundRefusal::Host { .. })), "{name} gave {refusal:?}");
    }
    for name in ["minio:9000", "billing.internal", "BILLING.internal"] {
        assert!(check_url(&format!("http://{name}/"), &lenient()).is_ok(), "{name}");
    }
    assert!(check_url("http://other.internal/", &lenient()).is_err(), "only the named one");
}

#[test]
fn addresses_in_urls_are_judged_at_once() {
    for (literal, class) in [
        ("127.0.0.1", AddressClass::Loopback),
        ("169.254.169.254", AddressClass::LinkLocal),
        ("10.0.0.1", AddressClass::Private),
        ("0.0.0.0", AddressClass::Unspecified),
        ("[::1]", AddressClass::Loopback),
        ("[::]", AddressClass::Unspecified),
        ("[::ffff:127.0.0.1]", AddressClass::Loopback),
        ("[::ffff:7f00:1]", AddressClass::Loopback),
        ("[64:ff9b::10.0.0.1]", AddressClass::Private),
        ("[2002:7f00:1::]", AddressClass::Loopback),
        ("[fd00:ec2::254]", AddressClass::UniqueLocal),
        ("168.63.129.16", AddressClass::PlatformService),
    ] {
        match check_url(&format!("https://{literal}/"), &strict()) {
            Err(OutboundRefusal::Address { class: found, .. }) => assert_eq!(found, class, "{literal}"),
            other => panic!("{literal} gave {other:?}"),
        }
    }
    assert!(check_url("http://10.1.2.3:8080/", &lenient()).is_ok());
    assert!(check_url("http://[::ffff:10.1.2.3]:8080/", &lenient()).is_ok(), "the same address");
    assert!(check_url("http://10.2.0.1:8080/", &lenient()).is_err());
}

#[test]
fn ports_are_the_schemes_own_or_what_the_operator_lists() {
    let passes = |text: &str, policy: &OutboundPolicy| check_url(text, policy).is_ok();
    assert!(passes("http://example.com/", &lenient()) && passes("http://example.com:1024/", &lenient()));
    assert!(!passes("http://example.com:443/", &lenient()) && !passes("https://example.com:1023/", &lenient()));
    let listed = OutboundPolicy { ports: Ports::Only(vec![443, 993, 0]), ..strict() };
    assert!(passes("https://example.com/", &listed) && passes("https://example.com:993/", &listed));
    assert!(!passes("https://example.com:8443/", &listed) && !passes("https://example.com:0/", &listed));
}

#[test]
fn one_address_that_is_not_public_refuses_the_whole_answer() {
    let name = host("example.com");
    let public = addresses(&["93.184.216.34", "2606:2800:220:1::1"]);
    let pinned = judge_resolution(&name, &public, &strict()).unwrap();
    assert_eq!(pinned.addresses(), public);
    assert_eq!(pinned.sockets(443).next(), Some("93.184.216.34:443".parse().unwrap()));

    for inner in
        ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1", "fd00::1", "64:ff9b::a9fe:a9fe", "0.0.0.0", "4000::1"]
    {
        for mixed in [vec![inner], vec!["93.184.216.34", inner], vec![inner, "93.184.216.34"]] {
            let refusal = judge_resolution(&name, &addresses(&mixed), &strict());
            assert!(matches!(refusal, Err(OutboundRefusal::Address { .. })), "{mixed:?} gave {refusal:?}");
        }
    }
    assert_eq!(judge_resolution(&name, &[], &strict()), Err(OutboundRefusal::NoAddress { host: name }));
}

#[test]
fn an_allowed_name_may_be_inside_and_an_allowed_network_may_have_any_name() {
    let judge = |name: &str, texts: &[&str]| judge_resolution(&host(name), &addresses(texts), &lenient()).is_ok();
    assert!(judge("minio", &["10.9.9.9", "fd77::1", "8.8.8.8"]));
    assert!(!judge("minio", &["169.254.169.254"]), "a name server does not open the cloud's credentials");
    assert!(judge("example.com", &["10.1.2.3"]) && judge("example.com", &["::ffff:10.1.2.3", "fd00:1::1"]));
    assert!(!judge("example.com", &["10.9.9.9"]), "the network of another name");
    assert!(!judge("example.com", &["10.1.2.3", "10.2.0.1"]));
}

#[test]
fn a_host_that_is_an_address_is_resolved_to_itself() {
    let eight = host("8.8.8.8");
    assert!(judge_resolution(&eight, &addresses(&["8.8.8.8"]), &strict()).is_ok());
    let refusal = judge_resolution(&eight, &addresses(&["1.1.1.1"]), &strict());
    assert!(matches!(refusal, Err(OutboundRefusal::OtherAddress { .. })));
}

#[test]
fn the_list_of_allowed_targets_names_its_wrong_entry() {
    assert_eq!(strict().allowing(" "), Ok(strict()));
    let refused = |list| strict().allowing(list).unwrap_err();
    assert!(matches!(refused("10.0.0.1/8"), InvalidAllowedTarget::Network { .. }));
    assert!(matches!(refused("minio:9000"), InvalidAllowedTarget::Network { .. }));
    assert!(matches!(refused("127.1"), InvalidAllowedTarget::Host { .. }));
    assert!(refused("minio, *.example.com").to_string().starts_with("\"*.example.com\": a host name is"));
}

#[test]
fn a_refusal_tells_the_operator_what_was_found() {
    let refusal = judge_resolution(&host("rebind.example.com"), &addresses(&["169.254.169.254"]), &strict()).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "rebind.example.com has the address 169.254.169.254, which is link-local; the operator's list does not name it"
    );
    let refusal = check_url("https://2130706433/x", &strict()).unwrap_err();
    assert_eq!(refusal.to_string(), "the URL's host \"2130706433\" is not acceptable: it is read as \"127.0.0.1\"; write it so");
}
