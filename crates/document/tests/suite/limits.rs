//! Hostile and very large input ends in a clear error, or in a document soon enough.

use std::time::{Duration, Instant};

use document::{Bindings, Compiled, DocumentError, Input, Limits, write_html};
use domain::ErrorCode;
use domain::options::RenderOptions;
use serde_json::{Value, json};

use crate::{compile, processor_time, tree, write_with, written};

/// A table of four columns over `rows`, with a schema.
fn table() -> Value {
    let columns: Vec<Value> = ["a", "b", "c", "d"].iter().map(|name| json!({"header": name, "field": name})).collect();
    let mut definition = tree(json!([{"id": "t", "type": "table", "items": "rows", "columns": columns}]));
    definition["inputSchema"] =
        json!({"properties": {"rows": {"items": {"required": ["a"], "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}}}}});
    definition
}

fn rows(count: usize) -> Value {
    let row = |index| json!({"a": index, "b": "Some text of a cell", "c": 12.5, "d": "x < y"});
    json!({"rows": (0..count).map(row).collect::<Vec<_>>()})
}

#[test]
fn a_hundred_thousand_rows_are_written_in_linear_time() {
    let (definition, small, large) = (table(), rows(10_000), rows(100_000));
    written(&definition, &small);
    let short = processor_time(|| drop(written(&definition, &small)));
    let long = processor_time(|| assert_eq!(written(&definition, &large).html.matches("<tr>").count(), 100_001));
    assert!(long < short * 40, "{short:?} for 10,000 rows, {long:?} for 100,000");
    assert!(long < Duration::from_secs(15), "{long:?}");
}

/// The example invoice with its rows repeated up to a number.
fn invoice(count: usize) -> (Value, Value) {
    let example = |file: &str| {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/invoice/").to_owned() + file;
        serde_json::from_str::<Value>(&std::fs::read_to_string(&path).unwrap()).unwrap()
    };
    let mut data = example("request.json")["data"].take();
    let rows = data["items"].as_array_mut().unwrap();
    *rows = rows.iter().cycle().take(count).cloned().collect();
    (example("template.json"), data)
}

#[test]
fn the_invoice_costs_in_proportion_to_its_rows() {
    let cost = |count| {
        let (definition, data) = invoice(count);
        let one = || processor_time(|| assert!(written(&definition, &data).html.len() > 50 * count));
        (0..3).map(|_| one()).min().unwrap()
    };
    let (short, long) = (cost(1_000), cost(8_000));
    assert!(long < short * 8 * 2, "{short:?} for 1,000 rows, {long:?} for 8,000");
}

#[test]
fn html_past_its_limit_is_refused_with_the_number() {
    let compiled = compile(&table());
    let (data, options) = (rows(5_000), RenderOptions::default());
    let input = Input {
        data: &data,
        fixed_data: None,
        options: &options,
        now: crate::NOW.parse().unwrap(),
        bindings: Bindings::Lenient,
        cancelled: None,
        assets: None,
    };
    let limits = Limits { html_bytes: 100_000, ..Limits::default() };
    let error = write_html(&compiled, &input, &limits).unwrap_err();
    assert_eq!(error.code(), ErrorCode::RenderInputTooLarge);
    assert_eq!(error.to_string(), "the document's HTML (bytes) passed the limit of 100000");
}

#[test]
fn repeaters_inside_each_other_end_at_the_step_budget() {
    let items: Vec<u32> = (0..1000).collect();
    let mut node = json!({"id": "x", "type": "pageBreak"});
    for level in 0..5 {
        node = json!({"id": format!("r{level}"), "type": "repeater", "items": "@root.i", "children": [node]});
    }
    let error = write_with(&tree(json!([node])), &json!({"i": items}), &json!({})).unwrap_err();
    assert!(matches!(error.code(), ErrorCode::TemplateBudgetExceeded | ErrorCode::RenderInputTooLarge), "{error}");
}

#[test]
fn a_deadline_stops_the_walk() {
    let mut limits = Limits::default();
    limits.budget.deadline = Some(Instant::now());
    let (data, options) = (rows(100_000), RenderOptions::default());
    let input = Input {
        data: &data,
        fixed_data: None,
        options: &options,
        now: crate::NOW.parse().unwrap(),
        bindings: Bindings::Lenient,
        cancelled: None,
        assets: None,
    };
    let error = write_html(&compile(&table()), &input, &limits).unwrap_err();
    assert!(matches!(error, DocumentError::Stopped(_)), "{error}");
}

#[test]
fn a_definition_of_ten_megabytes_is_refused_with_the_text_that_makes_it_so() {
    let text = |id: &str, bytes| json!({"id": id, "type": "html", "content": "x".repeat(bytes)});
    let large = tree(json!([text("a", 10), {"id": "s", "type": "section", "title": "Body", "children": [text("b", 10_000_000)]}]));
    let issue = Compiled::compile(&large, &Limits::default()).unwrap_err().issues().remove(0);
    assert_eq!(issue.path, "/document/children/1/children/0/content");
    assert!(issue.message.starts_with("Section 'Body' > Html 1: the definition has 10000"), "{}", issue.message);
    assert!(issue.message.contains("accepted: up to 8388608, and 10000000 of them are \"content\""), "{}", issue.message);
    let node = issue.node.unwrap();
    assert_eq!((node.node_id.as_deref(), node.node_type.as_deref()), (Some("b"), Some("html")));

    let many: Vec<Value> = (0..10_000).map(|index| text(&index.to_string(), 1_000)).collect();
    let issues = Compiled::compile(&tree(json!(many)), &Limits::default()).unwrap_err().issues();
    assert_eq!((issues.len(), issues[0].path.as_str()), (1, ""));
    assert!(Compiled::compile(&tree(json!(many[..7_900])), &Limits::default()).is_ok());
}

#[test]
fn fifty_thousand_nodes_are_refused_at_the_first_beyond_the_stated_limit() {
    let nodes: Vec<Value> = (0..50_000).map(|index| json!({"id": format!("n{index}"), "type": "pageBreak"})).collect();
    let issues = Compiled::compile(&tree(json!(nodes)), &Limits::default()).unwrap_err().issues();
    assert_eq!(issues.len(), 1, "{issues:#?}");
    assert_eq!(issues[0].path, "/document/children/20000");
    assert_eq!(issues[0].message, "PageBreak 20001: the tree has more than the 20000 nodes accepted");
    assert_eq!(issues[0].node.as_ref().unwrap().node_id.as_deref(), Some("n20000"));
}

#[test]
fn too_many_nodes_are_refused_by_the_stated_limit() {
    let nodes: Vec<Value> = (0..20_001).map(|index| json!({"id": index.to_string(), "type": "pageBreak"})).collect();
    let error = Compiled::compile(&tree(json!(nodes)), &Limits::default()).unwrap_err();
    assert!(error.to_string().contains("more than the 20000 nodes accepted"), "{error}");
    assert!(Compiled::compile(&tree(json!(nodes[1..])), &Limits::default()).is_ok());
}

/// Sections inside each other, the innermost holding a text.
fn nested(levels: usize) -> Value {
    let mut node = json!({"id": "x", "type": "text", "content": "{{x}}"});
    for level in 1..levels {
        node = match level % 4 {
            0 => json!({"id": format!("n{level}"), "type": "section", "children": [node]}),
            1 => json!({"id": format!("n{level}"), "type": "conditional", "condition": "x", "children": [node]}),
            2 => json!({"id": format!("n{level}"), "type": "columns", "columns": [{"children": [node]}]}),
            _ => json!({"id": format!("n{level}"), "type": "repeater", "items": "@root.i", "children": [node]}),
        };
    }
    tree(json!([node]))
}

#[test]
fn nesting_up_to_the_limit_fits_a_small_stack_and_beyond_it_is_refused() {
    // The default stack of a spawned thread, in a debug build.
    let work = || {
        let html = written(&nested(100), &json!({"x": "deep", "i": [{"x": "deep"}]})).html;
        assert!(html.contains("<p>deep</p>"), "{html}");
        for levels in [101, 500] {
            let error = Compiled::compile(&nested(levels), &Limits::default()).unwrap_err();
            let issue = error.issues().remove(0);
            assert!(issue.message.ends_with("nodes are nested deeper than the 100 levels accepted"), "{error}");
            assert_eq!(issue.node.unwrap().node_id, Some(format!("n{}", levels - 100)));
        }
    };
    std::thread::Builder::new().stack_size(2 * 1024 * 1024).spawn(work).unwrap().join().unwrap();
}

#[test]
fn a_hundred_megabytes_of_text_are_refused() {
    let definition = json!({"html": "{{#each a}}{{this}}{{/each}}"});
    let text = "x".repeat(1 << 20);
    let error = write_with(&definition, &json!({"a": vec![text; 100]}), &json!({})).unwrap_err();
    assert_eq!(error.code(), ErrorCode::TemplateBudgetExceeded);
}

#[test]
fn fifty_thousand_groups_and_totals_are_written_in_linear_time() {
    let definition = tree(json!([{"id": "t", "type": "table", "items": "rows", "groupBy": "a", "columns": [
        {"header": "b", "field": "b"}, {"header": "c", "field": "c", "total": "sum"}, {"header": "a", "field": "a", "total": "max"}]}]));
    let (small, large) = (rows(5_000), rows(50_000));
    written(&definition, &small);
    let short = processor_time(|| drop(written(&definition, &small)));
    let long = processor_time(|| assert_eq!(written(&definition, &large).html.matches("<tr class=\"subtotal\">").count(), 50_000));
    assert!(long < short * 40, "{short:?} for 5,000 groups, {long:?} for 50,000");
    assert!(long < Duration::from_secs(20), "{long:?}");
}

#[test]
fn nodes_that_draw_or_parse_end_at_the_budget_of_their_document() {
    let inside = |node: Value| tree(json!([{"id": "r", "type": "repeater", "items": "i", "children": [node]}]));
    let items: Vec<Value> = (0..500).map(|number| json!({"n": number})).collect();
    let many: Vec<u32> = (0..20_000).collect();
    let data = json!({"i": many, "points": items, "text": "<div>".repeat(9_000)});
    for node in [
        json!({"id": "c", "type": "chart", "items": "@root.points", "label": "{{n}}", "series": [{"value": "n"}, {"value": "n"}]}),
        json!({"id": "c", "type": "richText", "content": "{{{@root.text}}}"}),
        json!({"id": "c", "type": "barcode", "value": "{{this}} and what else there is to say about it, several times over"}),
        json!({"id": "c", "type": "pivotTable", "items": "@root.points", "rowBy": "n", "columnBy": "1"}),
        json!({"id": "c", "type": "tableOfContents"}),
    ] {
        let kind = node["type"].as_str().unwrap().to_owned();
        let headed = json!({"id": "h", "type": "heading", "content": "{{this}}"});
        let mut definition = inside(node);
        definition["document"]["children"][0]["children"].as_array_mut().unwrap().push(headed);
        let mut error = None;
        let spent = processor_time(|| error = write_with(&definition, &data, &json!({})).err());
        let error = error.unwrap_or_else(|| panic!("{kind} is written without end"));
        assert!(matches!(error.code(), ErrorCode::TemplateBudgetExceeded | ErrorCode::RenderInputTooLarge), "{kind}: {error}");
        assert!(spent < Duration::from_mins(1), "{kind}: {spent:?}");
    }
}
