//! The allow-list for formatted text that comes from editors and from data.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::LazyLock;

use ammonia::Builder;

use crate::issues::clip;
use crate::tags::{attributes_of, tag_end};

/// Elements that stay. None of them loads, runs or links to anything but `a`.
pub(crate) const ELEMENTS: [&str; 37] = [
    "a",
    "abbr",
    "b",
    "blockquote",
    "br",
    "caption",
    "code",
    "del",
    "div",
    "em",
    "figcaption",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "ins",
    "li",
    "mark",
    "ol",
    "p",
    "pre",
    "q",
    "s",
    "small",
    "span",
    "strong",
    "sub",
    "sup",
    "table",
    "tbody",
    "td",
    "th",
    "tr",
];
/// More of tables and lists, which editors write.
const MORE: [&str; 6] = ["thead", "tfoot", "ul", "u", "col", "colgroup"];
/// Elements that are taken out with what is in them: it is not for readers.
const WITH_CONTENT: [&str; 8] = ["script", "style", "title", "iframe", "object", "template", "noscript", "svg"];
/// Attributes that stay, on these elements (`*` is all).
const ATTRIBUTES: [(&str, &[&str]); 6] = [
    ("*", &["class", "dir", "lang", "style", "title"]),
    ("a", &["href"]),
    ("ol", &["start", "type"]),
    ("td", &["colspan", "rowspan"]),
    ("th", &["colspan", "rowspan"]),
    ("col", &["span"]),
];
/// What `style` may say.
const STYLES: [&str; 13] = [
    "color",
    "background-color",
    "font-weight",
    "font-style",
    "font-size",
    "text-align",
    "text-decoration",
    "text-indent",
    "line-height",
    "margin-left",
    "margin-top",
    "margin-bottom",
    "width",
];
/// Where links may lead.
const SCHEMES: [&str; 4] = ["http", "https", "mailto", "tel"];
/// Nested deeper than this, text is nobody's writing, and trees of it cost more than they are worth.
const MAX_DEPTH: usize = 100;
/// Names that a warning lists.
const MAX_NAMES: usize = 10;

static ALLOWED: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut builder = Builder::empty();
    let attributes: HashMap<&str, HashSet<&str>> =
        ATTRIBUTES.iter().filter(|(tag, _)| *tag != "*").map(|(tag, names)| (*tag, names.iter().copied().collect())).collect();
    builder
        .tags(ELEMENTS.into_iter().chain(MORE).collect())
        .clean_content_tags(WITH_CONTENT.into_iter().collect())
        .generic_attributes(ATTRIBUTES[0].1.iter().copied().collect())
        .tag_attributes(attributes)
        .url_schemes(SCHEMES.into_iter().collect())
        .filter_style_properties(STYLES.into_iter().collect())
        .link_rel(None)
        .strip_comments(true);
    builder
});

/// The markup with nothing in it but what the lists above name, and a sentence about what is gone.
pub(crate) fn clean(markup: &str) -> (String, Option<String>) {
    if !markup.contains('<') {
        // Only character references have to be made regular.
        return (ALLOWED.clean(markup).to_string(), None);
    }
    let bounded = bounded(markup);
    let (mut names, mut is_deep) = (left_out(&bounded), matches!(bounded, Cow::Owned(_)));
    is_deep &= bounded.len() < markup.len();
    if is_deep {
        names.push(format!("what is nested deeper than {MAX_DEPTH} elements"));
    }
    let more = names.len().saturating_sub(MAX_NAMES);
    names.truncate(MAX_NAMES);
    let mut said = names.join(", ");
    if more > 0 {
        said = format!("{said} and {more} more");
    }
    let said = (!said.is_empty()).then(|| format!("rich text may not hold {said}; it was left out"));
    (ALLOWED.clean(&bounded).to_string(), said)
}

/// The markup up to where its tags are nested too deep. Counts opening tags only as far as their elements stay open.
fn bounded(markup: &str) -> Cow<'_, str> {
    const NO_END: [&str; 3] = ["br", "hr", "col"];
    let mut depth = 0_usize;
    for (at, _) in markup.match_indices('<') {
        let rest = &markup[at + 1..];
        if rest.starts_with('/') {
            depth = depth.saturating_sub(1);
        } else if rest.starts_with(|first: char| first.is_ascii_alphabetic()) && !NO_END.contains(&name_of(rest).as_str()) {
            depth += 1;
            if depth > MAX_DEPTH {
                return Cow::Owned(markup[..at].to_owned());
            }
        }
    }
    Cow::Borrowed(markup)
}

fn name_of(tag: &str) -> String {
    let end = tag.find(|character: char| !character.is_ascii_alphanumeric()).unwrap_or(tag.len());
    clip(&tag[..end], 30).to_ascii_lowercase()
}

/// What of the markup the lists do not name, each once: `<script>`, `onclick`, `a link to javascript:`.
fn left_out(markup: &str) -> Vec<String> {
    let mut found = BTreeSet::new();
    for (at, _) in markup.match_indices('<') {
        let Some(end) = tag_end(&markup[at..]) else { break };
        let inside = &markup[at + 1..at + end - 1];
        if !inside.starts_with(|first: char| first.is_ascii_alphabetic()) {
            continue;
        }
        let name = name_of(inside);
        if !ELEMENTS.iter().chain(&MORE).any(|known| *known == name) {
            found.insert(format!("<{name}>"));
            continue;
        }
        for (attribute, value) in attributes_of(&inside[name.len().min(inside.len())..]) {
            let of_tag = ATTRIBUTES.iter().any(|(tag, names)| (*tag == "*" || *tag == name) && names.contains(&attribute.as_str()));
            if !of_tag {
                found.insert(format!("the attribute {} of <{name}>", clip(&attribute, 30)));
            } else if attribute == "href" && is_elsewhere(&value) {
                found.insert("links other than http, https, mailto and tel".to_owned());
            } else if attribute == "style" {
                found.extend(styles_left_out(&value));
            }
        }
        if found.len() > 10 * MAX_NAMES {
            break;
        }
    }
    found.into_iter().collect()
}

fn is_elsewhere(address: &str) -> bool {
    let scheme = address.trim().split_once(':').map(|(scheme, _)| scheme);
    scheme.is_some_and(|scheme| {
        scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
            && !SCHEMES.contains(&scheme.to_ascii_lowercase().as_str())
    })
}

fn styles_left_out(style: &str) -> impl Iterator<Item = String> {
    style
        .split(';')
        .filter_map(|declaration| declaration.split_once(':'))
        .map(|(name, _)| name.trim().to_ascii_lowercase())
        .filter(|name| !name.is_empty() && !STYLES.contains(&name.as_str()))
        .map(|name| format!("the style {}", clip(&name, 30)))
        .collect::<Vec<_>>()
        .into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_loads_or_leads_elsewhere_is_taken_out_and_named() {
        let (clean, said) = clean(
            "<p onclick=\"x()\" style=\"color:red;position:fixed;background-image:url(http://x)\">a<script>alert(1)</script><b>b</b></p>\
             <img src=x onerror=y><a href=\"javascript:x()\">c</a><a href=\"https://example.com/\">d</a>",
        );
        assert_eq!(clean, "<p style=\"color:red\">a<b>b</b></p><a>c</a><a href=\"https://example.com/\">d</a>");
        let said = said.unwrap();
        for part in ["<script>", "<img>", "onclick", "position", "background-image", "links other than"] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }

    #[test]
    fn what_an_editor_writes_stays_as_it_is() {
        let html = "<h2>T</h2><p>a <strong>b</strong> &amp; <em>c</em><br>d</p><ul><li>e</li></ul><table><tbody><tr><td colspan=\"2\">f</td></tr></tbody></table>";
        assert_eq!(clean(html), (html.to_owned(), None));
        assert_eq!(clean("plain &lt; text"), ("plain &lt; text".to_owned(), None));
    }

    #[test]
    fn a_megabyte_of_open_tags_is_cut_where_nobody_reads_on() {
        let (clean, said) = clean(&"<div>".repeat(200_000));
        assert!(clean.len() < 2000, "{}", clean.len());
        assert!(said.unwrap().contains("nested deeper"));
    }
}
