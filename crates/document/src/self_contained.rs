//! A finished page that asks nobody for anything wherever it is opened, be it without the headers it was sent with.

use crate::css::find_ignoring_case;
use crate::tags::{attributes_of, tag_end};

/// The page's own rule for browsers: what is within it may be shown, and nothing else is fetched, run or sent.
const RULES: &str = "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:; \
                     font-src data:; form-action 'none'; base-uri 'none'\"><meta http-equiv=\"x-dns-prefetch-control\" content=\"off\">";
const DOCTYPE: &str = "<!doctype";
/// How far into a page its doctype may stand behind comments.
const BEGINNING_BYTES: usize = 1024;
/// Bytes of an address that tell where it leads.
const TELLING_BYTES: usize = 16;
/// Attributes whose value a browser fetches by itself.
const FETCHED: [&str; 7] = ["src", "srcset", "poster", "data", "background", "xlink:href", "imagesrcset"];
/// Elements whose `href` it fetches.
const FETCHED_LINKS: [&str; 3] = ["link", "image", "use"];

/// The page with rules that forbid it to load anything, and how many references of it lead outside and show nothing therefore.
pub fn self_contained(html: &str) -> (String, usize) {
    let outside = references_outside(html);
    // No rule keeps a browser from going elsewhere by itself or from opening connections ahead; what asks for that gets another name. In
    // text the reference shows the same character.
    let html = replaced(html, "http-equiv", "http&#45;equiv", |_| true);
    let html = replaced(&html, "<link", "<meta data-link", |next| {
        next.is_none_or(|next| next.is_ascii_whitespace() || matches!(next, b'/' | b'>'))
    });
    // A page within the page does not have the rules of this one for everything.
    let html = replaced(&html, "srcdoc", "src&#100;oc", |_| true);
    // Before anything else, however a browser reads what follows; it takes up the attributes of a later html element.
    let start = html.trim_start_matches('\u{feff}').trim_ascii_start();
    let has_doctype = start.get(..DOCTYPE.len()).is_some_and(|word| word.eq_ignore_ascii_case(DOCTYPE));
    let (doctype, rest) = if let Some(end) = start.find('>').filter(|_| has_doctype) {
        start.split_at(end + 1)
    } else {
        // Without one anywhere at its beginning it is a page as they were before there were doctypes, and stays one.
        let beginning = &start[..start.floor_char_boundary(BEGINNING_BYTES)];
        (if find_ignoring_case(beginning, DOCTYPE).is_some() { "<!doctype html>" } else { "" }, start)
    };
    ([doctype, RULES, rest].concat(), outside)
}

/// The text with another word in place of one, where the byte behind that fits.
fn replaced(html: &str, word: &str, by: &str, fits: fn(Option<&u8>) -> bool) -> String {
    let mut out = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = find_ignoring_case(rest, word) {
        out.push_str(&rest[..at]);
        let is_it = fits(rest.as_bytes().get(at + word.len()));
        out.push_str(if is_it { by } else { &rest[at..at + word.len()] });
        rest = &rest[at + word.len()..];
    }
    out.push_str(rest);
    out
}

fn references_outside(html: &str) -> usize {
    let mut count = 0;
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        rest = &rest[start..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment.find("-->").map_or("", |end| &comment[end + 3..]);
            continue;
        }
        if !rest[1..].starts_with(|character: char| character.is_ascii_alphabetic()) {
            rest = &rest[1..];
            continue;
        }
        let Some(end) = tag_end(rest) else { break };
        let tag = &rest[1..end - 1];
        let name_end = tag.find(|character: char| !character.is_ascii_alphanumeric()).unwrap_or(tag.len());
        let element = tag[..name_end].to_ascii_lowercase();
        let fetches = |name: &str| FETCHED.contains(&name) || (name == "href" && FETCHED_LINKS.contains(&&*element));
        count += attributes_of(&tag[name_end..]).iter().filter(|(name, value)| fetches(name) && leads_outside(value)).count();
        rest = &rest[end..];
    }
    count + urls_outside(html)
}

/// `url(…)` of style sheets and style attributes.
fn urls_outside(html: &str) -> usize {
    let mut count = 0;
    let mut rest = html;
    while let Some(at) = find_ignoring_case(rest, "url(") {
        rest = &rest[at + 4..];
        let address = rest.trim_start_matches(|character: char| character.is_ascii_whitespace() || matches!(character, '"' | '\''));
        let address = address.strip_prefix("&quot;").or_else(|| address.strip_prefix("&#39;")).unwrap_or(address);
        let address = &address[..address.floor_char_boundary(TELLING_BYTES)];
        count += usize::from(leads_outside(address.split(')').next().unwrap_or_default()));
    }
    count
}

fn leads_outside(address: &str) -> bool {
    let address = address.trim();
    let is_data = address.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("data:"));
    !(address.is_empty() || address.starts_with('#') || is_data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_stand_before_anything_that_could_be_fetched() {
        let (page, outside) = self_contained(
            "<!doctype html><html><head><LINK rel=preconnect href=https://a.example><linked-word><meta HTTP-EQUIV=refresh content='0;url=//b.example'><style>p{background:url('http://c.example/x.png')}</style>\
             </head><body><img src=\"data:image/png;base64,\"><img src=//d.example/y><a href=\"https://e.example\">about http-equiv</a><svg><use href=\"#x\"/></svg></body></html>",
        );
        assert_eq!(outside, 3, "link, url() and img");
        assert!(page.starts_with(&format!("<!doctype html>{RULES}<html><head><meta data-link rel=preconnect")), "{page}");
        assert!(page.contains("<linked-word>"), "{page}");
        assert_eq!(page.to_lowercase().matches("http-equiv").count(), 2, "only the page's own: {page}");
        assert!(page.contains("about http&#45;equiv</a>"), "{page}");
    }

    #[test]
    fn nothing_stands_before_the_rules_however_a_page_begins() {
        for begun in
            ["<!--><script src=//e.example/x></script>-->", "<html x\"><img src=//e.example/x><p title=\">", "\u{feff} <!DOCTYPE html>"]
        {
            let (page, _) = self_contained(&format!("{begun}<!doctype html><html><head></head></html>"));
            let rules = page.find(RULES).unwrap();
            assert!(page[..rules].eq_ignore_ascii_case("<!doctype html>"), "{page}");
        }
        assert!(self_contained("<p><iframe srcdoc=\"&lt;link&gt;\">").0.contains("<iframe src&#100;oc="));
        assert_eq!(self_contained(&"url(".repeat(500_000)).1, 499_999, "read in one go");
    }

    #[test]
    fn a_page_that_has_everything_with_it_leads_nowhere() {
        assert_eq!(self_contained("<!doctype html><html><p style=\"background:url(data:image/png;base64,x)\">x</p></html>").1, 0);
    }
}
