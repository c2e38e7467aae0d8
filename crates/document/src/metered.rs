//! Data as the schema validator sees it: every look at a value is charged to the account of the check.
//!
//! The validator has no limit of its own, and counting the subschemas it visits does not bound its work: one `enum` of
//! 100,000 entries is one visit. Whatever it does, it does by asking the data, so the data counts: each question costs a
//! step, one about a long text or a whole list costs by its length. Every 64 questions the clock and the cancelling flag
//! are looked at, and every time the stack, because references multiply the nesting of a schema by that of the data.
//!
//! When nothing is left the check is unwound without a panic message; the validator keeps no state between checks
//! that this could spoil.

use std::borrow::Cow;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use jsonschema::JsonType;
use jsonschema::json::{Array, Json, Node, NodeIdentity, Object};
use serde_json::{Map, Number, Value};

/// Questions between two looks at the clock and the flag. One question is some nanoseconds, a regular expression at
/// worst a millisecond.
const QUESTIONS_PER_LOOK: u32 = 64;
/// Bytes of text, or members of a list, that cost one step.
const PER_STEP: usize = 64;

/// Why a check was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GivenUp {
    Steps,
    Stack,
    Deadline,
    Cancelled,
}

/// What one check may use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    pub(crate) steps: u64,
    pub(crate) deadline: Option<Instant>,
    /// Bytes of stack below the caller of [`within`], beside what the validator needs between two questions.
    pub(crate) stack_bytes: usize,
}

struct Meter {
    left: Cell<u64>,
    until_look: Cell<u32>,
    deadline: Cell<Option<Instant>>,
    stack_from: Cell<usize>,
    stack_bytes: Cell<usize>,
}

thread_local! {
    // In the thread and not in the nodes, because names of properties become nodes without a place for it.
    static METER: Meter = const {
        Meter {
            left: Cell::new(0),
            until_look: Cell::new(0),
            deadline: Cell::new(None),
            stack_from: Cell::new(0),
            stack_bytes: Cell::new(0),
        }
    };
}

/// Runs `check` with this allowance.
pub(crate) fn within<T>(allowance: Allowance, check: impl FnOnce() -> T) -> Result<T, GivenUp> {
    METER.with(|meter| {
        meter.left.set(allowance.steps);
        meter.until_look.set(0);
        meter.deadline.set(allowance.deadline);
        meter.stack_from.set(place_on_stack());
        meter.stack_bytes.set(allowance.stack_bytes);
    });
    match catch_unwind(AssertUnwindSafe(check)) {
        Ok(checked) => Ok(checked),
        Err(payload) => match payload.downcast::<GivenUp>() {
            Ok(given_up) => Err(*given_up),
            Err(other) => resume_unwind(other),
        },
    }
}

/// An address inside the frame that asks.
fn place_on_stack() -> usize {
    let here = 0_u8;
    std::ptr::from_ref(&here).addr()
}

fn charge(steps: u64, cancelled: Option<&AtomicBool>) {
    let given_up = METER.with(|meter| {
        let Some(left) = meter.left.get().checked_sub(steps) else { return Some(GivenUp::Steps) };
        meter.left.set(left);
        if meter.stack_from.get().abs_diff(place_on_stack()) > meter.stack_bytes.get() {
            return Some(GivenUp::Stack);
        }
        if let Some(until) = meter.until_look.get().checked_sub(1) {
            meter.until_look.set(until);
            return None;
        }
        meter.until_look.set(QUESTIONS_PER_LOOK);
        if cancelled.is_some_and(|flag| flag.load(Ordering::Relaxed)) {
            return Some(GivenUp::Cancelled);
        }
        let late = meter.deadline.get().is_some_and(|deadline| Instant::now() >= deadline);
        late.then_some(GivenUp::Deadline)
    });
    if let Some(given_up) = given_up {
        resume_unwind(Box::new(given_up));
    }
}

fn steps(length: usize) -> u64 {
    1 + u64::try_from(length / PER_STEP).unwrap_or(u64::MAX)
}

/// Values inside `value`, with long texts counted by their length.
fn weight(value: &Value) -> u64 {
    let mut sum = 0;
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        sum += match value {
            Value::String(text) => steps(text.len()),
            Value::Array(items) => {
                open.extend(items);
                1
            }
            Value::Object(members) => {
                open.extend(members.values());
                members.keys().map(|key| steps(key.len())).sum::<u64>() + 1
            }
            _ => 1,
        };
    }
    sum
}

/// The representation, for the validator's types.
pub(crate) struct Metered;

/// One value, and the flag that ends the check.
#[derive(Clone, Copy)]
pub(crate) struct Measured<'a> {
    value: &'a Value,
    cancelled: Option<&'a AtomicBool>,
}

impl<'a> Measured<'a> {
    pub(crate) fn new(value: &'a Value, cancelled: Option<&'a AtomicBool>) -> Self {
        Self { value, cancelled }
    }

    pub(crate) fn value(&self) -> &'a Value {
        self.value
    }

    pub(crate) fn charge(&self, steps: u64) {
        charge(steps, self.cancelled);
    }

    /// The value at the price of one step.
    fn look(&self) -> &'a Value {
        self.charge(1);
        self.value
    }

    fn inside(&self, value: &'a Value) -> Self {
        Self { value, cancelled: self.cancelled }
    }
}

impl Json for Metered {
    type Node<'a> = Measured<'a>;
    type PreparedKey = String;
    type StringBuffer = Value;

    fn prepare_key(key: &str) -> String {
        key.to_owned()
    }

    fn with_string_node<T>(buffer: &mut Value, string: &str, f: impl FnOnce(Measured<'_>) -> T) -> T {
        *buffer = Value::String(string.to_owned());
        f(Measured { value: buffer, cancelled: None })
    }
}

impl<'a> Node<'a, Metered> for Measured<'a> {
    type Object = MeasuredObject<'a>;
    type Array = MeasuredArray<'a>;
    type Number = &'a Number;

    fn as_object(&self) -> Option<MeasuredObject<'a>> {
        self.look().as_object().map(|members| MeasuredObject { node: *self, members })
    }

    fn as_array(&self) -> Option<MeasuredArray<'a>> {
        self.look().as_array().map(|items| MeasuredArray { node: *self, items })
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        let text = self.value.as_str();
        self.charge(steps(text.map_or(0, str::len)));
        text.map(Cow::Borrowed)
    }

    fn as_number(&self) -> Option<&'a Number> {
        self.look().as_number()
    }

    fn as_boolean(&self) -> Option<bool> {
        self.look().as_bool()
    }

    fn is_null(&self) -> bool {
        self.look().is_null()
    }

    fn json_type(&self) -> JsonType {
        match self.look() {
            Value::Null => JsonType::Null,
            Value::Bool(_) => JsonType::Boolean,
            Value::Number(_) => JsonType::Number,
            Value::String(_) => JsonType::String,
            Value::Array(_) => JsonType::Array,
            Value::Object(_) => JsonType::Object,
        }
    }

    fn equals_value(&self, expected: &Value) -> bool {
        // Values of different kinds are told apart at once; only lists and objects are compared member by member.
        match (self.value, expected) {
            (Value::Array(own), Value::Array(other)) if own.len() == other.len() => self.charge(weight(expected)),
            (Value::Object(own), Value::Object(other)) if own.len() == other.len() => self.charge(weight(expected)),
            (Value::String(own), Value::String(other)) if own.len() == other.len() => self.charge(steps(own.len())),
            _ => self.charge(1),
        }
        jsonschema::json::cmp::equal(self.value, expected)
    }

    fn to_value(&self) -> Cow<'a, Value> {
        Cow::Borrowed(self.look())
    }

    fn identity(&self) -> Option<NodeIdentity> {
        self.charge(1);
        Some(NodeIdentity::new(std::ptr::from_ref(self.value).addr()))
    }
}

/// The members of an object.
pub(crate) struct MeasuredObject<'a> {
    node: Measured<'a>,
    members: &'a Map<String, Value>,
}

impl<'a> Object<'a, Metered> for MeasuredObject<'a> {
    type Node = Measured<'a>;
    type MemberName = &'a str;
    type MembersIter = Members<'a>;

    fn len(&self) -> usize {
        self.members.len()
    }

    fn get(&self, key: &String) -> Option<Measured<'a>> {
        self.node.charge(steps(key.len()));
        self.members.get(key).map(|value| self.node.inside(value))
    }

    fn members(&self) -> Members<'a> {
        Members { node: self.node, left: self.members.iter() }
    }
}

pub(crate) struct Members<'a> {
    node: Measured<'a>,
    left: serde_json::map::Iter<'a>,
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a str, Measured<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, value) = self.left.next()?;
        self.node.charge(steps(name.len()));
        Some((name, self.node.inside(value)))
    }
}

/// The items of a list.
pub(crate) struct MeasuredArray<'a> {
    node: Measured<'a>,
    items: &'a [Value],
}

impl<'a> Array<'a, Metered> for MeasuredArray<'a> {
    type Node = Measured<'a>;
    type ElementsIter = Elements<'a>;

    fn len(&self) -> usize {
        self.items.len()
    }

    fn elements(&self) -> Elements<'a> {
        Elements { node: self.node, left: self.items.iter() }
    }

    fn is_unique(&self) -> bool {
        // Up to 15 items are compared each with each.
        let times = u64::try_from(self.items.len().min(15)).unwrap_or(u64::MAX);
        self.node.charge(self.items.iter().map(weight).sum::<u64>().saturating_mul(times));
        jsonschema::json::unique::is_unique(self.items)
    }
}

pub(crate) struct Elements<'a> {
    node: Measured<'a>,
    left: std::slice::Iter<'a, Value>,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Measured<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let value = self.left.next()?;
        self.node.charge(1);
        Some(self.node.inside(value))
    }
}
