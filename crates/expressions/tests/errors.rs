//! What an author is told: the place, the reason and the remedy.

use expressions::{Budget, Expression, ExpressionError, Limits, Missing, MissingReason, Run, Scope, Template};
use serde_json::{Value, json};

fn refusal(source: &str) -> ExpressionError {
    Template::parse(source, &Limits::default()).expect_err("the template is refused")
}

#[test]
fn a_syntax_error_says_what_was_found_where_and_what_to_do() {
    let cases = [
        ("{{", 1, 3, "the source ends where a name"),
        ("a\n  {{b", 2, 6, "the tag opened at line 2, column 3 is never closed"),
        ("é{{}}", 1, 4, "found `}}` where a name, a path or a literal should stand"),
        ("{{a}}}", 1, 4, "put a space between the tag and a `}` of the text"),
        ("{{#if a}}\n{{#each b}}\n{{/if}}", 3, 1, "`{{/if}}` does not close `each`, the innermost open block, opened at line 2, column 1"),
        ("x{{#if a}}\ny", 1, 2, "the block `{{#if` is never closed: no `{{/if}}` up to the end at line 2, column 2"),
        ("{{^a}}", 1, 1, "the block `{{^a` is never closed"),
        ("{{{{a}}}}b", 1, 1, "the block `{{{{a` is never closed: no `{{{{/a}}}}`"),
        ("{{/each}}", 1, 1, "`{{/each}}` closes a block that was never opened"),
        ("{{else}}", 1, 1, "`{{else}}` stands outside of any block"),
        ("{{#if a}}{{else}}\n{{else}}{{/if}}", 2, 1, "the block `if` opened at line 1, column 1 already has its last `{{else}}`"),
        ("{{#if}}{{/if}}", 1, 4, "`if` takes exactly 1 argument, not 0"),
        ("{{lookup a}}", 1, 3, "`lookup` takes exactly 2 arguments, not 1"),
        ("{{if a}}", 1, 3, "`if` is a block: write `{{#if …}}…{{/if}}`"),
        ("{{! never", 1, 1, "the comment is never closed"),
        ("{{a \"b}}", 1, 5, "`\"` is opened and never closed"),
        ("{{a b=1 c}}", 1, 9, "an argument without a name stands after a named one"),
        ("{{a.b.this}}", 1, 7, "`this` can stand only at the start of a path"),
        ("{{lookup (lookup a 0}}", 1, 21, "found `}}` where `)` or another argument should stand"),
        ("{{a, b}}", 1, 4, "`,` cannot stand here; a name with such a character is written `[in brackets]`"),
        ("{{a\"b\"}}", 1, 4, "`\"` cannot stand here"),
        ("{{^a}}{{else if b}}{{/a}}", 1, 7, "cannot follow `{{^…}}`"),
    ];
    for (source, line, column, text) in cases {
        let error = refusal(source);
        assert_eq!((error.line(), error.column()), (line, column), "{source}: {error}");
        assert!(error.message().contains(text), "{source}: {error}");
    }
}

#[test]
fn a_wrong_closer_names_both_places() {
    let ExpressionError::Syntax { at, related, .. } = refusal("{{#if a}}\n  {{/each}}") else { panic!("not a syntax error") };
    assert_eq!((at.line, at.column), (2, 3));
    assert_eq!(related.map(|place| (place.line, place.column)), Some((1, 1)));
}

#[test]
fn an_unknown_helper_is_named_with_near_names_of_helpers_and_fields() {
    let data = json!({"looking": 1});
    let template = Template::parse("a\n {{lokup a 1}}", &Limits::default()).unwrap();
    let error = template.render(&Scope::root(&data), &mut Run::new(Budget::default()), &mut String::new()).unwrap_err();
    assert_eq!((error.line(), error.column(), error.variable()), (2, 4, Some("lokup")));
    assert_eq!(error.suggestions(), ["lookup"]);
    assert_eq!(error.message(), "`lokup` is given arguments but is not a helper; did you mean `lookup`?");
}

fn findings(source: &str, data: &Value) -> Vec<(String, MissingReason, u64, Vec<String>)> {
    let template = Template::parse(source, &Limits::default()).expect("the template parses");
    let mut run = Run::new(Budget::default());
    template.render(&Scope::root(data), &mut run, &mut String::new()).expect("the template renders");
    run.take_findings().into_iter().map(|found| (found.path, found.reason, found.occurrences, found.suggestions)).collect()
}

#[test]
fn missing_values_are_counted_per_place_with_near_paths() {
    let data = json!({"customer": {"name": "x", "vat": null}, "items": [{"n": 1}, {"n": 2}], "currency": "EUR"});
    let source = "{{customer.nam}}{{customer.vat}}{{#each items}}{{currency}}{{this.m}}{{/each}}{{#each itms}}{{/each}}{{#if nope}}{{/if}}{{customer.name}}{{lookup items 7}}";
    let expected = [
        ("customer.nam", MissingReason::Missing, 1, vec!["customer.name"]),
        ("customer.vat", MissingReason::Null, 1, vec![]),
        ("currency", MissingReason::Missing, 2, vec!["../currency"]),
        ("this.m", MissingReason::Missing, 2, vec![]),
        ("itms", MissingReason::MissingCollection, 1, vec!["items"]),
        ("lookup items 7", MissingReason::Missing, 1, vec![]),
    ];
    let found = findings(source, &data);
    let found: Vec<(&str, MissingReason, u64, Vec<&str>)> = found
        .iter()
        .map(|(path, reason, count, near)| (path.as_str(), *reason, *count, near.iter().map(String::as_str).collect()))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn findings_stop_at_one_hundred_and_say_so() {
    let source = (0..150).map(|at| format!("{{{{m{at}}}}}")).collect::<Vec<_>>().join("\n");
    let template = Template::parse(&source, &Limits::default()).unwrap();
    let mut run = Run::new(Budget::default());
    template.render(&Scope::root(&json!({})), &mut run, &mut String::new()).unwrap();
    assert_eq!(run.findings().len(), 100);
    assert!(run.findings_truncated());
    assert_eq!((run.findings()[99].at.line, run.findings()[99].at.column), (100, 3));
}

#[test]
fn a_strict_run_refuses_a_missing_value_but_not_null_or_a_condition() {
    let data = json!({"a": null});
    let render = |source: &str| {
        let template = Template::parse(source, &Limits::default()).unwrap();
        let mut run = Run::new(Budget::default()).with_missing(Missing::Strict);
        let mut out = String::new();
        template.render(&Scope::root(&data), &mut run, &mut out).map(|()| out)
    };
    assert_eq!(render("{{a}}{{#if b}}{{/if}}{{#with b}}{{/with}}ok").unwrap(), "ok");
    assert!(matches!(render("{{b}}"), Err(ExpressionError::Missing { path, .. }) if path == "b"));
    assert!(matches!(render("{{#each b}}{{/each}}"), Err(ExpressionError::Missing { .. })));
}

#[test]
fn a_lone_expression_says_where_it_is_wrong() {
    for (source, column, text) in [
        ("", 1, "the source ends where a name"),
        ("a b c", 1, "not a helper"),
        ("order..items", 1, "not a helper"),
        ("(lookup a", 10, "the source ends where `)`"),
        ("a }}", 3, "found `}}` where the end of the expression"),
        ("lookup a", 1, "takes exactly 2 arguments"),
    ] {
        let data = json!({});
        let parsed = Expression::parse(source, &Limits::default());
        let error = match &parsed {
            Ok(value) => value.evaluate(&Scope::root(&data), &mut Run::new(Budget::default())).expect_err(source),
            Err(error) => error.clone(),
        };
        assert_eq!(error.column(), column, "{source}: {error}");
        assert!(error.message().contains(text), "{source}: {error}");
    }
}

#[test]
fn a_caller_notes_a_missing_collection_with_near_paths() {
    let data = json!({"items": []});
    let scope = Scope::root(&data);
    let mut run = Run::new(Budget::default());
    let value = Expression::parse(" itemz", &Limits::default()).unwrap();
    assert!(value.evaluate(&scope, &mut run).unwrap().as_value().is_none());
    value.note_missing(&scope, &mut run, MissingReason::MissingCollection).unwrap();
    let found = &run.findings()[0];
    assert_eq!((found.path.as_str(), found.at.column, found.suggestions.as_slice()), ("itemz", 2, &["items".to_owned()][..]));
}
