//! From a sample to a schema.

use document::inference::{MAX_PROPERTIES, MAX_SAMPLE_VALUES, RequiredWhen, Sample, infer_schema};
use document::{DocumentError, Limits};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{compile, validate};

fn inferred(sample: &Value, required: RequiredWhen) -> Result<Value, DocumentError> {
    infer_schema(&serde_json::from_str::<Sample>(&sample.to_string()).unwrap(), required)
}

#[test]
fn a_sample_at_a_limit_has_a_schema_and_one_over_it_is_refused_with_the_limit() {
    let list = |values: usize| json!(vec![0; values - 1]);
    let wide = |names: usize| (0..names).map(|name| (name.to_string(), json!([{"x": 1}]))).collect::<Value>();
    for (fits, over, what) in [
        (list(MAX_SAMPLE_VALUES), list(MAX_SAMPLE_VALUES + 1), "values than the 100000 accepted"),
        (wide(MAX_PROPERTIES / 2), wide(MAX_PROPERTIES / 2 + 1), "different properties than the 10000 accepted"),
    ] {
        assert!(inferred(&fits, RequiredWhen::Present).is_ok(), "{what}");
        let refused = inferred(&over, RequiredWhen::Present).unwrap_err();
        let issues = refused.issues();
        assert_eq!(issues[0].path, "/sample");
        assert!(issues[0].message.contains(what) && refused.to_string().contains(what), "{refused}");
    }
    let rows = json!(vec![json!({"a": 1, "b": "x"}); 20_000]);
    assert!(inferred(&rows, RequiredWhen::Present).is_ok(), "the same properties again count once");
    let deep = |levels: usize| serde_json::from_str::<Sample>(&format!("{}{}", "[".repeat(levels), "]".repeat(levels))).is_ok();
    assert!(deep(100) && !deep(200));
}

#[test]
fn a_schema_tells_what_the_items_of_a_list_have_in_common() {
    let sample = json!({"due": "2026-01-31", "note": null, "items": [{"name": "a", "price": 1, "tax": null}, {"name": "b", "price": 2.5, "tax": "x"}, {"name": "c", "price": 3, "more": true}]});
    let expected = json!({
        "$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "required": ["due", "note", "items"],
        "properties": {
            "due": {"type": "string", "format": "date"},
            "note": {},
            "items": {"type": "array", "items": {"type": "object", "required": ["name", "price"], "properties": {
                "name": {"type": "string"}, "price": {"type": "number"}, "tax": {"type": ["null", "string"]}, "more": {"type": "boolean"}}}},
        },
    });
    assert_eq!(inferred(&sample, RequiredWhen::Present).unwrap(), expected);
    assert_eq!(inferred(&sample, RequiredWhen::Never).unwrap().to_string().matches("required").count(), 0);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[0-9]{4}-[01][0-9]-[0-3][0-9]".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec(("[ab$]{1,2}|type|required|items", inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, max_shrink_time: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_sample_fits_the_schema_made_from_it(sample in any_json()) {
        for required in [RequiredWhen::Present, RequiredWhen::Never] {
            let schema = inferred(&sample, required).unwrap();
            let compiled = compile(&json!({"html": "x", "inputSchema": schema}));
            let issues = validate(&compiled, &sample, &Limits::default()).unwrap();
            prop_assert!(issues.is_empty(), "{}: {:?}", schema, issues);
        }
    }
}
