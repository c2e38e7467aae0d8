//! `html`: markup of the author with bindings; `{{value}}` is escaped, `{{{value}}}` is not.

use expressions::Scope;

use super::tree::Tree;
use super::{Content, NODE};
use crate::bindings::Uses;
use crate::error::DocumentError;
use crate::fields::{Fields, Text};
use crate::shapes::{Property, Shape, Takes};
use crate::writer::Writer;

/// `{content}`; `html` is another name of `content`.
#[derive(Debug)]
pub(crate) struct Html {
    content: Text,
}

pub(crate) static SHAPE: Shape = Shape {
    what: "html",
    base: NODE,
    properties: &[
        Property::required("content", Takes::Text, "Markup of the author. `{{value}}` is escaped, `{{{value}}}` is not.").also(&["html"])
    ],
};

pub(crate) fn read(_: &mut Tree, fields: &mut Fields<'_, '_>) -> Option<Content> {
    Some(Content::Html(Html { content: fields.required_text(&["content", "html"])? }))
}

impl Html {
    pub(crate) fn uses<'w>(&'w self, uses: &mut Uses<'w>) {
        uses.text(&self.content);
    }

    pub(crate) fn write_html<'w>(&'w self, writer: &mut Writer<'w>, scope: &Scope<'_>) -> Result<(), DocumentError> {
        let from = writer.len();
        writer.markup(&self.content, scope)?;
        writer.check_images_from(from)?;
        writer.inline_from(from)
    }
}
