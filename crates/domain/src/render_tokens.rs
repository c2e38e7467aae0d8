//! Render tokens: what a browser may be handed, narrowed to a few templates, a number of renders and a page's origin.
//!
//! `rt1.<claims>.<signature>`: the claims are JSON, the signature is the HMAC-SHA256 of `render:rt1:` and that JSON; both
//! are base64url. An editor token's signed bytes begin otherwise, so neither kind can pass for the other.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::formats::Format;
use crate::ids::RenderTokenId;
use crate::origins::Origin;
use crate::secrets::{Secret, Secrets};
use crate::signed_tokens::{Life, MintRefusal, TokenFlaw, TokenRefusal, Verified, decode, encode, in_milliseconds};
use crate::templates::{TemplateKey, TemplateVersion};
use crate::tenants::TenantId;

const KIND: &str = "rt1";

/// What the holder of the token may render. A claim that this version does not know may be a limit: such a token is refused.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RenderToken {
    /// Names the token where its renders are counted and where it is withdrawn.
    pub id: RenderTokenId,
    /// Whose templates.
    pub tenant: TenantId,
    /// The templates, 1–50.
    pub templates: Vec<TemplateKey>,
    /// The formats, each once, at least one.
    pub formats: Vec<Format>,
    /// The label whose version is rendered, whatever the request says; 1–100 printable characters; excludes `version`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The version that is rendered, whatever the request says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<TemplateVersion>,
    /// How many renders in all, 1–1,000,000. Counting is the caller's.
    pub max_renders: NonZeroU32,
    /// When it was made. Carried in whole milliseconds; what is finer is cut off.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub issued_at: Timestamp,
    /// The first moment at which it is not valid. Whole milliseconds as well.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub expires_at: Timestamp,
    /// The pages it works on, at most 20; empty: everywhere, also outside a browser.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_origins: Vec<Origin>,
    /// Data that the holder cannot change; at most [`RenderToken::DATA_DEPTH`] levels deep. Anybody who has the token can read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed_data: Option<Map<String, Value>>,
    /// Whether the form of a template may be asked for.
    #[serde(default, skip_serializing_if = "FormMetadata::is_refused")]
    pub form_metadata: FormMetadata,
    /// Whom the token was made for, in its maker's words; at most 255 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Who made it, for the audit log; at most 255 characters.
    pub issued_by: String,
}

/// Whether a token also opens the description of a template's form.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FormMetadata {
    /// Renders only.
    #[default]
    Refused,
    /// The form's fields as well.
    Allowed,
}

impl FormMetadata {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes the field by reference")]
    fn is_refused(&self) -> bool {
        *self == Self::Refused
    }
}

/// What a request with a render token asks for.
#[derive(Clone, Copy, Debug)]
pub struct RenderAsk<'a> {
    /// The template.
    pub template: &'a TemplateKey,
    /// The format; none when the template's form is asked for.
    pub format: Option<Format>,
    /// The request's `Origin` header.
    pub origin: Option<&'a str>,
    /// The label that the request names.
    pub label: Option<&'a str>,
    /// The version that the request names.
    pub version: Option<TemplateVersion>,
}

/// The limit of a render token that a request does not keep.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Constraint {
    /// Another template.
    #[error("the token does not reach the template {asked}")]
    Template {
        /// What was asked for.
        asked: TemplateKey,
    },
    /// Another format.
    #[error("the token does not allow {asked}; it allows {}", allowed.iter().map(|format| format.as_str()).collect::<Vec<_>>().join(", "))]
    Format {
        /// What was asked for.
        asked: Format,
        /// What the token allows.
        allowed: Vec<Format>,
    },
    /// The token works on some pages only, and the request does not say where it comes from.
    #[error("the token is for requests of certain web pages, and the request has no Origin")]
    OriginMissing,
    /// The request comes from another page.
    #[error("the token is not for requests from {found:?}")]
    Origin {
        /// The header, at most 300 characters of it.
        found: Box<str>,
    },
    /// The token fixes the version or the label, and the request names another.
    #[error("the token fixes {fixed}; leave version and label out of the request")]
    Version {
        /// What the token fixes.
        fixed: Box<str>,
    },
    /// The form's description is not part of the token.
    #[error("the token does not allow the template's form to be read")]
    FormMetadata,
    /// The token fixes parts of the data, so the data must be an object.
    #[error("the token fixes parts of the data: data must be a JSON object")]
    Data,
}

impl RenderToken {
    /// The lives that a token may have, in seconds: half a minute to 30 days. Its count and its withdrawal are kept as
    /// long as it lives.
    pub const TTL_SECONDS: RangeInclusive<u32> = 30..=30 * 24 * 3600;

    /// The life of a token when its maker chose none.
    pub const DEFAULT_TTL_SECONDS: u32 = 3600;

    /// The longest text that is read.
    pub const MAX_BYTES: usize = 8192;

    /// The most templates of one token.
    pub const MAX_TEMPLATES: usize = 50;

    /// The most origins of one token.
    pub const MAX_ORIGINS: usize = 20;

    /// The most renders of one token.
    pub const MAX_RENDERS: u32 = 1_000_000;

    /// How deep fixed data may be nested.
    pub const DATA_DEPTH: usize = 32;

    /// The token as text. Refuses only what [`RenderToken::verify`] would never accept.
    pub fn mint(&self, secret: &Secret) -> Result<String, MintRefusal> {
        self.check_content().map_err(|(field, reason)| MintRefusal::Content { field, reason })?;
        self.life().check_length().map_err(MintRefusal::Time)?;
        let claims = self.claims();
        let text = format!("{KIND}.{}.{}", encode(&claims), encode(secret.sign(&signed_bytes(claims.as_bytes()))));
        if text.len() > Self::MAX_BYTES {
            return Err(MintRefusal::TooLong { size_bytes: text.len(), limit_bytes: Self::MAX_BYTES });
        }
        Ok(text)
    }

    /// Whether the text means to be a render token, by how it begins.
    pub fn is_one(text: &str) -> bool {
        text.strip_prefix(KIND).is_some_and(|rest| rest.starts_with('.'))
    }

    /// What a token says, if one of the secrets signed it and it is valid at `now`. The signature is checked before
    /// anything that it covers is read. Tokens issued before `issued_after` are refused. Whether it was withdrawn
    /// or is used up is not known here.
    pub fn verify(text: &str, secrets: &Secrets, now: Timestamp, issued_after: Option<Timestamp>) -> Result<Verified<Self>, TokenRefusal> {
        if text.len() > Self::MAX_BYTES {
            return Err(TokenRefusal::TooLong { size_bytes: text.len(), limit_bytes: Self::MAX_BYTES });
        }
        let parts = || TokenFlaw::Parts { expected: 3, found: text.split('.').count() };
        let (kind, rest) = text.split_once('.').ok_or_else(parts)?;
        let (claims, signature) = rest.split_once('.').filter(|(_, last)| !last.contains('.')).ok_or_else(parts)?;
        if kind != KIND {
            return Err(TokenFlaw::Kind { expected: KIND }.into());
        }
        let claims = decode(claims, "claims")?;
        let signature = decode(signature, "signature")?;
        let signed_with =
            secrets.verify(&signed_bytes(&claims), &signature).ok_or(TokenRefusal::BadSignature { secrets: secrets.count() })?;

        let content = |reason: Box<str>| TokenFlaw::Content { part: "claims", reason };
        let token: Self = serde_json::from_slice(&claims).map_err(|error| content(error.to_string().into()))?;
        token.check_content().map_err(|(field, reason)| content(format!("{field}: {reason}").into()))?;
        if token.claims().as_bytes() != claims {
            return Err(TokenFlaw::Spelling.into());
        }
        match token.life().check_at(now, issued_after) {
            Ok(()) => Ok(Verified { token, signed_with }),
            Err(why) => {
                Err(TokenRefusal::Time { holder: format!("render token {}", token.id).into(), tenant: token.tenant, signed_with, why })
            }
        }
    }

    /// Whether a request keeps the token's limits. A limit that the token does not have limits nothing. What is rendered
    /// is the token's version or label where it has one, else what the request names.
    pub fn permits(&self, ask: RenderAsk<'_>) -> Result<(), Constraint> {
        if !self.allowed_origins.is_empty() {
            let found = ask.origin.ok_or(Constraint::OriginMissing)?;
            if !self.allowed_origins.iter().any(|origin| origin.is(found)) {
                return Err(Constraint::Origin { found: found.chars().take(300).collect() });
            }
        }
        if !self.templates.contains(ask.template) {
            return Err(Constraint::Template { asked: ask.template.clone() });
        }
        match ask.format {
            Some(asked) if !self.formats.contains(&asked) => return Err(Constraint::Format { asked, allowed: self.formats.clone() }),
            None if self.form_metadata == FormMetadata::Refused => return Err(Constraint::FormMetadata),
            _ => {}
        }
        let other = |fixed: String| Err(Constraint::Version { fixed: fixed.into() });
        match (&self.version, &self.label) {
            (Some(fixed), _) if ask.label.is_some() || ask.version.is_some_and(|version| version != *fixed) => {
                other(format!("version {fixed}"))
            }
            (_, Some(fixed)) if ask.version.is_some() || ask.label.is_some_and(|label| label != fixed) => other(format!("label {fixed:?}")),
            _ => Ok(()),
        }
    }

    /// The data that is rendered: the caller's, with every value that the token fixes in its place. Objects on both sides
    /// are merged property by property; anything else of the caller's gives way. A template may move data afterwards: see
    /// [`fix_data`].
    pub fn with_fixed_data(&self, data: Value) -> Result<Value, Constraint> {
        match (&self.fixed_data, data) {
            (None, data) => Ok(data),
            (Some(fixed), Value::Object(mut data)) => {
                fix_data(&mut data, fixed);
                Ok(Value::Object(data))
            }
            (Some(fixed), Value::Null) => Ok(Value::Object(fixed.clone())),
            (Some(_), _) => Err(Constraint::Data),
        }
    }

    fn check_content(&self) -> Result<(), (&'static str, Box<str>)> {
        let bounded = |text: &str, limit: usize| text.chars().count() <= limit && !text.chars().any(char::is_control);
        let refused: &[(bool, &'static str, &str)] = &[
            (self.templates.is_empty() || self.templates.len() > Self::MAX_TEMPLATES, "templates", "1–50 template keys"),
            (self.formats.is_empty() || repeats(&self.formats), "formats", "at least one format, each once"),
            (self.max_renders.get() > Self::MAX_RENDERS, "maxRenders", "1–1,000,000"),
            (self.allowed_origins.len() > Self::MAX_ORIGINS, "allowedOrigins", "at most 20 origins"),
            (self.label.is_some() && self.version.is_some(), "version", "version and label exclude each other"),
            (self.label.as_ref().is_some_and(|label| label.is_empty() || !bounded(label, 100)), "label", "1–100 printable characters"),
            (self.subject.as_ref().is_some_and(|text| !bounded(text, 255)), "subject", "at most 255 printable characters"),
            (!bounded(&self.issued_by, 255), "issuedBy", "at most 255 printable characters"),
            (
                self.fixed_data.as_ref().is_some_and(|data| data.values().any(|value| deeper_than(value, Self::DATA_DEPTH - 1))),
                "fixedData",
                "at most 32 levels deep",
            ),
        ];
        refused.iter().find(|(refused, ..)| *refused).map_or(Ok(()), |(_, field, accepted)| Err((field, (*accepted).into())))
    }

    fn claims(&self) -> String {
        // Texts, numbers and JSON only: writing them cannot fail, and nothing verifies against empty claims.
        serde_json::to_string(self).unwrap_or_default()
    }

    fn life(&self) -> Life {
        let longest_seconds = i64::from(*Self::TTL_SECONDS.end());
        Life { issued_at: in_milliseconds(self.issued_at), expires_at: in_milliseconds(self.expires_at), longest_seconds }
    }
}

fn signed_bytes(claims: &[u8]) -> [&[u8]; 2] {
    [b"render:rt1:", claims]
}

fn repeats(formats: &[Format]) -> bool {
    formats.iter().enumerate().any(|(index, format)| formats[..index].contains(format))
}

/// Never deeper into the value than `levels`.
fn deeper_than(value: &Value, levels: usize) -> bool {
    let mut inner: Box<dyn Iterator<Item = &Value>> = match value {
        Value::Array(items) => Box::new(items.iter()),
        Value::Object(properties) => Box::new(properties.values()),
        _ => return false,
    };
    levels == 0 || inner.any(|value| deeper_than(value, levels - 1))
}

/// Puts every fixed value in its place. Objects on both sides are merged property by property; anything else of `data`
/// gives way. To be done again after every step that moves values about: what is fixed already does not change.
///
/// Recurses as deep as `fixed`, which for a token is at most [`RenderToken::DATA_DEPTH`]; the depth of `data` does not matter.
pub fn fix_data(data: &mut Map<String, Value>, fixed: &Map<String, Value>) {
    for (name, value) in fixed {
        match (data.get_mut(name), value) {
            (Some(Value::Object(theirs)), Value::Object(ours)) => fix_data(theirs, ours),
            (Some(theirs), ours) => *theirs = ours.clone(),
            (None, ours) => {
                data.insert(name.clone(), ours.clone());
            }
        }
    }
}
