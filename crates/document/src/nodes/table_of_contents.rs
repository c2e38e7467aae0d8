//! `tableOfContents`: the headings of the document with links and the pages they are on.

use expressions::Scope;

use super::tree::Tree;
use super::{Content, NODE};
use crate::bindings::Uses;
use crate::error::DocumentError;
use crate::fields::{Fields, Text};
use crate::outline::{Heading, SLOT};
use crate::shapes::{Property, Shape, Takes};
use crate::style::Style;
use crate::writer::Writer;

/// `{title?, from?, to?, pageNumbers?, leader?}`
#[derive(Debug)]
pub(crate) struct TableOfContents {
    title: Option<Text>,
    from: u8,
    to: u8,
    /// The element between a heading and its page, or nothing where pages are not shown.
    leader: Option<&'static str>,
}

pub(crate) static SHAPE: Shape = Shape {
    what: "tableOfContents",
    base: NODE,
    properties: &[
        Property::optional("title", Takes::Text, "", "A line above, which is no heading of the document itself."),
        Property::optional("from", Takes::Whole(1, 6), "`1`", "The highest level of headings that is listed."),
        Property::optional("to", Takes::Whole(1, 6), "`3`", "The lowest level of headings that is listed."),
        Property::optional("pageNumbers", Takes::Flag, "`true`", "Whether the page of each heading stands at the end of its line."),
        Property::optional("leader", Takes::Words(&["dots", "line", "none"]), "`dots`", "What leads from a heading to its page."),
    ],
};

#[expect(clippy::unnecessary_wraps, reason = "the signature every kind has")]
pub(crate) fn read(tree: &mut Tree, fields: &mut Fields<'_, '_>) -> Option<Content> {
    let title = fields.text(&["title"]);
    let level = |level: Option<usize>, default| level.and_then(|level| u8::try_from(level).ok()).unwrap_or(default);
    let from = level(fields.whole("from"), 1);
    let to = level(fields.whole("to"), from.max(3));
    if from > to {
        fields.refuse("to", &format!("\"to\" is {to}; accepted: a level from {from}, which is \"from\", to 6"));
    }
    let leaders = [("dots", "<i></i>"), ("line", "<i class=\"line\"></i>"), ("none", "<i class=\"none\"></i>")];
    let leader = fields.choice("leader", &leaders).unwrap_or(leaders[0].1);
    let leader = fields.flag("pageNumbers").unwrap_or(true).then_some(leader);
    tree.gathers_headings();
    Some(Content::TableOfContents(TableOfContents { title, from, to, leader }))
}

impl TableOfContents {
    pub(crate) fn uses<'w>(&'w self, uses: &mut Uses<'w>) {
        self.title.iter().for_each(|title| uses.text(title));
    }

    pub(crate) fn write_html<'w>(&'w self, style: &Style, writer: &mut Writer<'w>, scope: &Scope<'_>) -> Result<(), DocumentError> {
        writer.open("nav", "contents", style);
        writer.text_in("<p class=\"title\">", self.title.as_ref(), "</p>", scope)?;
        writer.add_table_of_contents(self);
        writer.push("</nav>");
        Ok(())
    }

    pub(crate) fn shows(&self, level: u8) -> bool {
        (self.from..=self.to).contains(&level)
    }

    /// Writes the line of a heading, counted from 1. The place of its page is as wide without it: filling it in moves nothing.
    pub(crate) fn write_entry(&self, number: usize, heading: &Heading, out: &mut String) {
        let indent = (heading.level - self.from + 1).to_string();
        out.extend(["<p class=\"l", &indent, "\"><a href=\"#", &heading.anchor, "\"><span>", &heading.html, "</span>"]);
        if let Some(leader) = self.leader {
            out.extend([leader, SLOT, &number.to_string(), "\"></b>"]);
        }
        out.push_str("</a></p>");
    }
}
