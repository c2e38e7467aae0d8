//! What a token must say about itself before it says anything about a person.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use domain::Clock;
use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256, Sha512};

use crate::error::{OpenIdError, quoted};
use crate::jwt::Jwt;
use crate::seal;

/// How far the provider's clock may be off ours.
const SKEW_SECONDS: f64 = 60.0;

/// Claims that only the token of a login has, or the notice of a logout.
const CLAIMS_OF_OTHER_TOKENS: [&str; 5] = ["nonce", "at_hash", "c_hash", "s_hash", "events"];
/// What providers that name the purpose of a token in a claim call those that are not for us.
const OTHER_PURPOSES: [&str; 4] = ["id", "refresh", "offline", "logout"];

type Claims = Map<String, Value>;

/// Issuer and times, which every token has. `issuer_base` has no slash at its end: the exact name is compared with [`issuer_is`]
/// once the provider was asked for it.
pub(crate) fn check_common(claims: &Claims, issuer_base: &str, clock: &Clock) -> Result<(), OpenIdError> {
    let issuer = claims.get("iss").and_then(Value::as_str).unwrap_or_default();
    if issuer.strip_suffix('/').unwrap_or(issuer) != issuer_base {
        return Err(OpenIdError::token(format!("its issuer is {}, expected {issuer_base:?}", quoted(issuer))));
    }
    let now = clock.now().as_duration().as_secs_f64();
    let Some(expires) = seconds(claims, "exp")? else { return Err(OpenIdError::token("it never expires (exp)")) };
    if expires + SKEW_SECONDS <= now {
        return Err(OpenIdError::token(format!("it expired {:.0} s ago", now - expires)));
    }
    let Some(made) = seconds(claims, "iat")? else { return Err(OpenIdError::token("it does not say when it was issued (iat)")) };
    for (what, at) in [("issued", Some(made)), ("valid", seconds(claims, "nbf")?)] {
        if let Some(at) = at.filter(|at| *at > now + SKEW_SECONDS) {
            return Err(OpenIdError::token(format!("it is {what} only in {:.0} s", at - now)));
        }
    }
    Ok(())
}

/// The issuer letter for letter.
pub(crate) fn issuer_is(claims: &Claims, exact: &str) -> Result<(), OpenIdError> {
    if claims.get("iss").is_some_and(|issuer| issuer == exact) {
        Ok(())
    } else {
        Err(OpenIdError::token(format!("its issuer is not exactly {exact:?}")))
    }
}

/// What the token of a login needs beyond that.
pub(crate) fn check_id_token(jwt: &Jwt<'_>, client_id: &str, nonce: &str) -> Result<(), OpenIdError> {
    if !matches!(jwt.kind.as_deref(), None | Some("jwt" | "id_token+jwt")) {
        return Err(OpenIdError::token(format!("its type is {}, not that of an ID token", shown(jwt.kind.as_deref()))));
    }
    let audiences = check_audience(&jwt.claims, client_id)?;
    match jwt.claims.get("azp") {
        Some(party) if party == client_id => {}
        Some(party) => return Err(OpenIdError::token(format!("it was made for the party (azp) {}", quoted(&party.to_string())))),
        None if audiences > 1 => return Err(OpenIdError::token("it has several audiences and does not say which asked for it (azp)")),
        None => {}
    }
    let found = jwt.claims.get("nonce").and_then(Value::as_str).unwrap_or_default();
    if seal::equal(found, nonce) { Ok(()) } else { Err(OpenIdError::token("its nonce is not that of this login")) }
}

/// That the access token which came along belongs to this ID token, when the latter says so.
pub(crate) fn check_access_token(jwt: &Jwt<'_>, access_token: Option<&str>) -> Result<(), OpenIdError> {
    let (Some(expected), Some(token)) = (jwt.claims.get("at_hash"), access_token) else { return Ok(()) };
    let hash = match jwt.algorithm {
        Algorithm::EdDSA => Sha512::digest(token)[..32].to_vec(),
        _ => Sha256::digest(token)[..16].to_vec(),
    };
    let fits = expected.as_str().is_some_and(|expected| seal::equal(expected, &BASE64.encode(hash)));
    if fits { Ok(()) } else { Err(OpenIdError::token("the access token beside it is another one's (at_hash)")) }
}

/// What a bearer token needs beyond issuer and times.
pub(crate) fn check_bearer(jwt: &Jwt<'_>, audience: &str) -> Result<(), OpenIdError> {
    if !matches!(jwt.kind.as_deref(), Some("at+jwt" | "jwt")) {
        return Err(OpenIdError::token(format!("its type is {}, not at+jwt or JWT", shown(jwt.kind.as_deref()))));
    }
    check_audience(&jwt.claims, audience)?;
    if let Some(claim) = CLAIMS_OF_OTHER_TOKENS.iter().find(|claim| jwt.claims.contains_key(**claim)) {
        return Err(OpenIdError::token(format!("it has the claim {claim}, which no access token has")));
    }
    let purposes = ["typ", "token_use"].map(|claim| jwt.claims.get(claim).and_then(Value::as_str).unwrap_or_default());
    let other = purposes.iter().find(|purpose| OTHER_PURPOSES.contains(&purpose.to_ascii_lowercase().as_str()));
    if let Some(purpose) = other {
        return Err(OpenIdError::token(format!("its purpose is {}, not access", quoted(purpose))));
    }
    Ok(())
}

/// How many audiences there are, ours among them.
fn check_audience(claims: &Claims, expected: &str) -> Result<usize, OpenIdError> {
    let audience = claims.get("aud").unwrap_or(&Value::Null);
    let (count, ours) = match audience {
        Value::String(one) => (1, one == expected),
        Value::Array(list) if list.iter().all(Value::is_string) => (list.len(), list.iter().any(|one| one == expected)),
        _ => (0, false),
    };
    if ours {
        Ok(count)
    } else {
        Err(OpenIdError::token(format!("its audience is {}, expected {expected:?}", quoted(&audience.to_string()))))
    }
}

/// A time claim in seconds since 1970; some providers write fractions.
fn seconds(claims: &Claims, name: &str) -> Result<Option<f64>, OpenIdError> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => value.as_f64().map(Some).ok_or_else(|| OpenIdError::token(format!("its {name} is not a number"))),
    }
}

fn shown(kind: Option<&str>) -> String {
    kind.map_or_else(|| "not given".to_owned(), quoted)
}
