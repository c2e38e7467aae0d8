//! `image`: a picture from a data URI or an asset.

use expressions::Scope;

use super::tree::Tree;
use super::{Content, NODE};
use crate::bindings::Uses;
use crate::error::DocumentError;
use crate::fields::{Fields, Text};
use crate::shapes::{Property, Shape, Takes};
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

pub(crate) static SHAPE: Shape = Shape {
    what: "image",
    base: NODE,
    properties: &[
        Property::required(
            "src",
            Takes::Text,
            "A data URI, an asset (`asset:` and its slug or id), or an expression that gives one; nothing is shown where it is empty.",
        ),
        Property::optional("alt", Takes::Text, "", "What the picture shows, for those who cannot see it."),
        Property::optional("width", Takes::Length, "that of the picture, at most the column", "Width."),
        Property::optional("height", Takes::Length, "in proportion", "Height."),
    ],
};

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
        let Some(address) = address(&self.src, writer, scope)? else { return Ok(()) };
        writer.open("div", "image", style);
        writer.push("<img src=\"");
        address.write(writer);
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

/// The address of a picture that may be shown.
pub(crate) enum Address<'w> {
    /// What stands for an asset.
    Asset(&'w str),
    DataUri(String),
}

/// The picture that a text names. None without a value: there is nothing to show, and the missing binding is reported.
pub(crate) fn address<'w>(src: &Text, writer: &mut Writer<'w>, scope: &Scope<'_>) -> Result<Option<Address<'w>>, DocumentError> {
    let src = writer.plain(src, scope)?;
    let src = src.trim();
    if src.is_empty() {
        return Ok(None);
    }
    if let Some(uri) = writer.asset_address(src)? {
        return Ok(Some(Address::Asset(uri)));
    }
    writer.check_image(src)?;
    Ok(Some(Address::DataUri(src.to_owned())))
}

impl Address<'_> {
    /// Into the quotes of an attribute.
    pub(crate) fn write(&self, writer: &mut Writer<'_>) {
        match self {
            Self::Asset(uri) => writer.push(uri),
            Self::DataUri(uri) => writer.push_escaped(uri),
        }
    }
}
