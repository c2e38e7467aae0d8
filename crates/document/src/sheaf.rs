//! Documents of one template written as one page sequence, so that they are printed together and cut apart again.
//!
//! Doubt means no: a document that is not known to come out of a sheaf exactly as it would alone is printed alone, which
//! costs time and nothing else. What counts is whether one document could move, style or overlap another.

use crate::sheaf_css;
use crate::tags::{attributes_of, tag_end};

/// Elements whose text is text and whose end tags mean what they say.
const ELEMENTS: [&str; 78] = [
    "a",
    "abbr",
    "address",
    "article",
    "aside",
    "b",
    "bdi",
    "bdo",
    "blockquote",
    "caption",
    "cite",
    "circle",
    "code",
    "col",
    "colgroup",
    "data",
    "dd",
    "defs",
    "del",
    "dfn",
    "div",
    "dl",
    "dt",
    "ellipse",
    "em",
    "figcaption",
    "figure",
    "footer",
    "g",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "i",
    "img",
    "ins",
    "kbd",
    "li",
    "line",
    "main",
    "mark",
    "nav",
    "ol",
    "p",
    "path",
    "polygon",
    "polyline",
    "pre",
    "q",
    "rect",
    "s",
    "samp",
    "section",
    "small",
    "span",
    "strong",
    "sub",
    "sup",
    "svg",
    "table",
    "tbody",
    "td",
    "text",
    "tfoot",
    "th",
    "thead",
    "time",
    "tr",
    "tspan",
    "u",
    "ul",
    "var",
    "wbr",
    "br",
];
/// Those that have no end.
const VOID: [&str; 5] = ["br", "col", "hr", "img", "wbr"];
/// Those of drawings, which may end in themselves.
const OF_DRAWINGS: [&str; 12] = ["circle", "defs", "ellipse", "g", "line", "path", "polygon", "polyline", "rect", "svg", "text", "tspan"];
/// Elements that a height does not make overflow: pictures, and parts of tables, where it is the least height.
pub(crate) const HEIGHT_HOLDS: [&str; 10] = ["img", "svg", "td", "th", "tr", "table", "thead", "tbody", "tfoot", "hr"];
/// What `body` may have; others speak for the whole page.
const OF_BODY: [&str; 4] = ["class", "id", "style", "lang"];
/// Nested deeper, the parser of a browser may close elements by itself.
const MAX_DEPTH: usize = 200;
/// What our own elements are called. No document has them.
const OURS: &str = "pulp-";
/// What the body of a document has in every browser.
const OUR_CSS: &str = "<style>:where(pulp-body){display:block;margin:8px}</style>";
/// Each document stands in a `pulp-page`, which is what `html` is to it, and its body is a `pulp-body`. Of what a style sheet says
/// about everything nothing reaches what surrounds the documents: nothing wins against this.
const AROUND: &str = "all:unset!important;display:block!important";
const OF_A_PAGE: &str = "all:unset!important;display:flow-root!important;counter-reset:list-item!important";
const ON_A_NEW_PAGE: &str = ";break-before:page!important";
const HIDDEN: &str = "display:none!important";
/// The element of [`RULER`].
const OF_THE_RULER: &str = "all:unset!important;display:block!important;break-before:page!important;width:96px!important;\
    height:48px!important;background:#000!important;print-color-adjust:exact!important";

/// What stands behind the documents of a sheaf, on a page of its own: a black box of one by half an inch. A browser makes a whole
/// print smaller when something in it is wider than its page; then the box is smaller too, and each document is to be printed alone.
pub const RULER: Ruler = Ruler { mark: "pulp-ruler", width_pt: 72.0, height_pt: 36.0 };

/// A box of a known size at the end of a print.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ruler {
    /// The name of the destination at which its page begins.
    pub mark: &'static str,
    /// From left to right, in points of 1/72 inch.
    pub width_pt: f32,
    /// From top to bottom.
    pub height_pt: f32,
}

/// A document that can stand in a sheaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Up to and with the begin of the head, then the head without its title.
    opening: Box<str>,
    head: Box<str>,
    attributes: Box<str>,
    body: Box<str>,
}

impl Leaf {
    /// The document, if nothing in it would come out otherwise beside others.
    pub fn of(html: &str) -> Option<Self> {
        if find(html, OURS).is_some() {
            return None;
        }
        let mut tags = Tags { html, at: 0 };
        let mut tag = tags.next()?;
        if tag.name == "!doctype" {
            tag = tags.blank_then_next()?;
        } else {
            return None;
        }
        if tag.is("html") {
            tag = tags.blank_then_next()?;
        } else {
            return None;
        }
        if !tag.is("head") {
            return None;
        }
        let opening = &html[..tag.end];
        let mut head = String::new();
        loop {
            let tag = tags.blank_then_next()?;
            match tag.name.as_str() {
                "meta" if !tag.closes => head.push_str(&html[tag.start..tag.end]),
                "title" if !tag.closes => drop(tags.raw_text("title")?),
                "style" if !tag.closes && tag.attributes(html).trim().is_empty() => {
                    head.push_str("<style>");
                    head.push_str(&sheaf_css::style_sheet(tags.raw_text("style")?)?);
                    head.push_str("</style>");
                }
                "head" if tag.closes => break,
                _ => return None,
            }
        }
        let tag = tags.blank_then_next()?;
        if !tag.is("body") {
            return None;
        }
        let attributes = tag.attributes(html);
        let named = attributes_of(attributes);
        let is_plain = named.iter().all(|(name, value)| {
            OF_BODY.contains(&name.as_str()) && (name != "style" || sheaf_css::declarations(value, sheaf_css::On::Body).is_some())
        });
        if !is_plain {
            return None;
        }
        let body_at = tag.end;
        let body_end = body(&mut tags)?;
        // Behind the body there is nothing but the end.
        let rest = html[tags.at..].trim();
        if !(rest.is_empty() || rest.eq_ignore_ascii_case("</html>")) {
            return None;
        }
        let (head, body) = (head.into_boxed_str(), html[body_at..body_end].into());
        Some(Self { opening: opening.into(), head, attributes: attributes.trim_end_matches('/').into(), body })
    }

    /// Whether both can stand in one sheaf: everything around their bodies is the same but the title.
    pub fn fits(&self, other: &Self) -> bool {
        self.opening == other.opening && self.head == other.head
    }

    /// About how long its part of the sheaf is.
    pub fn size_bytes(&self) -> usize {
        self.body.len() + self.attributes.len() + 100
    }
}

/// The names of the destinations at which the parts of a sheaf begin: its documents, and between any two an empty page, onto which
/// falls what a document paints above or below its own pages.
pub fn marks(documents: usize) -> Vec<String> {
    let of = |index| [format!("{OURS}document-{index}"), format!("{OURS}gap-{index}")];
    let mut marks: Vec<String> = (0..documents).flat_map(of).collect();
    marks.pop();
    marks
}

/// Documents that fit each other as one, each on pages of its own, with one of the [`marks`] where it begins.
pub fn bind(leaves: &[&Leaf]) -> String {
    let Some(first) = leaves.first() else { return String::new() };
    let length = leaves.iter().map(|leaf| leaf.size_bytes() + 100).sum::<usize>() + first.opening.len() + first.head.len() + OUR_CSS.len();
    let mut html = String::with_capacity(length);
    html.push_str(&first.opening);
    html.push_str(OUR_CSS);
    html.push_str(&first.head);
    // A browser keeps a destination only where some link leads to it.
    html.extend(["</head><body style=\"", AROUND, "\"><pulp-marks style=\"", HIDDEN, "\">"]);
    let marks = marks(leaves.len());
    for mark in marks.iter().map(String::as_str).chain([RULER.mark]) {
        html.extend(["<a href=\"#", mark, "\"></a>"]);
    }
    html.push_str("</pulp-marks>");
    let mut names = marks.iter();
    for (index, leaf) in leaves.iter().enumerate() {
        let mut name = || names.next().map_or("", String::as_str);
        let begin = name();
        let on_a_new_page = if index == 0 { "" } else { ON_A_NEW_PAGE };
        html.extend(["<pulp-page id=\"", begin, "\" style=\"", OF_A_PAGE, on_a_new_page, "\"><pulp-body", &*leaf.attributes, ">"]);
        html.extend([&*leaf.body, "</pulp-body></pulp-page>"]);
        if index + 1 < leaves.len() {
            html.extend(["<pulp-gap id=\"", name(), "\" style=\"", AROUND, ON_A_NEW_PAGE, "\"></pulp-gap>"]);
        }
    }
    html.extend(["<pulp-ruler id=\"", RULER.mark, "\" style=\"", OF_THE_RULER, "\"></pulp-ruler></body></html>"]);
    html
}

/// Reads a body to its end; gives where its content ends. Every element must be known and closed in its order.
fn body(tags: &mut Tags<'_>) -> Option<usize> {
    let html = tags.html;
    let mut open: Vec<String> = Vec::new();
    loop {
        let tag = tags.next()?;
        if tag.closes {
            if tag.name == "body" && open.is_empty() {
                return Some(tag.start);
            }
            if open.pop()? != tag.name {
                return None;
            }
            continue;
        }
        if tag.name == "!--" {
            continue;
        }
        if !ELEMENTS.contains(&tag.name.as_str()) || open.len() >= MAX_DEPTH {
            return None;
        }
        let attributes = tag.attributes(html);
        if attributes.len() > 1 {
            let named = attributes_of(attributes);
            // The reader of attributes stops at twenty.
            if named.len() >= 20 || !named.iter().all(|(name, value)| is_harmless(&tag.name, name, value)) {
                return None;
            }
        }
        let ends_in_itself = attributes.ends_with('/') && OF_DRAWINGS.contains(&tag.name.as_str());
        if !VOID.contains(&tag.name.as_str()) && !ends_in_itself {
            open.push(tag.name);
        }
    }
}

fn is_harmless(element: &str, name: &str, value: &str) -> bool {
    match name {
        "style" => sheaf_css::declarations(value, sheaf_css::On::Element(element)).is_some(),
        // Names are looked up in the whole page, where the first of several wins.
        _ if name.ends_with("href") => !value.trim_start().starts_with('#'),
        "usemap" | "popover" | "is" | "slot" => false,
        _ => find(value, "url(").is_none(),
    }
}

/// A tag, a comment or the document type.
struct Tag {
    /// In lower case; `!--` for a comment.
    name: String,
    closes: bool,
    start: usize,
    end: usize,
    attributes_at: usize,
}

impl Tag {
    fn is(&self, name: &str) -> bool {
        !self.closes && self.name == name
    }

    fn attributes<'h>(&self, html: &'h str) -> &'h str {
        html.get(self.attributes_at..self.end - 1).unwrap_or_default()
    }
}

/// The tags of a document, one after the other.
struct Tags<'h> {
    html: &'h str,
    at: usize,
}

impl<'h> Tags<'h> {
    /// The next one; none at the end, and where the browser might see something else than we do.
    fn next(&mut self) -> Option<Tag> {
        loop {
            let start = self.at + self.html.get(self.at..)?.find('<')?;
            let rest = &self.html[start + 1..];
            if let Some(comment) = rest.strip_prefix("!--") {
                // Browsers end a comment in more ways than one.
                let length = comment
                    .find("-->")
                    .filter(|length| !matches!(comment.as_bytes()[0], b'>' | b'-') && !comment[..*length].contains("--"))?;
                self.at = start + 4 + length + 3;
                return Some(Tag { name: "!--".to_owned(), closes: false, start, end: self.at, attributes_at: self.at - 1 });
            }
            let closes = rest.starts_with('/');
            let name_at = start + 1 + usize::from(closes);
            let name_length = self.html[name_at..].bytes().position(|byte| byte.is_ascii_whitespace() || matches!(byte, b'>' | b'/'))?;
            let name = &self.html[name_at..name_at + name_length];
            if !closes && !name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '!' || first == '?') {
                // A plain "<" in a text.
                self.at = start + 1;
                continue;
            }
            let end = start + tag_end(&self.html[start..])?;
            self.at = end;
            return Some(Tag { name: name.to_ascii_lowercase(), closes, start, end, attributes_at: name_at + name_length });
        }
    }

    /// The next one, if there is nothing but blanks before it.
    fn blank_then_next(&mut self) -> Option<Tag> {
        let from = self.at;
        let tag = self.next()?;
        self.html[from..tag.start].bytes().all(|byte| byte.is_ascii_whitespace()).then_some(tag)
    }

    /// What stands up to the end tag of an element that holds text alone.
    fn raw_text(&mut self, name: &str) -> Option<&'h str> {
        let html = self.html;
        let rest = &html[self.at..];
        let end = find(rest, &format!("</{name}"))?;
        let behind = &rest[end + 2 + name.len()..];
        let close = behind.find('>').filter(|close| behind[..*close].trim().is_empty())?;
        self.at += end + 2 + name.len() + close + 1;
        Some(&rest[..end])
    }
}

/// Where `what`, in lower case, stands in `text`, in whatever case.
pub(crate) fn find(text: &str, what: &str) -> Option<usize> {
    crate::css::find_ignoring_case(text, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(css: &str, body: &str) -> String {
        format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>T</title><style>{css}</style></head><body>{body}</body></html>"
        )
    }

    #[test]
    fn ordinary_documents_stand_in_a_sheaf() {
        for (css, body) in [
            ("", "<p>Dear Ada</p>"),
            (
                "@page{size:A4;margin:2cm}body{font:12pt Arial;margin:0}p{margin:0 0 1em}",
                "<p>a &lt; b < c</p><br><img src=\"data:image/png;base64,AA==\" height=20>",
            ),
            (
                "*{box-sizing:border-box;margin:0}table{width:100%;height:2cm}@media print{.x{color:red}}",
                "<table><tr><td height='5'>1</td></tr></table><!-- note -->",
            ),
            ("@page{@top-left{content:\"Invoice\"}}", "<svg viewBox='0 0 1 1'><path d='M0 0'/><g fill=\"#fff\"></g></svg>"),
        ] {
            assert!(Leaf::of(&document(css, body)).is_some(), "{css} {body}");
        }
        let styles = concat!(include_str!("base.css"), include_str!("default.css"));
        assert!(Leaf::of(&document(styles, "<h1 id=\"a\">x</h1>")).is_some(), "our own style sheet");
        for name in ["letter", "invoice"] {
            let path = format!("{}/../../bench/{name}.html", env!("CARGO_MANIFEST_DIR"));
            assert!(Leaf::of(&std::fs::read_to_string(path).unwrap()).is_some(), "{name}");
        }
    }

    #[test]
    fn what_could_move_style_or_overlap_another_document_is_printed_alone() {
        for (css, body) in [
            ("@page{@bottom-right{content:counter(page)}}", ""),
            ("@page :first{margin:0}", ""),
            ("@page wide{size:A4}", ""),
            ("h1{counter-increment:chapter}", ""),
            (".stamp{position: fixed}", ""),
            (".stamp{POSITION:/**/absolute}", ""),
            (".a{height:3cm}", ""),
            ("p{margin-bottom:-3cm}", ""),
            ("p{position:relative;top:-297mm}", ""),
            ("p{-webkit-transform:translateY(-297mm)}", ""),
            ("p{text-shadow:0 -297mm red}", ""),
            ("p{vertical-align:297mm}", ""),
            ("p{line-height:0}", ""),
            ("p{font:400mm/.01 serif}", ""),
            ("html{margin:1cm}", ""),
            ("html>body{margin:1cm}", ""),
            ("body:first-child{margin:1cm}", ""),
            ("body{background:red}", ""),
            ("body{overflow:hidden}", ""),
            ("body{direction:rtl}", ""),
            (".a{.b{color:red}}", ""),
            ("p{color:red;} @import 'x';", ""),
            ("p{col\\6fr:red}", ""),
            ("p{color:red", ""),
            (".x{break-before:right}", ""),
            (".x{grid-template-rows:1cm 1cm}", ""),
            (".x{fill:url(#a)}", ""),
            ("p:has(b){color:red}", ""),
            ("", "<p>not closed"),
            ("", "<b><p></b></p>"),
            ("", "</div>"),
            ("", "<div style='position:absolute'></div>"),
            ("", "<div style='height:1cm'></div>"),
            ("", "<a href='#x'>x</a>"),
            ("", "<svg><rect fill='url(#g)'></rect></svg>"),
            ("", "<style>p{color:red}</style>"),
            ("", "<script>1</script>"),
            ("", "<plaintext>"),
            ("", "<pulp-page></pulp-page>"),
            ("", "<textarea></textarea>"),
            ("", "<!--> x --><p></p>"),
            ("", "</body><p>x</p>"),
        ] {
            assert_eq!(Leaf::of(&document(css, body)), None, "{css} {body}");
        }
        for html in
            ["<p>x</p>", "<html><head></head><body></body></html>", "<!doctype html><html><head></head><body background=x></body></html>"]
        {
            assert_eq!(Leaf::of(html), None, "{html}");
        }
    }

    #[test]
    fn only_the_title_and_the_body_may_differ() {
        let leaf = |html: &str| Leaf::of(html).unwrap();
        let one = leaf(&document("p{color:red}", "<p>1</p>"));
        assert!(one.fits(&leaf(&document("p{color:red}", "<p>2</p>").replace(">T<", ">Other<"))));
        assert!(!one.fits(&leaf(&document("p{color:blue}", "<p>2</p>"))));
        assert!(!one.fits(&leaf(&document("p{color:red}", "<p>2</p>").replace("\"en\"", "\"de\""))));
    }

    #[test]
    fn rules_about_the_body_are_rules_about_each_document() {
        let leaf = Leaf::of(&document("body{margin:0}body>p:first-child{color:red}.body,#body{color:blue}", "<p>1</p>")).unwrap();
        let bound = bind(&[&leaf, &leaf]);
        assert!(bound.contains("pulp-body{margin:0}pulp-body>p:first-child{color:red}.body,#body{color:blue}"), "{bound}");
        assert_eq!(bound.matches("<p>1</p>").count(), 2);
        let marks = marks(2);
        assert_eq!(marks.len(), 3, "an empty page stands between them");
        assert!(marks.iter().all(|mark| bound.contains(&format!("href=\"#{mark}\"")) && bound.contains(&format!("id=\"{mark}\""))));
    }
}
