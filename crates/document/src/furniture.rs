//! Page headers and footers: small HTML or three texts, written as the margin boxes of `@page`.
//!
//! A margin box holds one string, so markup is reduced to what a string can be: text, page counters, line breaks, and
//! the font of the whole box. What cannot be kept is left out with a warning.

use std::fmt::Write as _;

use expressions::{Scope, Template};
use serde_json::Value;

use crate::css;
use crate::error::DocumentError;
use crate::fields::{Fields, Text};
use crate::markup::{self, Cell, Look, Piece, Place};
use crate::report::Warning;
use crate::writer::Writer;

/// The published limit of a header or footer.
const MAX_CHARACTERS: usize = 10_000;

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

/// What stands for the tokens.
pub(crate) struct Known<'k> {
    pub(crate) date: &'k str,
    pub(crate) title: &'k str,
}

pub(crate) fn read(fields: &mut Fields<'_, '_>, name: &'static str) -> Option<Furniture> {
    match fields.value(name)? {
        Value::String(source) => {
            let count = source.chars().count();
            if count > MAX_CHARACTERS {
                fields.refuse(name, &format!("\"renderConfig.{name}\" has {count} characters; at most {MAX_CHARACTERS} are accepted"));
                return None;
            }
            template(fields, name, "", source).map(Furniture::Markup)
        }
        Value::Object(cells) => {
            for other in cells.keys().filter(|key| !["left", "center", "right"].contains(&key.as_str())) {
                fields.refuse_member(name, other, "part of a header or footer", ["left", "center", "right"], None);
            }
            let mut texts = [None, None, None];
            for (text, place) in texts.iter_mut().zip(["left", "center", "right"]) {
                match cells.get(place) {
                    None | Some(Value::Null) => {}
                    Some(Value::String(source)) if source.chars().count() <= MAX_CHARACTERS => {
                        *text = template(fields, name, place, source);
                    }
                    Some(_) => {
                        let accepted = format!("accepted: text of at most {MAX_CHARACTERS} characters");
                        fields
                            .refuse_at(&format!("{name}/{place}"), &format!("\"renderConfig.{name}.{place}\" is no such text; {accepted}"));
                    }
                }
            }
            Some(Furniture::Texts(texts))
        }
        other => {
            let found = crate::issues::short(other);
            fields.refuse(name, &format!("\"renderConfig.{name}\" is {found}; accepted: HTML, or {{\"left\", \"center\", \"right\"}}"));
            None
        }
    }
}

fn template(fields: &mut Fields<'_, '_>, name: &str, place: &str, source: &str) -> Option<Text> {
    let mut source = source.to_owned();
    for (token, character) in TOKENS {
        // `title`, `date` and `url` are also likely names in data, so only the page's own names are taken.
        if matches!(token, "pageNumber" | "totalPages") {
            for form in [format!("{{{{{token}}}}}"), format!("{{{{ {token} }}}}")] {
                source = source.replace(&form, &character.to_string());
            }
        }
    }
    let property = if place.is_empty() { format!("renderConfig.{name}") } else { format!("renderConfig.{name}.{place}") };
    match Template::parse(&source, &fields.reading.limits.parsing) {
        Ok(template) => Some(Text { template, property: property.into() }),
        Err(error) => {
            let below = if place.is_empty() { name.to_owned() } else { format!("{name}/{place}") };
            let message = format!("\"{property}\", line {}, column {}: {}", error.line(), error.column(), error.message());
            fields.refuse_at(&below, &message);
            None
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
            let html = writer.take();
            markup::read(&html, &mut warnings)
        }
        Furniture::Texts(texts) => {
            let mut cells = Vec::new();
            for (text, place) in texts.iter().zip([Place::Left, Place::Center, Place::Right]) {
                if let Some(text) = text {
                    let pieces = markup::pieces_of(&writer.plain(text, scope)?);
                    cells.push(Cell { place, look: Look::default(), pieces });
                }
            }
            cells
        }
    };
    for message in warnings {
        writer.report.warnings.push(Warning { code: "page_furniture", message });
    }
    Ok(cells.iter().filter(|cell| !cell.pieces.is_empty()).map(|cell| box_css(cell, edge, known)).collect())
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
