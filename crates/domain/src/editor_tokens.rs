//! Editor tokens: five signed parts that any replica verifies without looking anything up.
//!
//! `iat.expiry.tenant.actor.signature`: two times in milliseconds since 1970, then base64url. The signature is the
//! HMAC-SHA256 of `editor:{iat}:{expiry}:{tenant}:{actor}` with the last two decoded.

use std::ops::RangeInclusive;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::actions::Action;
use crate::api_keys::ApiKeyLookup;
use crate::scopes::Scope;
use crate::secrets::{Secret, Secrets};
use crate::signed_tokens::{Life, MintRefusal, TokenFlaw, TokenRefusal, Verified, decode, encode, in_milliseconds};
use crate::template_selectors::TemplateSelector;
use crate::templates::TemplateKey;
use crate::tenants::TenantId;

/// What one editor may do, where and until when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EditorToken {
    /// When it was made. Carried in whole milliseconds; what is finer is cut off.
    pub issued_at: Timestamp,
    /// The first moment at which it is not valid, at most 1440 minutes after its making. Whole milliseconds as well.
    pub expires_at: Timestamp,
    /// Whose templates.
    pub tenant: TenantId,
    /// Who edits, for the audit log; never a reason to allow anything.
    pub name: String,
    /// The scope of the key, or the role of the user, it was exchanged for.
    pub scope: Scope,
    /// Where the name comes from.
    pub holder: Holder,
    /// Only these templates; all of the tenant when absent, none when empty.
    pub templates: Option<Vec<TemplateSelector>>,
    /// Only these of the scope's actions; all of them when absent.
    pub actions: Option<Vec<Action>>,
    /// The stored key it was exchanged for: what becomes of the key becomes of the token.
    pub api_key: Option<ApiKeyLookup>,
}

/// Where the name in a token comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Holder {
    /// A registered user's id: its cut-over and its deactivation count.
    RegisteredUser,
    /// A label that the holder of a shared key chose freely.
    Label,
}

/// The actor part as it is signed. A field that this version does not know may be a limit: such a token is refused.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ActorPart {
    n: String,
    s: Scope,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    u: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    t: Option<Vec<TemplateSelector>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    x: Option<Vec<Action>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    k: Option<String>,
}

impl EditorToken {
    /// The lives that an operator may choose, in minutes (the published range).
    pub const TTL_MINUTES: RangeInclusive<u16> = 5..=1440;

    /// The life of a token when the operator chose none (the published default).
    pub const DEFAULT_TTL_MINUTES: u16 = 480;

    /// The longest text that is read: room for about a hundred template selectors, and far below what a header may have.
    pub const MAX_BYTES: usize = 4096;

    /// Whether its scope and its own limits include the action. Which templates it reaches is a second question.
    pub fn may(&self, action: Action) -> bool {
        self.scope.may(action) && self.actions.as_ref().is_none_or(|actions| actions.contains(&action))
    }

    /// Whether its own limits include the template.
    pub fn reaches(&self, key: &TemplateKey) -> bool {
        self.templates.as_ref().is_none_or(|selectors| selectors.iter().any(|selector| selector.selects(key)))
    }

    /// The token as text. Refuses only what [`EditorToken::verify`] would never accept.
    pub fn mint(&self, secret: &Secret) -> Result<String, MintRefusal> {
        let life = self.life();
        life.check_length().map_err(MintRefusal::Time)?;
        if self.issued_at.as_millisecond() < 0 {
            let reason = "times before 1970 cannot be carried".into();
            return Err(MintRefusal::Content { field: "time of issue", reason });
        }
        let (issued, expires) = (milliseconds(self.issued_at), milliseconds(self.expires_at));
        let actor = self.actor_part();
        let signature = secret.sign(&signed_bytes(&issued, &expires, self.tenant.as_str().as_bytes(), actor.as_bytes()));
        let text = format!("{issued}.{expires}.{}.{}.{}", encode(self.tenant.as_str()), encode(&actor), encode(signature));
        if text.len() > Self::MAX_BYTES {
            return Err(MintRefusal::TooLong { size_bytes: text.len(), limit_bytes: Self::MAX_BYTES });
        }
        Ok(text)
    }

    /// What a token says, if one of the secrets signed it and it is valid at `now`. The signature is checked before
    /// anything that it covers is read. Tokens issued before `issued_after` are refused.
    pub fn verify(text: &str, secrets: &Secrets, now: Timestamp, issued_after: Option<Timestamp>) -> Result<Verified<Self>, TokenRefusal> {
        if text.len() > Self::MAX_BYTES {
            return Err(TokenRefusal::TooLong { size_bytes: text.len(), limit_bytes: Self::MAX_BYTES });
        }
        let found = text.split('.').count();
        let mut parts = text.split('.');
        let mut part = || parts.next().ok_or(TokenFlaw::Parts { expected: 5, found });
        let (issued, expires, tenant, actor, signature) = (part()?, part()?, part()?, part()?, part()?);
        if found != 5 {
            return Err(TokenFlaw::Parts { expected: 5, found }.into());
        }
        let tenant = decode(tenant, "tenant")?;
        let actor = decode(actor, "actor")?;
        let signature = decode(signature, "signature")?;
        let signed_with = secrets
            .verify(&signed_bytes(issued, expires, &tenant, &actor), &signature)
            .ok_or(TokenRefusal::BadSignature { secrets: secrets.count() })?;

        // The signature joins the parts with colons. Times and tenant ids have none, so what reads as
        // four parts below can have been signed as these four only.
        let token = Self::read(issued, expires, &tenant, &actor)?;
        if token.actor_part().as_bytes() != actor {
            return Err(TokenFlaw::Spelling.into());
        }
        match token.life().check_at(now, issued_after) {
            Ok(()) => Ok(Verified { token, signed_with }),
            Err(why) => Err(TokenRefusal::Time { holder: token.name.into(), tenant: token.tenant, signed_with, why }),
        }
    }

    fn read(issued: &str, expires: &str, tenant: &[u8], actor: &[u8]) -> Result<Self, TokenFlaw> {
        let content = |part, reason: &dyn ToString| TokenFlaw::Content { part, reason: reason.to_string().into() };
        let time = |part, text: &str| {
            let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
            let time = text.parse().ok().filter(|_| plain).and_then(|milliseconds| Timestamp::from_millisecond(milliseconds).ok());
            time.ok_or_else(|| content(part, &"not a time in milliseconds since 1970"))
        };
        let tenant = std::str::from_utf8(tenant).map_err(|error| content("tenant", &error))?;
        let actor: ActorPart = serde_json::from_slice(actor).map_err(|error| content("actor", &error))?;
        Ok(Self {
            issued_at: time("iat", issued)?,
            expires_at: time("expiry", expires)?,
            tenant: tenant.parse().map_err(|error| content("tenant", &error))?,
            name: actor.n,
            scope: actor.s,
            holder: if actor.u == Some(true) { Holder::RegisteredUser } else { Holder::Label },
            templates: actor.t,
            actions: actor.x,
            api_key: actor.k.map(|key| key.parse()).transpose().map_err(|error| content("actor", &error))?,
        })
    }

    fn actor_part(&self) -> String {
        let part = ActorPart {
            n: self.name.clone(),
            s: self.scope,
            u: (self.holder == Holder::RegisteredUser).then_some(true),
            t: self.templates.clone(),
            x: self.actions.clone(),
            k: self.api_key.as_ref().map(ToString::to_string),
        };
        // Names and words only: writing them cannot fail, and nothing verifies against an empty part.
        serde_json::to_string(&part).unwrap_or_default()
    }

    fn life(&self) -> Life {
        let longest_seconds = i64::from(*Self::TTL_MINUTES.end()) * 60;
        Life { issued_at: in_milliseconds(self.issued_at), expires_at: in_milliseconds(self.expires_at), longest_seconds }
    }
}

fn milliseconds(time: Timestamp) -> String {
    time.as_millisecond().to_string()
}

fn signed_bytes<'a>(issued: &'a str, expires: &'a str, tenant: &'a [u8], actor: &'a [u8]) -> [&'a [u8]; 8] {
    [b"editor:", issued.as_bytes(), b":", expires.as_bytes(), b":", tenant, b":", actor]
}
