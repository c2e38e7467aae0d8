//! The manual page of the template format, and the schema that is made from the same declarations.

use document::format::{template_schema, with_tables};
use document::{Bindings, Compiled, Input, Limits, write_html};
use domain::options::RenderOptions;
use serde_json::{Value, json};

use crate::{refusals, tree};

const PAGE: &str = include_str!("../../../../docs/template-format.md");

/// The examples as definitions, each with the data that stands last before it and the line it begins in.
fn examples() -> Vec<(usize, Value, Value)> {
    let (mut found, mut data) = (Vec::new(), json!({}));
    let mut at = 0;
    while let Some(begin) = PAGE[at..].find("```json ").map(|begin| at + begin) {
        let line = PAGE[..begin].lines().count() + 1;
        let (kind, rest) = PAGE[begin + "```json ".len()..].split_once('\n').unwrap();
        let (source, _) = rest.split_once("```").unwrap();
        let value: Value = serde_json::from_str(source).unwrap_or_else(|error| panic!("line {line}: {error}"));
        match kind {
            "data" => data = value,
            "node" => found.push((line, tree(json!([value])), data.clone())),
            "definition" => found.push((line, value, data.clone())),
            other => panic!("line {line}: an example is data, a node or a definition, not {other}"),
        }
        at = begin + "```json ".len() + kind.len() + source.len();
    }
    found
}

#[test]
fn every_example_of_the_manual_is_compiled_and_written_with_every_value_it_names() {
    let examples = examples();
    assert!(examples.len() > 25, "{} examples were found", examples.len());
    let fences = PAGE.lines().filter(|line| line.trim_start().starts_with("```") && line.trim() != "```").count();
    let data = PAGE.matches("\n```json data\n").count();
    assert_eq!(fences, examples.len() + data, "an example is marked as something that is not run");
    for (line, definition, data) in &examples {
        let compiled =
            Compiled::compile(definition, &Limits::default()).unwrap_or_else(|error| panic!("line {line}: {:#?}", error.issues()));
        let input = Input {
            data,
            fixed_data: None,
            options: &RenderOptions::default(),
            now: crate::NOW.parse().unwrap(),
            bindings: Bindings::Strict,
            cancelled: None,
            assets: None,
        };
        write_html(&compiled, &input, &Limits::default()).unwrap_or_else(|error| panic!("line {line}: {error}"));
    }
}

#[test]
fn the_manual_has_every_property_as_it_is_declared_and_an_example_of_every_node() {
    let made = with_tables(PAGE).unwrap();
    let changed: Vec<&str> = made.lines().filter(|line| !PAGE.lines().any(|other| other == *line)).collect();
    assert!(
        made == PAGE,
        "the tables of docs/template-format.md are not those of the declarations; write them anew with\n\
         cargo run -p document --example template_format <docs/template-format.md\n{}",
        changed.join("\n")
    );
    let schema = template_schema();
    for kind in schema["definitions"]["node"]["properties"]["type"]["enum"].as_array().unwrap() {
        let kind = kind.as_str().unwrap();
        let shown = PAGE.contains(&format!("\"type\": \"{kind}\""));
        assert!(shown || matches!(kind, "component" | "slot"), "there is no example of {kind}");
    }
}

#[test]
fn the_schema_accepts_every_example_and_every_template_that_comes_with_the_product() {
    let schema = jsonschema::validator_for(&template_schema()).unwrap();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");
    let mut definitions: Vec<(String, Value)> =
        examples().into_iter().map(|(line, definition, _)| (format!("line {line}"), definition)).collect();
    let folders = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    for path in folders.map(|path| path.join("template.json")) {
        let text = std::fs::read_to_string(&path).unwrap();
        definitions.push((path.display().to_string(), serde_json::from_str(&text).unwrap()));
    }
    for (name, definition) in definitions {
        let said: Vec<String> = schema.iter_errors(&definition).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(said.is_empty(), "{name}: {said:#?}");
    }
}

#[test]
fn a_misspelt_property_of_every_node_is_refused_by_the_schema_and_by_the_reader_with_the_name_meant() {
    let schema = template_schema();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for (line, definition, _) in examples() {
        let Some(node) = definition.pointer("/document/children/0").cloned() else { continue };
        let kind = node["type"].as_str().unwrap();
        let declared = schema["definitions"][kind]["properties"].as_object().unwrap();
        for name in declared.keys().filter(|name| name.len() > 4 && node.get(name.as_str()).is_some()) {
            let misspelt = format!("{name}x");
            let mut wrong = definition.clone();
            wrong["document"]["children"][0][&misspelt] = json!("1");
            let refused = refusals(&wrong);
            let wanted = format!("\"{misspelt}\" is no property of {kind}; did you mean \"{name}\"?");
            assert!(refused.iter().any(|refusal| refusal.contains(&wanted)), "line {line}: {wanted}\n{refused:#?}");
            assert!(!validator.is_valid(&wrong), "line {line}: the schema takes {misspelt}");
        }
    }
}
