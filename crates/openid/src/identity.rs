//! Who somebody is, in the provider's words and within limits.

use serde_json::{Map, Value};

use crate::error::OpenIdError;
use crate::settings::ClaimNames;

/// The specification's own limit for `sub`.
const SUBJECT_BYTES: usize = 255;
const EMAIL_BYTES: usize = 254;
const DISPLAY_NAME_CHARACTERS: usize = 200;
/// What is beyond is left out: fewer groups give fewer rights.
const MOST_GROUPS: usize = 500;
const GROUP_BYTES: usize = 256;
/// More than any tenant or role of ours has.
const WORD_BYTES: usize = 128;

/// Somebody whom the provider vouches for.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// The provider's exact name. A subject means somebody only together with it.
    pub issuer: String,
    /// Names the person for ever; 1 to 255 bytes.
    pub subject: String,
    /// At most 254 bytes. Do not take it for an identity: it changes hands.
    pub email: Option<String>,
    /// Whether the provider checked the address (`email_verified`). False when it does not say, and when the address is from
    /// another claim than `email`, which it would not be about.
    pub email_verified: bool,
    /// At most 200 characters, without control characters.
    pub display_name: Option<String>,
    /// At most 500 of at most 256 bytes each. Empty when no claim for groups is configured.
    pub groups: Vec<String>,
    /// What the claim for the tenant says, 1 to 128 bytes; none only where there is no such claim. Whether there is such a tenant is
    /// for the caller to find out.
    pub tenant: Option<String>,
    /// What the claim for the role says, at most 128 bytes.
    pub role: Option<String>,
    /// Everything that the token says, which is at most 32 KiB, and what the userinfo endpoint added, which is at most 256.
    pub claims: Map<String, Value>,
}

impl Identity {
    /// What the claims say, which must have been verified before.
    pub(crate) fn read(claims: Map<String, Value>, names: &ClaimNames) -> Result<Self, OpenIdError> {
        let text = |name: &str| find(&claims, name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
        let subject = text(&names.subject).filter(|subject| subject.len() <= SUBJECT_BYTES && !subject.contains(char::is_control));
        let subject = subject
            .ok_or_else(|| OpenIdError::token(format!("its claim {:?} is not a text of 1 to {SUBJECT_BYTES} bytes", names.subject)))?;
        let word = |name: &Option<String>| text(name.as_deref()?).filter(|word| word.len() <= WORD_BYTES).map(str::to_owned);
        let shortened = |name: &str| name.chars().filter(|one| !one.is_control()).take(DISPLAY_NAME_CHARACTERS).collect();
        Ok(Self {
            issuer: claims.get("iss").and_then(Value::as_str).unwrap_or_default().to_owned(),
            subject: subject.to_owned(),
            email: text(&names.email).filter(|email| is_email(email)).map(str::to_owned),
            email_verified: names.email == "email" && claims.get("email_verified").is_some_and(is_true),
            display_name: text(&names.display_name).map(shortened),
            groups: names.groups.as_deref().and_then(|name| find(&claims, name)).map(groups).unwrap_or_default(),
            tenant: names.tenant.as_deref().map_or(Ok(None), |name| tenant(&claims, name))?,
            role: word(&names.role),
            claims,
        })
    }
}

/// Whether the claims lack something that the provider may tell when asked for it.
pub(crate) fn lacks_any(claims: &Map<String, Value>, names: &ClaimNames) -> bool {
    let wanted = [Some(&names.email), Some(&names.display_name), names.groups.as_ref(), names.tenant.as_ref(), names.role.as_ref()];
    wanted.into_iter().flatten().any(|name| find(claims, name).is_none())
}

fn find<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    // The name itself first: claims of some providers are URLs, which have dots.
    claims.get(name).or_else(|| {
        let (first, rest) = name.split_once('.')?;
        rest.split('.').try_fold(claims.get(first)?, |value, member| value.get(member))
    })
}

/// What the claim says, as it is written. Whoever comes with one that cannot be read belongs to some tenant, and must not be taken
/// for somebody who belongs to none.
fn tenant(claims: &Map<String, Value>, name: &str) -> Result<Option<String>, OpenIdError> {
    let unreadable = || OpenIdError::token(format!("its claim {name:?} for the tenant is not a text of 1 to {WORD_BYTES} bytes"));
    let text = match find(claims, name) {
        Some(claim) => claim.as_str().ok_or_else(unreadable)?,
        None if leads_astray(claims, name) => return Err(unreadable()),
        None => return Ok(None),
    };
    if text.is_empty() || text.len() > WORD_BYTES || text.contains(char::is_control) {
        Err(unreadable())
    } else {
        Ok(Some(text.to_owned()))
    }
}

/// Whether a path begins in the claims and then comes to what has no members.
fn leads_astray(claims: &Map<String, Value>, path: &str) -> bool {
    let mut names = path.split('.');
    let mut at = names.next().and_then(|first| claims.get(first));
    for name in names {
        let Some(value) = at else { return false };
        let Some(members) = value.as_object() else { return true };
        at = members.get(name);
    }
    false
}

fn groups(claim: &Value) -> Vec<String> {
    let one = std::slice::from_ref(claim);
    let texts = claim.as_array().map_or(one, Vec::as_slice).iter().filter_map(Value::as_str);
    texts.filter(|group| !group.is_empty() && group.len() <= GROUP_BYTES).take(MOST_GROUPS).map(str::to_owned).collect()
}

/// Some providers write it as a text.
fn is_true(claim: &Value) -> bool {
    *claim == true || claim == "true"
}

fn is_email(text: &str) -> bool {
    text.len() <= EMAIL_BYTES && text.contains('@') && !text.contains(|one: char| one.is_control() || one.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant_in(claims: Value, name: &str) -> Result<Option<String>, OpenIdError> {
        let Value::Object(mut claims) = claims else { panic!("not claims: {claims}") };
        claims.insert("sub".into(), "ann".into());
        let names = ClaimNames { tenant: Some(name.into()), ..ClaimNames::default() };
        Identity::read(claims, &names).map(|identity| identity.tenant)
    }

    #[test]
    fn a_claim_for_the_tenant_is_read_or_absent_or_refused() {
        use serde_json::json;
        let longest = "x".repeat(WORD_BYTES);
        for (claims, name, tenant) in [
            (json!({}), "org", None),
            (json!({"org": "acme"}), "org", Some("acme")),
            (json!({"org": longest}), "org", Some(longest.as_str())),
            (json!({"org": {"id": "acme"}}), "org.id", Some("acme")),
            (json!({"org.id": "acme"}), "org.id", Some("acme")),
            (json!({"org": {}}), "org.id", None),
            (json!({}), "org.id", None),
        ] {
            assert_eq!(tenant_in(claims.clone(), name).unwrap().as_deref(), tenant, "{claims} {name}");
        }
        for (claims, name) in [
            (json!({"org": ""}), "org"),
            (json!({"org": null}), "org"),
            (json!({"org": 7}), "org"),
            (json!({"org": ["acme"]}), "org"),
            (json!({"org": {"id": "acme"}}), "org"),
            (json!({"org": "x".repeat(WORD_BYTES + 1)}), "org"),
            (json!({"org": "acme\n"}), "org"),
            (json!({"org": "acme"}), "org.id"),
            (json!({"org": {"id": ["acme"]}}), "org.id"),
            (json!({"org": []}), "org.id"),
        ] {
            assert!(tenant_in(claims.clone(), name).is_err(), "{claims} {name}");
        }
    }
}
