//! The dry run's answer.

use document::{Bindings, DocumentError, Input, Limits, check};
use domain::options::RenderOptions;
use serde_json::{Value, json};

use crate::{compile, tree};

fn dry_run(definition: &Value, data: &Value) -> Value {
    let options = RenderOptions::default();
    let input = Input {
        data,
        fixed_data: None,
        options: &options,
        now: crate::NOW.parse().unwrap(),
        bindings: Bindings::Lenient,
        cancelled: None,
        assets: None,
    };
    serde_json::to_value(check(&compile(definition), &input, &Limits::default()).unwrap()).unwrap()
}

#[test]
fn every_wrong_expression_of_the_tree_is_listed_also_where_the_data_does_not_lead() {
    let mut definition = tree(json!([
        {"id": "s", "type": "section", "title": "Body", "children": [
            {"id": "a", "type": "text", "content": "{{eech x}}"},
            {"id": "c", "type": "conditional", "condition": "never", "children": [{"id": "b", "type": "text", "content": "\n{{lookp x y}} {{absent}}"}]},
        ]},
        {"id": "r", "type": "repeater", "items": "none", "children": [{"id": "d", "type": "heading", "content": "{{wit a b}}"}]},
        {"id": "t", "type": "table", "items": "rows", "columns": [{"header": "h", "value": "{{iff a b}}"}]},
    ]));
    definition["inputSchema"] = json!({"required": ["id"]});
    let answer = dry_run(&definition, &json!({"none": [], "rows": [{}, {}]}));
    assert_eq!((&answer["dryRun"], &answer["valid"], &answer["validation"]["valid"]), (&json!(true), &json!(false), &json!(false)));
    assert_eq!(answer["validation"]["errors"][0]["path"], "");
    let errors = answer["expressions"]["errors"].as_array().unwrap();
    let ids: Vec<&str> = errors.iter().map(|error| error["location"]["nodeId"].as_str().unwrap()).collect();
    assert_eq!(ids, ["a", "b", "d", "t"], "{errors:#?}");
    assert_eq!(
        errors[1]["location"],
        json!({"nodeId": "b", "nodeType": "text", "nodePath": "Section 'Body' > Conditional 1 > Text 1", "property": "content", "line": 2, "column": 3})
    );
    assert_eq!(errors[1]["suggestion"], json!({"variable": "lookp", "suggestions": ["lookup"]}));
    // A branch that is not taken has no bindings to miss.
    assert_eq!(answer["warnings"]["unresolvedBindings"], json!([]));
}

#[test]
fn missing_bindings_are_counted_by_node_and_place() {
    let definition = tree(json!([
        {"id": "r", "type": "repeater", "items": "people", "children": [{"id": "t", "type": "text", "content": "{{nam}} {{nick}}"}]},
        {"id": "e", "type": "repeater", "items": "nobody", "children": []},
    ]));
    let answer = dry_run(&definition, &json!({"people": [{"name": "a", "nick": null}, {"name": "b", "nick": "c"}]}));
    assert_eq!(answer["valid"], json!(true));
    let found = answer["warnings"]["unresolvedBindings"].as_array().unwrap();
    assert_eq!(found.len(), 3, "{found:#?}");
    let first = &found[0];
    assert_eq!(
        (
            &first["path"],
            &first["reason"],
            &first["severity"],
            &first["nodeId"],
            &first["occurrences"],
            &first["nodePath"],
            &first["column"]
        ),
        (&json!("nam"), &json!("missing"), &json!("warning"), &json!("t"), &json!(2), &json!("Repeater 1 > Text 1"), &json!(3))
    );
    assert_eq!(first["suggestions"][0], "name");
    assert_eq!((&found[1]["reason"], &found[1]["severity"], &found[1]["occurrences"]), (&json!("null"), &json!("info"), &json!(1)));
    assert_eq!((&found[2]["reason"], &found[2]["path"]), (&json!("missing_collection"), &json!("nobody")));
}

#[test]
fn an_html_template_is_located_as_html_or_css() {
    let answer = dry_run(&json!({"html": "<p>{{a b}}", "css": "\n{{c d}}"}), &json!({}));
    let places: Vec<_> = answer["expressions"]["errors"].as_array().unwrap().iter().map(|error| &error["location"]).collect();
    assert_eq!(places.len(), 2);
    assert_eq!((&places[0]["nodeId"], &places[0]["nodeType"], &places[0]["line"]), (&json!("css"), &json!("css"), &json!(2)));
    assert_eq!((&places[1]["nodeId"], &places[1]["column"]), (&json!("html"), &json!(6)));
}

#[test]
fn a_template_without_end_is_a_finding_and_not_a_failure() {
    let items: Vec<u32> = (0..1000).collect();
    let definition = json!({"html": "{{#each i}}{{#each @root.i}}{{#each @root.i}}{{#each @root.i}}{{/each}}{{/each}}{{/each}}{{/each}}"});
    let answer = dry_run(&definition, &json!({"i": items}));
    assert_eq!(answer["valid"], json!(false));
    assert!(answer["expressions"]["errors"][0]["message"].as_str().unwrap().contains("steps"), "{answer}");
}

#[test]
fn a_cancelled_check_is_stopped() {
    let flag = std::sync::atomic::AtomicBool::new(true);
    let (data, options) = (json!({}), RenderOptions::default());
    let input = Input {
        data: &data,
        fixed_data: None,
        options: &options,
        now: crate::NOW.parse().unwrap(),
        bindings: Bindings::Lenient,
        cancelled: Some(&flag),
        assets: None,
    };
    let compiled = compile(&json!({"html": "{{#each x}}{{/each}}x"}));
    assert!(matches!(check(&compiled, &input, &Limits::default()), Err(DocumentError::Stopped(_))));
}
