//! The headings of an author's own HTML, each with a name that leads to it.

use crate::css::find_ignoring_case;
use crate::error::DocumentError;
use crate::outline::{Heading, Outline};
use crate::tags::{attributes_of, decode, tag_end};
use crate::writer::escape_into;

/// Elements whose content is no markup.
const RAW: [&str; 5] = ["script", "style", "template", "textarea", "title"];
/// Headings that are chapters and sections, with their levels.
const HEADINGS: [(&str, u8); 2] = [("h1", 1), ("h2", 2)];

/// The HTML with an id on every heading of levels 1 and 2 and a link to it, which no reader sees; the headings go to `outline`.
pub(crate) fn named(html: &str, outline: &mut Outline<'_>) -> Result<String, DocumentError> {
    let mut out = String::with_capacity(html.len() + 1024);
    let mut rest = html;
    // What is not closed from here on is not closed further on either, and not looked for again.
    let mut is_closed = [true; HEADINGS.len()];
    while let Some(at) = rest.find('<') {
        let (before, tag) = rest.split_at(at);
        out.push_str(before);
        if tag.starts_with("<!--") {
            let end = tag.find("-->").map_or(tag.len(), |end| end + 3);
            out.push_str(&tag[..end]);
            rest = &tag[end..];
            continue;
        }
        let Some(end) = tag_end(tag) else {
            rest = tag;
            break;
        };
        let name = tag[1..end].split(|character: char| !character.is_ascii_alphanumeric()).next().unwrap_or_default();
        let is = |known: &&str| known.eq_ignore_ascii_case(name);
        let closing = |name: &str| find_ignoring_case(&tag[end..], &format!("</{name}")).map(|at| end + at);
        if let Some(raw) = RAW.into_iter().find(|known| is(known)) {
            let end = closing(raw).unwrap_or(tag.len());
            out.push_str(&tag[..end]);
            rest = &tag[end..];
        } else if let Some(which) = HEADINGS.iter().position(|(known, _)| is(known)).filter(|which| is_closed[*which]) {
            let (heading, level) = HEADINGS[which];
            let Some(close) = closing(heading) else {
                is_closed[which] = false;
                out.push_str(&tag[..end]);
                rest = &tag[end..];
                continue;
            };
            let id = attributes_of(&tag[1 + name.len()..end - 1]).into_iter().find(|(name, value)| name == "id" && !value.is_empty());
            let own = id.as_ref().map(|(_, id)| id.as_str()).filter(|id| is_plain(id));
            let anchor = own.map_or_else(|| outline.next_anchor(), str::to_owned);
            out.push_str(&tag[..=name.len()]);
            if id.is_none() {
                out.extend([" id=\"", &anchor, "\""]);
            }
            out.push_str(&tag[1 + name.len()..end]);
            if id.is_some() && own.is_none() {
                out.extend(["<span id=\"", &anchor, "\"></span>"]);
            }
            out.push_str(&tag[end..close]);
            push_link(&anchor, &mut out);
            let mut escaped = String::new();
            escape_into(&words_of(&tag[end..close]), &mut escaped);
            outline.add(Heading { anchor, level, html: escaped })?;
            rest = &tag[close..];
        } else {
            out.push_str(&tag[..end]);
            rest = &tag[end..];
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// Whether a browser calls the destination in its PDF by the very id: others it spells in its own way, or leaves out.
fn is_plain(id: &str) -> bool {
    id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// A link that nobody sees: a browser keeps a destination only where some link leads to it.
pub(crate) fn push_link(anchor: &str, out: &mut String) {
    out.push_str("<a style=\"display:none\" href=\"#");
    escape_into(anchor, out);
    out.push_str("\"></a>");
}

/// The text of markup, each run of white space as one space.
fn words_of(html: &str) -> String {
    let (mut text, mut rest) = (String::new(), html);
    while let Some(at) = rest.find('<') {
        text.push_str(&rest[..at]);
        // A line that is broken by hand is one line in a header.
        if rest[at..].starts_with("<br") {
            text.push(' ');
        }
        rest = tag_end(&rest[at..]).map_or("", |end| &rest[at + end..]);
    }
    text.push_str(rest);
    let text = decode(&text);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_are_named_and_comments_styles_and_other_elements_are_left_as_they_are() {
        let mut outline = Outline::default();
        let html = "<!-- <h1>no</h1> --><style>h1{}</style><H1 class=a>One <b>&amp;</b>\n<br>two</H1><header>x</header><h2 id='b\"c'>Two</h2><h3>Three</h3><h1>open";
        let wanted = "<!-- <h1>no</h1> --><style>h1{}</style><H1 id=\"heading-1\" class=a>One <b>&amp;</b>\n<br>two<a style=\"display:none\" href=\"#heading-1\"></a></H1>\
            <header>x</header><h2 id='b\"c'><span id=\"heading-2\"></span>Two<a style=\"display:none\" href=\"#heading-2\"></a></h2><h3>Three</h3><h1>open";
        assert_eq!(named(html, &mut outline).unwrap(), wanted);
        let found: Vec<_> =
            outline.headings.iter().map(|heading| (heading.level, heading.anchor.as_str(), heading.html.as_str())).collect();
        assert_eq!(found, [(1, "heading-1", "One &amp; two"), (2, "heading-2", "Two")]);
    }
}
