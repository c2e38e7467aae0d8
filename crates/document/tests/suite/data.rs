//! Mapping, schema check and sample data.

use document::{Bindings, DocumentError, Input, Limits, check, write_html};
use domain::options::RenderOptions;
use serde_json::{Value, json};

use crate::{body, compile, validate, write_with, written};

#[test]
fn data_that_does_not_fit_is_refused_with_exact_pointers_and_keywords() {
    let schema = |draft: Value| {
        json!({"$schema": draft, "type": "object", "required": ["id"], "properties": {
        "items": {"type": "array", "items": {"properties": {"price": {"type": "number", "minimum": 0}, "a/b": {"format": "date"}}}}}})
    };
    for draft in [Value::Null, json!("http://json-schema.org/draft-07/schema#"), json!("https://json-schema.org/draft/2020-12/schema")] {
        let mut schema = schema(draft);
        schema.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        let definition = json!({"html": "x", "inputSchema": schema});
        let data = json!({"items": [{"price": 1}, {"price": "x", "a/b": "31.1.2026"}, {"price": -1}]});
        let Err(DocumentError::Data(issues)) = write_with(&definition, &data, &json!({})) else { panic!("accepted") };
        let found: Vec<_> = issues.iter().map(|issue| (issue.path.as_str(), issue.code.unwrap())).collect();
        let mut sorted = found.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, [("", "required"), ("/items/1/a~1b", "format"), ("/items/1/price", "type"), ("/items/2/price", "minimum")]);
    }
}

#[test]
fn the_draft_decides_what_a_keyword_means() {
    let tuple = |draft: &str| {
        let schema = json!({"$schema": draft, "properties": {"t": {"prefixItems": [{"type": "string"}]}}});
        validate(&compile(&json!({"html": "x", "inputSchema": schema})), &json!({"t": [1]}), &Limits::default()).unwrap().len()
    };
    assert_eq!(tuple("https://json-schema.org/draft/2020-12/schema"), 1);
    assert_eq!(tuple("http://json-schema.org/draft-07/schema#"), 0);
}

#[test]
fn a_hundred_issues_are_listed_and_the_rest_counted() {
    let definition = json!({"html": "x", "inputSchema": {"properties": {"n": {"items": {"type": "string"}}}}});
    let issues = validate(&compile(&definition), &json!({"n": vec![1; 50_000]}), &Limits::default()).unwrap();
    assert_eq!(issues.len(), 101);
    assert!(issues[100].message.contains("more problems"), "{:?}", issues[100]);
}

#[test]
fn a_catastrophic_pattern_ends_soon() {
    let definition =
        json!({"html": "x", "inputSchema": {"properties": {"s": {"pattern": "^(a+)+$"}, "t": {"pattern": "^(?=(a+)+b)(a|aa)+$"}}}});
    let text = "a".repeat(5_000) + "!";
    let start = std::time::Instant::now();
    let issues = validate(&compile(&definition), &json!({"s": text, "t": text}), &Limits::default()).unwrap();
    assert_eq!(issues.len(), 2);
    assert!(issues.iter().all(|issue| issue.message.len() < 1000), "{issues:?}");
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
}

#[test]
fn mappings_shape_the_payload_before_it_is_checked() {
    let definition = json!({
        "html": "{{customer.name}}|{{customer.city}}|{{total}}|{{kept}}|{{first}}",
        "inputSchema": {"required": ["customer", "total"], "properties": {"customer": {"required": ["name", "city"]}}},
        "fieldMappings": [
            {"target": "customer.name", "source": "cust.nm"},
            {"to": "customer.city", "from": "cust.city", "default": "–"},
            {"target": "total", "expression": "lookup sums 'gross'"},
            {"target": "first", "source": "lines.0.sku"},
            {"target": "customer.nothing", "source": "absent"},
        ],
    });
    let data = json!({"cust": {"nm": "Ada", "city": null}, "sums": {"gross": 12.5}, "kept": true, "lines": [{"sku": "B-1"}]});
    assert_eq!(body(&definition, &data), "Ada|–|12.5|true|B-1");
    assert_eq!(written(&definition, &data).mappings_applied, 4);
    let Err(DocumentError::Data(issues)) = write_with(&definition, &json!({"cust": {}}), &json!({})) else { panic!("accepted") };
    assert_eq!(issues.iter().map(|issue| issue.path.as_str()).collect::<Vec<_>>(), ["", "/customer"]);
}

#[test]
fn fixed_data_wins_over_what_the_mappings_copy_and_before_the_check() {
    let definition = json!({
        "html": "{{customer.name}}|{{customer.city}}|{{total}}",
        "inputSchema": {"type": "object", "required": ["total"], "properties": {"total": {"type": "number"}, "customer": {"properties": {"name": {"const": "Ann"}}}}},
        "fieldMappings": [{"target": "customer", "source": "client"}, {"target": "customer.name", "source": "nick"}],
    });
    let fixed = json!({"customer": {"name": "Ann"}, "total": 7});
    let (compiled, options, limits) = (compile(&definition), RenderOptions::default(), Limits::default());
    for (data, expected) in [
        (json!({"customer": {"name": "Ann"}, "client": {"name": "Eve", "city": "Ulm"}, "nick": "E"}), "Ann|Ulm|7"),
        (json!({"client": "Eve", "total": "much"}), "Ann||7"),
        (json!({}), "Ann||7"),
        (json!(["no object"]), "Ann||7"),
    ] {
        let now = crate::NOW.parse().unwrap();
        let input = Input {
            data: &data,
            fixed_data: fixed.as_object(),
            options: &options,
            now,
            bindings: Bindings::Lenient,
            cancelled: None,
            assets: None,
        };
        let html = write_html(&compiled, &input, &limits).unwrap_or_else(|error| panic!("{data}: {error}")).html;
        assert!(html.contains(expected), "{data} gave {html}");
        assert!(check(&compiled, &input, &limits).unwrap().valid, "the dry run of {data}");
        let free = Input { fixed_data: None, ..input };
        assert!(!check(&compiled, &free, &limits).unwrap().valid, "without fixed data, {data} does not fit");
    }
}

#[test]
fn generated_sample_data_fits_its_schema_and_is_the_same_every_time() {
    let schema = json!({
        "type": "object", "required": ["id", "lines", "when"],
        "properties": {
            "id": {"type": "string", "minLength": 12}, "when": {"type": "string", "format": "date"}, "mail": {"format": "email"},
            "state": {"enum": ["open", "paid"]}, "note": {"type": ["null", "string"], "default": "hello"}, "rate": {"type": "number", "maximum": 1},
            "count": {"type": "integer", "minimum": 10, "multipleOf": 4}, "u": {"type": "string", "format": "uuid"},
            "lines": {"type": "array", "minItems": 3, "items": {"$ref": "#/definitions/line"}},
            "tree": {"$ref": "#/definitions/node"},
        },
        "definitions": {
            "line": {"type": "object", "required": ["sku"], "properties": {"sku": {"type": "string", "examples": ["B-1"]}}},
            "node": {"type": "object", "properties": {"child": {"$ref": "#/definitions/node"}, "loop": {"$ref": "#/definitions/loop"}}},
            "loop": {"$ref": "#/definitions/loop"},
        },
    });
    let compiled = compile(&json!({"html": "x", "inputSchema": schema}));
    let sample = compiled.sample_data();
    assert_eq!(sample, compiled.sample_data());
    assert_eq!((&sample["state"], &sample["note"], &sample["lines"][2]["sku"]), (&json!("open"), &json!("hello"), &json!("B-1")));
    // The endless tree is cut off with a null, which alone does not fit.
    let mut fitting = sample.clone();
    fitting.as_object_mut().unwrap().remove("tree");
    assert_eq!(validate(&compiled, &fitting, &Limits::default()).unwrap(), []);
    let stored = compile(&json!({"html": "x", "inputSchema": {}, "sampleData": {"mine": 1}}));
    assert_eq!(stored.sample_data(), json!({"mine": 1}));
}

#[test]
fn a_schema_that_doubles_its_work_at_every_level_ends_at_a_stated_number_of_steps() {
    let below = |level: usize| json!({"$ref": format!("#/definitions/a{}", level - 1)});
    let doubles: [fn(Value) -> Value; 4] = [
        |below| json!({"anyOf": [below, below]}),
        |below| json!({"patternProperties": {"x": below, "^x": below}}),
        |below| json!({"allOf": [{"not": below}, {"not": below}]}),
        |below| json!({"anyOf": [{"properties": {"x": below}, "type": "object"}, {"properties": {"x": below}, "required": ["y"]}]}),
    ];
    let mut deep = json!(1);
    for _ in 0..60 {
        deep = json!({"x": deep});
    }
    let mut refused = 0;
    for draft in ["http://json-schema.org/draft-07/schema#", "https://json-schema.org/draft/2020-12/schema"] {
        for double in doubles {
            let mut definitions = json!({"a0": {"type": "string"}});
            for level in 1..60 {
                definitions[format!("a{level}")] = double(below(level));
            }
            let schema = json!({"$schema": draft, "definitions": definitions, "properties": {"x": below(60)}});
            let compiled = compile(&json!({"html": "x", "inputSchema": schema}));
            let limits = Limits { schema_steps: 20_000, ..Limits::default() };
            let start = std::time::Instant::now();
            // Some of these are decided early; none may take long.
            if let Err(error) = validate(&compiled, &deep, &limits) {
                refused += 1;
                assert_eq!(error.to_string(), "the document's check against inputSchema (steps) passed the limit of 20000");
            }
            assert!(start.elapsed().as_secs() < 5, "{:?} for {schema}", start.elapsed());
            assert_eq!(validate(&compiled, &json!({}), &limits).unwrap(), []);
        }
    }
    assert!(refused >= 4, "{refused}");
}

#[test]
fn a_million_errors_are_not_gathered() {
    let compiled = compile(&json!({"html": "x", "inputSchema": {"properties": {"n": {"items": {"type": "string"}}}}}));
    let issues = validate(&compiled, &json!({"n": vec![1; 1_000_000]}), &Limits::default()).unwrap();
    assert_eq!((issues.len(), issues[0].path.as_str()), (2, "/n/0"));
    assert!(issues[1].message.contains("too large to list"), "{issues:?}");
}

#[test]
fn counting_does_not_change_what_a_schema_means() {
    let schema = json!({
        "properties": {"type": {"type": "string"}, "properties": {"const": {"a": 1}}, "x": {"enum": [{"b": 2}]}},
        "patternProperties": {"^p[0-9]": {"type": "number"}}, "dependencies": {"x": ["type"], "type": {"required": ["p1"]}},
        "additionalProperties": false, "items": [{"type": "string"}, true],
    });
    let compiled = compile(&json!({"html": "x", "inputSchema": schema}));
    let count = |data: Value| validate(&compiled, &data, &Limits::default()).unwrap().len();
    assert_eq!(count(json!({"type": "t", "properties": {"a": 1}, "x": {"b": 2}, "p1": 3})), 0);
    assert_eq!(count(json!({"type": 1, "properties": {"a": 2}, "x": {"b": 3}, "p1": "n", "other": 1})), 5);
    assert_eq!(count(json!({"x": {"b": 2}})), 1);
    assert_eq!(count(json!({"type": "t"})), 1);
    assert_eq!(compiled.input_schema(), Some(&schema));
}

#[test]
fn what_the_data_leaves_out_has_the_default_of_its_schema_wherever_it_is_looked_at() {
    let definition = json!({"html": "{{currency}} {{shop.name}}{{#each lines}} {{quantity}}x{{name}}{{/each}} {{note}}",
    "fieldMappings": [{"target": "shop.town", "source": "town"}],
    "inputSchema": {
        "required": ["currency", "shop"],
        "properties": {
            "currency": {"type": "string", "default": "EUR"},
            "shop": {"$ref": "#/definitions/shop"},
            "lines": {"items": {"allOf": [{"required": ["quantity"], "properties": {"quantity": {"type": "integer", "default": 1}}}]}},
            "note": {"default": "none"}
        },
        "definitions": {"shop": {"default": {}, "required": ["name"], "properties": {"name": {"default": "Corner & Sons"}}}}
    }});
    let compiled = compile(&definition);
    for data in [
        json!({"lines": [{"name": "Ink"}, {"name": "Pen", "quantity": 2}], "note": null}),
        json!({"note": "kept", "currency": "CHF", "lines": []}),
    ] {
        assert_eq!(validate(&compiled, &data, &Limits::default()).unwrap(), []);
        let written = crate::body(&definition, &data);
        let expected = if data["note"] == "kept" { "CHF Corner &amp; Sons kept" } else { "EUR Corner &amp; Sons 1xInk 2xPen " };
        assert_eq!(written, expected, "{data}");
    }
    let wrong = validate(&compiled, &json!({"lines": [{"quantity": "two"}]}), &Limits::default()).unwrap();
    assert_eq!(wrong.iter().map(|issue| issue.path.as_str()).collect::<Vec<_>>(), ["/lines/0/quantity"]);
}

#[test]
fn defaults_that_bring_ever_more_defaults_end_at_a_limit() {
    let inner = json!({"$ref": "#", "default": {}});
    let definition = json!({"html": "x", "inputSchema": {"properties": {"a": inner, "b": inner, "c": inner}}});
    let error = crate::write_with(&definition, &json!({}), &json!({})).unwrap_err();
    assert!(matches!(error.code().as_str(), "render_input_too_large" | "template_budget_exceeded"), "{error}");
}
