//! `richText`: formatted text from an editor or from data, let through by an allow-list.

use expressions::Scope;

use super::tree::Tree;
use super::{Content, NODE};
use crate::bindings::Uses;
use crate::error::DocumentError;
use crate::fields::{Fields, Text};
use crate::rich_text;
use crate::shapes::{Property, Shape, Takes};
use crate::style::Style;
use crate::writer::Writer;

/// `{content}`; `html` is another name of `content`.
#[derive(Debug)]
pub(crate) struct RichText {
    content: Text,
}

pub(crate) static SHAPE: Shape = Shape {
    what: "richText",
    base: NODE,
    properties: &[Property::required(
        "content",
        Takes::Text,
        "HTML, also from data: `{{{value}}}`. What is not on the list below is taken out with a warning.",
    )
    .also(&["html"])],
};

pub(crate) fn read(_: &mut Tree, fields: &mut Fields<'_, '_>) -> Option<Content> {
    Some(Content::RichText(RichText { content: fields.required_text(&["content", "html"])? }))
}

impl RichText {
    pub(crate) fn uses<'w>(&'w self, uses: &mut Uses<'w>) {
        uses.text(&self.content);
    }

    pub(crate) fn write_html<'w>(&'w self, style: &Style, writer: &mut Writer<'w>, scope: &Scope<'_>) -> Result<(), DocumentError> {
        let markup = writer.markup_text(&self.content, scope)?;
        let steps = rich_text::steps(&markup).map_err(|(what, limit)| DocumentError::TooLarge { what, limit: limit as u64 })?;
        writer.charge(steps)?;
        let (clean, left_out) = rich_text::clean(&markup);
        if let Some(left_out) = left_out {
            writer.warn("rich_text", left_out);
        }
        writer.open("div", "rich", style);
        writer.push(&clean);
        writer.push("</div>");
        Ok(())
    }
}
