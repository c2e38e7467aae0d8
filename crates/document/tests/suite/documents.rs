//! Trees of blocks.

use document::{Bindings, DocumentError, Input, Limits, write_html};
use domain::ErrorCode;
use domain::options::RenderOptions;
use serde_json::{Value, json};

use crate::{body, compile, tree, write_with, written};

const PIXEL: &str = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=";

#[test]
fn text_is_shown_as_text_whoever_wrote_it() {
    let definition = tree(json!([
        {"id": "a", "type": "text", "content": "1 < 2 & {{x}} {{{x}}} <b>&amp;</b>"},
        {"id": "b", "type": "heading", "level": 3, "text": "{{x}}"},
    ]));
    let found = body(&definition, &json!({"x": "<i>\"O'Neil\" & co</i>"}));
    let x = "&lt;i&gt;&quot;O'Neil&quot; &amp; co&lt;/i&gt;";
    assert_eq!(found, format!("<p>1 &lt; 2 &amp; {x} {x} &lt;b&gt;&amp;amp;&lt;/b&gt;</p><h3>{x}</h3>"));
}

#[test]
fn a_table_has_a_row_for_every_item_and_its_head_once() {
    let definition = tree(json!([{
        "id": "t", "type": "table", "items": "order.lines", "emptyText": "Nothing ordered",
        "columns": [
            {"header": "No.", "value": "{{@index}}/{{../order.id}}", "width": "12mm"},
            {"header": "{{labels.name}}", "field": "name"},
            {"header": "Price", "value": "{{price}} €", "align": "right"},
        ],
    }]));
    let data = json!({"labels": {"name": "Name"}, "order": {"id": 7, "lines": [{"name": "Bolt <M8>", "price": 1.5}, {"name": "Nut", "price": 2}]}});
    assert_eq!(
        body(&definition, &data),
        "<table class=\"table\"><colgroup><col style=\"width:12mm\"><col><col></colgroup>\
         <thead><tr><th>No.</th><th>Name</th><th class=\"r\">Price</th></tr></thead><tbody>\
         <tr><td>0/7</td><td>Bolt &lt;M8&gt;</td><td class=\"r\">1.5 €</td></tr>\
         <tr><td>1/7</td><td>Nut</td><td class=\"r\">2 €</td></tr></tbody></table>"
    );
    let empty = body(&definition, &json!({"labels": {}, "order": {"lines": []}}));
    assert!(empty.contains("<tr><td class=\"empty\" colspan=\"3\">Nothing ordered</td></tr>"), "{empty}");
    let missing = written(&definition, &json!({"labels": {"name": "N"}}));
    assert_eq!(missing.unresolved_bindings[0].path, "order.lines");
    assert!(missing.html.contains("Nothing ordered"));
}

#[test]
fn a_condition_chooses_between_children_and_else() {
    let holds = |condition: Value, data: Value| {
        let node = json!({"id": "c", "type": "conditional", "condition": condition,
            "children": [{"id": "y", "type": "text", "content": "yes"}], "else": [{"id": "n", "type": "text", "content": "no"}]});
        body(&tree(json!([node])), &data) == "<p>yes</p>"
    };
    let data = || json!({"n": 5, "s": "paid", "list": [1, "a"], "none": [], "zero": 0, "when": "2026-02-01", "text": "12"});
    for (condition, wanted) in [
        (json!("list"), true),
        (json!("{{none}}"), false),
        (json!("absent"), false),
        (json!({"path": "s", "value": "paid"}), true),
        (json!({"path": "s", "operator": "notEquals", "value": "paid"}), false),
        (json!({"path": "n", "operator": "equals", "value": 5.0}), true),
        (json!({"path": "n", "operator": ">", "value": 4}), true),
        (json!({"path": "n", "operator": "lessThanOrEqual", "value": 4}), false),
        (json!({"path": "text", "operator": "greaterThan", "value": 9}), true),
        (json!({"path": "when", "operator": "<", "value": "2026-10-01"}), true),
        (json!({"path": "s", "operator": ">", "value": 1}), false),
        (json!({"path": "absent", "operator": "isEmpty"}), true),
        (json!({"path": "zero", "operator": "isEmpty"}), false),
        (json!({"path": "list", "operator": "contains", "value": "a"}), true),
        (json!({"path": "s", "operator": "in", "value": ["open", "paid"]}), true),
        (json!({"path": "s", "operator": "notIn", "value": ["open", "paid"]}), false),
        (json!({"path": "list", "operator": "notContains", "value": "b"}), true),
        (json!({"path": "s", "operator": "startsWith", "value": "pa"}), true),
        (json!({"path": "s", "operator": "endsWith", "value": "pa"}), false),
        (json!({"path": "when", "operator": "matches", "value": "^2026-(01|02)-"}), true),
        (json!({"path": "n", "operator": "matches", "value": "^[0-4]$"}), false),
        (json!({"path": "absent", "operator": "matches", "value": ""}), false),
    ] {
        assert_eq!(holds(condition.clone(), data()), wanted, "{condition}");
    }
}

#[test]
fn a_repeater_writes_its_children_for_every_item_under_its_name() {
    let definition = tree(json!([{
        "id": "r", "type": "repeater", "items": "people", "as": "person", "emptyText": "nobody",
        "children": [
            {"id": "t", "type": "text", "content": "{{person.name}}:"},
            {"id": "r2", "type": "repeater", "items": "pets", "children": [{"id": "t2", "type": "text", "content": "{{this}} of {{person.name}}"}]},
        ],
    }]));
    let data = json!({"people": [{"name": "Ada", "pets": ["cat", "dog"]}, {"name": "Bo", "pets": []}]});
    assert_eq!(body(&definition, &data), "<p>Ada:</p><p>cat of Ada</p><p>dog of Ada</p><p>Bo:</p>");
    assert_eq!(body(&definition, &json!({"people": []})), "<p class=\"empty\">nobody</p>");
}

#[test]
fn sections_columns_breaks_and_styles_become_plain_markup() {
    let definition = tree(json!([
        {"id": "s", "type": "section", "title": "{{t}}", "style": {"background": "#eee", "padding": "2mm 4mm", "keepTogether": true}, "children": [
            {"id": "c", "type": "columns", "gap": 12, "columns": [
                {"ratio": 2, "children": [{"id": "x", "type": "text", "content": "left", "style": {"bold": true, "align": "center"}}]},
                {"width": "40mm", "children": []},
            ]},
        ]},
        {"id": "b", "type": "pageBreak"},
        {"id": "k", "type": "columns", "ratios": [1, 3], "children": [{"id": "k1", "type": "text", "content": "a"}, {"id": "k2", "type": "text", "content": "b"}]},
        {"id": "i", "type": "image", "src": "{{logo}}", "alt": "\"Logo\"", "width": "30mm"},
        {"id": "m", "type": "html", "content": "<hr class=x>{{t}}"},
    ]));
    let found = body(&definition, &json!({"t": "A & B", "logo": PIXEL}));
    let wanted = format!(
        "<section style=\"background-color:#eee;padding:2mm 4mm;break-inside:avoid\"><h2>A &amp; B</h2>\
         <div class=\"columns\" style=\"grid-template-columns:minmax(0,2fr) 40mm;gap:12pt\"><div><p style=\"font-weight:700;text-align:center\">left</p></div><div></div></div></section>\
         <div class=\"page-break\"></div>\
         <div class=\"columns\" style=\"grid-template-columns:minmax(0,1fr) minmax(0,3fr);gap:6mm\"><div><p>a</p></div><div><p>b</p></div></div>\
         <div class=\"image\"><img src=\"{PIXEL}\" alt=\"&quot;Logo&quot;\" style=\"width:30mm\"></div><hr class=x>A &amp; B"
    );
    assert_eq!(found, wanted);
}

#[test]
fn an_image_from_elsewhere_is_blocked_and_one_without_a_value_is_left_out() {
    let definition =
        tree(json!([{"id": "s", "type": "section", "title": "Top", "children": [{"id": "i", "type": "image", "src": "{{logo}}"}]}]));
    let error = write_with(&definition, &json!({"logo": "http://169.254.169.254/x.png"}), &json!({})).unwrap_err();
    assert_eq!(error.code(), ErrorCode::AssetBlocked);
    assert!(error.to_string().starts_with("Section 'Top' > Image 1: the image is no data URI; accepted: data:image/png"), "{error}");
    let without = written(&definition, &json!({}));
    assert!(!without.html.contains("<img"));
    assert_eq!((without.unresolved_bindings[0].path.as_str(), without.unresolved_bindings[0].node_id.as_str()), ("logo", "i"));
}

#[test]
fn strict_bindings_refuse_what_is_missing_and_accept_an_explicit_null() {
    let compiled = compile(&tree(json!([{"id": "t", "type": "text", "content": "{{name}} {{nick}} {{nam}}"}])));
    let options = RenderOptions::default();
    let data = json!({"name": "Ada", "nick": null});
    let lenient = Input {
        data: &data,
        fixed_data: None,
        options: &options,
        now: crate::NOW.parse().unwrap(),
        bindings: Bindings::Lenient,
        cancelled: None,
        assets: None,
    };
    let limits = Limits::default();
    assert_eq!(write_html(&compiled, &lenient, &limits).unwrap().unresolved_bindings.len(), 2);
    match write_html(&compiled, &Input { bindings: Bindings::Strict, ..lenient }, &limits) {
        Err(DocumentError::UnresolvedBindings(bindings)) => {
            assert_eq!(bindings.len(), 1);
            assert_eq!((bindings[0].path.as_str(), bindings[0].column), ("nam", 21));
            assert_eq!(bindings[0].suggestions[0], "name");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_expression_that_fails_is_located_by_node_line_and_column() {
    let definition = tree(json!([{"id": "s", "type": "section", "title": "Body", "children": [
        {"id": "t", "type": "text", "content": "one\n  {{uper name}}"}]}]));
    match write_with(&definition, &json!({"name": "x"}), &json!({})) {
        Err(error @ DocumentError::Expression(_)) => {
            assert_eq!(error.code(), ErrorCode::TemplateExpressionError);
            assert!(error.to_string().starts_with("Section 'Body' > Text 1 (content, line 2, column 5): `uper`"), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let definition = tree(json!([{"id": "t", "type": "text", "content": "{{#each o}}{{@key}}={{this}};{{/each}}{{x}}{{y}}"}]));
    let data = json!({"o": {"z": 1, "a": 2, "m": 3}});
    let (one, other) = (written(&definition, &data), written(&definition, &data));
    assert_eq!(one.html, other.html);
    assert_eq!(one.unresolved_bindings, other.unresolved_bindings);
    assert!(one.html.contains("z=1;a=2;m=3;"));
}
