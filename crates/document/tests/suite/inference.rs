//! From a sample to a schema.

use document::inference::{RequiredWhen, infer_schema};
use document::{Limits, validate};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::compile;

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
    assert_eq!(infer_schema(&sample, RequiredWhen::Present), expected);
    assert_eq!(infer_schema(&sample, RequiredWhen::Never).to_string().matches("required").count(), 0);
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
            let schema = infer_schema(&sample, required);
            let compiled = compile(&json!({"html": "x", "inputSchema": schema}));
            let issues = validate(&compiled, &sample, &Limits::default()).unwrap();
            prop_assert!(issues.is_empty(), "{}: {:?}", schema, issues);
        }
    }
}
