//! The lexer and the parser by themselves: any text, and any row of tokens.

use expressions::{Budget, Escape, Expression, ExpressionError, Limits, Run, Scope, Template};
use fuzz::{search, text};
use serde_json::json;

const TOKENS: [&str; 46] = [
    "{{",
    "}}",
    "{{{",
    "}}}",
    "{{{{",
    "}}}}",
    "{{{{/",
    "{{#",
    "{{/",
    "{{^",
    "{{~",
    "~}}",
    "{{!",
    "{{!--",
    "--}}",
    "{{else",
    "{{>",
    "{{*",
    "(",
    ")",
    "[",
    "]",
    "\"",
    "'",
    "\\",
    "=",
    "|",
    "as |x|",
    "each ",
    "if ",
    "with ",
    "a",
    "a.b",
    "../",
    "./",
    "@root.",
    "@index",
    "this",
    "1",
    "-2.5",
    "true",
    "null",
    "undefined",
    " ",
    "\n",
    "é😀",
];

fn is_inside(error: &ExpressionError, source: &str) -> bool {
    source.split('\n').nth(error.line() - 1).is_some_and(|line| error.column() <= line.chars().count() + 1)
}

/// Text of single characters, or of tokens as the language knows them.
fn source(random: &mut fuzz::arbitrary::Unstructured<'_>) -> fuzz::arbitrary::Result<String> {
    if random.ratio(1, 3)? {
        return text(random, 60, "{}#/^~!-&>*()[]\"'\\=|@.a1 \n");
    }
    (0..random.int_in_range(0..=30)?).map(|_| random.choose(&TOKENS).copied()).collect()
}

#[test]
fn any_text_is_a_template_or_has_a_place_in_it_that_is_wrong() {
    let (mut parsed, mut refused) = (0, 0);
    search(|random| {
        let source = source(random)?;
        match Template::parse(&source, &Limits::default()) {
            Ok(template) => {
                parsed += 1;
                for used in template.used_paths() {
                    assert!(used.at.line >= 1 && used.length_bytes <= source.len(), "{source:?}: {used:?}");
                }
                let (mut run, mut out) = (Run::new(Budget { steps: 2_000, ..Budget::default() }).with_escape(Escape::None), String::new());
                let data = json!({"a": {"b": [1, {"a": "x"}]}, "this": 1});
                if let Err(error) = template.render(&Scope::root(&data), &mut run, &mut out) {
                    assert!(is_inside(&error, &source) && out.is_empty(), "{source:?}: {error}");
                } else if !source.contains(['{', '\\']) {
                    assert_eq!(out, source);
                }
            }
            Err(error) => {
                refused += 1;
                assert!(is_inside(&error, &source), "{source:?}: {error}");
            }
        }
        Ok(())
    });
    assert!(parsed > 100 && refused > 100, "{parsed} parsed, {refused} refused");
}

#[test]
fn any_text_is_an_expression_or_has_a_place_in_it_that_is_wrong() {
    let (mut evaluated, mut refused) = (0, 0);
    search(|random| {
        let source = source(random)?;
        match Expression::parse(&source, &Limits::default()) {
            Ok(expression) => {
                let data = json!({"a": {"b": [1, {"a": "x"}]}});
                let found =
                    expression.evaluate(&Scope::root(&data), &mut Run::new(Budget { steps: 2_000, ..Budget::default() })).map(|_| ());
                assert!(found.is_ok() || found.is_err_and(|error| is_inside(&error, &source)), "{source:?}");
                evaluated += 1;
            }
            Err(error) => {
                refused += 1;
                assert!(is_inside(&error, &source), "{source:?}: {error}");
            }
        }
        Ok(())
    });
    assert!(evaluated > 50 && refused > 100, "{evaluated} evaluated, {refused} refused");
}
