//! Templates made to hurt: each is refused or stopped soon, without a crash.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use expressions::{Budget, BudgetKind, Expression, ExpressionError, Limits, Run, Scope, Template};
use serde_json::{Value, json};

/// Far above what a debug build on a busy machine needs, far below what the same template cost elsewhere.
const SOON: Duration = Duration::from_secs(15);

fn render(source: &str, data: &Value, budget: Budget) -> Result<String, ExpressionError> {
    let template = Template::parse(source, &Limits::default())?;
    let mut out = String::new();
    template.render(&Scope::root(data), &mut Run::new(budget), &mut out).map(|()| out)
}

fn soon<T>(act: impl FnOnce() -> T) -> T {
    let begin = Instant::now();
    let result = act();
    assert!(begin.elapsed() < SOON, "took {:?}", begin.elapsed());
    result
}

#[test]
fn an_inline_partial_that_calls_itself_is_refused_when_parsing() {
    let error = render("{{#*inline \"a\"}}{{> a}}{{/inline}}{{> a}}", &json!({}), Budget::default()).unwrap_err();
    assert!(matches!(error, ExpressionError::Unsupported { .. }), "{error}");
    let error = render("text\n  {{> b}}", &json!({}), Budget::default()).unwrap_err();
    assert_eq!((error.line(), error.column()), (2, 3));
    assert_eq!(error.message(), "partials (`{{> …}}`), where no component can be declared, are not supported");
}

#[test]
fn twenty_thousand_nested_blocks_are_refused_at_once() {
    let source = "{{#if a}}".repeat(20_000) + &"{{/if}}".repeat(20_000);
    let error = soon(|| render(&source, &json!({"a": 1}), Budget::default())).unwrap_err();
    assert!(matches!(error, ExpressionError::Depth { limit: 100, .. }), "{error}");
    assert_eq!(error.column(), 901);
    let source = format!("{{{{lookup {}", "(lookup ".repeat(20_000));
    assert!(matches!(soon(|| render(&source, &json!({}), Budget::default())), Err(ExpressionError::Depth { .. })));
    let source = "(lookup ".repeat(20_000);
    assert!(matches!(soon(|| Expression::parse(&source, &Limits::default())), Err(ExpressionError::Depth { .. })));
}

#[test]
fn twenty_thousand_blocks_and_else_branches_in_a_row_parse_in_linear_time() {
    let row = "{{#if a}}x{{else}}y{{/if}}\n".repeat(20_000);
    assert_eq!(soon(|| render(&row, &json!({"a": 1}), Budget::default())).unwrap().len(), 40_000);
    let chain = format!("{{{{#if a}}}}{}{{{{/if}}}}", "{{else if b}}x".repeat(20_000));
    assert_eq!(soon(|| render(&chain, &json!({}), Budget::default())).unwrap(), "");
}

#[test]
fn a_megabyte_of_anything_parses_in_linear_time() {
    let pieces = [
        "{{a}}",
        "{{! c }}",
        " ",
        "\n",
        "\\{{a}}",
        "\\",
        "{",
        "{{{{a}}}}{{{{/a}}}}",
        "{{a.b.c}}",
        "x\n",
        "{{#a}}\n{{/a}}\n",
        "~",
        "a.",
        "[",
        "\"",
        "(",
        "{{",
        "}}",
        "{{!--",
        "{{^}}",
        "|",
        "@",
        "{{{{",
        "{{{{/",
        "../",
    ];
    for piece in pieces {
        let source = piece.repeat(1_000_000 / piece.len());
        // Most are refused; all of them soon.
        let _ = soon(|| Expression::parse(&source, &Limits::default()).map(|value| value.used_paths()));
        for before in ["", "{{ ", "{{lookup "] {
            let source = format!("{before}{source}");
            let _ = soon(|| Template::parse(&source, &Limits::default()).map(|template| template.used_paths()));
        }
    }
}

#[test]
fn a_source_above_the_limit_is_refused_unread() {
    let error = Template::parse(&"x".repeat(3_000_000), &Limits::default()).unwrap_err();
    assert!(matches!(error, ExpressionError::TooLarge { unit: "bytes", .. }), "{error}");
    let error = Template::parse(&"{{a}}".repeat(11), &Limits { tags: 10, ..Limits::default() }).unwrap_err();
    assert!(matches!(error, ExpressionError::TooLarge { unit: "tags", limit: 10, .. }), "{error}");
    assert_eq!(error.column(), 51);
}

#[test]
fn three_loops_in_each_other_run_out_of_steps_even_when_they_print_nothing() {
    let data = json!({"a": (0..1000).collect::<Vec<_>>()});
    for body in ["", "x", "{{nothing}}", "{{#if false}}{{/if}}"] {
        let source = format!("{{{{#each a}}}}{{{{#each ../a}}}}\n{{{{#each ../../a}}}}{body}{{{{/each}}}}{{{{/each}}}}{{{{/each}}}}");
        let error = soon(|| render(&source, &data, Budget::default())).unwrap_err();
        let ExpressionError::Budget { which, limit, .. } = error else { panic!("{error}") };
        assert_eq!((which, limit), (BudgetKind::Steps, 2_000_000));
    }
}

#[test]
fn a_giant_output_stops_at_its_budget_and_leaves_nothing_behind() {
    let data = json!({"a": (0..1000).collect::<Vec<_>>(), "big": "<".repeat(1_000_000)});
    let template = Template::parse("{{#each a}}{{../big}}{{/each}}", &Limits::default()).unwrap();
    let mut out = "before".to_owned();
    let mut run = Run::new(Budget::default());
    let error = soon(|| template.render(&Scope::root(&data), &mut run, &mut out)).unwrap_err();
    assert!(matches!(error, ExpressionError::Budget { which: BudgetKind::OutputBytes, .. }), "{error}");
    assert_eq!(out, "before");
    assert!(out.capacity() < 100 << 20, "{} bytes were held", out.capacity());
}

#[test]
fn a_passed_deadline_and_a_cancelled_run_stop() {
    let data = json!({"a": (0..1000).collect::<Vec<_>>()});
    let source = "{{#each a}}{{#each ../a}}{{#each ../../a}}{{/each}}{{/each}}{{/each}}";
    let budget = Budget { steps: u64::MAX, deadline: Some(Instant::now() + Duration::from_millis(50)), ..Budget::default() };
    let error = soon(|| render(source, &data, budget)).unwrap_err();
    assert!(matches!(error, ExpressionError::Budget { which: BudgetKind::Deadline, .. }), "{error}");

    let cancelled = AtomicBool::new(true);
    let mut run = Run::new(Budget { steps: u64::MAX, ..Budget::default() }).cancelled_by(&cancelled);
    let template = Template::parse(source, &Limits::default()).unwrap();
    let error = soon(|| template.render(&Scope::root(&data), &mut run, &mut String::new())).unwrap_err();
    assert!(matches!(error, ExpressionError::Budget { which: BudgetKind::Cancelled, .. }), "{error}");
}

#[test]
fn one_budget_holds_for_all_templates_of_a_document() {
    let data = json!({});
    let template = Template::parse("12345", &Limits::default()).unwrap();
    let mut run = Run::new(Budget { output_bytes: 12, ..Budget::default() });
    let mut out = String::new();
    template.render(&Scope::root(&data), &mut run, &mut out).unwrap();
    template.render(&Scope::root(&data), &mut run, &mut out).unwrap();
    template.render(&Scope::root(&data), &mut run, &mut out).unwrap_err();
    assert_eq!((out.as_str(), run.output_bytes_used()), ("1234512345", 10));
}

#[test]
fn the_deepest_nesting_allowed_fits_a_two_mebibyte_stack() {
    let limits = Limits { nesting: usize::MAX, ..Limits::default() };
    let deepest = 200;
    let run = move || {
        let data = json!({"a": {"a": 1}, "l": [1]});
        let bodies = [
            ("{{#if a}}", "{{/if}}"),
            ("{{#each this}}{{#if true}}", "{{/if}}{{/each}}"),
            ("{{#with this}}", "{{/with}}"),
            ("{{#this}}", "{{/this}}"),
            ("{{^x}}", "{{/x}}"),
            ("{{#if x}}{{else}}", "{{/if}}"),
        ];
        for (open, close) in bodies {
            let levels = deepest / open.matches("{{#").count().max(1);
            let nested = format!("{}this{}", "(lookup ".repeat(deepest), " 0)".repeat(deepest));
            let source = format!("{}{{{{lookup {nested} 0}}}}x{}", open.repeat(levels), close.repeat(levels));
            let template = Template::parse(&source, &limits).unwrap();
            let mut out = String::new();
            template.render(&Scope::root(&data), &mut Run::new(Budget::default()), &mut out).unwrap();
            assert!(template.used_paths().len() > 1);
        }
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(run).unwrap().join().unwrap();
    let source = "{{#if a}}".repeat(201);
    assert!(matches!(Template::parse(&source, &limits), Err(ExpressionError::Depth { limit: 200, .. })));
}

#[test]
fn scopes_of_the_caller_count_towards_the_depth() {
    let data = json!({"a": 1});
    let template = Template::parse("{{#with a}}x{{/with}}", &Limits::default()).unwrap();
    let root = Scope::root(&data);
    let (one, mut out) = (root.child(&data), String::new());
    let two = one.child(&data);
    let mut run = Run::new(Budget { depth: 2, ..Budget::default() });
    template.render(&one, &mut run, &mut out).unwrap();
    let error = template.render(&two, &mut run, &mut out).unwrap_err();
    assert!(matches!(error, ExpressionError::Depth { limit: 2, .. }), "{error}");
}
