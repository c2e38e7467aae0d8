//! Short texts with expressions outside of documents: subjects, names of files, conditions, places in data.

use std::borrow::Cow;

use expressions::{Budget, Escape, Expression, ExpressionError, Limits, Regional, Run, Scope, Template};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

/// What one text may cost: enough for a body with a table, far too little to hold anybody up.
const BUDGET: Budget = Budget { steps: 200_000, output_bytes: 1024 * 1024, depth: 100, deadline: None };
/// Bytes of one text.
const SOURCE_BYTES: usize = 512 * 1024;

/// When texts are filled in.
#[derive(Clone, Debug)]
pub struct When {
    /// What `"now"` means.
    pub now: Timestamp,
    /// On whose clocks moments are written.
    pub time_zone: TimeZone,
}

/// The account of one text.
fn run(when: &When) -> Run<'static> {
    Run::new(BUDGET).with_regional(Regional { now: Some(when.now), time_zone: when.time_zone.clone(), ..Regional::default() })
}

fn limits() -> Limits {
    Limits { source_bytes: SOURCE_BYTES, ..Limits::default() }
}

/// What is wrong with a text, as its author can mend it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct WordsError(String);

impl From<ExpressionError> for WordsError {
    fn from(error: ExpressionError) -> Self {
        let at = error.innermost();
        Self(format!("line {}, column {}: {}", at.line(), at.column(), at.message()))
    }
}

/// The text with its expressions filled in, for plain text.
pub fn plain(source: &str, data: &Value, when: &When) -> Result<String, WordsError> {
    filled(source, data, when, Escape::None)
}

/// The text with its expressions filled in, for HTML: data is text there.
pub fn html(source: &str, data: &Value, when: &When) -> Result<String, WordsError> {
    filled(source, data, when, Escape::Html)
}

/// As [`plain`], on one line: what breaks lines or hides becomes a space.
pub fn line(source: &str, data: &Value, when: &When) -> Result<String, WordsError> {
    let plain = plain(source, data, when)?;
    let one = plain.chars().map(|character| if domain::invisible::is_invisible(character) { ' ' } else { character });
    Ok(one.collect::<String>().trim().to_owned())
}

/// Says what is wrong with a text, before there is data.
pub fn check(source: &str) -> Result<(), WordsError> {
    Template::parse(source, &limits()).map(drop).map_err(WordsError::from)
}

/// Says what is wrong with an expression or a path, before there is data.
pub fn check_expression(source: &str) -> Result<(), WordsError> {
    if is_text(source) {
        return check(source);
    }
    Expression::parse(bare(source), &limits()).map(drop).map_err(WordsError::from)
}

fn filled(source: &str, data: &Value, when: &When, escape: Escape) -> Result<String, WordsError> {
    let template = Template::parse(source, &limits())?;
    let mut out = String::new();
    template.render(&Scope::root(data), &mut run(when).with_escape(escape), &mut out)?;
    Ok(out)
}

/// Whether an expression is true of the data, as `{{#if}}` means it. A text with blocks is true when it comes out as anything but
/// nothing, `false`, `0` or `null`.
pub fn holds(source: &str, data: &Value, when: &When) -> Result<bool, WordsError> {
    if is_text(source) {
        return Ok(!matches!(plain(source, data, when)?.trim(), "" | "false" | "0" | "null"));
    }
    let expression = Expression::parse(bare(source), &limits())?;
    let scope = Scope::root(data);
    Ok(expression.evaluate(&scope, &mut run(when))?.is_truthy())
}

/// What an expression, such as a path, is in the data; none where there is nothing.
pub fn value_at(source: &str, data: &Value, when: &When) -> Result<Option<Value>, WordsError> {
    let expression = Expression::parse(bare(source), &limits())?;
    let scope = Scope::root(data);
    Ok(expression.evaluate(&scope, &mut run(when))?.into_value().map(Cow::into_owned))
}

/// Whether it is a text around expressions, and not one of them.
fn is_text(source: &str) -> bool {
    bare(source).contains("{{") || bare(source).contains("}}")
}

/// Written with braces or without; a path may begin as JSON paths do.
fn bare(source: &str) -> &str {
    let source = source.trim();
    let source = source.strip_prefix("{{").and_then(|inner| inner.strip_suffix("}}")).unwrap_or(source).trim();
    source.strip_prefix("$.").unwrap_or(source)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn when() -> When {
        When { now: "2026-11-30T23:30:00Z".parse().unwrap(), time_zone: TimeZone::get("Europe/Berlin").unwrap() }
    }

    #[test]
    fn dates_know_the_moment_and_are_on_the_clocks_of_the_zone() {
        let data = json!({"due": "2026-11-30T22:15:00Z"});
        assert_eq!(line("As of {{date \"now\" \"iso\"}}", &data, &when()).unwrap(), "As of 2026-12-01");
        assert_eq!(plain("{{date due \"HH:mm\"}}", &data, &when()).unwrap(), "23:15");
        assert!(holds("eq (date 'now' 'MM') '12'", &data, &when()).unwrap());
        assert_eq!(value_at("date 'now' 'yyyy'", &data, &when()).unwrap(), Some(json!("2026")));
    }

    #[test]
    fn texts_are_filled_in_as_what_they_are_for() {
        let data = json!({"name": "A & B\r\nBcc: eve@example.org", "n": 3});
        assert_eq!(line("Report for {{name}}", &data, &when()).unwrap(), "Report for A & B  Bcc: eve@example.org");
        assert_eq!(plain("{{n}}\n{{missing}}.", &data, &when()).unwrap(), "3\n.");
        assert!(html("<p>{{name}}</p>", &data, &when()).unwrap().starts_with("<p>A &amp; B"));
        assert!(plain("{{#each}}", &data, &when()).is_err() && check("{{name").is_err());
    }

    #[test]
    fn conditions_and_paths_are_asked_of_the_data() {
        let data = json!({"orders": [], "total": 5, "a": {"b": [1]}});
        assert!(
            !holds("orders", &data, &when()).unwrap()
                && holds("{{ total }}", &data, &when()).unwrap()
                && holds("lookup a 'b'", &data, &when()).unwrap()
        );
        assert!(holds("{{#if total}}yes{{/if}}", &data, &when()).unwrap() && !holds("{{#each orders}}x{{/each}}", &data, &when()).unwrap());
        assert_eq!(value_at("$.a.b", &data, &when()).unwrap(), Some(json!([1])));
        assert_eq!(value_at("a.c", &data, &when()).unwrap(), None);
        assert!(check_expression("gt (").is_err());
    }
}
