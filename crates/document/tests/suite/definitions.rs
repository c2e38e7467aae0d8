//! Bad definitions: every refusal names the node, the field and what is accepted.

use document::{Compiled, Limits};
use serde_json::{Value, json};

use crate::{compile, refusals, tree};

fn assert_refused(cases: Vec<(Value, &str)>) {
    for (definition, wanted) in cases {
        let said = refusals(&definition);
        assert!(said.iter().any(|line| line.starts_with(wanted)), "wanted {wanted}\nfound {said:#?}");
    }
}

#[test]
fn a_mistake_of_the_definition_is_named_with_what_is_accepted() {
    let cases: Vec<(Value, &str)> = vec![
        (json!([]), ": the definition is a list; accepted: an object with \"document\" or \"html\""),
        (json!({}), ": \"document\" is missing; accepted: either \"document\" (a tree of blocks) or \"html\" (with \"css\")"),
        (json!({"html": "x", "document": {}}), "/html: a definition has either \"document\" (a tree of blocks) or \"html\", not both"),
        (
            json!({"html": "x", "htlm": "x"}),
            "/htlm: \"htlm\" is no property of a template definition; did you mean \"html\"? accepted: key, version, name, description, kind, sampleData, inputSchema, renderConfig, theme, layout, document, components, html, slots, css",
        ),
        (
            json!({"html": "x", "key": "a b"}),
            "/key: a template key is 1–128 characters of letters, digits, '.', '_' and '-', beginning with a letter or digit, such as \"invoice-2026\"",
        ),
        (json!({"html": "x", "version": "1"}), "/version: a version is three numbers without leading zeros, such as \"1.0.3\""),
        (json!({"html": "x", "name": ""}), "/name: \"name\" has 0 characters; accepted: 1 to 200"),
        (
            json!({"html": "x", "kind": "report"}),
            "/kind: \"kind\" is \"report\"; accepted: \"document\", \"theme\", \"component\", \"layout\"",
        ),
        (json!({"kind": "theme"}), ": \"theme\" is missing; accepted: an object with \"variables\" and \"css\""),
        (json!({"html": "{{#if x}}"}), "/html: \"html\", line 1, column 1: "),
        (
            json!({"document": {"id": "r", "type": "section", "children": []}}),
            "/document/type: the root node is of type \"section\"; accepted: \"document\"",
        ),
        (json!({"document": {"id": "r", "type": "document"}}), "/document: \"children\" is missing; accepted: a list of nodes"),
    ];
    assert_refused(cases);
}

#[test]
fn a_mistake_of_a_node_is_named_with_its_breadcrumb() {
    let titled = |node: Value| tree(json!([{"id": "s", "type": "section", "title": "Body", "children": [node]}]));
    let one = |node: Value| tree(json!([node]));
    let cases: Vec<(Value, &str)> = vec![
        (
            titled(json!({"id": "t", "type": "txt", "content": ""})),
            "/document/children/0/children/0/type: Section 'Body' > Node 1: \"txt\" is no type of node; did you mean \"text\"? accepted: section, heading, text, table, image, columns, pageBreak, conditional, repeater, html",
        ),
        (
            titled(json!({"id": "t"})),
            "/document/children/0/children/0/type: Section 'Body' > Node 1: a node without \"type\"; accepted: section, ",
        ),
        (
            titled(json!({"id": "t", "type": "text"})),
            "/document/children/0/children/0: Section 'Body' > Text 1: \"content\" is missing; accepted: text, which may hold {{expressions}}",
        ),
        (
            titled(json!({"id": "t", "type": "text", "contnt": "x", "content": "y"})),
            "/document/children/0/children/0/contnt: Section 'Body' > Text 1: \"contnt\" is no property of text; did you mean \"content\"? accepted: type, id, style, content, text",
        ),
        (
            titled(json!({"id": "t", "type": "text", "content": "x\n{{name"})),
            "/document/children/0/children/0/content: Section 'Body' > Text 1: \"content\", line 2, column 7: the tag opened at line 2, column 1 is never closed",
        ),
        (
            titled(json!({"id": "s", "type": "pageBreak"})),
            "/document/children/0/children/0/id: Section 'Body' > PageBreak 1: the id \"s\" is taken by another node; ids are unique in a document",
        ),
        (
            one(json!({"type": "pageBreak"})),
            "/document/children/0: PageBreak 1: \"id\" is missing; accepted: text that no other node has as its id",
        ),
        (
            one(json!({"id": "h", "type": "heading", "level": 7, "content": "x"})),
            "/document/children/0/level: Heading 1: \"level\" is 7; accepted: a whole number from 1 to 6",
        ),
        (
            one(json!({"id": "t", "type": "text", "content": {"a": 1}})),
            "/document/children/0/content: Text 1: \"content\" is an object; accepted: text, which may hold {{expressions}}",
        ),
    ];
    assert_refused(cases);
}

#[test]
fn a_mistake_inside_a_node_is_named_with_its_property() {
    let one = |node: Value| tree(json!([node]));
    let cases: Vec<(Value, &str)> = vec![
        (
            one(json!({"id": "t", "type": "text", "content": "x", "style": {"colour": "red"}})),
            "/document/children/0/style/colour: Text 1: \"colour\" is no style property; did you mean \"color\"? accepted: align, bold, italic, color, ",
        ),
        (
            one(json!({"id": "t", "type": "text", "content": "x", "style": {"fontWeight": "bold"}})),
            "/document/children/0/style/fontWeight: Text 1: \"fontWeight\" is no style property; did you mean \"bold\"? accepted: align, ",
        ),
        (
            one(json!({"id": "t", "type": "text", "content": "x", "style": {"color": "red;background:url(x)"}})),
            "/document/children/0/style/color: Text 1: style.color is \"red;background:url(x)\"; accepted: a colour name, ",
        ),
        (
            one(json!({"id": "t", "type": "table", "items": "x", "columns": []})),
            "/document/children/0: Table 1: \"columns\" is missing; accepted: a list of {\"header\", ",
        ),
        (
            one(json!({"id": "t", "type": "table", "columns": [{"field": "a"}]})),
            "/document/children/0: Table 1: \"items\" is missing; accepted: an expression, such as \"order.items\"",
        ),
        (
            one(json!({"id": "t", "type": "table", "items": "x", "columns": [{"field": "a"}, {"valu": "b"}]})),
            "/document/children/0/columns/1: Table 1: \"columns[1].value\" is missing; accepted: text such as \"{{name}}\", or \"field\" with a path such as \"name\"",
        ),
        (
            one(json!({"id": "t", "type": "table", "items": "x", "columns": [{"value": "b", "algin": "right"}]})),
            "/document/children/0/columns/0/algin: Table 1: \"columns[0].algin\" is no property of a column; did you mean \"align\"? accepted: header, align, width, value, format, ",
        ),
        (
            one(json!({"id": "t", "type": "table", "items": "x", "columns": [{"value": "b", "align": "centre"}]})),
            "/document/children/0/columns/0/align: Table 1: \"columns[0].align\" is \"centre\"; accepted: \"left\", \"center\", \"right\"",
        ),
        (
            one(json!({"id": "t", "type": "table", "items": "x", "columns": [{"value": "{{#each}}"}]})),
            "/document/children/0/columns/0/value: Table 1: \"columns[0].value\", line 1, column ",
        ),
        (
            one(json!({"id": "c", "type": "conditional", "children": []})),
            "/document/children/0: Conditional 1: \"condition\" is missing; accepted: an expression, ",
        ),
        (
            one(json!({"id": "c", "type": "conditional", "condition": {"path": "a", "operator": "eqals"}})),
            "/document/children/0/condition/operator: Conditional 1: \"condition.operator\" is \"eqals\"; accepted: \"equals\", ",
        ),
        (
            one(json!({"id": "c", "type": "conditional", "condition": {"path": "a", "operator": "in", "value": 1}})),
            "/document/children/0/condition/value: Conditional 1: \"value\" of the operator \"in\" is 1; accepted: a list",
        ),
        (
            one(json!({"id": "c", "type": "conditional", "condition": {"path": "a", "operator": "matches", "value": "(a"}})),
            "/document/children/0/condition/value: Conditional 1: \"value\" is \"(a\"; accepted: a regular expression without look-around",
        ),
        (
            one(
                json!({"id": "c", "type": "conditional", "condition": {"path": "a", "operator": "matches", "value": "(((a{99}){99}){99}){99}"}}),
            ),
            "/document/children/0/condition/value: Conditional 1: \"value\" is \"(((a{99}",
        ),
        (
            one(json!({"id": "c", "type": "conditional", "condition": {"path": "a", "operator": "startsWith", "value": 1}})),
            "/document/children/0/condition/value: Conditional 1: \"value\" of the operator \"startsWith\" is 1; accepted: text",
        ),
        (
            one(json!({"id": "r", "type": "repeater", "items": "a b c", "as": "1x"})),
            "/document/children/0/as: Repeater 1: \"as\" is no name; accepted: letters, digits and \"_\", beginning with a letter",
        ),
        (
            one(json!({"id": "i", "type": "image", "src": "", "width": "wide"})),
            "/document/children/0/width: Image 1: \"width\" is \"wide\"; accepted: a number of points or text with a unit, ",
        ),
        (
            one(json!({"id": "c", "type": "columns", "columns": [{"ratio": 0}]})),
            "/document/children/0/columns/0/ratio: Columns 1: \"columns[0].ratio\" is 0; accepted: a number from 0.01 to 1000",
        ),
    ];
    assert_refused(cases);
}

#[test]
fn a_mistake_of_mappings_settings_or_schema_is_named_with_what_is_accepted() {
    let cases: Vec<(Value, &str)> = vec![
        (
            json!({"html": "x", "fieldMappings": [{"source": "a"}]}),
            "/fieldMappings/0: \"fieldMappings[0].target\" is missing; accepted: a path such as \"customer.name\"",
        ),
        (json!({"html": "x", "fieldMappings": [{"target": "a..b", "source": "x"}]}), "/fieldMappings/0/target: \"target\" is no path; "),
        (
            json!({"html": "x", "renderConfig": {"papersize": "A4"}}),
            "/renderConfig/papersize: \"renderConfig.papersize\" is no property of renderConfig; did you mean \"paperSize\"? ",
        ),
        (
            json!({"html": "x", "renderConfig": {"paperSize": "Leter"}}),
            "/renderConfig/paperSize: \"Leter\" is no paper size; did you mean \"Letter\"? ",
        ),
        (
            json!({"html": "x", "renderConfig": {"pageFooter": "x".repeat(10_001)}}),
            "/renderConfig/pageFooter: has 10001 characters; at most 10000 are accepted",
        ),
        (
            json!({"html": "x", "renderConfig": {"pageFooter": {"middle": "x"}}}),
            "/renderConfig/pageFooter/middle: \"middle\" is no part of a header or footer; accepted: left, center, right",
        ),
        (
            json!({"html": "x", "inputSchema": {"type": "strng"}}),
            "/inputSchema/type: the schema is not valid: \"strng\" is not valid under any of the schemas listed in the 'anyOf' keyword",
        ),
        (
            json!({"html": "x", "inputSchema": {"$schema": "http://example.com/mine"}}),
            "/inputSchema/$schema: \"http://example.com/mine\" is no known draft; accepted: ",
        ),
        (json!({"html": "x", "inputSchema": {"$ref": "http://127.0.0.1:9/x.json"}}), "/inputSchema: the schema is not valid: "),
        (json!({"html": "x", "inputSchema": {"pattern": "("}}), "/inputSchema/pattern: the schema is not valid: "),
    ];
    assert_refused(cases);
}

#[test]
fn all_mistakes_are_reported_at_once_up_to_a_stated_number() {
    let nodes: Vec<Value> = (0..150).map(|index| json!({"id": format!("n{index}"), "type": "txt"})).collect();
    let said = refusals(&tree(json!(nodes)));
    assert_eq!(said.len(), 101);
    assert!(said[100].contains("50 more problems are not listed"), "{}", said[100]);
}

#[test]
fn what_existing_clients_send_along_is_accepted() {
    let definition = json!({
        "key": "a", "name": "A", "version": "1.2.3", "kind": "document", "description": null, "tags": ["x"], "metadata": {}, "createdAt": "…",
        "renderConfig": {"margin": {"top": "10mm"}, "locale": {"date": "de-DE", "currency": "de-DE"}, "customCss": null},
        "inputSchema": {"$schema": "http://json-schema.org/draft-07/schema#"},
        "document": {"id": "r", "type": "document", "children": []},
    });
    let compiled = compile(&definition);
    assert_eq!(compiled.key().unwrap().as_str(), "a");
    assert_eq!((compiled.name(), compiled.version().unwrap().to_string().as_str()), (Some("A"), "1.2.3"));
}

#[test]
fn a_compiled_definition_is_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Compiled>();
    shared::<Limits>();
}
