//! `inputSchema`: the JSON Schema that mapped data has to fit.

use domain::Issue;
use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use serde_json::Value;

use crate::error::DocumentError;
use crate::issues::Issues;
use crate::limits::Limits;
use crate::schema_steps::{self, OutOfSteps, Siblings};

/// Steps back that one regular expression may take on one text.
const BACKTRACK_LIMIT: usize = 100_000;
/// Subschemas visited while errors are gathered: at most some 100 MB of them.
const GATHERING_STEPS: u64 = 500_000;
/// Bytes of one compiled regular expression.
const REGEX_BYTES: usize = 1024 * 1024;

/// A compiled schema and its source.
#[derive(Debug)]
pub(crate) struct Schema {
    pub(crate) source: Value,
    validator: Validator,
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
        let patterns = PatternOptions::fancy_regex().backtrack_limit(BACKTRACK_LIMIT).size_limit(REGEX_BYTES).dfa_size_limit(REGEX_BYTES);
        let options = jsonschema::options()
            .with_draft(draft)
            .should_validate_formats(true)
            .with_pattern_options(patterns)
            .with_keyword(schema_steps::KEYWORD, schema_steps::keyword)
            .offline();
        match options.build(&schema_steps::counted(source, siblings)) {
            Ok(validator) => Ok(Self { source: source.clone(), validator }),
            // The error is about the schema as an instance of its meta-schema; it is asked for again in the author's words.
            Err(error) => {
                let error = options.build(source).err().unwrap_or(error);
                Err(refuse(error.instance_path().as_str(), format!("the schema is not valid: {}", brief(&error.to_string()))))
            }
        }
    }

    /// What in `data` does not fit, at most as many as the limit.
    pub(crate) fn check(&self, data: &Value, limits: &Limits) -> Result<Vec<Issue>, DocumentError> {
        let steps = limits.schema_steps;
        let refused = |OutOfSteps| DocumentError::TooLarge { what: "check against inputSchema (steps)", limit: steps };
        if schema_steps::within(steps, || self.validator.is_valid(data)).map_err(refused)? {
            return Ok(Vec::new());
        }
        // Gathering errors keeps every one of them in memory, so it gets fewer steps; the first alone needs none.
        schema_steps::within(steps.min(GATHERING_STEPS), || self.issues(data, limits)).or_else(|_| {
            let first = schema_steps::within(steps, || self.validator.validate(data).err().map(|error| issue(&error))).map_err(refused)?;
            let rest = Issue::new("", "the data is too large to list what else does not fit");
            Ok(first.into_iter().chain([rest]).collect())
        })
    }

    fn issues(&self, data: &Value, limits: &Limits) -> Vec<Issue> {
        let mut issues = Issues::new(limits.issues);
        for error in self.validator.iter_errors(data) {
            issues.push(issue(&error));
        }
        issues.into_list()
    }
}

fn issue(error: &ValidationError<'_>) -> Issue {
    let issue = Issue::new(error.instance_path().as_str(), brief(&error.to_string()));
    match keyword(error.kind().keyword()) {
        Some(code) => issue.with_code(code),
        None => issue,
    }
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
