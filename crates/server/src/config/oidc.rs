//! The identity provider whose people may log in.

pub use api::Newcomers;
use domain::{Scope, TenantId};

use super::declaration::Setting;
use super::forms::{is_loopback, is_word};
use super::problems::Problem;
use super::reader::{Values, shown};
use super::secrets::{Distinct, Secret};
use super::settings as known;
use super::tenancy::default_of_oidc;

/// The identity provider whose people may log in.
#[derive(Debug)]
pub struct Oidc {
    /// The discovery document.
    pub discovery_url: String,
    /// The id under which the provider knows this server.
    pub client_id: String,
    /// The secret of that id.
    pub client_secret: Secret,
    /// The address of our callback as browsers reach it.
    pub redirect_uri: String,
    /// Signs the cookie of a login under way.
    pub cookie_secret: Secret,
    /// Verifies what was signed before the secret was changed.
    pub previous_cookie_secret: Option<Secret>,
    /// What the provider is asked for, `openid` among them.
    pub scopes: Vec<String>,
    /// The claims that tell who somebody is.
    pub claims: Claims,
    /// The tenant of people whose claims name none.
    pub default_tenant: TenantId,
    /// The role of people whose claims name none: when they are let in for the first time, and at every login where
    /// [`Claims::role`] is set.
    pub default_role: Scope,
    /// What happens with people who are no users yet.
    pub newcomers: Newcomers,
    /// The audience that bearer tokens must name.
    pub audience: String,
}

/// The names of the claims that tell who somebody is.
#[derive(Debug)]
pub struct Claims {
    /// Of the identity.
    pub sub: String,
    /// Of the e-mail address.
    pub email: String,
    /// Of the name to show.
    pub display_name: String,
    /// Of the groups.
    pub groups: Option<String>,
    /// Of the tenant.
    pub tenant: Option<String>,
    /// Of the role.
    pub role: Option<String>,
}

const TOGETHER: [&Setting; 5] =
    [&known::OIDC_DISCOVERY_URL, &known::OIDC_CLIENT_ID, &known::OIDC_CLIENT_SECRET, &known::OIDC_REDIRECT_URI, &known::OIDC_COOKIE_SECRET];

const OPTIONAL: [&Setting; 12] = [
    &known::OIDC_COOKIE_SECRET_PREVIOUS,
    &known::OIDC_SCOPES,
    &known::OIDC_CLAIM_SUB,
    &known::OIDC_CLAIM_EMAIL,
    &known::OIDC_CLAIM_DISPLAY_NAME,
    &known::OIDC_CLAIM_GROUPS,
    &known::OIDC_CLAIM_TENANT,
    &known::OIDC_CLAIM_ROLE,
    &known::OIDC_DEFAULT_TENANT,
    &known::OIDC_DEFAULT_ROLE,
    &known::OIDC_AUTO_PROVISION,
    &known::OIDC_AUDIENCE,
];

/// Reads the identity provider; none where none of its settings is set.
pub fn read(values: &Values, secrets: &mut Distinct, problems: &mut Vec<Problem>, warnings: &mut Vec<String>) -> Option<Oidc> {
    let (given, missing): (Vec<&Setting>, Vec<&Setting>) = TOGETHER.into_iter().partition(|setting| values.was_given(setting));
    let default_tenant = default_of_oidc(values, problems);
    let scopes = scopes(values, problems);
    let Some(first) = given.first() else {
        for idle in OPTIONAL.iter().filter(|setting| values.was_given(setting)) {
            warnings.push(format!("{} has no effect without {}", idle.name, known::OIDC_DISCOVERY_URL.name));
        }
        return None;
    };
    for setting in missing {
        problems.push(Problem {
            name: setting.name.to_owned(),
            found: format!("not set, and {} is", first.name),
            accepted: setting.form.accepted(),
        });
    }
    for setting in [&known::OIDC_DISCOVERY_URL, &known::OIDC_REDIRECT_URI] {
        encrypted(setting, values, problems);
    }
    let cookie_secret = values.secret(&known::OIDC_COOKIE_SECRET)?;
    secrets.add(known::OIDC_COOKIE_SECRET.name, &cookie_secret, problems);
    let previous_cookie_secret = values.secret(&known::OIDC_COOKIE_SECRET_PREVIOUS);
    if let Some(secret) = &previous_cookie_secret {
        secrets.add(known::OIDC_COOKIE_SECRET_PREVIOUS.name, secret, problems);
    }
    let client_id: String = values.parsed(&known::OIDC_CLIENT_ID)?;
    Some(Oidc {
        discovery_url: values.parsed(&known::OIDC_DISCOVERY_URL)?,
        client_secret: values.secret(&known::OIDC_CLIENT_SECRET)?,
        redirect_uri: values.parsed(&known::OIDC_REDIRECT_URI)?,
        cookie_secret,
        previous_cookie_secret,
        scopes,
        claims: Claims {
            sub: values.parsed(&known::OIDC_CLAIM_SUB)?,
            email: values.parsed(&known::OIDC_CLAIM_EMAIL)?,
            display_name: values.parsed(&known::OIDC_CLAIM_DISPLAY_NAME)?,
            groups: values.parsed(&known::OIDC_CLAIM_GROUPS),
            tenant: values.parsed(&known::OIDC_CLAIM_TENANT),
            role: values.parsed(&known::OIDC_CLAIM_ROLE),
        },
        default_tenant,
        default_role: values.parsed(&known::OIDC_DEFAULT_ROLE)?,
        newcomers: if values.is_on(&known::OIDC_AUTO_PROVISION) { Newcomers::BecomeUsers } else { Newcomers::Refused },
        audience: values.parsed(&known::OIDC_AUDIENCE).unwrap_or_else(|| client_id.clone()),
        client_id,
    })
}

fn scopes(values: &Values, problems: &mut Vec<Problem>) -> Vec<String> {
    let setting = &known::OIDC_SCOPES;
    let text = values.text(setting).unwrap_or_default();
    let scopes: Vec<String> = text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
    if !scopes.iter().all(|scope| is_word(scope)) || !scopes.iter().any(|scope| scope == "openid") {
        problems.push(Problem { name: setting.name.to_owned(), found: shown(text), accepted: setting.form.accepted() });
    }
    scopes
}

/// What passes between us, browsers and the provider must not be read on the way; on this machine there is no way.
fn encrypted(setting: &Setting, values: &Values, problems: &mut Vec<Problem>) {
    let Some(rest) = values.text(setting).and_then(|url| url.strip_prefix("http://")) else { return };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    if !is_loopback(host) {
        problems.push(Problem {
            name: setting.name.to_owned(),
            found: "found a URL beginning with http:// of another machine".to_owned(),
            accepted: "a URL beginning with https://; http:// only for localhost".to_owned(),
        });
    }
}
