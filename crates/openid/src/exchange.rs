//! The code that came back with the browser, turned into tokens by the provider.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::StatusCode;
use serde_json::{Map, Value};

use crate::error::{OpenIdError, quoted};
use crate::http::{Call, Http};
use crate::metadata::{Metadata, SecretBy};
use crate::seal;
use crate::settings::Settings;

const CODE_BYTES: usize = 4096;

/// What the provider gave for a code.
pub(crate) struct Tokens {
    pub(crate) id_token: String,
    pub(crate) access_token: Option<String>,
}

/// Spends the code. The provider takes each only once.
pub(crate) async fn exchange(
    http: &Http,
    metadata: &Metadata,
    settings: &Settings,
    code: &str,
    pkce_verifier: &str,
) -> Result<Tokens, OpenIdError> {
    if code.is_empty() || code.len() > CODE_BYTES {
        return Err(OpenIdError::flow(format!("the code has {} bytes", code.len())));
    }
    let client_id = settings.client_id.as_str();
    let mut fields = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", &settings.redirect_uri),
        ("code_verifier", pkce_verifier),
    ];
    let mut basic = None;
    match (settings.client_secret.as_ref(), metadata.client_secret_by) {
        (None, _) => fields.push(("client_id", client_id)),
        (Some(secret), SecretBy::Form) => fields.extend([("client_id", client_id), ("client_secret", secret.reveal())]),
        (Some(secret), SecretBy::Basic) => {
            let pair = format!("{}:{}", encoded(client_id), encoded(secret.reveal()));
            basic = Some(format!("Basic {}", BASE64_STANDARD.encode(pair)));
        }
    }
    let form = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect::<Vec<_>>().join("&");
    let (status, answer) = http.post(Call::Token, &metadata.token_endpoint, form, basic).await?;
    if status != StatusCode::OK {
        let error = answer["error"].as_str().unwrap_or("no error named");
        let description = answer["error_description"].as_str().unwrap_or_default();
        return Err(OpenIdError::Refused { reason: format!("{status}, {} {}", quoted(error), quoted(description)) });
    }
    let text = |name: &str| answer[name].as_str().map(str::to_owned);
    let id_token = text("id_token").ok_or_else(|| Call::Token.refused("it has no id_token"))?;
    Ok(Tokens { id_token, access_token: text("access_token") })
}

/// Claims that the provider tells only when asked. Only those that `claims` lacks are added.
pub(crate) async fn complete(
    http: &Http,
    metadata: &Metadata,
    access_token: &str,
    claims: &mut Map<String, Value>,
) -> Result<(), OpenIdError> {
    let Some(url) = &metadata.userinfo_endpoint else { return Ok(()) };
    let told = http.get(Call::UserInfo, url, Some(access_token)).await?;
    let subject = |claim: Option<&Value>| claim.and_then(Value::as_str).unwrap_or_default().to_owned();
    if !seal::equal(&subject(told.get("sub")), &subject(claims.get("sub"))) {
        return Err(Call::UserInfo.refused("it is about somebody else (sub)"));
    }
    // What is said of one address says nothing of another.
    let other_address = claims.contains_key("email") && claims.get("email") != told.get("email");
    for (name, value) in told.as_object().into_iter().flatten() {
        let withheld = other_address && name == "email_verified";
        if !withheld && !claims.contains_key(name) {
            claims.insert(name.clone(), value.clone());
        }
    }
    Ok(())
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
