//! Page headers and footers: small HTML or three texts, written as the margin boxes of `@page`.
//!
//! A margin box holds one string, so markup is reduced to what a string can be: text, page counters, line breaks, and
//! the font of the whole box. What cannot be kept is left out with a warning.

use std::fmt::Write as _;

use domain::Issue;
use domain::furniture::PageFurniture;
use domain::issues::pointer;
use expressions::{Scope, Template};

use crate::css;
use crate::error::DocumentError;
use crate::fields::Text;
use crate::limits::Limits;
use crate::markup::{self, Cell, Look, Piece, Place};
use crate::writer::Writer;

/// The names of what a page knows and data does not, with the characters that stand for them while a template is
/// rendered. They are in a private-use plane; texts that hold them print a page number, which harms nobody.
pub(crate) const TOKENS: [(&str, char); 5] =
    [("pageNumber", '\u{10fff0}'), ("totalPages", '\u{10fff1}'), ("date", '\u{10fff2}'), ("title", '\u{10fff3}'), ("url", '\u{10fff4}')];

/// A header or footer.
#[derive(Debug)]
pub(crate) enum Furniture {
    /// Markup with span classes, as browsers' print templates have it.
    Markup(Text),
    /// `{left?, center?, right?}`: texts with `{{pageNumber}}` and the like.
    Texts([Option<Text>; 3]),
}

/// Bytes of a header or footer once its values are in it: no more can be read on a page, and its source is shorter.
const MAX_RENDERED_BYTES: usize = 64 * 1024;

/// What stands for the tokens.
pub(crate) struct Known<'k> {
    pub(crate) date: &'k str,
    pub(crate) title: &'k str,
}

/// Parses the texts of a header or footer that stands at `path`; `name` is what its problems call it.
pub(crate) fn compile(furniture: &PageFurniture, name: &str, path: &str, limits: &Limits) -> Result<Furniture, Issue> {
    match furniture {
        PageFurniture::Markup(source) => template(source, name.into(), path, limits).map(Furniture::Markup),
        PageFurniture::Texts(sources) => {
            let mut texts = [None, None, None];
            for ((text, source), place) in texts.iter_mut().zip(sources).zip(["left", "center", "right"]) {
                if let Some(source) = source {
                    *text = Some(template(source, format!("{name}.{place}"), &pointer(path, place), limits)?);
                }
            }
            Ok(Furniture::Texts(texts))
        }
    }
}

fn template(source: &str, property: String, path: &str, limits: &Limits) -> Result<Text, Issue> {
    let mut source = source.to_owned();
    for (token, character) in TOKENS {
        // `title`, `date` and `url` are also likely names in data, so only the page's own names are taken.
        if matches!(token, "pageNumber" | "totalPages") {
            for form in [format!("{{{{{token}}}}}"), format!("{{{{ {token} }}}}")] {
                source = source.replace(&form, &character.to_string());
            }
        }
    }
    match Template::parse(&source, &limits.parsing) {
        Ok(template) => Ok(Text { template, property: property.into() }),
        Err(error) => {
            let message = format!("\"{property}\", line {}, column {}: {}", error.line(), error.column(), error.message());
            Err(Issue::new(path, message).with_code("template_expression_error"))
        }
    }
}

/// Writes the boxes of a header (`edge` is `top`) or footer (`bottom`) as the content of an `@page` rule.
pub(crate) fn write_css(
    furniture: &Furniture,
    edge: &'static str,
    known: &Known<'_>,
    writer: &mut Writer<'_>,
    scope: &Scope<'_>,
) -> Result<String, DocumentError> {
    let mut warnings = Vec::new();
    let cells = match furniture {
        Furniture::Markup(text) => {
            writer.markup(text, scope)?;
            let html = short_enough(writer.take())?;
            markup::read(&html, &mut warnings)
        }
        Furniture::Texts(texts) => {
            let mut cells = Vec::new();
            for (text, place) in texts.iter().zip([Place::Left, Place::Center, Place::Right]) {
                if let Some(text) = text {
                    let pieces = markup::pieces_of(&short_enough(writer.plain(text, scope)?)?);
                    cells.push(Cell { place, look: Look::default(), pieces });
                }
            }
            cells
        }
    };
    for message in warnings {
        writer.warn("page_furniture", message);
    }
    Ok(cells.iter().filter(|cell| !cell.pieces.is_empty()).map(|cell| box_css(cell, edge, known)).collect())
}

fn short_enough(rendered: String) -> Result<String, DocumentError> {
    if rendered.len() > MAX_RENDERED_BYTES {
        return Err(DocumentError::TooLarge { what: "page header or footer (bytes)", limit: MAX_RENDERED_BYTES as u64 });
    }
    Ok(rendered)
}

fn box_css(cell: &Cell, edge: &str, known: &Known<'_>) -> String {
    let place = match cell.place {
        Place::Left => "left",
        Place::Center => "center",
        Place::Right => "right",
    };
    let mut css = format!("@{edge}-{place}{{content:");
    for piece in &cell.pieces {
        let piece = match piece {
            Piece::Text(text) => css::string(text),
            Piece::Token("pageNumber") => "counter(page)".into(),
            Piece::Token("totalPages") => "counter(pages)".into(),
            Piece::Token("date") => css::string(known.date),
            Piece::Token("title") => css::string(known.title),
            // A document written from a template has no address.
            Piece::Token(_) => continue,
        };
        css.push_str(&piece);
        css.push(' ');
    }
    let Look { size, color, weight, slant, family } = &cell.look;
    // Writing to a String does not fail.
    let _ = write!(
        css,
        ";white-space:pre-wrap;text-align:{place};font-family:{};font-size:{};color:{};font-weight:{};font-style:{}}}",
        family.as_deref().unwrap_or("\"Liberation Sans\",\"Noto Sans\",\"Noto Sans CJK SC\",sans-serif"),
        size.as_deref().unwrap_or("8pt"),
        color.as_deref().unwrap_or("#59636e"),
        weight.as_deref().unwrap_or("400"),
        slant.as_deref().unwrap_or("normal"),
    );
    css
}
