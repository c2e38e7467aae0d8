//! Which data a template prints.

use serde_json::{Value, json};

use crate::{compile, tree};

/// Each binding as `path?declared at breadcrumb property`.
fn listed(definition: &Value) -> Vec<String> {
    let declared = |declared: Option<bool>| declared.map_or("", |declared| if declared { " declared" } else { " unknown" });
    let each = compile(definition).bindings().bindings.into_iter();
    each.map(|binding| format!("{}{} {} {}", binding.path, declared(binding.declared), binding.breadcrumb, binding.property)).collect()
}

#[test]
fn paths_are_told_from_the_root_through_tables_and_repeaters() {
    let mut definition = tree(json!([
        {"id": "s", "type": "section", "title": "Body", "children": [
            {"id": "t", "type": "table", "items": "order.items", "columns": [{"header": "{{title}}", "value": "{{name}} {{@root.currency}} {{../no}}"}, {"field": "price"}]},
            {"id": "r", "type": "repeater", "items": "order.items", "as": "row", "children": [
                {"id": "x", "type": "text", "content": "{{row.name}}{{#each parts}}{{this}}{{/each}}"}]},
        ]},
        {"id": "c", "type": "conditional", "condition": "paid", "children": [], "else": [{"id": "p", "type": "text", "content": "{{free.thing}}"}]}
    ]));
    definition["inputSchema"] = json!({"type": "object", "properties": {
        "title": {}, "currency": {"type": "string"}, "paid": {"type": "boolean"}, "free": {},
        "order": {"$ref": "#/definitions/order"}},
        "definitions": {"order": {"properties": {"items": {"type": "array", "items": {"properties": {"name": {}, "parts": {"type": "array"}}}}}}}});
    assert_eq!(
        listed(&definition),
        [
            "order.items declared Section 'Body' > Table 1 items",
            "title declared Section 'Body' > Table 1 columns[0].header",
            "order.items[].name declared Section 'Body' > Table 1 columns[0].value",
            "currency declared Section 'Body' > Table 1 columns[0].value",
            "no unknown Section 'Body' > Table 1 columns[0].value",
            "order.items[].price unknown Section 'Body' > Table 1 columns[1].field",
            "order.items declared Section 'Body' > Repeater 1 items",
            "order.items[].name declared Section 'Body' > Repeater 1 > Text 1 content",
            "order.items[].parts declared Section 'Body' > Repeater 1 > Text 1 content",
            "order.items[].parts[] Section 'Body' > Repeater 1 > Text 1 content",
            "paid declared Conditional 1 condition",
            "free.thing Conditional 1 > Text 1 content",
        ]
    );
}

#[test]
fn html_templates_and_page_headers_are_looked_at_too() {
    let definition = json!({"html": "<p>{{#each rows}}{{a}}{{/each}}</p>", "css": "p{color:{{colour}} }", "renderConfig": {"pageHeader": {"left": "{{company}}"}}});
    assert_eq!(
        listed(&definition),
        ["company Page renderConfig.pageHeader.left", "colour CSS css", "rows HTML html", "rows[].a HTML html"]
    );
}
