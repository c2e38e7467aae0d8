//! Whether a new schema refuses what the old one accepted.

use std::cell::Cell;

use document::Limits;
use document::compatibility::{Compatibility, Impact, compare};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};

use crate::{compile, validate};

#[expect(clippy::needless_pass_by_value, reason = "every caller makes the values on the spot")]
fn compared(base: Value, candidate: Value) -> Compatibility {
    compare(Some(&base), Some(&candidate))
}

/// Every change as `path rule`, the cautions in brackets.
fn changes(base: Value, candidate: Value) -> Vec<String> {
    let found = compared(base, candidate);
    let said = |impact, text: String| if impact == Impact::Caution { format!("({text})") } else { text };
    found.changes.into_iter().map(|change| said(change.impact, format!("{} {}", change.path, change.rule))).collect()
}

#[expect(clippy::needless_pass_by_value, reason = "every caller makes the values on the spot")]
fn object(properties: Value, required: Value) -> Value {
    json!({"type": "object", "properties": properties, "required": required})
}

#[test]
fn each_way_to_ask_for_more_is_named_with_its_place() {
    let base = || {
        object(json!({"n": {"type": "number", "minimum": 1}, "s": {"type": ["string", "null"]}, "e": {"enum": ["a", "b"]}}), json!(["n"]))
    };
    let with = |properties: Value, required: Value| changes(base(), object(properties, required));
    let same = json!({"n": {"type": "number", "minimum": 1}, "s": {"type": ["string", "null"]}, "e": {"enum": ["a", "b"]}});
    let but = |name: &str, schema: Value| {
        let mut properties = same.clone();
        properties[name] = schema;
        properties
    };
    assert_eq!(with(same.clone(), json!(["n"])), [""; 0]);
    assert_eq!(with(same.clone(), json!(["n", "s"])), ["/s required"]);
    assert_eq!(with(but("n", json!({"type": "integer", "minimum": 1})), json!([])), ["/n type"]);
    assert_eq!(with(but("n", json!({"type": "number", "minimum": 2})), json!([])), ["/n minimum"]);
    assert_eq!(with(but("s", json!({"type": "string"})), json!([])), ["/s type"]);
    assert_eq!(with(but("s", json!({"type": ["string", "null"], "pattern": "^x"})), json!([])), ["/s pattern"]);
    assert_eq!(with(but("s", json!({"type": ["string", "null"], "format": "date"})), json!([])), ["/s format"]);
    assert_eq!(with(but("e", json!({"enum": ["a"]})), json!([])), ["/e enum"]);
    assert_eq!(with(but("new", json!({"type": "string"})), json!([])), ["(/new properties)"]);
    let mut closed = base();
    closed["additionalProperties"] = json!(false);
    assert_eq!(changes(base(), closed.clone()), ["/* additionalProperties"]);
    closed["properties"].as_object_mut().unwrap().remove("s");
    assert_eq!(changes(base(), closed), ["/s additionalProperties", "/* additionalProperties"]);
}

#[test]
fn what_asks_for_less_or_the_same_in_other_words_is_compatible() {
    let pairs = [
        (json!({"type": "integer"}), json!({"type": "number"})),
        (json!({"type": "string"}), json!({"anyOf": [{"type": "string"}, {"type": "null"}]})),
        (json!({"type": ["string", "null"]}), json!({"anyOf": [{"type": "string"}, {"type": "null"}]})),
        (json!({"anyOf": [{"type": "string"}, {"type": "null"}]}), json!({"type": ["string", "null"]})),
        (json!({"type": ["string", "null"]}), json!({"oneOf": [{"type": "string"}, {"type": "null"}]})),
        (json!({"const": 3}), json!({"type": "integer", "minimum": 1, "maximum": 3})),
        (json!({"exclusiveMinimum": 2}), json!({"minimum": 2})),
        (json!({"type": "boolean"}), json!({"enum": [true, false, null]})),
        (json!({"allOf": [{"type": "string"}, {"maxLength": 3}]}), json!({"type": "string", "maxLength": 4})),
        (json!({"items": {"type": "integer"}}), json!({"items": {"type": "number"}})),
        (object(json!({"a": {"type": "string"}}), json!(["a"])), object(json!({}), json!([]))),
        (object(json!({"a": {"$ref": "#/definitions/x"}}), json!([])), object(json!({"a": {"type": "string"}}), json!([]))),
        (
            json!({"patternProperties": {"^x": {"type": "integer"}}, "additionalProperties": false}),
            json!({"patternProperties": {"^x": {"type": "number"}}, "additionalProperties": false}),
        ),
        (
            json!({"if": {"type": "string"}, "then": {"maxLength": 2}}),
            json!({"description": "x", "if": {"type": "string"}, "then": {"maxLength": 2}}),
        ),
        (
            json!({"oneOf": [{"type": "object", "required": ["k"], "properties": {"k": {"const": "a"}}}]}),
            json!({"oneOf": [
                {"type": "object", "required": ["k"], "properties": {"k": {"const": "a"}}},
                {"type": "object", "required": ["k"], "properties": {"k": {"const": "b"}, "x": {"type": "string"}}}]}),
        ),
    ];
    for (mut base, candidate) in pairs {
        base["definitions"] = json!({"x": {"type": "string"}});
        let found = compared(base.clone(), candidate.clone());
        assert_eq!(found, compare(None, None), "{base} / {candidate}");
    }
}

#[test]
fn a_schema_that_refers_to_itself_is_compared_to_its_end() {
    let tree = |value: Value| {
        json!({"$ref": "#/definitions/node", "definitions": {"node": {"type": "object", "properties": {
        "value": value, "next": {"$ref": "#/definitions/node"}, "children": {"type": "array", "items": {"$ref": "#/definitions/node"}}}}}})
    };
    assert_eq!(changes(tree(json!({"type": "integer"})), tree(json!({"type": "number"}))), [""; 0]);
    assert_eq!(changes(tree(json!({"type": "number"})), tree(json!({"type": "integer"}))), ["/value type"]);
}

#[test]
fn what_cannot_be_decided_is_breaking_and_said_so() {
    let pairs = [
        (json!({"not": {"type": "string"}}), json!({"not": {"type": "null"}}), "not"),
        (json!({}), json!({"$ref": "other.json"}), "unknown"),
        (json!({}), json!({"$ref": "#/definitions/a", "definitions": {"a": {"allOf": [{"$ref": "#/definitions/a"}]}}}), "unknown"),
        (
            json!({"$schema": "http://json-schema.org/draft-07/schema#"}),
            json!({"$schema": "https://json-schema.org/draft/2020-12/schema"}),
            "unknown",
        ),
        (json!({"type": "object"}), json!({"type": "object", "unevaluatedProperties": false}), "unknown"),
        (json!({"oneOf": [{"minimum": 1}, {"maximum": 0}]}), json!({"oneOf": [{"minimum": 1}, {"maximum": 1}]}), "oneOf"),
    ];
    for (base, candidate, rule) in pairs {
        let found = compared(base, candidate);
        assert!(!found.compatible && found.changes.iter().any(|change| change.rule == rule), "{found:?}");
    }
}

#[test]
fn schemas_that_multiply_themselves_are_given_up_on_and_not_followed_for_ever() {
    let doubling = |last: Value| {
        let mut definitions = Map::new();
        for at in 0..60 {
            let next = json!({"$ref": format!("#/definitions/a{}", at + 1)});
            definitions
                .insert(format!("a{at}"), json!({"allOf": [next, next], "properties": {"x": next, "y": next}, "anyOf": [next, next]}));
        }
        definitions.insert("a60".into(), last);
        json!({"$ref": "#/definitions/a0", "definitions": definitions})
    };
    let started = std::time::Instant::now();
    let found = compared(doubling(json!({"type": "string"})), doubling(json!({"type": "string", "minLength": 1})));
    assert!(!found.compatible && found.changes.len() <= 100);
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

#[test]
fn changed_field_mappings_are_pointed_at() {
    let of = |mappings: Value| compile(&json!({"html": "x", "fieldMappings": mappings}));
    let (one, other) = (of(json!([])), of(json!([{"target": "a", "source": "b"}])));
    let found = document::compatibility::compare_versions(&one, &other);
    assert!(found.compatible && found.changes[0].rule == "fieldMappings", "{found:?}");
    assert_eq!(document::compatibility::compare_versions(&other, &other).changes, []);
}

/// Schemas over the names and values of [`value`], so that they take and refuse about as often.
fn schema() -> impl Strategy<Value = Value> {
    let bound = || -2_i32..4;
    let leaf = prop_oneof![
        Just(json!(true)),
        Just(json!({})),
        prop::sample::select(vec!["string", "integer", "number", "null", "boolean", "object", "array"])
            .prop_map(|kind| json!({"type": kind})),
        prop::sample::subsequence(vec!["string", "integer", "number", "null", "boolean", "object", "array"], 1..5)
            .prop_map(|kinds| json!({"type": kinds})),
        (bound(), bound()).prop_map(|(least, most)| json!({"minimum": least, "exclusiveMaximum": most})),
        (bound(), 1..3_i32).prop_map(|(most, step)| json!({"maximum": most, "multipleOf": step})),
        (0..3_u32, 0..4_u32).prop_map(|(least, most)| json!({"minLength": least, "maxLength": most})),
        Just(json!({"pattern": "^a"})),
        Just(json!({"format": "date"})),
        prop::collection::vec(small(), 1..4).prop_map(|values| json!({"enum": values})),
        small().prop_map(|value| json!({"const": value})),
        Just(json!({"$ref": "#/definitions/d"})),
        Just(json!(false)),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let named = |inner: BoxedStrategy<Value>| {
            prop::collection::vec(("[abc]", inner), 0..3).prop_map(|members| Value::Object(members.into_iter().collect()))
        };
        let required = || prop::sample::subsequence(vec!["a", "b", "c"], 0..3);
        let inner = inner.boxed();
        prop_oneof![
            4 => (named(inner.clone()), required()).prop_map(|(own, names)| json!({"type": "object", "properties": own, "required": names})),
            1 => (named(inner.clone()), inner.clone()).prop_map(|(own, rest)| json!({"properties": own, "additionalProperties": rest})),
            1 => (inner.clone(), inner.clone()).prop_map(|(own, rest)| json!({"patternProperties": {"^a": own}, "additionalProperties": rest})),
            1 => inner.clone().prop_map(|names| json!({"propertyNames": names})),
            2 => (inner.clone(), 0..3_u32).prop_map(|(items, most)| json!({"items": items, "maxItems": most + 1})),
            1 => (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(one, two, rest)| json!({"type": "array", "items": [one, two], "additionalItems": rest, "uniqueItems": true})),
            1 => (prop::sample::select(vec!["allOf", "anyOf", "oneOf"]), prop::collection::vec(inner.clone(), 1..4))
                .prop_map(|(keyword, branches)| json!({keyword: branches})),
            1 => inner.clone().prop_map(|inner| json!({"not": inner})),
            1 => (inner.clone(), inner.clone()).prop_map(|(test, then)| json!({"if": test, "then": then})),
            1 => inner.clone().prop_map(|inner| json!({"dependencies": {"a": ["b"], "c": inner}})),
            1 => inner.prop_map(|inner| json!({"contains": inner})),
        ]
    })
}

fn small() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i32..5).prop_map(Value::from),
        prop::sample::select(vec![0.5, 1.0, 2.5]).prop_map(Value::from),
        prop::sample::select(vec!["", "a", "ab", "b", "2026-01-31", "abcd"]).prop_map(Value::from),
        Just(json!([])),
        Just(json!({})),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    small().prop_recursive(3, 16, 3, |inner| {
        prop_oneof![
            2 => prop::collection::vec(("[abcd]", inner.clone()), 0..4).prop_map(|members| Value::Object(members.into_iter().collect())),
            1 => prop::collection::vec(inner, 0..4).prop_map(Value::from),
        ]
    })
}

/// What an author does to a schema between two versions.
fn edited(schema: Value) -> impl Strategy<Value = Value> {
    let places = places(&schema, &mut Vec::new());
    (prop::sample::select(places), 0..9_u8, self::schema()).prop_map(move |(at, what, other)| {
        let mut edited = schema.clone();
        let pointer: String = at.iter().fold(String::new(), |pointer, name| pointer + "/" + name);
        let place = edited.pointer_mut(&pointer).unwrap();
        let old = place.clone();
        match what {
            0 => *place = json!({"anyOf": [old, other]}),
            1 => *place = json!({"allOf": [old, other]}),
            2 => *place = json!({"oneOf": [old, other]}),
            3 => *place = other,
            4 => *place = json!({"allOf": [old]}),
            what => {
                let Some(members) = place.as_object_mut() else { return edited };
                match (what, other) {
                    (5, Value::Object(others)) => members.extend(others),
                    (6, _) => {
                        let first = members.keys().next().cloned().unwrap_or_default();
                        members.remove(&first);
                    }
                    (7, other) => {
                        let own = members.entry("properties").or_insert_with(|| json!({}));
                        own["d"] = other;
                    }
                    (8, _) => drop(members.remove("required")),
                    _ => {}
                }
            }
        }
        edited
    })
}

/// Where schemas stand in a schema, the whole of it first.
fn places(schema: &Value, at: &mut Vec<String>) -> Vec<Vec<String>> {
    let mut found = vec![at.clone()];
    for (keyword, argument) in schema.as_object().into_iter().flatten() {
        at.push(keyword.clone());
        match (keyword.as_str(), argument) {
            ("additionalProperties" | "not" | "contains" | "propertyNames" | "additionalItems", _) | ("items", Value::Object(_)) => {
                found.extend(places(argument, at));
            }
            ("properties" | "patternProperties", Value::Object(named)) => {
                for (name, schema) in named {
                    at.push(name.clone());
                    found.extend(places(schema, at));
                    at.pop();
                }
            }
            ("allOf" | "anyOf" | "oneOf" | "items", Value::Array(list)) => {
                for (index, schema) in list.iter().enumerate() {
                    at.push(index.to_string());
                    found.extend(places(schema, at));
                    at.pop();
                }
            }
            _ => {}
        }
        at.pop();
    }
    found
}

fn whole(schema: Value, definition: &Value) -> Value {
    let mut whole = if schema.is_object() { schema } else { json!({"allOf": [schema]}) };
    if whole.get("$ref").is_some() {
        whole = json!({"allOf": [whole]});
    }
    whole["definitions"] = json!({"d": definition});
    whole
}

/// Takes out what no schema at its place declares.
fn only_declared(value: &mut Value, schema: &Value) {
    let declared = schema.get("properties");
    if let Some(object) = value.as_object_mut() {
        object.retain(|name, _| declared.is_some_and(|declared| declared.get(name).is_some()));
    }
    for (name, own) in value.as_object_mut().into_iter().flatten() {
        only_declared(own, &declared.unwrap()[name]);
    }
    for item in value.as_array_mut().into_iter().flatten() {
        only_declared(item, schema.get("items").unwrap_or(&Value::Null));
    }
}

/// Whether [`only_declared`] sees everything that a schema says of properties.
fn is_plain(schema: &Value) -> bool {
    let plain = ["type", "properties", "required", "items", "enum", "const", "minimum", "maximum", "maxItems", "minLength", "definitions"];
    schema.as_object().is_none_or(|members| members.keys().all(|keyword| plain.contains(&keyword.as_str())))
        && places(schema, &mut Vec::new()).into_iter().skip(1).all(|at| {
            let place = schema.pointer(&at.iter().fold(String::new(), |pointer, name| pointer + "/" + name)).unwrap();
            !place.get("$ref").is_some_and(Value::is_string) && is_plain(place)
        })
}

#[test]
fn what_is_called_compatible_refuses_nothing_that_was_accepted() {
    let definition =
        || prop::sample::select(vec![json!({"type": "string"}), json!({"type": "object", "properties": {"a": {"type": "integer"}}})]);
    let pair = (schema(), definition()).prop_flat_map(|(base, definition)| {
        let other =
            prop_oneof![1 => schema().boxed(), 5 => edited(base.clone()).boxed(), 2 => edited(base.clone()).prop_flat_map(edited).boxed()];
        (Just(base), other, Just(definition))
    });
    let cases = (pair, prop::collection::vec(value(), 12));
    let [sure, careful, taken] = [const { Cell::new(0) }; 3];
    let count = |cell: &Cell<i32>| cell.set(cell.get() + 1);
    let config = Config { cases: 3_000, max_shrink_time: 20_000, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&cases, |((base, candidate, definition), values)| {
        let (base, candidate) = (whole(base, &definition), whole(candidate, &definition));
        let found = compare(Some(&base), Some(&candidate));
        let is_sure = found.changes.is_empty();
        if base == candidate || !found.compatible || !(is_sure || is_plain(&base)) {
            return Ok(());
        }
        count(if is_sure { &sure } else { &careful });
        let of = |schema: &Value| compile(&json!({"html": "x", "inputSchema": schema}));
        let (before, after) = (of(&base), of(&candidate));
        let fits = |compiled, value: &Value| validate(compiled, value, &Limits::default()).unwrap().is_empty();
        for mut value in values {
            if !is_sure {
                only_declared(&mut value, &base);
            }
            if fits(&before, &value) {
                count(&taken);
                prop_assert!(fits(&after, &value), "{} fits {} and not {}; found: {:?}", value, base, candidate, found);
            }
        }
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    let [sure, careful, taken] = [sure, careful, taken].map(|cell| cell.get());
    assert!(
        sure > 300 && careful > 20 && taken > 2_000,
        "the cases show too little: {sure} sure, {careful} with cautions, {taken} values taken"
    );
}
