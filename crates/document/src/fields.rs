//! Reads one object of a definition: what is asked for is known, the rest is refused with the nearest known name.

use domain::Issue;
use domain::issues::{IssueNode, near_names, pointer};
use expressions::{Expression, ExpressionError, Partials, Template};
use serde_json::{Map, Value};

use crate::issues::{Issues, clip, hint, short};
use crate::limits::Limits;
use crate::shapes::{Preset, Property, Shape, Takes};

/// What all readers of one definition share.
pub(crate) struct Reading<'l> {
    pub(crate) limits: &'l Limits,
    pub(crate) issues: Issues,
    /// The nodes around, outermost first.
    pub(crate) trail: Vec<Around>,
}

/// A node around what is being read.
#[derive(Debug)]
pub(crate) struct Around {
    /// Its part of a breadcrumb.
    pub(crate) label: Box<str>,
    pub(crate) id: Option<Box<str>>,
    /// As it is written.
    pub(crate) kind: Option<Box<str>>,
}

/// A template of a definition, and the property it was read from.
#[derive(Debug)]
pub(crate) struct Text {
    pub(crate) template: Template,
    pub(crate) property: Box<str>,
}

/// An expression of a definition, and the property it was read from.
#[derive(Debug)]
pub(crate) struct Formula {
    pub(crate) expression: Expression,
    pub(crate) property: Box<str>,
}

/// One object being read.
pub(crate) struct Fields<'r, 'l> {
    pub(crate) reading: &'r mut Reading<'l>,
    shape: &'static Shape,
    object: &'r Map<String, Value>,
    pointer: String,
    /// Property path from the node, such as `columns[2].`, in front of names in messages.
    prefix: String,
    known: Vec<&'static str>,
    /// Accepted, but not worth suggesting.
    silent: Vec<&'static str>,
}

impl<'r, 'l> Fields<'r, 'l> {
    pub(crate) fn new(
        reading: &'r mut Reading<'l>,
        shape: &'static Shape,
        object: &'r Map<String, Value>,
        pointer: String,
        prefix: String,
    ) -> Self {
        Self { reading, shape, object, pointer, prefix, known: Vec::with_capacity(8), silent: Vec::new() }
    }

    /// The object in a property, as a reader of its own; nothing where it is absent.
    pub(crate) fn inner(&mut self, name: &'static str) -> Option<Fields<'_, 'l>> {
        let shape = self.declared(name, |takes| if let Takes::Object(shape) = takes { Some(*shape) } else { None });
        let object = self.object(name)?;
        let (at, prefix) = (self.at(name), format!("{}{name}.", self.prefix));
        Some(Fields::new(self.reading, shape?, object, at, prefix))
    }

    /// What the declaration says about a property. What is read in a form that is not declared would be missing in the
    /// manual and in the schema.
    fn declared<T>(&self, name: &str, pick: impl Fn(&'static Takes) -> Option<T>) -> Option<T> {
        let found = self.shape.find(name).and_then(|property: &'static Property| property.form(pick));
        debug_assert!(found.is_some(), "\"{name}\" of {} is not declared in this form", self.shape.what);
        found
    }

    /// The value of a property that is there and not null.
    pub(crate) fn value(&mut self, name: &'static str) -> Option<&'r Value> {
        debug_assert!(self.shape.find(name).is_some(), "\"{name}\" of {} is not declared", self.shape.what);
        if !self.known.contains(&name) {
            self.known.push(name);
        }
        self.object.get(name).filter(|value| !value.is_null())
    }

    /// Accepts properties without reading or suggesting them.
    pub(crate) fn skip(&mut self, names: &[&'static str]) {
        self.silent.extend(names);
    }

    /// Takes properties that were read out of what is suggested.
    pub(crate) fn unlist(&mut self, names: &[&'static str]) {
        self.known.retain(|name| !names.contains(name));
        self.silent.extend(names);
    }

    /// The name and value of the first of several spellings of one property.
    fn one_of(&mut self, names: &[&'static str]) -> Option<(&'static str, &'r Value)> {
        let found: Vec<_> = names.iter().filter_map(|name| Some((*name, self.value(name)?))).collect();
        if let [first, second, ..] = found[..] {
            self.refuse(second.0, &format!("\"{}\" and \"{}\" say the same thing; give one of them", first.0, second.0));
        }
        found.first().copied()
    }

    pub(crate) fn object(&mut self, name: &'static str) -> Option<&'r Map<String, Value>> {
        let value = self.value(name)?;
        self.expect(name, value, value.as_object(), "an object")
    }

    pub(crate) fn list(&mut self, name: &'static str) -> Option<&'r [Value]> {
        let value = self.value(name)?;
        self.expect(name, value, value.as_array().map(Vec::as_slice), "a list")
    }

    pub(crate) fn string(&mut self, name: &'static str) -> Option<&'r str> {
        let value = self.value(name)?;
        self.expect(name, value, value.as_str(), "text")
    }

    pub(crate) fn flag(&mut self, name: &'static str) -> Option<bool> {
        let value = self.value(name)?;
        self.expect(name, value, value.as_bool(), "true or false")
    }

    /// A number between the bounds that are declared.
    pub(crate) fn number(&mut self, name: &'static str) -> Option<f64> {
        let (least, most) =
            self.declared(name, |takes| if let Takes::Number(least, most) = takes { Some((*least, *most)) } else { None })?;
        let value = self.value(name)?;
        let found = value.as_f64().filter(|number| (least..=most).contains(number));
        self.expect(name, value, found, &format!("a number from {least} to {most}"))
    }

    /// A whole number between the bounds that are declared.
    pub(crate) fn whole(&mut self, name: &'static str) -> Option<usize> {
        let (least, most) =
            self.declared(name, |takes| if let Takes::Whole(least, most) = takes { Some((*least, *most)) } else { None })?;
        let value = self.value(name)?;
        let found = value.as_u64().filter(|number| (least..=most).contains(number)).and_then(|number| usize::try_from(number).ok());
        self.expect(name, value, found, &format!("a whole number from {least} to {most}"))
    }

    pub(crate) fn choice<T: Copy>(&mut self, name: &'static str, accepted: &[(&str, T)]) -> Option<T> {
        debug_assert!(
            self.declared(name, |takes| if let Takes::Words(words) = takes { Some(words) } else { None })
                .is_some_and(|words| words.iter().eq(accepted.iter().map(|(word, _)| word))),
            "\"{name}\" of {} is declared with other words",
            self.shape.what
        );
        let value = self.value(name)?;
        let found = value.as_str().and_then(|given| accepted.iter().find(|(word, _)| *word == given)).map(|(_, choice)| *choice);
        let words: Vec<String> = accepted.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        self.expect(name, value, found, &words.join(", "))
    }

    /// A CSS length that `check` lets through.
    pub(crate) fn checked(&mut self, name: &'static str, check: fn(&Value) -> Result<String, &'static str>) -> Option<Box<str>> {
        let value = self.value(name)?;
        match check(value) {
            Ok(css) => Some(css.into()),
            Err(accepted) => self.expect(name, value, None, accepted),
        }
    }

    fn expect<T>(&mut self, name: &str, value: &Value, found: Option<T>, accepted: &str) -> Option<T> {
        if found.is_none() {
            self.refuse(name, &format!("\"{}{name}\" is {}; accepted: {accepted}", self.prefix, short(value)));
        }
        found
    }

    /// A template under the first of several spellings. Numbers and booleans are taken as their text.
    pub(crate) fn text(&mut self, names: &[&'static str]) -> Option<Text> {
        let (name, value) = self.one_of(names)?;
        let source = match value {
            Value::String(text) => text.clone(),
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            _ => return self.expect(name, value, None, "text, which may hold {{expressions}}"),
        };
        match Template::parse(&source, &self.reading.limits.parsing) {
            Ok(template) => Some(Text { template, property: format!("{}{name}", self.prefix).into() }),
            Err(error) => self.refuse_expression(name, &error),
        }
    }

    /// The same with a text for where there is none.
    pub(crate) fn text_or(&mut self, name: &'static str, default: &str) -> Option<Text> {
        if self.are_absent(&[name]) {
            self.value(name);
            return self.template(name, default, &Partials::default());
        }
        self.text(&[name])
    }

    /// A template that may call partials, from text that was read before.
    pub(crate) fn template(&mut self, name: &'static str, source: &str, partials: &Partials) -> Option<Text> {
        match Template::parse_with(source, &self.reading.limits.parsing, partials) {
            Ok(template) => Some(Text { template, property: format!("{}{name}", self.prefix).into() }),
            Err(error) => self.refuse_expression(name, &error),
        }
    }

    pub(crate) fn required_text(&mut self, names: &[&'static str]) -> Option<Text> {
        let text = self.text(names);
        if self.are_absent(names) {
            self.refuse_missing(names[0], "text, which may hold {{expressions}}");
        }
        text
    }

    /// An expression, with or without its braces.
    pub(crate) fn formula(&mut self, names: &[&'static str]) -> Option<Formula> {
        let (name, value) = self.one_of(names)?;
        let Some(source) = value.as_str() else { return self.expect(name, value, None, "an expression, such as \"order.items\"") };
        let trimmed = source.trim();
        let bare = trimmed.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}")).map_or(trimmed, str::trim);
        match Expression::parse(bare, &self.reading.limits.parsing) {
            Ok(expression) => Some(Formula { expression, property: format!("{}{name}", self.prefix).into() }),
            Err(error) => self.refuse_expression(name, &error),
        }
    }

    /// An expression of ours, in place of one that the author left out.
    pub(crate) fn formula_of(&mut self, name: &'static str, source: &str) -> Option<Formula> {
        let expression = Expression::parse(source, &self.reading.limits.parsing).ok()?;
        Some(Formula { expression, property: format!("{}{name}", self.prefix).into() })
    }

    pub(crate) fn required_formula(&mut self, names: &[&'static str]) -> Option<Formula> {
        let formula = self.formula(names);
        if self.are_absent(names) {
            self.refuse_missing(names[0], "an expression, such as \"order.items\"");
        }
        formula
    }

    /// A path as the template that prints it.
    pub(crate) fn path_text(&mut self, name: &'static str) -> Option<Text> {
        let path = self.string(name)?;
        let bare = path.trim().trim_start_matches("{{").trim_end_matches("}}");
        match Template::parse(&format!("{{{{{bare}}}}}"), &self.reading.limits.parsing) {
            Ok(template) => Some(Text { template, property: format!("{}{name}", self.prefix).into() }),
            Err(error) => self.refuse_expression(name, &error),
        }
    }

    /// Whether none of these properties is there.
    pub(crate) fn are_absent(&self, names: &[&'static str]) -> bool {
        names.iter().all(|name| self.object.get(*name).is_none_or(Value::is_null))
    }

    /// Reads each object of a list, such as a table's columns, with its place in front of messages.
    pub(crate) fn each<T>(&mut self, name: &'static str, mut read: impl FnMut(&mut Fields<'_, 'l>) -> Option<T>) -> Vec<T> {
        let shape = self.declared(name, |takes| if let Takes::List(shape) = takes { Some(*shape) } else { None });
        let (Some(list), Some(shape)) = (self.list(name), shape) else { return Vec::new() };
        let at = self.at(name);
        let mut found = Vec::with_capacity(list.len());
        for (index, value) in list.iter().enumerate() {
            if let Some(object) = value.as_object() {
                let prefix = format!("{}{name}[{index}].", self.prefix);
                let mut fields = Fields::new(self.reading, shape, object, pointer(&at, index), prefix);
                found.extend(read(&mut fields));
                fields.finish();
            } else {
                self.refuse_at(&format!("{name}/{index}"), &format!("\"{name}[{index}]\" is {}; accepted: an object", short(value)));
            }
        }
        found
    }

    /// The pointer of a property.
    pub(crate) fn at(&self, name: &str) -> String {
        pointer(&self.pointer, name)
    }

    pub(crate) fn refuse(&mut self, name: &str, message: &str) {
        self.refuse_at(name, message);
    }

    /// Refuses what stands at `below`, a pointer that begins at this object.
    pub(crate) fn refuse_at(&mut self, below: &str, message: &str) {
        let path = if below.is_empty() { self.pointer.clone() } else { format!("{}/{below}", self.pointer) };
        self.reading.refuse(path, message);
    }

    pub(crate) fn refuse_missing(&mut self, name: &str, accepted: &str) {
        self.refuse_at("", &format!("\"{}{name}\" is missing; accepted: {accepted}", self.prefix));
    }

    fn refuse_expression<T>(&mut self, name: &str, error: &ExpressionError) -> Option<T> {
        let path = self.at(name);
        let message = format!("\"{}{name}\", line {}, column {}: {}", self.prefix, error.line(), error.column(), error.message());
        let issue = self.reading.issue(path, &message).with_code("template_expression_error");
        self.reading.issues.push(issue);
        None
    }

    pub(crate) fn refuse_member<const N: usize>(&mut self, parent: &str, name: &str, what: &str, known: [&str; N], meant: Option<&str>) {
        let hint = match meant {
            Some(meant) => format!("; did you mean \"{meant}\"? accepted: {}", known.join(", ")),
            None => hint(name, known),
        };
        let path = pointer(&self.at(parent), name);
        self.reading.refuse(path, &format!("\"{}\" is no {what}{hint}", clip(name, 60)));
    }

    /// Refuses every property nobody asked for.
    pub(crate) fn finish(self) {
        let Self { reading, shape, object, pointer: at, prefix, known, silent } = self;
        let declared = shape.all().filter(|property| property.default != Preset::Internal && !silent.contains(&property.name));
        let declared: Vec<&str> = declared.flat_map(|property| property.aliases.iter().chain([&property.name])).copied().collect();
        for name in object.keys().filter(|name| !known.contains(&name.as_str()) && !silent.contains(&name.as_str())) {
            let (what, clipped) = (shape.what, clip(name, 60));
            let message = if declared.contains(&name.as_str()) {
                format!("\"{prefix}{clipped}\" does not go with the other properties given; accepted beside them: {}", known.join(", "))
            } else {
                let meant =
                    near_names(name, known.iter().chain(&declared).copied()).first().map(|near| format!(" did you mean \"{near}\"?"));
                let (meant, known) = (meant.unwrap_or_default(), known.join(", "));
                format!("\"{prefix}{clipped}\" is no property of {what};{meant} accepted: {known}")
            };
            reading.refuse(pointer(&at, name), &message);
        }
    }
}

impl Reading<'_> {
    /// A problem at a pointer, in the node that is being read.
    pub(crate) fn refuse(&mut self, path: String, message: &str) {
        let issue = self.issue(path, message);
        self.issues.push(issue);
    }

    /// The problem with the breadcrumb of the node in front.
    pub(crate) fn issue(&self, path: String, message: &str) -> Issue {
        let Some(node) = self.trail.last() else { return Issue::new(path, message) };
        let breadcrumb = self.trail.iter().map(|around| &*around.label).collect::<Vec<_>>().join(" > ");
        let message = format!("{breadcrumb}: {message}");
        Issue::new(path, message).about(IssueNode::new(node.id.as_deref(), node.kind.as_deref(), breadcrumb))
    }
}
