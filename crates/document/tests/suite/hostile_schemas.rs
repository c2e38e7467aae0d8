//! Schemas and data made to use up the stack, the time or the memory of a check.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use document::{Compiled, DocumentError, Limits};
use serde_json::{Map, Value, json};

use crate::{compile, processor_time, validate};

const DRAFTS: [&str; 2] = ["http://json-schema.org/draft-07/schema#", "https://json-schema.org/draft/2020-12/schema"];

/// Definitions that refer each to the next, `link` holding the reference; `order` says in which order they are used.
fn chain(draft: &str, length: usize, link: fn(Value) -> Value, order: impl Iterator<Item = usize>) -> Value {
    let mut definitions = Map::new();
    definitions.insert(format!("a{length}"), json!({"type": "string"}));
    for at in 0..length {
        definitions.insert(format!("a{at}"), link(json!({"$ref": format!("#/definitions/a{}", at + 1)})));
    }
    let used: Vec<Value> = order.map(|at| json!({"$ref": format!("#/definitions/a{at}")})).collect();
    json!({"html": "x", "inputSchema": {"$schema": draft, "definitions": definitions, "allOf": used}})
}

/// The stack that a spawned thread gets by default.
fn on_small_stack(work: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(2 * 1024 * 1024).spawn(work).unwrap().join().unwrap();
}

#[test]
fn ten_thousand_references_that_follow_each_other_are_refused() {
    on_small_stack(|| {
        for draft in DRAFTS {
            let error = Compiled::compile(&chain(draft, 10_000, |next| next, 0..1), &Limits::default()).unwrap_err();
            assert!(error.to_string().contains("more than the 500 references accepted follow each other"), "{error}");
        }
    });
}

#[test]
fn the_deepest_schemas_that_are_accepted_fit_a_small_stack() {
    on_small_stack(|| {
        let links: [fn(Value) -> Value; 3] = [
            |next| next,
            |next| json!({"not": next}),
            |next| json!({"properties": {"x": {"items": next}}, "unevaluatedProperties": {"type": "null"}}),
        ];
        for draft in DRAFTS {
            for link in links {
                for reversed in [false, true] {
                    let length = 380;
                    // What is used first is owned by what is used later.
                    let definition =
                        if reversed { chain(draft, length, link, (0..length).rev()) } else { chain(draft, length, link, 0..1) };
                    let compiled = compile(&definition);
                    // Both what fits and what does not.
                    for data in [json!({}), json!({"x": [{"x": [1]}]}), json!([1, 2])] {
                        drop(validate(&compiled, &data, &Limits::default()).unwrap());
                    }
                }
            }
        }
    });
}

#[test]
fn references_multiplied_by_the_depth_of_the_data_end_in_an_answer() {
    on_small_stack(|| {
        let mut data = json!(1);
        for _ in 0..120 {
            data = json!({"x": data});
        }
        for draft in DRAFTS {
            // Four hundred references at every level of the data.
            let mut definition = chain(draft, 400, |next| next, 0..1);
            definition["inputSchema"]["definitions"]["a400"] = json!({"properties": {"x": {"$ref": "#/definitions/a0"}}, "type": "object"});
            let answer = validate(&compile(&definition), &data, &Limits::default());
            assert!(
                matches!(&answer, Ok(issues) if issues.len() == 1) || matches!(&answer, Err(DocumentError::TooLarge { .. })),
                "{answer:?}"
            );
        }
    });
}

/// What takes long, for a schema and data: a visit of the schema each, whatever is in it.
fn heavy() -> Vec<(Value, Value)> {
    let names: Vec<String> = (0..20_000).map(|at| format!("n{at}")).collect();
    let mut mixed: Vec<Value> = names.iter().map(|name| json!(name)).collect();
    mixed.push(json!(-1));
    let many = json!(vec![7; 20_000]);
    let text = "ab".repeat(50_000);
    let choices: Vec<Value> = (0..5_000).map(|at| json!({"maxLength": at})).collect();
    vec![
        (json!({"items": {"enum": mixed, "type": "integer"}}), many.clone()),
        (json!({"not": {"contains": {"enum": mixed}}}), many),
        (json!({"not": {"contains": {"required": names}}}), json!(vec![json!({}); 20_000])),
        (json!({"not": {"contains": {"anyOf": choices}}}), json!(vec![json!(text); 20])),
        (json!({"propertyNames": {"enum": mixed}}), json!({"x": 1})),
        (json!({"not": {"contains": {"pattern": "^(?=(a+)+b)(a|aa)+$"}}}), json!(vec![json!("a".repeat(40)); 5_000])),
    ]
}

#[test]
fn work_is_counted_and_not_visits() {
    for (at, (schema, data)) in heavy().into_iter().enumerate() {
        let compiled = compile(&json!({"html": "x", "inputSchema": schema}));
        let limits = Limits { schema_steps: 200_000, ..Limits::default() };
        let mut answer = Ok(Vec::new());
        let spent = processor_time(|| answer = validate(&compiled, &data, &limits));
        assert!(spent < Duration::from_secs(4), "{spent:?}");
        // These visit 20,000 subschemas at most and compare hundreds of millions of times.
        if at == 1 || at == 3 {
            assert!(matches!(answer, Err(DocumentError::TooLarge { .. })), "{at}: {answer:?}");
        }
    }
}

#[test]
fn a_check_ends_at_its_deadline_and_when_nobody_waits() {
    for (schema, data) in heavy() {
        let compiled = compile(&json!({"html": "x", "inputSchema": schema}));
        let mut limits = Limits { schema_steps: u64::MAX, ..Limits::default() };
        limits.budget.deadline = Some(Instant::now() + Duration::from_millis(100));
        let start = Instant::now();
        let answer = validate(&compiled, &data, &limits);
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
        assert!(matches!(answer, Ok(_) | Err(DocumentError::Stopped(_))), "{answer:?}");
    }
    let (schema, data) = heavy().swap_remove(1);
    let compiled = compile(&json!({"html": "x", "inputSchema": schema}));
    let limits = Limits { schema_steps: u64::MAX, ..Limits::default() };
    let cancelled = AtomicBool::new(true);
    let answer = document::validate(&compiled, &data, crate::NOW.parse().unwrap(), &limits, Some(&cancelled));
    assert!(matches!(answer, Err(DocumentError::Stopped(_))), "{answer:?}");
}

#[test]
fn issues_stay_short_however_long_names_and_values_are() {
    let name = "n".repeat(200_000);
    let schema = json!({"additionalProperties": {"items": {"type": "string"}}, "required": ["missing"], "maxProperties": 0});
    let compiled = compile(&json!({"html": "x", "inputSchema": schema}));
    let mut data = Map::new();
    data.insert(name, json!(vec![1; 20_000]));
    let mut issues = Vec::new();
    let spent = processor_time(|| issues = validate(&compiled, &Value::Object(data), &Limits::default()).unwrap());
    assert!(!issues.is_empty() && issues.len() <= 101, "{}", issues.len());
    assert!(spent < Duration::from_secs(5), "{spent:?}");
    let size: usize = issues.iter().map(|issue| issue.path.len() + issue.message.len()).sum();
    assert!(size < 100_000, "{size}");
}

#[test]
fn thousands_of_large_patterns_are_refused_and_thousands_of_small_ones_read() {
    let schema = |pattern: &str| {
        let properties: Map<String, Value> =
            (0..2_000).map(|at| (format!("p{at}"), json!({"pattern": format!("{pattern}{at}")}))).collect();
        json!({"html": "x", "inputSchema": {"properties": properties}})
    };
    let spent = processor_time(|| {
        assert!(Compiled::compile(&schema("\\p{L}{60}"), &Limits::default()).is_err());
        assert!(Compiled::compile(&schema("^[A-Z]{2}-[0-9]{4,8}$"), &Limits::default()).is_ok());
    });
    assert!(spent < Duration::from_secs(10), "{spent:?}");
}
