//! The forms that values can have: what each accepts, in words and as a check.

use std::net::IpAddr;

use jiff::Timestamp;

/// What a setting accepts.
#[derive(Debug)]
pub enum Form {
    /// A whole number within a range, both ends included.
    Whole {
        /// The smallest accepted value.
        from: u64,
        /// The largest accepted value.
        to: u64,
    },
    /// A strict boolean: anything but the listed words stops the start.
    Switch,
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// An IP address or host name to listen on.
    Host,
    /// A file-system path.
    Path,
    /// A URL with one of these schemes.
    Url(&'static [&'static str]),
    /// Printable characters without spaces, at least this many.
    Word {
        /// The fewest characters accepted.
        min_chars: usize,
    },
    /// A moment with its offset from UTC.
    Moment,
    /// A text with a grammar of its own, described here and checked in the file of its noun.
    Grammar(&'static str),
}

impl Form {
    /// What is accepted, as the manual page and the error message say it.
    pub fn accepted(&self) -> String {
        match self {
            Self::Whole { from, to } => format!("a whole number from {from} to {to}"),
            Self::Switch => "true, 1, yes, on or false, 0, no, off".to_owned(),
            Self::Choice(words) => one_of(words),
            Self::Host => "an IP address or a host name".to_owned(),
            Self::Path => "a path".to_owned(),
            Self::Url(schemes) => {
                format!("a URL beginning with {}", schemes.iter().map(|scheme| format!("{scheme}://")).collect::<Vec<_>>().join(" or "))
            }
            Self::Word { min_chars: 1 } => "printable characters without spaces".to_owned(),
            Self::Word { min_chars } => format!("at least {min_chars} printable characters without spaces"),
            Self::Moment => "a time such as 2026-11-21T10:00:00Z".to_owned(),
            Self::Grammar(words) => (*words).to_owned(),
        }
    }

    /// Whether a text has this form.
    pub fn accepts(&self, text: &str) -> bool {
        match self {
            Self::Whole { from, to } => {
                let digits = text.bytes().all(|byte| byte.is_ascii_digit());
                digits && text.parse().is_ok_and(|number: u64| (*from..=*to).contains(&number))
            }
            Self::Switch => switch(text).is_some(),
            Self::Choice(words) => words.contains(&text),
            Self::Host => text.parse::<IpAddr>().is_ok() || is_host_name(text),
            Self::Path => !text.contains('\0'),
            Self::Url(schemes) => {
                let rest = schemes.iter().find_map(|scheme| text.strip_prefix(scheme)?.strip_prefix("://"));
                rest.is_some_and(|rest| !rest.is_empty()) && is_word(text)
            }
            Self::Word { min_chars } => is_word(text) && text.chars().count() >= *min_chars,
            Self::Moment => text.parse::<Timestamp>().is_ok(),
            Self::Grammar(_) => true,
        }
    }
}

/// The words as a choice in prose.
pub fn one_of(words: &[&str]) -> String {
    match words {
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
        [] => String::new(),
    }
}

/// The meaning of a strict boolean.
pub fn switch(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// Whether no character is a space or unprintable.
pub fn is_word(text: &str) -> bool {
    text.chars().all(|character| !character.is_whitespace() && !character.is_control())
}

/// Whether an address or name is reached from this machine only.
pub fn is_loopback(host: &str) -> bool {
    host.parse::<IpAddr>().map_or_else(|_| host.eq_ignore_ascii_case("localhost"), |address| address.is_loopback())
}

/// The letters of a host name (RFC 1123); an address that is wrong by one digit must not pass as a name.
fn is_host_name(text: &str) -> bool {
    let letters = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
    letters && text.len() <= 253 && text.bytes().any(|byte| byte.is_ascii_alphabetic()) && !text.starts_with(['-', '.'])
}
