//! The headings of a document in their order, and the tables of contents that are made of them.
//!
//! What comes first in a document names what comes later, so a table of contents is filled in when everything else is written.
//! The pages of headings are known only when it has been printed: see [`with_pages`].

use crate::error::DocumentError;
use crate::html_headings::{named, push_link};
use crate::limits::Limits;
use crate::nodes::TableOfContents;
use crate::running_titles;
use crate::writer::{Writer, steps_of};

/// Headings of a document with a table of contents; more are no contents.
const MAX_HEADINGS: usize = 2_000;

/// A heading of a document that has a table of contents, or headers that name the title of their page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heading {
    /// Its id in the document, which is a named destination of the PDF.
    pub anchor: String,
    /// 1 to 6.
    pub level: u8,
    /// Its text as HTML without elements.
    pub(crate) html: String,
}

/// What is gathered while a document is written.
#[derive(Debug, Default)]
pub(crate) struct Outline<'w> {
    pub(crate) gathering: Gathering,
    pub(crate) headings: Vec<Heading>,
    pub(crate) running_titles: RunningTitles,
    /// The tables, each with the place behind its title.
    places: Vec<(usize, &'w TableOfContents)>,
}

/// Whether headings are told apart, which only a table of contents needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Gathering {
    #[default]
    No,
    Yes,
}

/// Whether a header or footer names the chapter or the section of its page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum RunningTitles {
    #[default]
    No,
    Named,
}

impl<'w> Outline<'w> {
    /// The id of the next heading.
    pub(crate) fn next_anchor(&self) -> String {
        format!("heading-{}", self.headings.len() + 1)
    }

    pub(crate) fn add(&mut self, heading: Heading) -> Result<(), DocumentError> {
        if self.headings.len() >= MAX_HEADINGS {
            let what = if self.has_tables() { "table of contents (headings)" } else { "titles in page headers (headings)" };
            return Err(DocumentError::TooLarge { what, limit: MAX_HEADINGS as u64 });
        }
        self.headings.push(heading);
        Ok(())
    }

    pub(crate) fn add_table(&mut self, place: usize, table: &'w TableOfContents) {
        self.places.push((place, table));
    }

    /// What was written, with the entries of every table at its place.
    pub(crate) fn filled(&self, html: &str, limits: &Limits) -> Result<String, DocumentError> {
        let mut out = String::with_capacity(html.len() + 4096);
        let mut from = 0;
        for (place, table) in &self.places {
            out.push_str(&html[from..*place]);
            for (at, heading) in self.headings.iter().enumerate().filter(|(_, heading)| table.shows(heading.level)) {
                table.write_entry(at + 1, heading, &mut out);
                if out.len() > limits.html_bytes {
                    return Err(DocumentError::TooLarge { what: "HTML (bytes)", limit: limits.html_bytes as u64 });
                }
            }
            from = *place;
        }
        out.push_str(&html[from..]);
        Ok(out)
    }

    pub(crate) fn has_tables(&self) -> bool {
        !self.places.is_empty()
    }
}

/// In front of the number of a heading, from 1, whose page belongs there.
pub(crate) const SLOT: &str = "<b data-heading=\"";
const SLOT_END: &str = "\"></b>";

/// A finished document with what it says about the pages of its `headings`, which are those of [`crate::Written::headings`]: their
/// numbers in its tables of contents, their titles in its headers and footers. `pages` has the page of each, from 1; what is not known
/// stays empty. The document has the same pages with it as without: the places of numbers are as wide, and those of titles are in the margins.
pub fn with_pages(html: &str, headings: &[Heading], pages: &[Option<u32>]) -> String {
    match running_titles::with_titles(html, headings, pages) {
        Some(titled) => with_page_numbers(&titled, pages),
        None => with_page_numbers(html, pages),
    }
}

fn with_page_numbers(html: &str, pages: &[Option<u32>]) -> String {
    let mut out = String::with_capacity(html.len() + 8 * pages.len());
    let mut rest = html;
    while let Some((before, behind)) = rest.split_once(SLOT) {
        out.push_str(before);
        out.push_str(SLOT);
        rest = behind;
        // Only a number is looked for: what follows may be anything, and long.
        let digits = behind.bytes().take(10).take_while(u8::is_ascii_digit).count();
        let (number, behind) = behind.split_at(digits);
        let Some(behind) = behind.strip_prefix(SLOT_END).filter(|_| digits < 10) else { continue };
        let page = number.parse::<usize>().ok().and_then(|number| pages.get(number.checked_sub(1)?).copied().flatten());
        let page = page.map(|page| page.to_string()).unwrap_or_default();
        out.extend([number, "\">", &page, "</b>"]);
        rest = behind;
    }
    out.push_str(rest);
    out
}

impl Writer<'_> {
    /// An author's own HTML, in which each heading has a name where a header or footer shows it.
    pub(crate) fn with_named_headings(&mut self, html: String) -> Result<String, DocumentError> {
        if self.outline.running_titles == RunningTitles::No {
            return Ok(html);
        }
        self.charge(steps_of(html.len()))?;
        named(&html, &mut self.outline)
    }

    /// Begins a heading, which the tables of contents lead to where there are any.
    pub(crate) fn open_heading(&mut self, tag: &str, style: &crate::style::Style) -> usize {
        if self.gathers_headings() {
            let anchor = format!(" id=\"{}\"", self.outline.next_anchor());
            self.open_tag(tag, &anchor, style, "");
        } else {
            self.open(tag, "", style);
        }
        self.len()
    }

    /// Ends the heading whose text begins at `from`.
    pub(crate) fn close_heading(&mut self, tag: &'static str, from: usize) -> Result<(), DocumentError> {
        if self.gathers_headings() {
            let level = tag.as_bytes().get(1).map_or(1, |digit| digit.saturating_sub(b'0'));
            let heading = Heading { anchor: self.outline.next_anchor(), level, html: self.since(from).to_owned() };
            let anchor = (self.outline.running_titles == RunningTitles::Named).then(|| heading.anchor.clone());
            self.outline.add(heading)?;
            if let Some(anchor) = anchor {
                let mut link = String::new();
                push_link(&anchor, &mut link);
                self.push(&link);
            }
        }
        self.close(tag);
        Ok(())
    }
}
