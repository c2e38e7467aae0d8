//! `component`: the children of another template, with a part of the data.

use domain::issues::pointer;
use domain::template_references::read_reference;
use expressions::{Expression, Scope, Template};
use serde_json::{Map, Value};

use super::tree::Tree;
use super::{Content, NODE, Node, write_all};
use crate::bindings::Uses;
use crate::error::DocumentError;
use crate::fields::{Fields, Formula, Text};
use crate::issues::short;
use crate::shapes::{Property, Shape, Takes};
use crate::style::Style;
use crate::writer::{Writer, weight};

/// Fields that one component is given by name.
const MOST_FIELDS: usize = 200;

/// `{component, data?}`; `of` and `children` in place of `component` once it was looked up.
#[derive(Debug)]
pub(crate) struct Component {
    data: Data,
    children: Vec<Node>,
}

/// What `this` is in the component.
#[derive(Debug)]
enum Data {
    /// What it is around it.
    Here,
    Value(Formula),
    Fields(Vec<(Box<str>, Field)>),
}

#[derive(Debug)]
enum Field {
    Value(Formula),
    Text(Text),
    Fixed(Value),
}

pub(crate) static SHAPE: Shape = Shape {
    what: "component",
    base: NODE,
    properties: &[
        Property::required(
            "component",
            Takes::Other("key, or `{key, version}` or `{key, label}`", r#"{"type": ["string", "object"]}"#),
            "A template of kind `component`.",
        ),
        Property::optional(
            "data",
            Takes::Either(&[Takes::Expression, Takes::Other("object of names and expressions", r#"{"type": "object"}"#)]),
            "what is around",
            "What `this` is in it.",
        ),
        Property::internal("of"),
        Property::internal("children"),
    ],
};

pub(crate) fn read(tree: &mut Tree, fields: &mut Fields<'_, '_>) -> Option<Content> {
    let data = read_data(fields);
    if let Some(value) = fields.value("component") {
        let message = match read_reference(value) {
            Ok((key, _)) => format!("the component \"{key}\" was not looked up"),
            Err(why) => format!("\"component\" is {}; {why}", short(value)),
        };
        fields.refuse("component", &message);
        fields.value("children");
        return None;
    }
    if fields.value("of").is_none() {
        fields.value("children");
        fields.refuse_missing("component", "the key of a template of kind \"component\"");
        return None;
    }
    let children = tree.foreign_children(fields, "children");
    Some(Content::Component(Component { data: data?, children }))
}

fn read_data(fields: &mut Fields<'_, '_>) -> Option<Data> {
    match fields.value("data") {
        None => Some(Data::Here),
        Some(Value::Object(given)) => {
            if given.len() > MOST_FIELDS {
                fields.refuse("data", &format!("\"data\" has {} fields; accepted: {MOST_FIELDS}", given.len()));
            }
            let read = |(name, value): (&String, &Value)| Some((name.as_str().into(), read_field(fields, name, value)?));
            Some(Data::Fields(given.iter().take(MOST_FIELDS).filter_map(read).collect()))
        }
        Some(_) => fields.formula(&["data"]).map(Data::Value),
    }
}

/// `{{expression}}` and nothing else is its value; other text is text.
fn read_field(fields: &mut Fields<'_, '_>, name: &str, value: &Value) -> Option<Field> {
    let Some(source) = value.as_str() else { return Some(Field::Fixed(value.clone())) };
    let property: Box<str> = format!("data.{name}").into();
    let parsing = fields.reading.limits.parsing;
    let trimmed = source.trim();
    let alone = trimmed.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}")).filter(|inner| !inner.contains(['{', '}']));
    let outcome = match alone {
        Some(inner) => {
            Expression::parse(inner.trim(), &parsing).map(|expression| Field::Value(Formula { expression, property: property.clone() }))
        }
        None => Template::parse(source, &parsing).map(|template| Field::Text(Text { template, property: property.clone() })),
    };
    match outcome {
        Ok(field) => Some(field),
        Err(error) => {
            let path = pointer(&fields.at("data"), name);
            let message = format!("\"{property}\", line {}, column {}: {}", error.line(), error.column(), error.message());
            let issue = fields.reading.issue(path, &message).with_code("template_expression_error");
            fields.reading.issues.push(issue);
            None
        }
    }
}

impl Component {
    pub(crate) fn uses<'w>(&'w self, uses: &mut Uses<'w>) {
        match &self.data {
            Data::Here => uses.here(|uses| uses.nodes(&self.children)),
            Data::Value(formula) => {
                uses.formula(formula);
                uses.within(Some(formula), |uses| uses.nodes(&self.children));
            }
            Data::Fields(fields) => {
                for (_, field) in fields {
                    match field {
                        Field::Value(formula) => uses.formula(formula),
                        Field::Text(text) => uses.text(text),
                        Field::Fixed(_) => {}
                    }
                }
                uses.within(None, |uses| uses.nodes(&self.children));
            }
        }
    }

    pub(crate) fn write_html<'w>(&'w self, style: &Style, writer: &mut Writer<'w>, scope: &Scope<'_>) -> Result<(), DocumentError> {
        let has_style = !style.0.is_empty();
        if has_style {
            writer.open("div", "", style);
        }
        match &self.data {
            Data::Here => write_all(&self.children, writer, &scope.partial(scope.context()))?,
            Data::Value(formula) => {
                let Some(found) = writer.evaluate(formula, scope)? else { return Ok(()) };
                let value = found.as_value();
                if value.as_deref().is_none_or(Value::is_null) {
                    writer.note_missing_value(formula, value.as_deref());
                }
                write_all(&self.children, writer, &scope.partial(value.as_deref()))?;
            }
            Data::Fields(fields) => {
                let value = gathered(fields, writer, scope)?;
                write_all(&self.children, writer, &scope.partial(Some(&value)))?;
            }
        }
        if has_style {
            writer.push("</div>");
        }
        Ok(())
    }
}

fn gathered(fields: &[(Box<str>, Field)], writer: &mut Writer<'_>, scope: &Scope<'_>) -> Result<Value, DocumentError> {
    let mut data = Map::new();
    for (name, field) in fields {
        let value = match field {
            Field::Value(formula) => {
                let found = writer.evaluate(formula, scope)?;
                let Some(value) = found.as_ref().and_then(expressions::Evaluated::as_value) else { continue };
                writer.charge(weight(&value))?;
                value.into_owned()
            }
            Field::Text(text) => Value::String(writer.plain(text, scope)?),
            Field::Fixed(value) => {
                writer.charge(weight(value))?;
                value.clone()
            }
        };
        data.insert(name.to_string(), value);
    }
    Ok(Value::Object(data))
}
