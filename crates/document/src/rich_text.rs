//! The allow-list for formatted text that comes from editors and from data.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::LazyLock;

use ammonia::Builder;

use crate::issues::clip;
use crate::links::SCHEMES;
use crate::tags::{attributes_of, tag_end};

/// Elements that stay. None of them loads, runs or links to anything but `a`.
const ELEMENTS: [&str; 43] = [
    "a",
    "abbr",
    "b",
    "blockquote",
    "br",
    "caption",
    "code",
    "col",
    "colgroup",
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
    "tfoot",
    "th",
    "thead",
    "tr",
    "u",
    "ul",
];
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
/// Elements that HTML opens again in every paragraph until somebody closes them: a thousand of them and a thousand paragraphs
/// are a million elements.
const REOPENED: [&str; 14] = ["a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"];
/// Of those that are alike a parser opens so many again.
const ALIKE: usize = 3;
/// Bytes of one rich text, and the tags it opens: several times a long contract.
const MAX_BYTES: usize = 1024 * 1024;
const MAX_TAGS: usize = 10_000;
/// Elements that all paragraphs together may come to, if nothing is ever closed: some 100 MB while it is read.
const MAX_ELEMENTS: usize = 400_000;
/// Bytes within which a tag ends, where its attributes are looked at.
const TAG_BYTES: usize = 8 * 1024;
/// Names that a warning lists.
const MAX_NAMES: usize = 10;

static ALLOWED: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut builder = Builder::empty();
    let attributes: HashMap<&str, HashSet<&str>> =
        ATTRIBUTES.iter().filter(|(tag, _)| *tag != "*").map(|(tag, names)| (*tag, names.iter().copied().collect())).collect();
    builder
        .tags(ELEMENTS.into_iter().collect())
        .clean_content_tags(WITH_CONTENT.into_iter().collect())
        .generic_attributes(ATTRIBUTES[0].1.iter().copied().collect())
        .tag_attributes(attributes)
        .url_schemes(SCHEMES.into_iter().collect())
        .filter_style_properties(STYLES.into_iter().collect())
        .link_rel(None)
        .strip_comments(true);
    builder
});

/// The markup with nothing in it but what the lists above name, and a sentence about what is gone. Only for markup whose cost
/// was accepted: see [`steps`].
pub(crate) fn clean(markup: &str) -> (String, Option<String>) {
    let mut names = left_out(markup);
    let more = names.len().saturating_sub(MAX_NAMES);
    names.truncate(MAX_NAMES);
    let mut said = names.join(", ");
    if more > 0 {
        said = format!("{said} and {more} more");
    }
    let said = (!said.is_empty()).then(|| format!("rich text may not hold {said}; it was left out"));
    (ALLOWED.clean(markup).to_string(), said)
}

/// What cleaning the markup may cost at most, in steps. Every `<` with a letter behind it counts as a tag, also where it is
/// none for the parser: nothing that it sees is missed.
///
/// # Errors
/// What there is too much of, and the limit: a parser's work can grow with the square of the text.
pub(crate) fn steps(markup: &str) -> Result<u64, (&'static str, usize)> {
    if markup.len() > MAX_BYTES {
        return Err(("rich text (bytes)", MAX_BYTES));
    }
    let (mut count, mut elements) = (0_usize, 0);
    let mut reopened = HashSet::new();
    for tag in tags(markup) {
        count += 1;
        if count > MAX_TAGS {
            return Err(("rich text (tags)", MAX_TAGS));
        }
        if REOPENED.contains(&name_of(&tag[1..]).as_str()) {
            reopened.insert(tag);
        }
        elements = count.saturating_mul(reopened.len()).saturating_mul(ALIKE);
        if elements > MAX_ELEMENTS {
            return Err(("rich text (tags times different formats)", MAX_ELEMENTS / ALIKE));
        }
    }
    // Whether an end belongs to a tag is looked for through all that are open.
    let ends = markup.matches("</").count();
    let looks = count.saturating_mul(count.saturating_add(ends)) / 64;
    Ok(u64::try_from(markup.len() / 64 + elements + looks).unwrap_or(u64::MAX))
}

/// The opening tags, each with its attributes, or cut where it does not end.
fn tags(markup: &str) -> impl Iterator<Item = &str> {
    markup.match_indices('<').filter_map(|(at, _)| {
        let rest = &markup[at..markup.floor_char_boundary(at + TAG_BYTES)];
        rest[1..].starts_with(|first: char| first.is_ascii_alphabetic()).then(|| &rest[..tag_end(rest).unwrap_or(rest.len())])
    })
}

fn name_of(tag: &str) -> String {
    let end = tag.find(|character: char| !character.is_ascii_alphanumeric()).unwrap_or(tag.len());
    clip(&tag[..end], 30).to_ascii_lowercase()
}

/// What of the markup the lists do not name, each once: `<script>`, `onclick`, `a link to javascript:`.
fn left_out(markup: &str) -> Vec<String> {
    let mut found = BTreeSet::new();
    for tag in tags(markup) {
        let inside = tag[1..].trim_end_matches('>');
        let name = name_of(inside);
        if !ELEMENTS.contains(&name.as_str()) {
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_loads_or_leads_elsewhere_is_taken_out_and_named() {
        let (clean, said) = super::clean(
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
    fn text_that_makes_a_parser_work_without_end_is_refused_by_a_stated_limit() {
        let numbered = |part: &str, count: usize| (0..count).map(|number| part.replace('#', &number.to_string())).collect::<String>();
        for (markup, what) in [
            ("a".repeat(MAX_BYTES + 1), "rich text (bytes)"),
            ("<div>".repeat(MAX_TAGS + 1), "rich text (tags)"),
            (numbered("<p><b title=#></p>", 2_000), "rich text (tags times different formats)"),
            (numbered("<p><font a='>' b=#></p>", 2_000), "rich text (tags times different formats)"),
        ] {
            assert_eq!(steps(&markup).unwrap_err().0, what);
        }
    }

    #[test]
    fn the_worst_that_is_let_through_is_read_in_time_on_a_small_stack() {
        let started = std::time::Instant::now();
        let worst = [
            "<div>".repeat(MAX_TAGS),
            "<p><b title=1><b title=2><b title=3></p>".repeat(2_000),
            "<table><td>".repeat(MAX_TAGS / 2),
            "<b \"".repeat(300) + ">",
            "</i>".repeat(MAX_BYTES / 4),
            "<a href=x>".repeat(MAX_TAGS),
        ];
        let thread = std::thread::Builder::new().stack_size(2 * 1024 * 1024);
        let read = thread
            .spawn(move || worst.iter().filter(|markup| steps(markup).is_ok()).map(|markup| clean(markup).0.len()).collect::<Vec<_>>());
        assert_eq!(read.unwrap().join().unwrap().len(), 6);
        assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
    }
}
