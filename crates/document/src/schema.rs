//! `inputSchema`: the JSON Schema that mapped data has to fit.

use std::borrow::Cow;
use std::sync::atomic::AtomicBool;

use domain::Issue;
use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use serde_json::Value;

use crate::error::DocumentError;
use crate::issues::Issues;
use crate::limits::Limits;
use crate::metered::{Allowance, GivenUp, Measured, Metered, within};
use crate::schema_defaults;
use crate::schema_depth;
use crate::schema_steps::{self, Siblings};
use crate::writer::Writer;

/// Steps back that one regular expression may take on one text.
const BACKTRACK_LIMIT: usize = 100_000;
/// Steps while errors are gathered, each of which costs some and keeps a few hundred bytes.
const GATHERING_STEPS: u64 = 2_000_000;
/// Bytes that the paths of all errors gathered may have together: an error holds the names on its way.
const GATHERED_PATH_BYTES: usize = 64 * 1024 * 1024;
/// Steps tried on the caller's thread, which is enough for an ordinary document: some milliseconds.
const SHORT_STEPS: u64 = 100_000;
/// Levels of a schema that the caller's stack holds together with [`SHORT_STACK_BYTES`].
const SHORT_LEVELS: usize = 100;
const SHORT_STACK_BYTES: usize = 256 * 1024;
/// The stack of the thread for everything longer or deeper. Only what is used of it takes memory.
const STACK_BYTES: usize = 64 * 1024 * 1024;
/// What of it a check may use before it is refused. The other half is for what the validator does between two looks at
/// the data: at most the schema's own levels, of which there are 2,000.
const CHECK_STACK_BYTES: usize = STACK_BYTES / 2;
/// Bytes of one compiled regular expression.
const REGEX_BYTES: usize = 1024 * 1024;
/// Bytes of all compiled regular expressions of a schema together; with more than 128 of them each may have less.
const ALL_REGEX_BYTES: usize = 128 * 1024 * 1024;

/// A compiled schema and its source.
#[derive(Debug)]
pub(crate) struct Schema {
    pub(crate) source: Value,
    validator: Validator<Metered>,
    /// With references followed.
    levels: usize,
    /// Whether it says what absent properties are.
    has_defaults: bool,
}

impl Schema {
    /// Compiles a schema of the draft that `$schema` names, Draft-07 where it names none.
    pub(crate) fn compile(source: &Value, limits: &Limits) -> Result<Self, Issue> {
        let refuse = |below: &str, message: String| Issue::new(format!("/inputSchema{below}"), message);
        if !source.is_object() {
            return Err(refuse("", format!("\"inputSchema\" is {}; accepted: a JSON Schema object", crate::issues::short(source))));
        }
        let size_bytes = source.to_string().len();
        if size_bytes > limits.schema_bytes {
            return Err(refuse("", format!("the schema has {size_bytes} bytes; at most {} are accepted", limits.schema_bytes)));
        }
        let draft = match source.get("$schema").and_then(Value::as_str).map(|uri| uri.trim_end_matches('#')) {
            None => Draft::Draft7,
            Some(uri) => {
                let name = uri.strip_prefix("http://").or_else(|| uri.strip_prefix("https://")).unwrap_or(uri);
                match name {
                    "json-schema.org/draft-04/schema" => Draft::Draft4,
                    "json-schema.org/draft-06/schema" => Draft::Draft6,
                    "json-schema.org/draft-07/schema" | "json-schema.org/schema" => Draft::Draft7,
                    "json-schema.org/draft/2019-09/schema" => Draft::Draft201909,
                    "json-schema.org/draft/2020-12/schema" => Draft::Draft202012,
                    _ => {
                        let accepted = "\"http://json-schema.org/draft-07/schema#\" or \"https://json-schema.org/draft/2020-12/schema\"";
                        return Err(refuse(
                            "/$schema",
                            format!("\"{}\" is no known draft; accepted: {accepted}", crate::issues::clip(uri, 80)),
                        ));
                    }
                }
            }
        };
        let siblings = if draft < Draft::Draft201909 { Siblings::Ignored } else { Siblings::Hold };
        let regex_bytes = REGEX_BYTES.min(ALL_REGEX_BYTES / count_patterns(source).max(1));
        let patterns = PatternOptions::fancy_regex().backtrack_limit(BACKTRACK_LIMIT).size_limit(regex_bytes).dfa_size_limit(regex_bytes);
        let options = jsonschema::options_for::<Metered>()
            .with_draft(draft)
            .should_validate_formats(true)
            .with_pattern_options(patterns)
            .with_keyword(schema_steps::KEYWORD, schema_steps::keyword)
            .offline();
        let levels = schema_depth::levels(source).map_err(|reason| refuse("", reason))?;
        let built = on_large_stack(|| {
            options.build(&schema_steps::counted(source, siblings)).map_err(|error| {
                // The error is about the schema as an instance of its meta-schema; it is asked for again in the author's words.
                let error = options.build(source).err().unwrap_or(error);
                refuse(error.instance_path().as_str(), format!("the schema is not valid: {}", message(&error)))
            })
        });
        let validator = built.unwrap_or_else(|| Err(refuse("", "the schema could not be read: no thread could be started".into())))?;
        Ok(Self { source: source.clone(), validator, levels, has_defaults: schema_defaults::are_in(source) })
    }

    /// The data with what it leaves out and the schema has a default for.
    pub(crate) fn filled<'d>(&self, data: Cow<'d, Value>, writer: &mut Writer<'_>) -> Result<Cow<'d, Value>, DocumentError> {
        if self.has_defaults { schema_defaults::filled(&self.source, data, writer) } else { Ok(data) }
    }

    /// What in `data` does not fit, at most as many as the limit.
    pub(crate) fn check(&self, data: &Value, limits: &Limits, cancelled: Option<&AtomicBool>) -> Result<Vec<Issue>, DocumentError> {
        if self.levels <= SHORT_LEVELS {
            let short = Allowance { steps: SHORT_STEPS.min(limits.schema_steps), deadline: None, stack_bytes: SHORT_STACK_BYTES };
            if within(short, || self.validator.is_valid(Measured::new(data, None))) == Ok(true) {
                return Ok(Vec::new());
            }
        }
        let checked = on_large_stack(|| self.check_long(data, limits, cancelled));
        checked.unwrap_or_else(|| Err(DocumentError::stopped("no thread could be started for the check against inputSchema")))
    }

    fn check_long(&self, data: &Value, limits: &Limits, cancelled: Option<&AtomicBool>) -> Result<Vec<Issue>, DocumentError> {
        let steps = limits.schema_steps;
        let allowance = |steps| Allowance { steps, deadline: limits.budget.deadline, stack_bytes: CHECK_STACK_BYTES };
        let refused = |given_up| match given_up {
            GivenUp::Steps => DocumentError::TooLarge { what: "check against inputSchema (steps)", limit: steps },
            GivenUp::Stack => {
                DocumentError::TooLarge { what: "check against inputSchema (nesting, bytes)", limit: CHECK_STACK_BYTES as u64 }
            }
            GivenUp::Deadline => DocumentError::stopped("the data was still being checked against inputSchema at its deadline"),
            GivenUp::Cancelled => DocumentError::stopped("the check against inputSchema was stopped because nobody waits for it any more"),
        };
        let data = Measured::new(data, cancelled);
        if within(allowance(steps), || self.validator.is_valid(data)).map_err(refused)? {
            return Ok(Vec::new());
        }
        // Gathering errors keeps every one of them in memory, so it gets fewer steps; the first alone needs none.
        let paths = u64::try_from(GATHERED_PATH_BYTES / longest_path(data.value()).max(1)).unwrap_or(u64::MAX);
        within(allowance(steps.min(GATHERING_STEPS).min(paths)), || self.issues(data, limits)).or_else(|_| {
            let first = within(allowance(steps), || self.validator.validate(data).err().map(|error| issue(&error))).map_err(refused)?;
            let rest = Issue::new("", "the data is too large to list what else does not fit");
            Ok(first.into_iter().chain([rest]).collect())
        })
    }

    fn issues(&self, data: Measured<'_>, limits: &Limits) -> Vec<Issue> {
        let mut issues = Issues::new(limits.issues);
        for error in self.validator.iter_errors(data) {
            issues.push_with(|| issue(&error));
        }
        issues.into_list()
    }
}

/// Regular expressions in a schema, or a few more.
fn count_patterns(schema: &Value) -> usize {
    let mut count = 0;
    let mut open = vec![schema];
    while let Some(value) = open.pop() {
        match value {
            Value::Array(items) => open.extend(items),
            Value::Object(members) => {
                count += usize::from(members.get("pattern").is_some_and(Value::is_string));
                count += members.get("patternProperties").and_then(Value::as_object).map_or(0, serde_json::Map::len);
                open.extend(members.values());
            }
            _ => {}
        }
    }
    count
}

/// Runs `work` on a thread with a stack of [`STACK_BYTES`]; `None` where there is no thread to be had.
fn on_large_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("schema".into()).stack_size(STACK_BYTES).spawn_scoped(scope, work).ok()?;
        match thread.join() {
            Ok(done) => Some(done),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Bytes of the longest JSON pointer into `data`.
fn longest_path(data: &Value) -> usize {
    let mut longest = 0;
    let mut open = vec![(data, 0)];
    while let Some((value, length)) = open.pop() {
        longest = longest.max(length);
        match value {
            Value::Array(items) => {
                let index = items.len().checked_ilog10().map_or(1, |digits| digits as usize + 1) + 1;
                open.extend(items.iter().filter(|item| item.is_array() || item.is_object()).map(|item| (item, length + index)));
                longest = longest.max(length + index);
            }
            Value::Object(members) => open.extend(members.iter().map(|(name, value)| (value, length + name.len() + 1))),
            _ => {}
        }
    }
    longest
}

fn issue(error: &ValidationError<'_>) -> Issue {
    let issue = Issue::new(error.instance_path().as_str(), message(error));
    match keyword(error.kind().keyword()) {
        Some(code) => issue.with_code(code),
        None => issue,
    }
}

/// The error in words. A value too long to be read is not written out for it.
fn message(error: &ValidationError<'_>) -> String {
    let is_long = match error.instance().as_ref() {
        Value::String(text) => text.len() > LONG_BYTES,
        Value::Array(_) | Value::Object(_) => is_longer(error.instance().as_ref(), LONG_BYTES),
        _ => false,
    };
    brief(&if is_long { error.masked_with("the value").to_string() } else { error.to_string() })
}

/// Bytes of a value that a message may quote before it is cut.
const LONG_BYTES: usize = 10_000;

fn is_longer(value: &Value, bytes: usize) -> bool {
    let mut left = bytes;
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        let size = match value {
            Value::String(text) => text.len() + 2,
            Value::Array(items) => items.len() + 2,
            Value::Object(members) => members.keys().take(left).map(|name| name.len() + 3).sum(),
            _ => 1,
        };
        let Some(rest) = left.checked_sub(size) else { return true };
        left = rest;
        match value {
            Value::Array(items) => open.extend(items),
            Value::Object(members) => open.extend(members.values()),
            _ => {}
        }
    }
    false
}

/// Messages quote the value they are about, which may be a whole table.
fn brief(message: &str) -> String {
    const CHARACTERS: usize = 300;
    let count = message.chars().count();
    if count <= CHARACTERS {
        return message.to_owned();
    }
    // What is wrong stands behind the value.
    let tail: String = message.chars().skip(count - CHARACTERS / 2).collect();
    format!("{} {tail}", crate::issues::clip(message, CHARACTERS / 2))
}

/// The keyword as the stable code of an issue.
fn keyword(name: &str) -> Option<&'static str> {
    const KEYWORDS: [&str; 31] = [
        "$ref",
        "additionalItems",
        "additionalProperties",
        "anyOf",
        "const",
        "contains",
        "contentEncoding",
        "contentMediaType",
        "enum",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "falseSchema",
        "format",
        "maxItems",
        "maxLength",
        "maxProperties",
        "maximum",
        "minItems",
        "minLength",
        "minProperties",
        "minimum",
        "multipleOf",
        "not",
        "oneOf",
        "pattern",
        "propertyNames",
        "required",
        "type",
        "unevaluatedItems",
        "unevaluatedProperties",
        "uniqueItems",
    ];
    KEYWORDS.into_iter().find(|keyword| *keyword == name)
}
