//! Who reaches the server: proxies, HTTPS, origins, and nobody without a credential.

use api::{AllowedOrigins, Https, WithoutCredential};
use domain::forwarding::TrustProxy;
use domain::origins::Origin;

use super::{KEY, accepted, refused};

#[test]
fn an_open_server_is_asked_for_by_name_and_warned_about() {
    let open = accepted(&[("HOST", "0.0.0.0"), ("ALLOW_UNAUTHENTICATED", "true")]);
    assert_eq!(open.identity.without_credential, WithoutCredential::EverybodyPasses);
    assert!(open.warnings.iter().any(|warning| warning.starts_with("DANGER") && warning.contains("0.0.0.0")), "{:?}", open.warnings);
    let closed = accepted(&[("HOST", "0.0.0.0"), ("ALLOW_UNAUTHENTICATED", "true"), ("API_KEY_RENDER", KEY)]);
    assert_eq!(closed.identity.without_credential, WithoutCredential::NobodyPasses);
    assert!(closed.warnings[0].contains("ALLOW_UNAUTHENTICATED has no effect"), "{:?}", closed.warnings);
    let local = accepted(&[("ALLOW_UNAUTHENTICATED", "true")]);
    assert_eq!(local.identity.without_credential, WithoutCredential::ThisMachinePasses, "web pages stay outside");
}

#[test]
fn proxies_are_trusted_by_number_or_by_address() {
    let trusted = |text: &str| accepted(&[("TRUST_PROXY", text)]).trusted_proxies;
    for nobody in ["false", "0", ""] {
        assert_eq!(trusted(nobody), TrustProxy::Nobody, "{nobody}");
    }
    let hops = |count| TrustProxy::Hops(std::num::NonZeroU8::new(count).unwrap());
    assert_eq!((trusted("true"), trusted("1"), trusted("2")), (hops(1), hops(1), hops(2)));
    let TrustProxy::Networks(networks) = trusted("loopback, 203.0.113.0/24,2001:db8::1") else { panic!("networks") };
    for (address, inside) in
        [("127.0.0.1", true), ("::1", true), ("203.0.113.200", true), ("2001:db8::1", true), ("203.0.114.1", false), ("2001:db8::2", false)]
    {
        assert_eq!(networks.iter().any(|network| network.contains(address.parse().unwrap())), inside, "{address}");
    }
    for wrong in ["33", "-1", "1.5", "10.0.0.0/33", "proxy.example.org", "10.0.0.1,,10.0.0.2", "loopback,true", "10.0.0.1/"] {
        assert!(refused(&[("TRUST_PROXY", wrong)]).contains("TRUST_PROXY: found"), "{wrong}");
    }
}

#[test]
fn https_is_required_behind_a_proxy_only() {
    assert_eq!(accepted(&[("REQUIRE_HTTPS", "true"), ("TRUST_PROXY", "1")]).https, Https::Required);
    for proxy in ["", "false", "0"] {
        let message = refused(&[("REQUIRE_HTTPS", "true"), ("TRUST_PROXY", proxy)]);
        assert!(message.contains("TRUST_PROXY: ") && message.contains("REQUIRE_HTTPS is on"), "{message}");
    }
}

#[test]
fn origins_are_listed_one_by_one() {
    assert_eq!(accepted(&[]).cors, AllowedOrigins::Nobody);
    assert_eq!(accepted(&[("CORS_ALLOWED_ORIGINS", "*")]).cors, AllowedOrigins::Everybody);
    let AllowedOrigins::Listed(origins) = accepted(&[("CORS_ALLOWED_ORIGINS", "https://app.example.org, http://localhost:5173")]).cors
    else {
        panic!("a list")
    };
    assert_eq!(origins.iter().map(Origin::as_str).collect::<Vec<_>>(), ["https://app.example.org", "http://localhost:5173"]);
    for wrong in ["app.example.org", "https://a.example/", "https://a.example,", "https://a.example,*", "null"] {
        assert!(refused(&[("CORS_ALLOWED_ORIGINS", wrong)]).contains("CORS_ALLOWED_ORIGINS: found"), "{wrong}");
    }
    assert!(refused(&[("CORS_ALLOWED_ORIGINS", "https://App.example.org:443")]).contains("accepted: https://app.example.org, as browsers"));
    let password = refused(&[("CORS_ALLOWED_ORIGINS", "https://me:hunter2@a.example")]);
    assert!(password.contains("in place 1") && !password.contains("hunter2"), "{password}");
}

#[test]
fn remote_resources_stay_blocked_whatever_is_said() {
    assert!(accepted(&[("BLOCK_REMOTE_RESOURCES", "true")]).warnings.is_empty());
    assert!(accepted(&[("BLOCK_REMOTE_RESOURCES", "false")]).warnings[0].contains("BLOCK_REMOTE_RESOURCES=false has no effect"));
}
