//! Names of hosts on the Internet and inside.

use std::fmt;
use std::str::FromStr;

/// A host's name in lower case and without a dot at its end: labels of letters, digits, `-` and `_`, the last one no number.
/// International names are in their ASCII form (`xn--…`).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct HostName(Box<str>);

/// The text is not a host name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidHostName {
    /// It has other characters than names have, or labels of no or too great length.
    #[error(
        "a host name is labels of a-z, 0-9, '-' and '_' with dots between them: at most 63 characters each, 253 in all, no dot at the end"
    )]
    Syntax,
    /// Some programs would read it as an address.
    #[error("its last label is a number, so some programs read it as an IPv4 address")]
    Number,
}

/// Ends of names that mean something inside a network only: reserved ones (RFC 6761, 6762, 8375, 9476 and the list of names
/// that will never be given to anybody) and those that routers and clusters use.
const INTERNAL: [&str; 14] = [
    "localhost",
    "local",
    "internal",
    "localdomain",
    "home.arpa",
    "lan",
    "home",
    "corp",
    "mail",
    "intranet",
    "private",
    "invalid",
    "test",
    "alt",
];

impl HostName {
    /// Whether the name means something inside a network only; such as `localhost`, `metadata.google.internal`, or a name
    /// without a dot, to which resolvers append the domains of the inner network.
    pub fn is_internal(&self) -> bool {
        let ends = |end: &&str| self.0.strip_suffix(*end).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        !self.0.contains('.') || INTERNAL.iter().any(ends)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HostName {
    type Err = InvalidHostName;

    fn from_str(text: &str) -> Result<Self, InvalidHostName> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let label =
            |label: &str| (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-') && label.bytes().all(allowed);
        if text.len() > 253 || !text.split('.').all(label) {
            return Err(InvalidHostName::Syntax);
        }
        let name = text.to_ascii_lowercase();
        let last = name.rsplit('.').next().unwrap_or_default();
        let hexadecimal = last.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        if hexadecimal || last.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidHostName::Number);
        }
        Ok(Self(name.into()))
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_labels_and_nothing_that_reads_as_a_number() {
        for text in ["example.com", "EXAMPLE.com", "a_b.example", "xn--mnchen-3ya.de", "minio", "1.example", "0x7f.example"] {
            assert_eq!(text.parse::<HostName>().unwrap().as_str(), text.to_lowercase());
        }
        for text in ["", ".", "a..b", "example.com.", ".a", "-a.b", "a-.b", "a b", "münchen.de", "a%2eb", "[::1]", "a:1", "*.example.com"]
        {
            assert_eq!(text.parse::<HostName>(), Err(InvalidHostName::Syntax), "{text}");
        }
        for text in ["127.1", "1", "2130706433", "a.0x7f", "a.0x", "example.1"] {
            assert_eq!(text.parse::<HostName>(), Err(InvalidHostName::Number), "{text}");
        }
        assert!(format!("{}.de", "a".repeat(63)).parse::<HostName>().is_ok());
        assert!(format!("{}.de", "a".repeat(64)).parse::<HostName>().is_err());
        assert!(["a"; 127].join(".").parse::<HostName>().is_ok() && ["a"; 128].join(".").parse::<HostName>().is_err());
    }

    #[test]
    fn inner_names_are_known_by_their_end_or_by_having_no_dot() {
        let internal = |text: &str| text.parse::<HostName>().unwrap().is_internal();
        for text in ["localhost", "a.localhost", "printer.local", "metadata.google.internal", "minio", "x.svc.cluster.local", "LOCALHOST"] {
            assert!(internal(text), "{text}");
        }
        for text in ["example.com", "local.example.com", "notlocalhost.com", "internal.example", "mylocal.com"] {
            assert!(!internal(text), "{text}");
        }
    }
}
