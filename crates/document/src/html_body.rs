//! The HTML of a definition with its components, and what a layout's slots are filled with.

use domain::issues::pointer;
use expressions::{ExpressionError, Partials};
use serde_json::Value;

use crate::definition::{Body, Kind};
use crate::fields::{Fields, Text};
use crate::html_slots::{self, MAIN, Slot};
use crate::issues::{clip, short};

/// Components inside each other, as deep as they are put together.
const MOST_LEVELS: usize = crate::parts::MOST_LEVELS + 1;
/// Bytes of the name of a component.
const NAME_BYTES: usize = 64;

/// What only HTML has.
pub(crate) fn refuse_outside_html(fields: &mut Fields<'_, '_>) {
    if fields.value("components").is_some() {
        fields
            .refuse("components", "\"components\" are for \"html\"; in a tree of blocks a node of type \"component\" names its component");
    }
    if fields.value("slots").is_some() {
        fields.refuse("slots", "\"slots\" fill a layout; name it in \"layout\"");
    }
}

/// Reads the HTML of a document, a component or a layout.
pub(crate) fn read(fields: &mut Fields<'_, '_>, kind: Kind) -> Option<Body> {
    let mut partials = read_components(fields, "components");
    let html = fields
        .string("html")
        .map(str::to_owned)
        .or_else(|| fields.value("html").filter(|html| html.is_number() || html.is_boolean()).map(Value::to_string));
    // Filled ones are there only after the definition was put together with its layout.
    let html = if fields.value("slotComponents").is_some() {
        fill_slots(fields, &mut partials);
        let slots = fields.object("slots");
        html.map(|html| {
            html_slots::with_calls(&html, &html_slots::slots(&html), |name| slots.is_some_and(|slots| slots.contains_key(name)))
        })
    } else {
        if fields.value("slots").is_some() {
            fields.refuse("slots", "\"slots\" fill a layout; name it in \"layout\"");
        }
        match kind {
            Kind::Layout => html.map(|html| {
                let slots = html_slots::slots(&html);
                check_slots(fields, &slots);
                html_slots::with_calls(&html, &slots, |_| false)
            }),
            _ => html,
        }
    };
    let html = fields.template("html", &html?, &partials);
    let mut css = part_css(fields);
    css.extend(fields.text(&["css"]));
    Some(Body::Html { html: html?, css })
}

/// A layout's slots have different names, and one is for the content.
fn check_slots(fields: &mut Fields<'_, '_>, slots: &[Slot]) {
    if !slots.iter().any(|slot| slot.name == MAIN) {
        fields.refuse("html", "a layout has a slot for the content of those that use it: `<slot></slot>`");
    }
    for (index, slot) in slots.iter().enumerate() {
        if slots[..index].iter().any(|other| other.name == slot.name) {
            fields.refuse("html", &format!("there is more than one slot \"{}\"", clip(&slot.name, 60)));
        }
    }
}

fn fill_slots(fields: &mut Fields<'_, '_>, partials: &mut Partials) {
    let own = read_components(fields, "slotComponents");
    let at = fields.at("slots");
    let limits = fields.reading.limits;
    for (name, text) in fields.object("slots").into_iter().flatten() {
        let Some(text) = text.as_str() else {
            let found = short(text);
            fields.reading.refuse(pointer(&at, name), &format!("the slot is {found}; accepted: HTML as text"));
            continue;
        };
        let shown = if name == MAIN { "html".to_owned() } else { format!("slots.{name}") };
        if let Err(error) = partials.add_verbatim(&html_slots::partial(name), &shown, text, &limits.parsing, &own) {
            refuse_expression(fields, pointer(&at, name), &shown, &error);
        }
    }
}

fn part_css(fields: &mut Fields<'_, '_>) -> Vec<Text> {
    fields.each("partCss", |part| {
        let key = part.string("key").unwrap_or_default().to_owned();
        part.value("version");
        let text = part.text(&["css"])?;
        Some(Text { property: format!("css of {}", clip(&key, 130)).into(), ..text })
    })
}

/// Components that were put in place of references, each with those that it uses itself.
fn read_components(fields: &mut Fields<'_, '_>, name: &'static str) -> Partials {
    let at = fields.at(name);
    fields.value(name).map_or_else(Partials::default, |value| partials(fields, value, &at, 0))
}

fn partials(fields: &mut Fields<'_, '_>, value: &Value, at: &str, level: usize) -> Partials {
    let mut partials = Partials::default();
    let limits = fields.reading.limits;
    let Some(declared) = value.as_object() else {
        let found = short(value);
        fields
            .reading
            .refuse(at.to_owned(), &format!("\"components\" is {found}; accepted: an object of names and the components they stand for"));
        return partials;
    };
    if level > MOST_LEVELS {
        fields.reading.refuse(at.to_owned(), &format!("components are nested deeper than the {MOST_LEVELS} levels accepted"));
        return partials;
    }
    for (name, entry) in declared {
        let here = pointer(at, name);
        if !is_name(name) {
            let message = format!(
                "\"{}\" is no name of a component; accepted: 1 to {NAME_BYTES} letters, digits, \"-\" and \"_\", beginning with a letter",
                clip(name, 60)
            );
            fields.reading.refuse(here, &message);
            continue;
        }
        let Some(html) = entry.get("html").and_then(Value::as_str) else {
            let message = match domain::template_references::read_reference(entry) {
                Ok((key, _)) => format!("the component \"{key}\" was not looked up"),
                Err(why) => format!("the component is {}; {why}", short(entry)),
            };
            fields.reading.refuse(here, &message);
            continue;
        };
        let inner = entry
            .get("components")
            .map_or_else(Partials::default, |inner| self::partials(fields, inner, &pointer(&here, "components"), level + 1));
        if let Err(error) = partials.add(name, name, html, &limits.parsing, &inner) {
            refuse_expression(fields, pointer(&here, "html"), "html", &error);
        }
    }
    partials
}

fn is_name(name: &str) -> bool {
    name.len() <= NAME_BYTES
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn refuse_expression(fields: &mut Fields<'_, '_>, path: String, property: &str, error: &ExpressionError) {
    let message = format!("\"{property}\", line {}, column {}: {}", error.line(), error.column(), error.message());
    fields.reading.issues.push(domain::Issue::new(path, message).with_code("template_expression_error"));
}
