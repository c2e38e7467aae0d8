//! `conditional`: its children or its `else`, by a condition on the data.

use expressions::{Evaluated, Scope};
use serde_json::Value;

use super::tree::Tree;
use super::{Content, NODE, Node, write_all};
use crate::bindings::Uses;
use crate::error::DocumentError;
use crate::fields::{Fields, Formula};
use crate::issues::short;
use crate::shapes::{Property, Shape, Takes};
use crate::writer::{Writer, steps_of};

/// `{condition, children, else?}`; `condition` is an expression or `{path, operator?, value?}`.
#[derive(Debug)]
pub(crate) struct Conditional {
    test: Test,
    children: Vec<Node>,
    otherwise: Vec<Node>,
}

#[derive(Debug)]
struct Test {
    subject: Formula,
    operator: Operator,
    value: Value,
    /// Values inside `value`, with long texts counted by their length.
    weight: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Truthy,
    Equals,
    NotEquals,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Empty,
    NotEmpty,
    Contains,
    In,
}

const OPERATORS: [(&str, Operator); 20] = [
    ("equals", Operator::Equals),
    ("notEquals", Operator::NotEquals),
    ("greaterThan", Operator::Greater),
    ("greaterThanOrEqual", Operator::GreaterOrEqual),
    ("lessThan", Operator::Less),
    ("lessThanOrEqual", Operator::LessOrEqual),
    ("isEmpty", Operator::Empty),
    ("isNotEmpty", Operator::NotEmpty),
    ("contains", Operator::Contains),
    ("in", Operator::In),
    ("exists", Operator::NotEmpty),
    ("==", Operator::Equals),
    ("!=", Operator::NotEquals),
    (">", Operator::Greater),
    (">=", Operator::GreaterOrEqual),
    ("<", Operator::Less),
    ("<=", Operator::LessOrEqual),
    ("empty", Operator::Empty),
    ("notEmpty", Operator::NotEmpty),
    ("truthy", Operator::Truthy),
];

pub(crate) static SHAPE: Shape = Shape {
    what: "conditional",
    base: NODE,
    properties: &[
        Property::required("condition", Takes::Either(&[Takes::Expression, Takes::Object(&CONDITION)]), "What decides.").also(&["path"]),
        Property::optional("operator", Takes::Words(&WORDS), "", "As in a condition, where `condition` is an expression."),
        Property::optional("value", Takes::Other("any value", "true"), "", "As in a condition."),
        Property::optional("children", Takes::Nodes, "none", "Where it holds."),
        Property::optional("else", Takes::Nodes, "none", "Where it does not."),
    ],
};

static CONDITION: Shape = Shape {
    what: "a condition",
    base: &[],
    properties: &[
        Property::required("path", Takes::Expression, "What is looked at."),
        Property::optional("operator", Takes::Words(&WORDS), "`equals` with a `value`, `truthy` without", "How it is compared."),
        Property::optional("value", Takes::Other("any value", "true"), "", "What it is compared with; a list for `in`."),
    ],
};

/// The words of the operators.
static WORDS: [&str; OPERATORS.len()] = {
    let mut words = [""; OPERATORS.len()];
    let mut at = 0;
    while at < words.len() {
        words[at] = OPERATORS[at].0;
        at += 1;
    }
    words
};

pub(crate) fn read(tree: &mut Tree, fields: &mut Fields<'_, '_>) -> Option<Content> {
    // The condition's own properties may also stand on the node itself.
    let nested = matches!(fields.value("condition"), Some(Value::Object(_)));
    let test = if nested {
        let mut condition = fields.inner("condition")?;
        let test = read_test(&mut condition, &["path"]);
        condition.finish();
        test
    } else {
        read_test(fields, &["condition", "path"])
    };
    let children = tree.children(fields, "children");
    let otherwise = tree.children(fields, "else");
    Some(Content::Conditional(Conditional { test: test?, children, otherwise }))
}

fn read_test(fields: &mut Fields<'_, '_>, subjects: &[&'static str]) -> Option<Test> {
    let subject = fields.required_formula(subjects);
    let given = fields.value("operator").is_some();
    let operator = fields.choice("operator", &OPERATORS);
    let value = fields.value("value").cloned();
    if given && operator.is_none() {
        return None;
    }
    let operator = operator.unwrap_or(if value.is_some() { Operator::Equals } else { Operator::Truthy });
    match (operator, &value) {
        (Operator::In, Some(Value::Array(_))) => {}
        (Operator::In, other) => {
            let found = other.as_ref().map_or("missing".into(), short);
            fields.refuse("value", &format!("\"value\" of the operator \"in\" is {found}; accepted: a list"));
        }
        (Operator::Greater | Operator::GreaterOrEqual | Operator::Less | Operator::LessOrEqual | Operator::Contains, None) => {
            fields.refuse_missing("value", "what the operator compares with");
        }
        _ => {}
    }
    let value = value.unwrap_or(Value::Null);
    Some(Test { subject: subject?, operator, weight: weight(&value), value })
}

impl Conditional {
    pub(crate) fn uses<'w>(&'w self, uses: &mut Uses<'w>) {
        uses.formula(&self.test.subject);
        uses.nodes(&self.children);
        uses.nodes(&self.otherwise);
    }

    pub(crate) fn write_html<'w>(&'w self, writer: &mut Writer<'w>, scope: &Scope<'_>) -> Result<(), DocumentError> {
        let Some(found) = writer.evaluate(&self.test.subject, scope)? else { return Ok(()) };
        writer.charge(self.test.steps(&found))?;
        let (taken, other) = if self.test.holds(&found) { (&self.children, &self.otherwise) } else { (&self.otherwise, &self.children) };
        write_all(taken, writer, scope)?;
        writer.rehearse(|writer| write_all(other, writer, scope))
    }
}

fn weight(value: &Value) -> u64 {
    match value {
        Value::String(text) => steps_of(text.len()),
        Value::Array(items) => items.iter().map(weight).sum::<u64>() + 1,
        Value::Object(members) => members.values().map(weight).sum::<u64>() + 1,
        _ => 1,
    }
}

impl Test {
    /// What looking at the value found may cost at most: a text by its length, a list by its comparisons.
    fn steps(&self, found: &Evaluated<'_>) -> u64 {
        let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        let length = match found.as_value().as_deref() {
            Some(Value::String(text)) => steps_of(text.len()),
            Some(Value::Array(items)) if self.operator == Operator::Contains => count(items.len()).saturating_mul(self.weight) / 8,
            _ => 0,
        };
        length + self.weight / 8
    }

    fn holds(&self, found: &Evaluated<'_>) -> bool {
        let value = found.as_value();
        let value = value.as_deref().unwrap_or(&Value::Null);
        let order = || compare(value, &self.value);
        match self.operator {
            Operator::Truthy => found.is_truthy(),
            Operator::Equals => equal(value, &self.value),
            Operator::NotEquals => !equal(value, &self.value),
            Operator::Greater => order().is_some_and(std::cmp::Ordering::is_gt),
            Operator::GreaterOrEqual => order().is_some_and(std::cmp::Ordering::is_ge),
            Operator::Less => order().is_some_and(std::cmp::Ordering::is_lt),
            Operator::LessOrEqual => order().is_some_and(std::cmp::Ordering::is_le),
            Operator::Empty => is_empty(value),
            Operator::NotEmpty => !is_empty(value),
            Operator::Contains => match value {
                Value::String(text) => self.value.as_str().is_some_and(|part| text.contains(part)),
                Value::Array(items) => items.iter().any(|item| equal(item, &self.value)),
                Value::Object(members) => self.value.as_str().is_some_and(|name| members.contains_key(name)),
                _ => false,
            },
            Operator::In => self.value.as_array().is_some_and(|items| items.iter().any(|item| equal(value, item))),
        }
    }
}

/// Numbers are equal by value (1 and 1.0); everything else as JSON.
fn equal(left: &Value, right: &Value) -> bool {
    left == right || compare(left, right).is_some_and(std::cmp::Ordering::is_eq)
}

/// Numbers with numbers, texts with texts (ISO dates sort as text), and texts that are numbers with numbers.
fn compare(left: &Value, right: &Value) -> Option<std::cmp::Ordering> {
    let number = |value: &Value| value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
    match (left, right) {
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Number(_) | Value::String(_), Value::Number(_) | Value::String(_)) => number(left)?.partial_cmp(&number(right)?),
        _ => None,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}
