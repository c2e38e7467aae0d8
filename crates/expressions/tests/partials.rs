//! Partials: which are found, what their mistakes say, and that none costs more than its budget.
#![cfg(test)]

use expressions::{Budget, BudgetKind, ExpressionError, Limits, Partials, Run, Scope, Template};
use serde_json::{Value, json};

fn partials(named: &[(&str, &str)]) -> Partials {
    let mut all = Partials::default();
    for (name, source) in named {
        let inner = all.clone();
        all.add(name, name, source, &Limits::default(), &inner).expect("a partial");
    }
    all
}

fn parsed(source: &str, named: &[(&str, &str)]) -> Result<Template, ExpressionError> {
    Template::parse_with(source, &Limits::default(), &partials(named))
}

fn rendered(source: &str, named: &[(&str, &str)], data: &Value, budget: Budget) -> Result<String, ExpressionError> {
    let mut out = String::new();
    parsed(source, named)?.render(&Scope::root(data), &mut Run::new(budget), &mut out)?;
    Ok(out)
}

#[test]
fn an_undeclared_partial_is_refused_with_the_nearest_declared_one() {
    let error = parsed("<p>\n{{> adress}}", &[("address", "x"), ("total", "y")]).unwrap_err();
    assert_eq!(error.to_string(), "`{{> adress}}` names no component that is declared here; did you mean `address`? (line 2, column 1)");
    assert!(parsed("{{> a}}", &[]).unwrap_err().message().contains("declared"));
}

#[test]
fn computed_names_partial_blocks_and_decorators_stay_refused() {
    for source in ["{{> (lookup . 'a')}}", "{{#> a}}x{{/a}}", "{{#*inline 'a'}}x{{/inline}}", "{{> @partial-block}}"] {
        let error = parsed(source, &[("a", "x")]).unwrap_err();
        assert!(matches!(error, ExpressionError::Unsupported { .. } | ExpressionError::UnknownPartial { .. }), "{source}: {error}");
    }
}

#[test]
fn a_mistake_in_a_partial_names_the_partial_and_its_place_there() {
    let error = rendered("a\n{{> outer}}", &[("inner", "\n {{emphasise x}}"), ("outer", "{{> inner}}")], &json!({}), Budget::default());
    assert_eq!(
        error.unwrap_err().to_string(),
        "in `outer`, line 1, column 1: in `inner`, line 2, column 4: `emphasise` is given arguments but is not a helper (line 2, column 1)"
    );
}

#[test]
fn what_is_missing_in_a_partial_is_noted_there() {
    let template = parsed("{{> card person}}", &[("card", "{{nmae}}")]).unwrap();
    let data = json!({"person": {"name": "x"}});
    let mut run = Run::new(Budget::default());
    template.render(&Scope::root(&data), &mut run, &mut String::new()).unwrap();
    let [finding] = run.findings() else { panic!("{:?}", run.findings()) };
    assert_eq!((&*finding.path, finding.partial.as_deref(), &*finding.suggestions), ("nmae", Some("card"), &["name".to_owned()][..]));
}

#[test]
fn the_paths_a_template_uses_include_those_of_its_partials() {
    let template = parsed("{{> card person t=title}}{{#each list}}{{> card}}{{/each}}", &[("card", "{{name}}{{t.x}}{{@root.y}}")]).unwrap();
    let paths: Vec<_> =
        template.used_paths().into_iter().map(|used| format!("{}{}", used.path, used.partial.map_or("", |_| " *"))).collect();
    let wanted = ["person", "title", "list", "person.name *", "title.x *", "y *", "list[].name *", "list[].t.x *", "y *"];
    assert_eq!(paths, wanted);
}

#[test]
fn values_in_a_partial_that_stands_in_a_style_element_are_escaped_for_it() {
    let data = json!({"x": "red}*{display:none"});
    let html = rendered("<style>p{color:{{> c}} }</style>{{> c}}", &[("c", "{{x}}")], &data, Budget::default()).unwrap();
    assert_eq!(html, "<style>p{color:red\\7d \\2a \\7b display\\3a none }</style>red}*{display:none");
    let html = rendered("{{> open}}{{x}}</style>", &[("open", "<style>p{color:")], &data, Budget::default()).unwrap();
    assert!(html.contains("red\\7d"), "{html}");
}

#[test]
fn partials_that_double_each_other_end_at_the_budget_and_in_their_used_paths() {
    let names: Vec<String> = (0..40).map(|number| format!("p{number}")).collect();
    let sources: Vec<String> =
        (0..40).map(|number| if number == 0 { "x".to_owned() } else { format!("{{{{> p{0}}}}}{{{{> p{0}}}}}", number - 1) }).collect();
    let parts: Vec<(&str, &str)> = names.iter().map(String::as_str).zip(sources.iter().map(String::as_str)).collect();
    let error = rendered("{{> p39}}", &parts, &json!({}), Budget::default()).unwrap_err();
    assert!(matches!(error.innermost(), ExpressionError::Budget { which: BudgetKind::Steps, .. }), "{error}");
    assert!(parsed("{{> p39}}", &parts).unwrap().used_paths().is_empty());
}

#[test]
fn copying_a_large_context_again_and_again_ends_at_the_budget() {
    let data = json!({"big": vec![json!({"a": "b"}); 50_000], "list": vec![1; 1_000]});
    let error = rendered("{{#each list}}{{> p @root x=1}}{{/each}}", &[("p", "{{x}}")], &data, Budget::default()).unwrap_err();
    assert!(matches!(error.innermost(), ExpressionError::Budget { which: BudgetKind::Steps, .. }), "{error}");
}

#[test]
fn partials_are_not_nested_deeper_than_blocks_may_be() {
    let deep = |levels: usize| format!("{}x{}", "{{#if a}}".repeat(levels), "{{/if}}".repeat(levels));
    let (inner, outer) = (deep(60), format!("{}{{{{> inner}}}}{}", "{{#if a}}".repeat(60), "{{/if}}".repeat(60)));
    let error = parsed(&outer, &[("inner", &inner)]).unwrap_err();
    assert!(matches!(error, ExpressionError::Depth { limit: 100, .. }), "{error}");
}
