//! Puts our head into a document that the author wrote whole.

use crate::css::find_ignoring_case;
use crate::tags::{decode, tag_end};

/// How far into a document its title is looked for, in bytes.
const TITLE_WITHIN: usize = 64 * 1024;

/// Where the parts of an author's document are.
pub(crate) struct Anatomy {
    /// Behind `<html`, where attributes may be added.
    html_attributes_at: Option<usize>,
    /// Behind `<head>`, or where a head would begin.
    head_at: usize,
    /// The text of the author's `title`.
    pub(crate) title: Option<String>,
}

/// The parts, or `None` where the markup is a fragment that still needs a document around it.
pub(crate) fn anatomy(html: &str) -> Option<Anatomy> {
    let mut at = skip_blank(html, html.len() - html.trim_start_matches('\u{feff}').len());
    let mut html_attributes_at = None;
    let mut has_doctype = false;
    if starts(html, at, "<!doctype") {
        at = skip_blank(html, at + html[at..].find('>').map_or(html.len() - at, |end| end + 1));
        has_doctype = true;
    }
    if is_tag(html, at, "<html") {
        html_attributes_at = Some(at + "<html".len());
        at = skip_blank(html, at + tag_end(&html[at..])?);
    } else if !has_doctype {
        return None;
    }
    if is_tag(html, at, "<head") {
        at += tag_end(&html[at..])?;
    }
    Some(Anatomy { html_attributes_at, head_at: at, title: title(&html[at..]) })
}

/// The document with attributes on its `html` element and `head` as the first thing in its head.
pub(crate) fn inject(html: &str, anatomy: &Anatomy, attributes: &str, head: &str) -> String {
    let mut out = String::with_capacity(html.len() + attributes.len() + head.len() + 16);
    // A browser keeps the first of two attributes with the same name, so ours go in front.
    let before = anatomy.html_attributes_at.unwrap_or(anatomy.head_at);
    out.push_str(&html[..before]);
    if anatomy.html_attributes_at.is_some() || attributes.is_empty() {
        out.push_str(attributes);
    } else {
        out.push_str("<html");
        out.push_str(attributes);
        out.push('>');
    }
    out.push_str(&html[before..anatomy.head_at]);
    out.push_str(head);
    out.push_str(&html[anatomy.head_at..]);
    out
}

fn title(rest: &str) -> Option<String> {
    let mut within = rest.len().min(TITLE_WITHIN);
    while !rest.is_char_boundary(within) {
        within -= 1;
    }
    let head = &rest[..within];
    let head = &head[..find_ignoring_case(head, "<body").unwrap_or(head.len())];
    let open = find_ignoring_case(head, "<title")?;
    let content = &head[open + tag_end(&head[open..])?..];
    let text = &content[..find_ignoring_case(content, "</title")?];
    Some(decode(text.trim()))
}

fn starts(html: &str, at: usize, prefix: &str) -> bool {
    html.as_bytes().get(at..at + prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
}

/// `<html` but not `<htmlx`.
fn is_tag(html: &str, at: usize, prefix: &str) -> bool {
    let next = html.as_bytes().get(at + prefix.len());
    starts(html, at, prefix) && next.is_some_and(|byte| byte.is_ascii_whitespace() || matches!(byte, b'>' | b'/'))
}

/// Skips white space and comments.
fn skip_blank(html: &str, mut at: usize) -> usize {
    loop {
        let rest = &html[at..];
        let blank = rest.len() - rest.trim_ascii_start().len();
        at += blank;
        let Some(comment) = html[at..].strip_prefix("<!--") else { return at };
        at = comment.find("-->").map_or(html.len(), |end| at + 4 + end + 3);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn injected(html: &str) -> Option<String> {
        anatomy(html).map(|anatomy| inject(html, &anatomy, " lang=\"de\"", "[HEAD]"))
    }

    #[test]
    fn the_head_goes_first_into_whatever_form_the_document_has() {
        for (html, wanted) in [
            ("<!doctype html><html><head><title>T</title></head>", "<!doctype html><html lang=\"de\"><head>[HEAD]<title>T</title></head>"),
            ("<!-- <html> --> <HTML class='a>b'><HEAD data-x>", "<!-- <html> --> <HTML lang=\"de\" class='a>b'><HEAD data-x>[HEAD]"),
            ("<!DOCTYPE html>\n<body>x", "<!DOCTYPE html>\n<html lang=\"de\">[HEAD]<body>x"),
            ("<!doctype html><p>x", "<!doctype html><html lang=\"de\">[HEAD]<p>x"),
            ("\u{feff}<html><header>x", "\u{feff}<html lang=\"de\">[HEAD]<header>x"),
        ] {
            assert_eq!(injected(html).as_deref(), Some(wanted));
        }
        for fragment in ["", "<p>x</p>", "text <html>", "<htmlx>", "<!-- c -->", "<!-- never closed"] {
            assert_eq!(injected(fragment), None, "{fragment}");
        }
    }

    #[test]
    fn the_authors_title_is_read_from_the_head_only() {
        let title = |html| anatomy(html).and_then(|anatomy| anatomy.title);
        assert_eq!(title("<html><head><TITLE x=1> A &amp; B </TITLE>"), Some("A & B".into()));
        assert_eq!(title("<html><body><svg><title>x</title></svg>"), None);
    }
}
