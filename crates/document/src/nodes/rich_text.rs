//! `richText`: formatted text from an editor or from data, let through by an allow-list.

use std::sync::OnceLock;

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
    /// What a text without expressions comes to, once a document has found it out: it is the same for all.
    literal: OnceLock<Clean>,
}

/// Markup that was let through.
#[derive(Debug)]
struct Clean {
    html: String,
    /// A sentence about what is gone.
    left_out: Option<String>,
    /// What cleaning it cost, which every document is charged.
    steps: u64,
}

/// How many times its own length a text may come to and be kept: templates are counted by their length where they are kept, and
/// one whose elements are never closed becomes many times as long.
const MOST_KEPT: usize = 2;

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
    Some(Content::RichText(RichText { content: fields.required_text(&["content", "html"])?, literal: OnceLock::new() }))
}

impl RichText {
    pub(crate) fn uses<'w>(&'w self, uses: &mut Uses<'w>) {
        uses.text(&self.content);
    }

    pub(crate) fn write_html<'w>(&'w self, style: &Style, writer: &mut Writer<'w>, scope: &Scope<'_>) -> Result<(), DocumentError> {
        let markup = writer.markup_text(&self.content, scope)?;
        if let Some(known) = self.literal.get() {
            writer.charge(known.steps)?;
            known.write(style, writer);
            return Ok(());
        }
        let steps = rich_text::steps(&markup).map_err(|(what, limit)| DocumentError::TooLarge { what, limit: limit as u64 })?;
        writer.charge(steps)?;
        let (html, left_out) = rich_text::clean(&markup);
        let clean = Clean { html, left_out, steps };
        clean.write(style, writer);
        if self.content.template.is_literal() && clean.html.len() <= MOST_KEPT * markup.len() {
            // Another document may have found out the same meanwhile.
            let _ = self.literal.set(clean);
        }
        Ok(())
    }
}

impl Clean {
    fn write(&self, style: &Style, writer: &mut Writer<'_>) {
        if let Some(left_out) = &self.left_out {
            writer.warn("rich_text", left_out.clone());
        }
        writer.open("div", "rich", style);
        writer.push(&self.html);
        writer.push("</div>");
    }
}
