//! People: how they are named, how they come in, and what they may choose as a key.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::api_keys::ApiKeyText;
use crate::invisible::is_invisible;

/// Names a person in their tenant: 1–128 printable characters without spaces at the ends. What the audit log calls
/// by a name of its own (`system:…`, `apikey:…`, `env:…`) is nobody's name.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserId(Box<str>);

/// The text names no person.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidUserId {
    /// Empty, too long, or not printable.
    #[error("a user id is 1–{} printable characters without spaces at its ends", UserId::MAX_CHARS)]
    Form,
    /// It would look like something else in the audit log.
    #[error("a user id does not begin with {0:?}: the audit log names credentials so")]
    Reserved(&'static str),
}

impl UserId {
    /// The longest id, in characters.
    pub const MAX_CHARS: usize = 128;

    const RESERVED: [&'static str; 4] = ["system:", "apikey:", "env:", "render-token:"];

    /// What the ids begin with that are made for people of the identity provider whose own names there cannot be ids.
    pub const OF_PROVIDER: &'static str = "oidc:";

    /// Whether it begins with [`UserId::OF_PROVIDER`], in whatever case. Nobody gives such an id to anybody else.
    pub fn is_made_for_the_provider(&self) -> bool {
        begins_with(&self.0, Self::OF_PROVIDER)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UserId {
    type Err = InvalidUserId;

    fn from_str(text: &str) -> Result<Self, InvalidUserId> {
        let printable = !text.is_empty() && text.trim() == text && !text.contains(is_invisible);
        if !printable || text.chars().count() > Self::MAX_CHARS {
            return Err(InvalidUserId::Form);
        }
        match Self::RESERVED.iter().find(|prefix| begins_with(text, prefix)) {
            Some(prefix) => Err(InvalidUserId::Reserved(prefix)),
            None => Ok(Self(text.into())),
        }
    }
}

fn begins_with(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

impl TryFrom<String> for UserId {
    type Error = InvalidUserId;

    fn try_from(text: String) -> Result<Self, InvalidUserId> {
        text.parse()
    }
}

impl From<UserId> for String {
    fn from(id: UserId) -> Self {
        id.0.into()
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// How a person comes in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthMethod {
    /// With a key of their own.
    Key,
    /// Through the identity provider.
    Oidc,
}

/// The text names no way in.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("accepted: key, oidc")]
pub struct UnknownAuthMethod;

impl AuthMethod {
    /// The word on the wire and in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Oidc => "oidc",
        }
    }
}

impl FromStr for AuthMethod {
    type Err = UnknownAuthMethod;

    fn from_str(text: &str) -> Result<Self, UnknownAuthMethod> {
        [Self::Key, Self::Oidc].into_iter().find(|method| method.as_str() == text).ok_or(UnknownAuthMethod)
    }
}

/// Whether a person may come in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum UserActivity {
    /// Yes.
    Active,
    /// Not any more, or not yet.
    Deactivated,
}

/// The key a person logs in with: 16–512 printable characters without spaces, and nothing that reads as an API key.
#[derive(Clone, PartialEq, Eq)]
pub struct UserKey(Box<str>);

/// The text is no key for a person.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidUserKey {
    /// Too short, too long, or with spaces or control characters.
    #[error("a user's key is {}–{} printable characters without spaces", UserKey::MIN_CHARS, UserKey::MAX_CHARS)]
    Form,
    /// It has the form of an API key, and would be looked for among those.
    #[error("a user's key must not have the form of an API key")]
    ApiKey,
}

impl UserKey {
    /// The shortest key, in characters: 16 hexadecimal digits are 64 random bits.
    pub const MIN_CHARS: usize = 16;
    /// The longest key, in characters.
    pub const MAX_CHARS: usize = 512;
    /// Characters at its end that stay visible.
    pub const HINT_CHARS: usize = 4;

    /// The last characters, to tell keys apart.
    pub fn hint(&self) -> String {
        let skip = self.0.chars().count() - Self::HINT_CHARS;
        self.0.chars().skip(skip).collect()
    }

    /// The key itself, for its MAC.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl FromStr for UserKey {
    type Err = InvalidUserKey;

    fn from_str(text: &str) -> Result<Self, InvalidUserKey> {
        let word = text.chars().all(|character| !character.is_whitespace() && !character.is_control());
        if !word || !(Self::MIN_CHARS..=Self::MAX_CHARS).contains(&text.chars().count()) {
            return Err(InvalidUserKey::Form);
        }
        if text.parse::<ApiKeyText>().is_ok() { Err(InvalidUserKey::ApiKey) } else { Ok(Self(text.into())) }
    }
}

impl fmt::Debug for UserKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("UserKey(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_printable_line_and_never_looks_like_a_credential() {
        for id in ["a", "ann@example.com", "auth0|5f7", "Ann Lee", "env", "environment:1", &"ü".repeat(128)] {
            assert_eq!(id.parse::<UserId>().unwrap().as_str(), id);
        }
        for id in ["", " ann", "ann ", "a\nb", "a\0b", "a\u{202E}b", "a\u{200B}", &"x".repeat(129)] {
            assert_eq!(id.parse::<UserId>(), Err(InvalidUserId::Form), "{id:?}");
        }
        for id in ["env:admin", "ENV:admin", "apikey:1", "system:retention", "render-token:1"] {
            assert!(matches!(id.parse::<UserId>(), Err(InvalidUserId::Reserved(_))), "{id:?}");
        }
    }

    #[test]
    fn a_key_is_one_long_word_that_is_no_api_key() {
        let key: UserKey = "correct-horse-battery".parse().unwrap();
        assert_eq!((key.hint().as_str(), format!("{key:?}").as_str()), ("tery", "UserKey(hidden)"));
        for text in ["short", "fifteen-chars-x", "with spaces in the middle", "with-a-newline-at-the-end\n", &"x".repeat(513)] {
            assert_eq!(text.parse::<UserKey>(), Err(InvalidUserKey::Form), "{text:?}");
        }
        let api_key = ApiKeyText::generate([1; ApiKeyText::RANDOM_BYTES]);
        assert_eq!(api_key.reveal().parse::<UserKey>(), Err(InvalidUserKey::ApiKey));
    }
}
