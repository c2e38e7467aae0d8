//! `text`: a paragraph of plain text with bindings; line breaks are kept, markup is shown as text.

use expressions::Scope;

use super::tree::Tree;
use super::{Content, NODE};
use crate::bindings::Uses;
use crate::error::DocumentError;
use crate::fields::{Fields, Text};
use crate::shapes::{Property, Shape, Takes};
use crate::style::Style;
use crate::writer::Writer;

/// `{content}`; `text` is another name of `content`.
#[derive(Debug)]
pub(crate) struct Paragraph {
    content: Text,
}

pub(crate) static SHAPE: Shape = Shape {
    what: "text",
    base: NODE,
    properties: &[Property::required("content", Takes::Text, "A paragraph. Line breaks are kept, markup is shown as text.").also(&["text"])],
};

pub(crate) fn read(_: &mut Tree, fields: &mut Fields<'_, '_>) -> Option<Content> {
    Some(Content::Text(Paragraph { content: fields.required_text(&["content", "text"])? }))
}

impl Paragraph {
    pub(crate) fn uses<'w>(&'w self, uses: &mut Uses<'w>) {
        uses.text(&self.content);
    }

    pub(crate) fn write_html<'w>(&'w self, style: &Style, writer: &mut Writer<'w>, scope: &Scope<'_>) -> Result<(), DocumentError> {
        writer.open("p", "", style);
        writer.text(&self.content, scope)?;
        writer.push("</p>");
        Ok(())
    }
}
