//! `heading`: a title line of level 1 to 6.

use expressions::Scope;

use super::tree::Tree;
use super::{Content, NODE};
use crate::bindings::Uses;
use crate::error::DocumentError;
use crate::fields::{Fields, Text};
use crate::shapes::{Property, Shape, Takes};
use crate::style::Style;
use crate::writer::Writer;

/// `{content, level? = 2}`; `text` is another name of `content`.
#[derive(Debug)]
pub(crate) struct Heading {
    tag: &'static str,
    content: Text,
}

const TAGS: [&str; 6] = ["h1", "h2", "h3", "h4", "h5", "h6"];

pub(crate) static SHAPE: Shape = Shape {
    what: "heading",
    base: NODE,
    properties: &[
        Property::required("content", Takes::Text, "The line.").also(&["text"]),
        Property::optional("level", Takes::Whole(1, 6), "`2`", "1 is the title of the document."),
    ],
};

pub(crate) fn read(_: &mut Tree, fields: &mut Fields<'_, '_>) -> Option<Content> {
    let tag = TAGS[fields.whole("level").map_or(1, |level| level - 1)];
    Some(Content::Heading(Heading { tag, content: fields.required_text(&["content", "text"])? }))
}

impl Heading {
    pub(crate) fn uses<'w>(&'w self, uses: &mut Uses<'w>) {
        uses.text(&self.content);
    }

    pub(crate) fn write_html<'w>(&'w self, style: &Style, writer: &mut Writer<'w>, scope: &Scope<'_>) -> Result<(), DocumentError> {
        let from = writer.open_heading(self.tag, style);
        writer.text(&self.content, scope)?;
        writer.close_heading(self.tag, from)
    }
}
