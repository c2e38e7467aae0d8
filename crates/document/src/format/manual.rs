//! The tables of `docs/template-format.md`, one for each kind of object.

use std::fmt::Write as _;

use super::documented;
use crate::definition::page_shapes::{MARGINS, PAGE_FURNITURE, PRINT_PRODUCTION, WATERMARK};
use crate::definition::shape::RENDER_CONFIG;
use crate::nodes::DOCUMENT;
use crate::shapes::{Preset, Property, Shape, Takes};
use crate::{style, theme};

/// In front of a table, with the name of its object between the two, and behind it.
const BEGIN: [&str; 2] = ["<!-- properties of ", " -->\n"];
const END: &str = "<!-- end of properties -->";

/// The page with every table of properties as the declarations have it. The page says where a table stands by the lines
/// `<!-- properties of NAME -->` and `<!-- end of properties -->`.
///
/// # Errors
/// A sentence about a table that is missing, unknown or without an end.
pub fn with_tables(page: &str) -> Result<String, String> {
    let mut out = String::with_capacity(page.len());
    let mut rest = page;
    let mut found = Vec::new();
    while let Some((before, after)) = rest.split_once(BEGIN[0]) {
        let (name, after) = after.split_once(BEGIN[1]).ok_or("a table's first line has no end")?;
        let (_, after) = after.split_once(END).ok_or_else(|| format!("the table of {name} has no end"))?;
        let (_, shape) = documented().find(|(known, _)| *known == name).ok_or_else(|| format!("there is no \"{name}\""))?;
        out.push_str(before);
        out.push_str(&[BEGIN[0], name, BEGIN[1], "\n", &table(shape), "\n", END].concat());
        found.push(name);
        rest = after;
    }
    out.push_str(rest);
    match documented().find(|(name, _)| !found.contains(name)) {
        Some((name, _)) => Err(format!("the page has no table of {name}")),
        None => Ok(out),
    }
}

fn table(shape: &'static Shape) -> String {
    let mut out = String::from("| property | takes | default | meaning |\n|---|---|---|---|\n");
    let none = out.len();
    rows(shape, "", &mut out);
    if out.len() == none { "No properties of its own.\n".to_owned() } else { out }
}

fn rows(shape: &'static Shape, prefix: &str, out: &mut String) {
    for property in shape.properties {
        if property.default == Preset::Internal {
            continue;
        }
        let mut names = format!("`{prefix}{}`", property.name);
        for alias in property.aliases {
            // Writing to a String does not fail.
            let _ = write!(names, " or `{alias}`");
        }
        let default = match property.default {
            Preset::Required => "required",
            Preset::Is(default) => default,
            Preset::Internal => "",
        };
        let _ = writeln!(out, "| {names} | {} | {default} | {} |", words_of(&property.takes).replace('|', "\\|"), property.meaning);
        if let Some((inner, mark)) = inner_shapes(property) {
            rows(inner, &format!("{prefix}{}{mark}.", property.name), out);
        }
    }
}

/// Objects inside that have no table of their own, with the mark of a list.
fn inner_shapes(property: &'static Property) -> Option<(&'static Shape, &'static str)> {
    let elsewhere: [&Shape; 8] =
        [&style::SHAPE, &theme::SHAPE, &DOCUMENT, &RENDER_CONFIG, &MARGINS, &PAGE_FURNITURE, &WATERMARK, &PRINT_PRODUCTION];
    property
        .form(|takes| match takes {
            Takes::List(shape) => Some((*shape, "[]")),
            Takes::Object(shape) => Some((*shape, "")),
            _ => None,
        })
        .filter(|(shape, _)| !elsewhere.iter().any(|other| std::ptr::eq(*other, *shape)))
}

fn words_of(takes: &Takes) -> String {
    match takes {
        Takes::Text => "text with expressions".into(),
        Takes::Plain => "text".into(),
        Takes::Expression => "expression".into(),
        Takes::Flag => "`true` or `false`".into(),
        Takes::Length => "length".into(),
        Takes::Color => "colour".into(),
        Takes::Number(least, most) => format!("number, {least} to {most}"),
        Takes::Whole(least, most) => format!("whole number, {least} to {most}"),
        Takes::Words(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
        Takes::Nodes => "list of nodes".into(),
        Takes::List(_) => "list of objects".into(),
        Takes::Object(_) => "object".into(),
        Takes::Either(forms) => forms.iter().map(words_of).collect::<Vec<_>>().join(", or "),
        Takes::Other(words, _) => (*words).into(),
    }
}
