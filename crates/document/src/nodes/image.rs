//! `image`: a picture from a data URI or an asset.

use expressions::Scope;

use super::Content;
use super::tree::Tree;
use crate::bindings::Uses;
use crate::error::DocumentError;
use crate::fields::{Fields, Text};
use crate::style::{Style, length};
use crate::writer::Writer;

/// `{src, width?, height?, alt?}`; `src` is a data URI, the address of an asset (`asset:<slug or id>`) or an expression that gives one of them.
#[derive(Debug)]
pub(crate) struct Image {
    src: Text,
    alt: Option<Text>,
    /// `width` and `height`.
    size: Box<str>,
}

pub(crate) fn read(_: &mut Tree, fields: &mut Fields<'_, '_>) -> Option<Content> {
    let src = fields.required_text(&["src"]);
    let alt = fields.text(&["alt"]);
    let mut size = String::new();
    for name in ["width", "height"] {
        if let Some(length) = fields.checked(name, length) {
            let separator = if size.is_empty() { "" } else { ";" };
            size = format!("{size}{separator}{name}:{length}");
        }
    }
    Some(Content::Image(Image { src: src?, alt, size: size.into() }))
}

impl Image {
    pub(crate) fn uses<'w>(&'w self, uses: &mut Uses<'w>) {
        uses.text(&self.src);
        self.alt.iter().for_each(|alt| uses.text(alt));
    }

    pub(crate) fn write_html<'w>(&'w self, style: &Style, writer: &mut Writer<'w>, scope: &Scope<'_>) -> Result<(), DocumentError> {
        let src = writer.plain(&self.src, scope)?;
        let src = src.trim();
        // No value: nothing to show, and the missing binding is reported as such.
        if src.is_empty() {
            return Ok(());
        }
        let asset = writer.asset_address(src)?;
        if asset.is_none() {
            writer.check_image(src)?;
        }
        writer.open("div", "image", style);
        writer.push("<img src=\"");
        match asset {
            Some(uri) => writer.push(uri),
            None => writer.push_escaped(src),
        }
        writer.push("\" alt=\"");
        if let Some(alt) = &self.alt {
            writer.text(alt, scope)?;
        }
        if !self.size.is_empty() {
            writer.push("\" style=\"");
            writer.push(&self.size);
        }
        writer.push("\"></div>");
        Ok(())
    }
}
