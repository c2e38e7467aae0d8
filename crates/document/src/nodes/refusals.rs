//! Every property of every node refuses what it does not take, and says in which node, which property and what it takes.

use serde_json::{Map, Value, json};

use super::{KINDS, NODE};
use crate::limits::Limits;
use crate::shapes::{Preset, Property, Shape, Takes};
use crate::{Compiled, DocumentError};

/// A node of each kind with an object at every place that takes one, so that those are gone through too.
fn sample(kind: &str) -> Value {
    let style = json!({"bold": true});
    let mut node = match kind {
        "section" | "container" | "slot" | "divider" | "pageBreak" | "tableOfContents" | "signatureField" => json!({}),
        "heading" | "text" | "html" | "richText" => json!({"content": "x"}),
        "table" => json!({"items": "rows", "columns": [{"field": "a"}]}),
        "image" => json!({"src": "{{picture}}"}),
        "columns" => json!({"columns": [{"children": []}]}),
        "conditional" => json!({"condition": {"path": "a", "operator": "equals", "value": 1}}),
        "repeater" => json!({"items": "rows"}),
        "spacer" => json!({"height": "4mm"}),
        "list" => json!({"entries": [{"content": "x"}]}),
        "chart" => json!({"items": "rows", "series": [{"value": "a"}]}),
        "pivotTable" => json!({"items": "rows", "rowBy": "a", "columnBy": "b"}),
        "barcode" => json!({"value": "x"}),
        "component" => json!({"component": "signature"}),
        other => panic!("{other} is a new kind of node: enter a sample of it"),
    };
    let members = node.as_object_mut().unwrap();
    members.insert("type".into(), kind.into());
    members.insert("id".into(), "n".into());
    members.insert("style".into(), style);
    node
}

/// Where the sample stands.
const NODE_AT: &str = "/document/children/1";

fn compile(node: &Value) -> Result<Compiled, DocumentError> {
    // Slots are for layouts, which have one of their own.
    let kind = if node["type"] == "slot" { "layout" } else { "document" };
    let mut node = node.clone();
    if kind == "layout" && node.get("name").is_none() {
        node["name"] = json!("aside");
    }
    let mut children = vec![json!({"id": "before", "type": "text", "content": "x"}), node];
    if kind == "layout" {
        children.push(json!({"id": "main", "type": "slot"}));
    }
    Compiled::compile(&json!({"kind": kind, "document": {"id": "root", "type": "document", "children": children}}), &Limits::default())
}

/// One object that a shape describes: where it stands in the node.
struct Place {
    shape: &'static Shape,
    /// Below the node; empty for the node itself.
    pointer: String,
}

/// The objects of a sample, from the outside in.
fn places(shape: &'static Shape, sample: &Value, pointer: String, found: &mut Vec<Place>) {
    for property in shape.all().filter(|property| property.default != Preset::Internal) {
        let list = property.form(|takes| if let Takes::List(inner) = takes { Some((*inner, "/0")) } else { None });
        let object = property.form(|takes| if let Takes::Object(inner) = takes { Some((*inner, "")) } else { None });
        for (inner, below) in list.into_iter().chain(object) {
            let at = format!("{pointer}/{}{below}", property.name);
            assert!(sample.pointer(&at).is_some_and(Value::is_object), "the sample of {} needs {} at {at}", shape.what, inner.what);
            places(inner, sample, at, found);
        }
    }
    found.push(Place { shape, pointer });
}

/// What a property of this form refuses; empty where it takes any value.
fn wrong(takes: &Takes) -> Vec<Value> {
    let outside = |least: f64, most: f64| vec![json!("x"), json!(most + 1.0), json!(least - 1.0), json!([])];
    #[expect(clippy::cast_precision_loss, reason = "bounds of properties are small")]
    match takes {
        Takes::Text => vec![json!({}), json!([]), json!("{{#if")],
        Takes::Plain => vec![json!({}), json!(5), json!(true)],
        Takes::Expression => vec![json!({"none": 1}), json!(5), json!("(("), json!([])],
        Takes::Flag => vec![json!("yes"), json!(1), json!([])],
        Takes::Length => vec![json!("wide"), json!(-1), json!({}), json!([])],
        Takes::Color => vec![json!("no colour"), json!(5), json!("red;x")],
        Takes::Number(least, most) => outside(*least, *most),
        Takes::Whole(least, most) => [outside(*least as f64, *most as f64), vec![json!(1.5)]].concat(),
        Takes::Words(_) => vec![json!("nonsense"), json!(5), json!([])],
        Takes::Nodes => vec![json!({}), json!(5), json!("x")],
        Takes::List(_) => vec![json!({}), json!(5), json!("x"), json!([5])],
        Takes::Object(_) => vec![json!(5), json!([]), json!("((")],
        Takes::Either(forms) => {
            let mut left = wrong(&forms[0]);
            left.extend([json!(5), json!([]), json!({})]);
            left.retain(|value| forms.iter().all(|form| wrong(form).contains(value)));
            left
        }
        Takes::Other(_, schema) => {
            let schema: Value = serde_json::from_str(schema).unwrap();
            let named = |kind: &str| schema["type"] == kind || schema["type"].as_array().is_some_and(|kinds| kinds.contains(&json!(kind)));
            let values = [("string", json!("((")), ("number", json!(5)), ("object", json!({})), ("array", json!([]))];
            values.into_iter().filter(|(kind, _)| schema["type"] != Value::Null && !named(kind)).map(|(_, value)| value).collect()
        }
    }
}

/// Says what is wrong with the refusal of what the change makes of the sample: it has to be told in that node, at that place,
/// and with these words.
fn flaw(place: &Place, sample: &Value, words: &[&str], change: impl FnOnce(&mut Map<String, Value>)) -> Option<String> {
    let kind = sample["type"].as_str().unwrap();
    let mut node = sample.clone();
    change(node.pointer_mut(&place.pointer).unwrap().as_object_mut().unwrap());
    let Err(error) = compile(&node) else { return Some("it is accepted".into()) };
    let at = format!("{NODE_AT}{}", place.pointer);
    let fits = |issue: &&domain::Issue| issue.path.starts_with(&at) && words.iter().all(|word| issue.message.contains(word));
    let issues = error.issues();
    let Some(issue) = issues.iter().find(fits) else { return Some(format!("no refusal at {at} with {words:?} in {issues:#?}")) };
    let Some(about) = &issue.node else { return Some(format!("no node is named in {issue:?}")) };
    // What is wrong with the id or the type itself cannot be told by them.
    let is = |found: &Option<String>, name: &str, value: &str| {
        found.as_deref() == node[name].as_str() && (node[name] == value || words[0] == name)
    };
    let is_named = is(&about.node_id, "id", "n") && (is(&about.node_type, "type", kind));
    (!is_named || !issue.message.starts_with(&*about.node_path)).then(|| format!("another node is named in {issue:?}"))
}

fn without(members: &mut Map<String, Value>, property: &Property) {
    for name in property.aliases.iter().chain([&property.name]) {
        members.shift_remove(*name);
    }
}

/// Every refusal of one object, each said as what was tried; the second list is of those that are not as they should be.
fn refusals_of(place: &Place, sample: &Value, tried: &mut Vec<String>, flaws: &mut Vec<String>) {
    let what = place.shape.what;
    let mut assert_refused = |tale: String, words: &[&str], change: &dyn Fn(&mut Map<String, Value>)| {
        flaws.extend(flaw(place, sample, words, change).map(|flaw| format!("{} {what} {tale}: {flaw}", sample["type"])));
        tried.push(tale);
    };
    for property in place.shape.all().filter(|property| property.default != Preset::Internal) {
        for name in property.aliases.iter().chain([&property.name]) {
            for value in wrong(&property.takes) {
                assert_refused(format!("with \"{name}\" as {value}"), &[name], &|members| {
                    without(members, property);
                    members.insert((*name).to_owned(), value.clone());
                });
            }
        }
        if property.default == Preset::Required {
            assert_refused(format!("without \"{}\"", property.name), &[property.name, "accepted: "], &|members| without(members, property));
        }
        let misspelt = format!("{}x", property.name);
        assert_refused(format!("with \"{misspelt}\""), &[&misspelt, "did you mean \"", "accepted: "], &|members| {
            members.insert(misspelt.clone(), json!("x"));
        });
    }
}

#[test]
fn no_property_of_any_node_is_without_a_refusal_that_names_node_property_and_what_is_accepted() {
    let (mut tried, mut flaws) = (Vec::new(), Vec::new());
    for (shape, _) in &KINDS {
        let sample = sample(shape.what);
        match compile(&sample) {
            Err(error) if shape.what == "component" => assert_eq!(error.issues().len(), 1, "{error}"),
            outcome => drop(outcome.unwrap_or_else(|error| panic!("{}: {:#?}", shape.what, error.issues()))),
        }
        let mut found = Vec::new();
        places(shape, &sample, String::new(), &mut found);
        for place in &found {
            refusals_of(place, &sample, &mut tried, &mut flaws);
        }
    }
    assert!(flaws.is_empty(), "{} of {} refusals:\n{}", flaws.len(), tried.len(), flaws.join("\n"));
    let properties: usize = KINDS.iter().map(|(shape, _)| shape.properties.len() + NODE.len()).sum();
    assert!(tried.len() > 4 * properties, "{} refusals of {properties} properties", tried.len());
}

#[test]
fn a_node_without_id_or_type_is_told_by_the_rest_of_what_it_is() {
    for (node, id, kind, path) in [
        (json!({"id": "n", "type": "txt"}), Some("n"), Some("txt"), "Node 1"),
        (json!({"id": "n"}), Some("n"), None, "Node 1"),
        (json!({"type": "text", "content": "x"}), None, Some("text"), "Text 2"),
        (json!([]), None, None, "Node 1"),
    ] {
        let error = compile(&node).unwrap_err();
        let about = error.issues()[0].node.clone().unwrap_or_else(|| panic!("{node}"));
        assert_eq!((about.node_id.as_deref(), about.node_type.as_deref(), about.node_path.as_str()), (id, kind, path), "{node}");
    }
}
