//! `signatureField`: a line to sign on, with the name below it and, where wanted, a date and a picture of the signature.

use expressions::Scope;

use super::image;
use super::tree::Tree;
use super::{Content, NODE};
use crate::bindings::Uses;
use crate::error::DocumentError;
use crate::fields::{Fields, Text};
use crate::shapes::{Property, Shape, Takes};
use crate::style::{Style, length};
use crate::writer::Writer;

/// `{name?, label?, date?, dateLabel?, src?, width?, height?}`
#[derive(Debug)]
pub(crate) struct SignatureField {
    name: Option<Text>,
    label: Option<Text>,
    date: Option<Text>,
    date_label: Option<Text>,
    image: Option<Text>,
    width: Box<str>,
    height: Box<str>,
}

pub(crate) static SHAPE: Shape = Shape {
    what: "signatureField",
    base: NODE,
    properties: &[
        Property::optional("name", Takes::Text, "", "Who signs, below the line."),
        Property::optional("label", Takes::Text, "", "As what they sign, below the name."),
        Property::optional("date", Takes::Text, "", "The date on a line of its own; empty for one that is filled in by hand."),
        Property::optional("dateLabel", Takes::Text, "", "Below the line of the date. Without this and `date` there is no such line."),
        Property::optional("src", Takes::Text, "", "A picture of the signature above the line, as in an `image`."),
        Property::optional("width", Takes::Length, "`90mm`", "Width of the whole field."),
        Property::optional("height", Takes::Length, "`16mm`", "Room above the line."),
    ],
};

#[expect(clippy::unnecessary_wraps, reason = "the signature every kind has")]
pub(crate) fn read(_: &mut Tree, fields: &mut Fields<'_, '_>) -> Option<Content> {
    Some(Content::SignatureField(Box::new(SignatureField {
        name: fields.text(&["name"]),
        label: fields.text(&["label"]),
        date: fields.text(&["date"]),
        date_label: fields.text(&["dateLabel"]),
        image: fields.text(&["src"]),
        width: fields.checked("width", length).unwrap_or_else(|| "90mm".into()),
        height: fields.checked("height", length).unwrap_or_else(|| "16mm".into()),
    })))
}

impl SignatureField {
    pub(crate) fn uses<'w>(&'w self, uses: &mut Uses<'w>) {
        for text in [&self.name, &self.label, &self.date, &self.date_label, &self.image].into_iter().flatten() {
            uses.text(text);
        }
    }

    pub(crate) fn write_html<'w>(&'w self, style: &Style, writer: &mut Writer<'w>, scope: &Scope<'_>) -> Result<(), DocumentError> {
        let is_dated = self.date.is_some() || self.date_label.is_some();
        let class = if is_dated { "signature" } else { "signature undated" };
        writer.open_with("div", class, style, &format!("width:{}", self.width));
        self.open_line(writer);
        if let Some(image) = &self.image
            && let Some(address) = image::address(image, writer, scope)?
        {
            writer.push("<img alt=\"\" src=\"");
            address.write(writer);
            writer.push("\">");
        }
        writer.push("</div>");
        writer.text_in("<p>", self.name.as_ref(), "</p>", scope)?;
        writer.text_in("<p class=\"label\">", self.label.as_ref(), "</p>", scope)?;
        writer.push("</div>");
        if is_dated {
            self.open_line(writer);
            writer.text_in("<p>", self.date.as_ref(), "</p>", scope)?;
            writer.push("</div>");
            writer.text_in("<p class=\"label\">", self.date_label.as_ref(), "</p>", scope)?;
            writer.push("</div>");
        }
        writer.push("</div>");
        Ok(())
    }

    fn open_line(&self, writer: &mut Writer<'_>) {
        writer.push("<div><div class=\"line\" style=\"height:");
        writer.push(&self.height);
        writer.push("\">");
    }
}
