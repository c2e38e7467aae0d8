//! XML as an object: elements and attributes become properties, elements of one name beside each other a list.

use std::collections::HashSet;

use roxmltree::{Document, Node, NodeType, ParsingOptions};
use serde_json::map::Entry;
use serde_json::{Map, Value};

use crate::data_input::issues::shown;
use crate::data_input::meter::Meter;
use crate::data_input::options::{NAME_CHARS, XmlOptions};
use crate::data_input::text::utf8;
use crate::data_input::{Converted, Encoding};
use crate::error::DocumentError;

/// Attributes of one element.
const ATTRIBUTES: usize = 1_000;

pub fn convert(bytes: &[u8], encoding: Encoding, options: &XmlOptions, meter: &mut Meter<'_>) -> Result<Converted, DocumentError> {
    let text = utf8(bytes, meter)?;
    if encoding == Encoding::Base64 && !text.is_ascii() {
        refuse_other_charset(text, meter)?;
    }
    refuse_many_attributes(text, meter)?;
    // What stands between elements is a node too.
    let nodes_limit = u32::try_from(meter.limits.values.saturating_mul(4)).unwrap_or(u32::MAX);
    // Without a DTD there are no entities that could grow, and none that could be fetched.
    let parsing = ParsingOptions { allow_dtd: false, nodes_limit, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, parsing).map_err(|error| match error {
        roxmltree::Error::DtdDetected => meter.invalid("has a DTD (<!DOCTYPE …>), which is not read; send it without"),
        roxmltree::Error::NodesLimitReached => {
            meter.too_large(format!("has more than {} values, which is as many as are read", meter.limits.values))
        }
        error => meter.invalid(format!("is no well-formed XML: {error}")),
    })?;
    meter.look()?;
    let root = document.root_element();
    let mut reading = Reading { options, meter, met: HashSet::new() };
    let mut data = Map::new();
    let name = name_of(&root).to_owned();
    let value = reading.value_of(&root, 1)?;
    let value = if options.arrays.contains(&name) { Value::Array(vec![value]) } else { value };
    data.insert(name, value);
    let met = reading.met;
    let mut unmet: Vec<&String> = options.arrays.iter().filter(|name| !met.contains(*name) && *name != root.tag_name().name()).collect();
    unmet.sort();
    for name in unmet {
        meter.warn(|| format!("arrays: there is no element \"{}\"", shown(name)));
    }
    let rows = root.children().filter(Node::is_element).count();
    Ok(Converted { data: Value::Object(data), rows, warnings: meter.take_warnings() })
}

/// Whether an element has more attributes than are read. The parser compares each with all others, so it may not see them.
fn refuse_many_attributes(text: &str, meter: &Meter<'_>) -> Result<(), DocumentError> {
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let skipped = [("!--", "-->"), ("![CDATA[", "]]>"), ("?", "?>")].into_iter().find(|(begin, _)| rest.starts_with(begin));
        if let Some((begin, end)) = skipped {
            rest = rest[begin.len()..].find(end).map_or("", |found| &rest[begin.len() + found + end.len()..]);
            continue;
        }
        let (mut quote, mut attributes, mut length) = (None, 0_usize, rest.len());
        for (at, byte) in rest.bytes().enumerate() {
            match (quote, byte) {
                (Some(open), _) if open == byte => quote = None,
                (None, b'"' | b'\'') => quote = Some(byte),
                (None, b'=') => attributes += 1,
                (None, b'>') => {
                    length = at;
                    break;
                }
                _ => {}
            }
            if attributes > ATTRIBUTES {
                return Err(meter.too_large(format!("has an element with more than {ATTRIBUTES} attributes, which is as many as are read")));
            }
        }
        meter.look()?;
        rest = rest.get(length..).unwrap_or_default();
    }
    Ok(())
}

struct Reading<'m, 'o, 'l> {
    options: &'o XmlOptions,
    meter: &'m mut Meter<'l>,
    /// Which of the names that are lists came.
    met: HashSet<String>,
}

impl Reading<'_, '_, '_> {
    fn value_of(&mut self, element: &Node<'_, '_>, depth: usize) -> Result<Value, DocumentError> {
        if depth > self.meter.limits.depth {
            let said = format!("{} has elements more than {} deep", place(element), self.meter.limits.depth);
            return Err(self.meter.too_large(said));
        }
        let name = name_of(element);
        if name.len() > NAME_CHARS {
            return Err(self.meter.invalid(format!("{}: the element's name has more than {NAME_CHARS} bytes", place(element))));
        }
        self.meter.value(name.len())?;
        let mut object = Map::new();
        for attribute in element.attributes() {
            let key = format!("{}{}", self.options.attribute_prefix, attribute.name());
            if attribute.name().len() > NAME_CHARS {
                return Err(self.meter.invalid(format!("{}: an attribute's name has more than {NAME_CHARS} bytes", place(element))));
            }
            self.meter.value(key.len() + attribute.value().len())?;
            let value = self.options.types.value_of(attribute.value());
            if object.insert(key, value).is_some() {
                return Err(self.twice(element, attribute.name()));
            }
        }
        let attributes = object.len();
        let mut text = String::new();
        let mut has_elements = false;
        for child in element.children() {
            self.meter.step()?;
            match child.node_type() {
                NodeType::Text => text.push_str(child.text().unwrap_or_default()),
                NodeType::Element => {
                    has_elements = true;
                    let value = self.value_of(&child, depth + 1)?;
                    self.add(&mut object, attributes, &child, value)?;
                }
                _ => {}
            }
        }
        let text = text.trim();
        self.meter.text(text.len())?;
        if object.is_empty() {
            return Ok(self.options.types.value_of(text));
        }
        if !text.is_empty() {
            if has_elements {
                let key = &self.options.text_key;
                self.meter
                    .warn(|| format!("{}: the text between the elements of <{}> is put together as {key}", place(element), shown(name)));
            }
            if object.insert(self.options.text_key.clone(), self.options.types.value_of(text)).is_some() {
                return Err(self.twice(element, &self.options.text_key));
            }
        }
        Ok(Value::Object(object))
    }

    /// One more element beside others.
    fn add(&mut self, object: &mut Map<String, Value>, attributes: usize, child: &Node<'_, '_>, value: Value) -> Result<(), DocumentError> {
        let name = name_of(child);
        // Only where attributes have no prefix can one have the name of an element.
        if attributes > 0 && object.keys().take(attributes).any(|key| key == name) {
            return Err(self.twice(child, name));
        }
        match object.entry(name) {
            Entry::Vacant(free) if self.options.arrays.contains(name) => {
                self.met.insert(name.to_owned());
                free.insert(Value::Array(vec![value]));
            }
            Entry::Vacant(free) => {
                free.insert(value);
            }
            Entry::Occupied(mut others) => match others.get_mut() {
                // An element alone is never a list.
                Value::Array(others) => others.push(value),
                other => {
                    let first = other.take();
                    *other = Value::Array(vec![first, value]);
                }
            },
        }
        Ok(())
    }

    fn twice(&self, element: &Node<'_, '_>, name: &str) -> DocumentError {
        let said = format!(
            "{}: more than one thing would be the property \"{}\"; choose another attributePrefix or textKey",
            place(element),
            shown(name)
        );
        self.meter.invalid(said)
    }
}

/// Without its prefix, which another file may write otherwise.
fn name_of<'n>(node: &Node<'n, '_>) -> &'n str {
    node.tag_name().name()
}

fn place(node: &Node<'_, '_>) -> String {
    let position = node.document().text_pos_at(node.range().start);
    format!("line {}, column {}", position.row, position.col)
}

/// Bytes that say of themselves that they are something else, and are not only ASCII, may be.
fn refuse_other_charset(text: &str, meter: &Meter<'_>) -> Result<(), DocumentError> {
    let declaration = text.strip_prefix("<?xml").and_then(|rest| rest.split_once("?>")).map(|(declaration, _)| declaration);
    let Some((_, rest)) = declaration.and_then(|declaration| declaration.split_once("encoding")) else { return Ok(()) };
    let name = rest.trim_start().trim_start_matches('=').trim_start().trim_start_matches(['"', '\'']);
    let name: String = name.chars().take_while(|c| !matches!(c, '"' | '\'')).take(40).collect();
    if name.is_empty() || name.eq_ignore_ascii_case("utf-8") || name.eq_ignore_ascii_case("utf8") {
        return Ok(());
    }
    Err(meter.invalid(format!("says in its first line that it is {}; save it as UTF-8", shown(&name))))
}
