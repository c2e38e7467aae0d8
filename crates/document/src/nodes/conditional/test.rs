//! What a condition compares, by which operator, and whether it holds.

use expressions::Evaluated;
use regex::{Regex, RegexBuilder};
use serde_json::Value;

use crate::fields::{Fields, Formula};
use crate::issues::short;
use crate::shapes::{Property, Shape, Takes, words};
use crate::writer::{steps_of, weight};

#[derive(Debug)]
pub(super) struct Test {
    pub(super) subject: Formula,
    operator: Operator,
    value: Value,
    /// Of the operator `matches`.
    pattern: Option<Regex>,
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
    NotContains,
    In,
    NotIn,
    StartsWith,
    EndsWith,
    Matches,
}

const OPERATORS: [(&str, Operator); 25] = [
    ("equals", Operator::Equals),
    ("notEquals", Operator::NotEquals),
    ("greaterThan", Operator::Greater),
    ("greaterThanOrEqual", Operator::GreaterOrEqual),
    ("lessThan", Operator::Less),
    ("lessThanOrEqual", Operator::LessOrEqual),
    ("isEmpty", Operator::Empty),
    ("isNotEmpty", Operator::NotEmpty),
    ("contains", Operator::Contains),
    ("notContains", Operator::NotContains),
    ("in", Operator::In),
    ("notIn", Operator::NotIn),
    ("startsWith", Operator::StartsWith),
    ("endsWith", Operator::EndsWith),
    ("matches", Operator::Matches),
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

pub(super) static CONDITION: Shape = Shape {
    what: "a condition",
    base: &[],
    properties: &[
        Property::required("path", Takes::Expression, "What is looked at."),
        Property::optional("operator", Takes::Words(&WORDS), "`equals` with a `value`, `truthy` without", "How it is compared."),
        Property::optional(
            "value",
            Takes::Other("any value", "true"),
            "",
            "What it is compared with; a list for `in` and `notIn`, a regular expression for `matches`.",
        ),
    ],
};

/// The words of the operators.
pub(super) static WORDS: [&str; OPERATORS.len()] = words(&OPERATORS);

pub(super) fn read_test(fields: &mut Fields<'_, '_>, subjects: &[&'static str]) -> Option<Test> {
    let subject = fields.required_formula(subjects);
    let given = fields.value("operator").is_some();
    let operator = fields.choice("operator", &OPERATORS);
    let value = fields.value("value").cloned();
    if given && operator.is_none() {
        return None;
    }
    let operator = operator.unwrap_or(if value.is_some() { Operator::Equals } else { Operator::Truthy });
    check_value(fields, operator, value.as_ref());
    let value = value.unwrap_or(Value::Null);
    let pattern = match (operator, value.as_str()) {
        (Operator::Matches, Some(source)) => Some(pattern(fields, source)?),
        _ => None,
    };
    Some(Test { subject: subject?, operator, weight: weight(&value), value, pattern })
}

/// Refuses what the operator cannot compare with.
fn check_value(fields: &mut Fields<'_, '_>, operator: Operator, value: Option<&Value>) {
    let word = OPERATORS.iter().find(|(_, known)| *known == operator).map_or("", |(word, _)| word);
    match (operator, value) {
        (Operator::In | Operator::NotIn, Some(Value::Array(_)))
        | (Operator::StartsWith | Operator::EndsWith | Operator::Matches, Some(Value::String(_))) => {}
        (Operator::In | Operator::NotIn, other) => {
            let found = other.map_or("missing".into(), short);
            fields.refuse("value", &format!("\"value\" of the operator \"{word}\" is {found}; accepted: a list"));
        }
        (Operator::StartsWith | Operator::EndsWith | Operator::Matches, other) => {
            let found = other.map_or("missing".into(), short);
            fields.refuse("value", &format!("\"value\" of the operator \"{word}\" is {found}; accepted: text"));
        }
        (
            Operator::Greater
            | Operator::GreaterOrEqual
            | Operator::Less
            | Operator::LessOrEqual
            | Operator::Contains
            | Operator::NotContains,
            None,
        ) => {
            fields.refuse_missing("value", "what the operator compares with");
        }
        _ => {}
    }
}

fn pattern(fields: &mut Fields<'_, '_>, source: &str) -> Option<Regex> {
    let built = RegexBuilder::new(source).size_limit(PATTERN_BYTES).dfa_size_limit(PATTERN_BYTES).build();
    if built.is_err() {
        let accepted = "a regular expression without look-around and back-references, such as \"^INV-[0-9]+$\"";
        fields.refuse("value", &format!("\"value\" is {}; accepted: {accepted}", short(&Value::from(source))));
    }
    built.ok()
}

/// Bytes of a compiled pattern; those of people need some thousand.
const PATTERN_BYTES: usize = 256 * 1024;

impl Test {
    /// What looking at the value found may cost at most: a text by its length, a list by its comparisons.
    pub(super) fn steps(&self, found: &Evaluated<'_>) -> u64 {
        let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        let length = match found.as_value().as_deref() {
            // A pattern is looked for some ten times slower than a text.
            Some(Value::String(text)) if self.pattern.is_some() => steps_of(text.len()).saturating_mul(10),
            Some(Value::String(text)) => steps_of(text.len()),
            Some(Value::Array(items)) if matches!(self.operator, Operator::Contains | Operator::NotContains) => {
                count(items.len()).saturating_mul(self.weight) / 8
            }
            _ => 0,
        };
        length + self.weight / 8
    }

    pub(super) fn holds(&self, found: &Evaluated<'_>) -> bool {
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
            Operator::Contains => self.is_in(value),
            Operator::NotContains => !self.is_in(value),
            Operator::In => self.has(value),
            Operator::NotIn => !self.has(value),
            Operator::StartsWith => value.as_str().zip(self.value.as_str()).is_some_and(|(text, part)| text.starts_with(part)),
            Operator::EndsWith => value.as_str().zip(self.value.as_str()).is_some_and(|(text, part)| text.ends_with(part)),
            Operator::Matches => match (value, &self.pattern) {
                (Value::String(text), Some(pattern)) => pattern.is_match(text),
                (Value::Number(number), Some(pattern)) => pattern.is_match(&number.to_string()),
                _ => false,
            },
        }
    }

    /// Whether the value found holds the one compared with.
    fn is_in(&self, found: &Value) -> bool {
        match found {
            Value::String(text) => self.value.as_str().is_some_and(|part| text.contains(part)),
            Value::Array(items) => items.iter().any(|item| equal(item, &self.value)),
            Value::Object(members) => self.value.as_str().is_some_and(|name| members.contains_key(name)),
            _ => false,
        }
    }

    /// Whether the list compared with has the value found.
    fn has(&self, found: &Value) -> bool {
        self.value.as_array().is_some_and(|items| items.iter().any(|item| equal(found, item)))
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
