//! Which lane a document takes: a conservative scan for everything that could outlive it in its tab.

use memchr::memchr_iter;
use serde::{Deserialize, Serialize};

/// How a document is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Lane {
    /// Script-free, in a warm tab, nothing else on the request path.
    Fast,
    /// Script-free, and the tab is reset by a navigation afterwards.
    Reset,
    /// With its scripts, in a browser context of its own.
    Script,
}

impl Lane {
    /// The name in logs, metrics and headers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Reset => "reset",
            Self::Script => "script",
        }
    }
}

/// Elements that bring a document of their own or would run something: not known to leak, not worth trusting.
const RESETTING: [&[u8]; 8] = [b"script", b"iframe", b"frame", b"object", b"embed", b"portal", b"fencedframe", b"applet"];

/// Values of `<meta name>` that were seen to leave nothing behind. `color-scheme` is not among them: it does.
const HARMLESS_NAMES: [&[u8]; 22] = [
    b"viewport",
    b"description",
    b"author",
    b"keywords",
    b"generator",
    b"theme-color",
    b"referrer",
    b"robots",
    b"title",
    b"date",
    b"creator",
    b"subject",
    b"publisher",
    b"copyright",
    b"language",
    b"format-detection",
    b"application-name",
    b"x-apple-disable-message-reformatting",
    b"template",
    b"version",
    b"producer",
    b"category",
];

/// The lane of a script-free document, [`Lane::Fast`] or [`Lane::Reset`]. Linear in the length of the HTML.
///
/// Doubt means [`Lane::Reset`], which costs about 9 CPU-ms: an unfinished tag, an entity inside `<meta>`, a name that
/// is not known to be harmless.
pub fn scan(html: &str) -> Lane {
    let bytes = html.as_bytes();
    for open in memchr_iter(b'<', bytes) {
        let rest = &bytes[open + 1..];
        // One look at the first letter passes most tags.
        let resets = match rest.first().map(u8::to_ascii_lowercase) {
            Some(b'm') if starts_with(rest, b"meta") => !is_longer_name(&rest[4..]) && !meta_is_harmless(&rest[4..]),
            Some(b's' | b'i' | b'f' | b'o' | b'e' | b'p' | b'a') => RESETTING.iter().any(|name| starts_with(rest, name)),
            _ => false,
        };
        if resets {
            return Lane::Reset;
        }
    }
    Lane::Fast
}

fn starts_with(text: &[u8], lower: &[u8]) -> bool {
    text.get(..lower.len()).is_some_and(|start| start.eq_ignore_ascii_case(lower))
}

/// Whether a tag that starts like another goes on, as SVG's `<metadata>` does.
fn is_longer_name(rest: &[u8]) -> bool {
    rest.first().is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
}

/// Whether a `<meta` tag, from behind its name on, is one of the known harmless ones.
fn meta_is_harmless(rest: &[u8]) -> bool {
    // Never past the next `<`: each byte is looked at once, and text that only looks like a tag (inside a comment, say)
    // cannot swallow a real one.
    let mut rest = memchr::memchr(b'<', rest).map_or(rest, |next| &rest[..next]);
    loop {
        rest = skip(rest, |byte| byte.is_ascii_whitespace() || byte == b'/');
        match rest.first() {
            None => return false,
            Some(b'>') => return true,
            Some(_) => {}
        }
        let (name, after) = split(rest, |byte| byte.is_ascii_whitespace() || matches!(byte, b'=' | b'>' | b'/'));
        rest = skip(after, |byte| byte.is_ascii_whitespace());
        let mut value: &[u8] = &[];
        if let [b'=', after @ ..] = rest {
            rest = skip(after, |byte| byte.is_ascii_whitespace());
            (value, rest) = match rest {
                [quote @ (b'"' | b'\''), quoted @ ..] => match memchr::memchr(*quote, quoted) {
                    Some(end) => (&quoted[..end], &quoted[end + 1..]),
                    None => return false,
                },
                _ => split(rest, |byte| byte.is_ascii_whitespace() || byte == b'>'),
            };
        }
        let harmless = match name.to_ascii_lowercase().as_slice() {
            b"charset" | b"content" | b"property" | b"itemprop" | b"lang" | b"id" | b"class" | b"media" | b"scheme" => true,
            b"name" => {
                let value = value.trim_ascii();
                HARMLESS_NAMES.iter().any(|name| name.eq_ignore_ascii_case(value))
            }
            _ => false,
        };
        if !harmless {
            return false;
        }
    }
}

fn skip(text: &[u8], what: impl Fn(u8) -> bool) -> &[u8] {
    split(text, |byte| !what(byte)).1
}

fn split(text: &[u8], at: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|&byte| at(byte)).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_documents_take_the_fast_lane() {
        for html in [
            "",
            "<!DOCTYPE html><html lang=en><head><meta charset=utf-8><title>a</title></head><body><p>x</p></body></html>",
            "<META CHARSET='utf-8'/><meta name=viewport content='width=device-width'>",
            "<meta name=\"description\" content=\"a > b &amp; c\"><p>on x=1 http-equiv color-scheme",
            "<style>@media (prefers-color-scheme: dark){p{color:red}}</style><strong>s</strong><svg><metadata></metadata></svg>",
            "<meta property='og:title' content=x><i>italic</i><a href=x>a</a><p>a < b</p><picture></picture>",
        ] {
            assert_eq!(scan(html), Lane::Fast, "{html}");
        }
    }

    #[test]
    fn whatever_outlives_a_document_takes_the_reset_lane_however_it_is_written() {
        for html in [
            "<meta http-equiv=refresh content=0>",
            "<META HTTP-EQUIV='Content-Security-Policy' content=x>",
            "<mEtA\n\thttp-EQUIV = refresh>",
            "<meta/http-equiv=refresh>",
            "<meta content='>' http-equiv=refresh>",
            "<meta content=\"'>\" name=\"color-scheme\">",
            "<meta charset=utf-8><p><meta name='color-scheme' content=dark>",
            "<meta name=color&#45;scheme content=dark>",
            "<meta name='color&#x2d;scheme' content=dark>",
            "<meta name=\" COLOR-SCHEME \">",
            "<meta name=something-new>",
            "<meta name=viewport",
            "<meta content=\"unfinished",
            "<!-- <meta content=\" --><meta http-equiv=refresh><p title=\">",
            "<meta content=\"a < b\">",
            "<meta content=a\"b http-equiv=refresh>",
            "<meta content =x / http-equiv=refresh>",
            "<meta =http-equiv http-equiv=refresh>",
            "<script>",
            "<ScRiPt>",
            "<p><iframe srcdoc='x'>",
            "<object data=x>",
            "<embed src=x>",
            "<!-- <meta http-equiv=refresh> -->",
            "<noscript><meta http-equiv=refresh></noscript>",
        ] {
            assert_eq!(scan(html), Lane::Reset, "{html}");
        }
    }
}
