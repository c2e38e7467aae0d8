//! Whatever the template and the data: no panic, no budget exceeded, places inside the source.

use expressions::{Budget, Expression, ExpressionError, Limits, Run, Scope, Template};
use proptest::prelude::*;
use serde_json::Value;

fn data() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-c<&😀]{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec(("[a-c0-9]{1,2}", inner), 0..5).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => prop::sample::select(vec![
            "{{", "}}", "{{{", "}}}", "{{#", "{{/", "{{^", "{{else", "{{!--", "--}}", "{{!", "{{{{", "}}}}", "{{{{/", "~", "each ", "if ",
            "with ", "unless ", "lookup ", "log ", "(", ")", "[", "]", "\"", "'", "a", "b.c", "../", "@index", "@root.", "this", ".", "/",
            " as |x y|", "=", "1", "-2.5", "true", "null", "\\", "\n", " ", "\r\n", "{{#each a}}", "{{/each}}", "{{#if b}}", "{{/if}}",
            "{{else}}", "{{a}}", "{{lookup a 0}}", "{{#a}}", "{{/a}}", "{{{{a}}}}", "{{{{/a}}}}", "é", "\u{0}", "\u{feff}",
        ]).prop_map(str::to_owned),
        1 => "\\PC{0,3}",
    ]
}

fn source() -> impl Strategy<Value = String> {
    prop::collection::vec(piece(), 0..40).prop_map(|pieces| pieces.concat())
}

fn inside(error: &ExpressionError, source: &str) -> bool {
    let line = source.split('\n').nth(error.line() - 1);
    line.is_some_and(|line| error.column() <= line.chars().count() + 1)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_template_panics_or_exceeds_its_budget(source in source(), data in data()) {
        let budget = Budget { steps: 500, output_bytes: 300, ..Budget::default() };
        let mut run = Run::new(budget);
        let mut out = String::new();
        match Template::parse(&source, &Limits::default()) {
            Ok(template) => {
                for used in template.used_paths() {
                    prop_assert!(used.at.line >= 1 && used.length_bytes <= source.len());
                }
                match template.render(&Scope::root(&data), &mut run, &mut out) {
                    Ok(()) => prop_assert_eq!(out.len(), run.output_bytes_used()),
                    Err(error) => {
                        prop_assert!(out.is_empty());
                        prop_assert!(inside(&error, &source), "{} in {:?}", error, source);
                    }
                }
                prop_assert!(run.steps_used() <= 500 && run.output_bytes_used() <= 300);
            }
            Err(error) => prop_assert!(inside(&error, &source), "{} in {:?}", error, source),
        }
    }

    #[test]
    fn no_expression_panics(source in source(), data in data()) {
        if let Ok(value) = Expression::parse(&source, &Limits::default()) {
            let scope = Scope::root(&data);
            if let Ok(result) = value.evaluate(&scope, &mut Run::new(Budget::default())) {
                let _ = result.to_text();
            }
        }
    }

    #[test]
    fn text_without_tags_comes_out_as_it_went_in(text in "[^{\\\\]{0,60}") {
        let template = Template::parse(&text, &Limits::default()).unwrap();
        let mut out = String::new();
        template.render(&Scope::root(&Value::Null), &mut Run::new(Budget::default()), &mut out).unwrap();
        prop_assert_eq!(out, text);
    }
}
