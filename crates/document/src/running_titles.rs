//! The titles of the current chapter and of the current section in headers and footers.
//!
//! A margin box knows one thing about its page: the number. So a title is written as a numeral: a counter style has a word for each
//! page. Which title stands on which page is known once the document has been printed; until then the numerals are empty.

use std::fmt::Write as _;

use crate::css;
use crate::issues::clip;
use crate::outline::Heading;
use crate::tags::decode;

/// The counter style of `chapterTitle`: headings of level 1.
pub(crate) const CHAPTER: &str = "pulp-chapter-title";
/// The counter style of `sectionTitle`: headings of levels 1 and 2.
pub(crate) const SECTION: &str = "pulp-section-title";
/// Characters of a title in a header; of a longer one the rest is left out.
const TITLE_CHARACTERS: usize = 200;
/// Where the titles go. No text of a document has a `<` of its own in its head.
const PLACE: &str = "/*<titles of pages>*/";

/// The rules of a document whose headers name titles, as long as nobody knows on which page they are.
pub(crate) fn empty_css() -> String {
    let none = "@counter-style pulp-no-title{system:cyclic;symbols:\"\"}";
    format!("{none}@counter-style {CHAPTER}{{system:extends pulp-no-title}}@counter-style {SECTION}{{system:extends pulp-no-title}}{PLACE}")
}

/// The document with the titles of its headings for each page, where it has a place for them.
pub(crate) fn with_titles(html: &str, headings: &[Heading], pages: &[Option<u32>]) -> Option<String> {
    let (before, after) = html.split_once(PLACE)?;
    let found: Vec<Found> = headings
        .iter()
        .zip(pages)
        .filter(|(heading, _)| heading.level <= 2)
        .filter_map(|(heading, page)| Some(Found { level: heading.level, title: decode(&heading.html), page: (*page)? }))
        .collect();
    let css = [style(CHAPTER, 1, &found), style(SECTION, 2, &found)].concat();
    Some([before, PLACE, &css, after].concat())
}

/// A heading whose page is known.
struct Found {
    level: u8,
    title: String,
    page: u32,
}

/// The title of each page up to the last heading, whose own stays for the pages behind it: of the headings of a page the first of the
/// lowest level that counts, and without one what the page before ended with.
fn style(name: &str, level: u8, headings: &[Found]) -> String {
    let mut symbols = String::new();
    let mut carried = "";
    let mut rest = headings.iter().filter(|heading| heading.level <= level).peekable();
    let mut page = 0;
    while rest.peek().is_some() {
        page += 1;
        let mut first: Option<&Found> = None;
        // A heading that is said to be on an earlier page than the one before it counts where that one is.
        while let Some(heading) = rest.next_if(|heading| heading.page <= page) {
            if first.is_none_or(|first| heading.level > first.level) {
                first = Some(heading);
            }
            carried = &heading.title;
        }
        let shown = first.map_or(carried, |first| first.title.as_str());
        symbols.push(' ');
        symbols.push_str(&symbol(shown));
    }
    if symbols.is_empty() {
        return symbols;
    }
    let mut rules = String::with_capacity(symbols.len() + 200);
    let last = symbol(carried);
    // Writing to a String does not fail.
    let _ = write!(
        rules,
        "@counter-style {name}-last{{system:cyclic;symbols:{last}}}@counter-style {name}{{system:fixed;symbols:{symbols};fallback:{name}-last}}"
    );
    rules
}

/// A title as a string of CSS. One that may be read from right to left is kept from turning around what stands beside it.
fn symbol(title: &str) -> String {
    let title = clip(title.trim(), TITLE_CHARACTERS);
    css::string(&if title.is_ascii() { title } else { format!("\u{2068}{title}\u{2069}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titles(level: u8, headings: &[(u8, &str, u32)]) -> String {
        let found = headings.iter().map(|(level, title, page)| Found { level: *level, title: (*title).to_owned(), page: *page });
        style("t", level, &found.collect::<Vec<_>>())
    }

    #[test]
    fn a_page_has_the_first_title_on_it_or_that_with_which_the_page_before_ended() {
        let book = [(1, "A", 1), (2, "A1", 1), (2, "A2", 1), (2, "A3", 4), (1, "B", 5), (1, "C", 6), (2, "C1", 6)];
        assert_eq!(
            titles(1, &book),
            "@counter-style t-last{system:cyclic;symbols:\"C\"}\
            @counter-style t{system:fixed;symbols: \"A\" \"A\" \"A\" \"A\" \"B\" \"C\";fallback:t-last}"
        );
        assert!(titles(2, &book).contains("symbols: \"A1\" \"A2\" \"A2\" \"A3\" \"B\" \"C1\";"), "{}", titles(2, &book));
        assert!(titles(1, &[(1, "late", 3)]).contains("symbols: \"\" \"\" \"late\";"));
        assert_eq!(titles(1, &[(2, "only a section", 1)]), "");
    }

    #[test]
    fn no_title_leaves_its_string_and_pages_that_are_out_of_order_come_to_an_end() {
        let hostile = titles(1, &[(1, "\"}@page{}</style>\\", 2), (1, "back", 1)]);
        assert!(hostile.contains("\"\\22 }@page{}\\3c /style\\3e \\5c \""), "{hostile}");
        assert!(hostile.contains("fallback:t-last") && hostile.contains("symbols:\"back\"}"), "{hostile}");
    }
}
