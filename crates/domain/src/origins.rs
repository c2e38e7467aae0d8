//! Web origins: which page a browser's request comes from.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::Url;

/// `scheme://host` or `scheme://host:port` exactly as a browser spells it in the `Origin` header: lower case, no path,
/// no default port, international names in their ASCII form; `http` or `https`; at most 300 bytes.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Origin(Box<str>);

/// The text is not an origin as browsers send it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidOrigin {
    /// It means an origin, but no browser would send it so, and it would never match.
    #[error("a browser sends this origin as {as_sent:?}; write it so")]
    Spelling {
        /// How it is sent.
        as_sent: Box<str>,
    },
    /// It means none.
    #[error("an origin is a scheme (http or https), a host and perhaps a port, without wildcards: \"https://app.example.com\"")]
    NotAnOrigin,
}

impl Origin {
    const MAX_BYTES: usize = 300;

    /// Whether an `Origin` header names this origin. `null`, which browsers send for sandboxed pages, names none.
    pub fn is(&self, header: &str) -> bool {
        header == &*self.0
    }

    /// As browsers spell it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let url = Url::parse(text).map_err(|_| InvalidOrigin::NotAnOrigin)?;
        if !matches!(url.scheme(), "http" | "https") || text.len() > Self::MAX_BYTES || text.contains('*') {
            return Err(InvalidOrigin::NotAnOrigin);
        }
        let as_sent = url.origin().ascii_serialization();
        if as_sent == text { Ok(Self(text.into())) } else { Err(InvalidOrigin::Spelling { as_sent: as_sent.into() }) }
    }
}

impl TryFrom<String> for Origin {
    type Error = InvalidOrigin;

    fn try_from(text: String) -> Result<Self, InvalidOrigin> {
        text.parse()
    }
}

impl From<Origin> for String {
    fn from(origin: Origin) -> Self {
        origin.0.into()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_a_browser_sends_and_nothing_near_it() {
        for text in ["https://app.example.com", "http://localhost:5173", "https://[::1]:8443", "https://xn--mnchen-3ya.de"] {
            let origin: Origin = text.parse().unwrap();
            assert!(origin.is(text) && !origin.is("null") && !origin.is("") && !origin.is(&format!("{text}.evil.example")), "{text}");
        }
        for (text, as_sent) in [
            ("https://app.example.com/", "https://app.example.com"),
            ("https://App.example.com", "https://app.example.com"),
            ("https://app.example.com:443", "https://app.example.com"),
            ("https://user@app.example.com", "https://app.example.com"),
            ("https://münchen.de", "https://xn--mnchen-3ya.de"),
            (" https://a.example", "https://a.example"),
        ] {
            assert_eq!(text.parse::<Origin>(), Err(InvalidOrigin::Spelling { as_sent: as_sent.into() }));
        }
        for text in ["", "null", "*", "https://*.example.com", "app.example.com", "ftp://a.example", "file:///x", "https://"] {
            assert_eq!(text.parse::<Origin>(), Err(InvalidOrigin::NotAnOrigin), "{text}");
        }
    }
}
