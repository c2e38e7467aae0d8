//! Nodes one by one, beyond those that every document has.

use document::{Bindings, Input, Limits, write_html, write_numbered};
use domain::options::RenderOptions;
use serde_json::{Value, json};

use crate::{body, compile, refusals, tree, write_with, written};

#[expect(clippy::needless_pass_by_value, reason = "every caller makes the values on the spot")]
fn node(node: Value, data: Value) -> String {
    body(&tree(json!([node])), &data)
}

#[test]
fn boxes_lines_and_room_have_the_measures_they_are_given() {
    assert_eq!(
        node(
            json!({"id": "c", "type": "container", "width": "80mm", "place": "end", "style": {"padding": 4}, "children": [{"id": "t", "type": "text", "content": "x"}]}),
            json!({})
        ),
        "<div class=\"container\" style=\"width:80mm;margin-inline-start:auto;padding:4pt\"><p>x</p></div>"
    );
    assert_eq!(
        node(json!({"id": "d", "type": "divider", "line": "dashed", "thickness": 2, "color": "red", "width": "50%"}), json!({})),
        "<hr style=\"border-top:2pt dashed red;width:50%\">"
    );
    assert_eq!(node(json!({"id": "s", "type": "spacer", "height": "12mm"}), json!({})), "<div style=\"height:12mm\"></div>");
}

#[test]
fn a_list_is_made_from_data_also_inside_itself() {
    let list = json!({"id": "l", "type": "list", "items": "parts", "content": "{{name}}", "nested": "parts", "ordered": true, "marker": "lower-alpha", "start": 3});
    let data = json!({"parts": [{"name": "A & B", "parts": [{"name": "a1"}, {"name": "a2", "parts": []}]}, {"name": "<C>"}]});
    let open = "<ol start=\"3\" style=\"list-style-type:lower-alpha\">";
    assert_eq!(node(list.clone(), data), format!("{open}<li>A &amp; B{open}<li>a1</li><li>a2</li></ol></li><li>&lt;C&gt;</li></ol>"));
    assert_eq!(
        node(json!({"id": "l", "type": "list", "items": "x", "emptyText": "none"}), json!({"x": []})),
        "<p class=\"empty\">none</p>"
    );
    assert_eq!(node(json!({"id": "l", "type": "list", "items": "x"}), json!({"x": ["a", 2]})), "<ul><li>a</li><li>2</li></ul>");
    let missing = written(&tree(json!([list])), &json!({}));
    assert_eq!(missing.unresolved_bindings[0].path, "parts");
}

#[test]
fn a_list_that_data_nests_without_end_is_cut_with_a_warning() {
    let mut data = json!({"name": "x"});
    for _ in 0..60 {
        data = json!({"name": "x", "parts": [data]});
    }
    let definition = tree(json!([{"id": "l", "type": "list", "items": "parts", "content": "{{name}}", "nested": "parts"}]));
    let written = written(&definition, &data);
    assert_eq!(written.html.matches("<ul>").count(), 10);
    assert_eq!(written.warnings[0].code, "list_depth");
}

#[test]
fn entries_of_the_author_hold_nodes_and_exclude_items() {
    let entries = json!([{"content": "{{a}}", "children": [{"id": "t", "type": "text", "content": "below"}]}, {"content": "two"}]);
    assert_eq!(
        node(json!({"id": "l", "type": "list", "entries": entries}), json!({"a": "<1>"})),
        "<ul><li>&lt;1&gt;<p>below</p></li><li>two</li></ul>"
    );
    let both = refusals(&tree(json!([{"id": "l", "type": "list", "items": "a", "entries": []}])));
    assert!(both[0].contains("a list has \"items\" or \"entries\", not both"), "{both:?}");
}

#[test]
fn rich_text_keeps_its_form_and_loses_what_is_not_on_the_list() {
    let definition = tree(json!([{"id": "r", "type": "richText", "content": "<p>{{name}}: {{{note}}}</p>"}]));
    let data = json!({"name": "<i>", "note": "<b onclick=\"x()\">bold</b><script>alert(1)</script><img src=\"http://x/y.png\">"});
    let written = written(&definition, &data);
    assert!(written.html.contains("<div class=\"rich\"><p>&lt;i&gt;: <b>bold</b></p></div>"), "{}", written.html);
    let warning = &written.warnings[0];
    assert_eq!(warning.code, "rich_text");
    assert!(["<script>", "<img>", "onclick"].iter().all(|part| warning.message.contains(part)), "{}", warning.message);
}

#[test]
fn a_signature_has_a_line_a_name_and_a_date_and_its_picture_is_checked() {
    let field = json!({"id": "s", "type": "signatureField", "name": "{{who}}", "label": "Seller", "dateLabel": "Date", "image": "{{scan}}", "width": "100mm", "height": "20mm"});
    let pixel = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=";
    assert_eq!(
        node(field.clone(), json!({"who": "O <k>", "scan": pixel})),
        format!(
            "<div class=\"signature\" style=\"width:100mm\"><div><div class=\"line\" style=\"height:20mm\"><img alt=\"\" src=\"{pixel}\"></div>\
             <p>O &lt;k&gt;</p><p class=\"label\">Seller</p></div><div><div class=\"line\" style=\"height:20mm\"></div><p class=\"label\">Date</p></div></div>"
        )
    );
    let foreign = write_with(&tree(json!([field])), &json!({"who": "x", "scan": "http://x/y.png"}), &json!({})).unwrap_err();
    assert_eq!(foreign.code(), domain::ErrorCode::AssetBlocked);
}

fn lines() -> Value {
    json!({"currency": "EUR", "lines": [
        {"name": "Paper <A4>", "kind": "Goods", "amount": 0.1},
        {"name": "Setting up", "kind": "Services", "amount": "95.50"},
        {"name": "Ink", "kind": "Goods", "amount": 0.2},
        {"name": "Advice", "kind": "Services"},
    ]})
}

#[test]
fn a_table_groups_its_rows_and_adds_them_up_in_decimals() {
    let table = json!({"id": "t", "type": "table", "items": "lines", "groupBy": "kind", "groupHeader": "{{key}} ({{count}} of {{../currency}})",
    "subtotalLabel": "Sum of {{key}}", "totalLabel": "In {{currency}}", "columns": [
        {"header": "No.", "value": "{{@index}}"},
        {"header": "Name", "field": "name"},
        {"header": "Amount", "field": "amount", "total": "sum"},
    ]});
    let found = node(table, lines());
    let rows = found.split("<tbody>").nth(1).unwrap().trim_end_matches("</tbody></table>");
    assert_eq!(
        rows,
        "<tr class=\"group\"><th colspan=\"3\">Goods (2 of EUR)</th></tr>\
         <tr><td>0</td><td>Paper &lt;A4&gt;</td><td class=\"n\">0.1</td></tr><tr><td>1</td><td>Ink</td><td class=\"n\">0.2</td></tr>\
         <tr class=\"subtotal\"><th colspan=\"2\">Sum of Goods</th><td class=\"n\">0.3</td></tr>\
         <tr class=\"group\"><th colspan=\"3\">Services (2 of EUR)</th></tr>\
         <tr><td>2</td><td>Setting up</td><td class=\"n\">95.50</td></tr><tr><td>3</td><td>Advice</td><td class=\"n\"></td></tr>\
         <tr class=\"subtotal\"><th colspan=\"2\">Sum of Services</th><td class=\"n\">95.5</td></tr>\
         <tr class=\"total\"><th colspan=\"2\">In EUR</th><td class=\"n\">95.8</td></tr>"
    );
}

#[test]
fn every_total_and_a_footer_of_the_author_stand_below_their_columns() {
    let table = json!({"id": "t", "type": "table", "items": "lines", "zebra": true, "lines": "grid", "columns": [
        {"field": "name", "total": "count"}, {"field": "amount", "total": "avg", "format": "round", "align": "left"},
        {"field": "amount", "total": "min"}, {"field": "amount", "total": "max"}, {"field": "kind", "footer": "{{currency}}"},
    ]});
    let found = node(table, lines());
    assert!(found.starts_with("<table class=\"table grid zebra\">"), "{found}");
    assert_eq!(found.matches("<tr class=\"z\">").count(), 2);
    let totals = &found[found.find("<tr class=\"total\">").unwrap()..];
    assert_eq!(
        totals,
        "<tr class=\"total\"><td>4</td><td>32</td><td class=\"n\">0.1</td><td class=\"n\">95.50</td><td>EUR</td></tr></tbody></table>"
    );
}

#[test]
fn a_column_that_contradicts_itself_is_refused_with_its_place() {
    let refused = |column: Value| refusals(&tree(json!([{"id": "t", "type": "table", "items": "lines", "columns": [column]}])))[0].clone();
    for (column, wanted) in [
        (json!({"value": "x", "total": "sum"}), "columns/0/total: Table 1: \"total\" goes with \"field\""),
        (
            json!({"field": "x", "total": "sum", "footer": "y"}),
            "columns/0/footer: Table 1: \"total\" and \"footer\" stand in the same place",
        ),
        (json!({"field": "x", "format": "a b"}), "columns/0/format: Table 1: \"format\" is \"a b\"; accepted: \"number\""),
        (json!({"field": "x", "format": "currency", "currency": "a}} {{b"}), "columns/0/currency: Table 1: \"currency\" is \"a}} {{b\""),
        (json!({"field": "x", "format": "date", "pattern": "\"}}"}), "columns/0/pattern: Table 1: \"pattern\" is"),
        (json!({"field": "x", "decimals": 2}), "columns/0: Table 1: \"columns[0].format\" is missing"),
        (json!({"field": "x", "total": "summ"}), "columns/0/total: Table 1: \"columns[0].total\" is \"summ\"; accepted: \"sum\", \"avg\""),
    ] {
        let said = refused(column);
        assert!(said.contains(wanted), "wanted {wanted}\nfound {said}");
    }
    let orphan = refusals(&tree(json!([{"id": "t", "type": "table", "items": "a", "subtotals": false, "columns": [{"field": "a"}]}])));
    assert!(orphan[0].contains("\"subtotals\" is about groups"), "{orphan:?}");
}

#[test]
fn a_total_of_what_is_no_number_is_refused_with_its_column() {
    let table = tree(json!([{"id": "t", "type": "table", "items": "lines", "columns": [{"field": "name", "total": "sum"}]}]));
    let error = write_with(&table, &lines(), &json!({})).unwrap_err();
    assert_eq!(error.code(), domain::ErrorCode::TemplateExpressionError);
    assert!(error.to_string().contains("Table 1 (columns[0].field"), "{error}");
}

fn chart(kind: &str, more: Value) -> Value {
    let mut node = json!({"id": "c", "type": "chart", "kind": kind, "items": "months", "label": "{{name}}", "title": "A <title>",
        "description": "All \"months\"", "series": [{"name": "One & only", "value": "one"}, {"name": "Other", "value": "other", "color": "red"}]});
    node.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    node
}

fn months() -> Value {
    json!({"months": [{"name": "Jan", "one": 10, "other": "4.5"}, {"name": "<Feb>", "one": 30, "other": null}, {"name": "Mar", "one": -5, "other": 12}]})
}

#[test]
fn every_kind_of_chart_is_one_drawing_with_a_name_and_its_numbers() {
    for kind in ["bar", "line", "area", "pie", "donut"] {
        for more in [json!({}), json!({"stacked": true, "values": true, "legend": "top"})] {
            let svg = node(chart(kind, more), months());
            assert!(
                svg.starts_with(
                    "<div class=\"chart\"><svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" aria-label=\"A &lt;title&gt;\""
                ),
                "{svg}"
            );
            assert!(svg.contains("<title>A &lt;title&gt;</title><desc>All &quot;months&quot;</desc>"), "{svg}");
            assert!(svg.contains("&lt;Feb&gt;") && !svg.contains("<Feb>"), "{svg}");
            assert!(svg.contains("var(--chart-1,#2f6db5)"), "{svg}");
            roxmltree::Document::parse(&svg).unwrap_or_else(|error| panic!("{kind}: {error}\n{svg}"));
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}

#[test]
fn a_bar_is_as_high_as_its_number_on_an_axis_with_round_ticks() {
    let svg = node(chart("bar", json!({"width": 100, "height": 60, "legend": "none"})), months());
    for tick in ["-10", "0", "10", "20", "30"] {
        assert!(svg.contains(&format!(">{tick}</text>")), "{tick}: {svg}");
    }
    let drawing = roxmltree::Document::parse(&svg).unwrap();
    let heights: Vec<f64> = drawing
        .descendants()
        .filter(|node| node.has_tag_name("rect"))
        .map(|bar| bar.attribute("height").unwrap().parse().unwrap())
        .collect();
    // 10, 4.5, 30, nothing, -5, 12.
    assert_eq!(heights.len(), 5, "{svg}");
    for (height, number) in heights.iter().zip([10.0, 4.5, 30.0, 5.0, 12.0]) {
        assert!((height / heights[0] - number / 10.0).abs() < 0.01, "{heights:?}");
    }
}

#[test]
fn a_chart_has_a_limit_of_items_and_says_what_is_no_number() {
    let definition = tree(json!([chart("line", json!({}))]));
    let many: Vec<Value> = (0..501).map(|one| json!({"one": one, "name": ""})).collect();
    let error = write_with(&definition, &json!({"months": many}), &json!({})).unwrap_err();
    assert_eq!(error.to_string(), "the document's chart (items) passed the limit of 500");
    let odd =
        written(&definition, &json!({"months": [{"name": "a", "one": "many", "other": 1e300}, {"name": "b", "one": 1, "other": [2]}]}));
    assert_eq!(odd.warnings.iter().filter(|warning| warning.code == "chart_value").count(), 3);
    assert_eq!(written(&definition, &json!({"months": []})).warnings, []);
    let bounds = refusals(&tree(json!([chart("line", json!({"min": 5, "max": 5}))])));
    assert!(bounds[0].contains("\"max\" is 5; accepted: a number above \"min\""), "{bounds:?}");
}

#[test]
fn a_pivot_table_adds_up_in_cells_rows_columns_and_as_a_whole() {
    let pivot = json!({"id": "p", "type": "pivotTable", "items": "sales", "rowBy": "region", "columnBy": "year", "value": "amount",
        "rowLabel": "In {{this}}", "corner": "Region", "order": "sorted", "totalLabel": "All"});
    let data = json!({"sales": [
        {"region": "<South>", "year": 2027, "amount": 0.1}, {"region": "North", "year": 2026, "amount": "4"},
        {"region": "<South>", "year": 2027, "amount": 0.2}, {"region": "<South>", "year": 2026},
    ]});
    assert_eq!(
        node(pivot.clone(), data.clone()),
        "<table class=\"table pivot summed\"><thead><tr><th>Region</th><th class=\"n\">2026</th><th class=\"n\">2027</th><th class=\"n\">All</th></tr></thead><tbody>\
         <tr><th scope=\"row\">In &lt;South&gt;</th><td class=\"n\"></td><td class=\"n\">0.3</td><td class=\"n\">0.3</td></tr>\
         <tr><th scope=\"row\">In North</th><td class=\"n\">4</td><td class=\"n\"></td><td class=\"n\">4</td></tr>\
         <tr class=\"total\"><th>All</th><td class=\"n\">4</td><td class=\"n\">0.3</td><td class=\"n\">4.3</td></tr></tbody></table>"
    );
    let mut counted = pivot.clone();
    counted.as_object_mut().unwrap().remove("value");
    assert!(node(counted, data).contains("<th>All</th><td class=\"n\">2</td><td class=\"n\">2</td><td class=\"n\">4</td>"));
    let wide: Vec<Value> = (0..51).map(|year| json!({"region": "a", "year": year, "amount": 1})).collect();
    let error = write_with(&tree(json!([pivot])), &json!({"sales": wide}), &json!({})).unwrap_err();
    assert_eq!(error.to_string(), "the document's pivot table (columns) passed the limit of 50");
}

fn book() -> Value {
    tree(json!([
        {"id": "toc", "type": "tableOfContents", "title": "Contents", "to": 2},
        {"id": "r", "type": "repeater", "items": "chapters", "children": [
            {"id": "h", "type": "heading", "level": 1, "content": "{{name}}"},
            {"id": "s", "type": "section", "title": "More", "children": [{"id": "d", "type": "heading", "level": 3, "content": "deep"}]},
        ]},
    ]))
}

#[test]
fn a_table_of_contents_leads_to_every_heading_that_follows_it() {
    let data = json!({"chapters": [{"name": "One <1>"}, {"name": "Two"}]});
    let written = written(&book(), &data);
    let anchors: Vec<(&str, u8)> = written.headings.iter().map(|heading| (heading.anchor.as_str(), heading.level)).collect();
    assert_eq!(anchors, [("heading-1", 1), ("heading-2", 2), ("heading-3", 3), ("heading-4", 1), ("heading-5", 2), ("heading-6", 3)]);
    for heading in &written.headings {
        assert_eq!(written.html.matches(&format!(" id=\"{}\"", heading.anchor)).count(), 1);
    }
    assert!(written.html.contains("<h1 id=\"heading-1\">One &lt;1&gt;</h1>"), "{}", written.html);
    let entry = |level: u8, number: u8, text: &str| {
        format!("<p class=\"l{level}\"><a href=\"#heading-{number}\"><span>{text}</span><i></i><b></b></a></p>")
    };
    let wanted = [entry(1, 1, "One &lt;1&gt;"), entry(2, 2, "More"), entry(1, 4, "Two"), entry(2, 5, "More")].concat();
    assert!(written.html.contains(&format!("<p class=\"title\">Contents</p>{wanted}</nav>")), "{}", written.html);
    let without = crate::written(&tree(json!([{"id": "h", "type": "heading", "content": "x"}])), &json!({}));
    assert_eq!(without.headings, []);
    assert!(without.html.contains("<h2>x</h2>"), "{}", without.html);
}

#[test]
fn the_pages_of_headings_stand_in_the_table_of_contents_and_nothing_else_changes() {
    let compiled = compile(&book());
    let data = json!({"chapters": [{"name": "One"}, {"name": "Two"}]});
    let input = Input {
        data: &data,
        fixed_data: None,
        options: &RenderOptions::default(),
        now: crate::NOW.parse().unwrap(),
        bindings: Bindings::Lenient,
        cancelled: None,
        assets: None,
    };
    let limits = Limits::default();
    let plain = write_html(&compiled, &input, &limits).unwrap();
    let numbered = write_numbered(&compiled, &input, &limits, &[Some(2), Some(3), None, Some(11)]).unwrap();
    assert_eq!(numbered.html.matches("<b>").count(), 4);
    for (number, page) in [(1, "2"), (2, "3"), (4, "11"), (5, "")] {
        let line = numbered.html.split(&format!("href=\"#heading-{number}\"")).nth(1).unwrap().split("</a>").next().unwrap();
        assert!(line.ends_with(&format!("<b>{page}</b>")), "{line}");
    }
    assert_eq!(numbered.html.replace("<b>2<", "<b><").replace("<b>3<", "<b><").replace("<b>11<", "<b><"), plain.html);
    assert_eq!(numbered.headings, plain.headings);
}

#[test]
fn a_barcode_is_drawn_and_what_it_cannot_hold_is_refused_with_its_node() {
    for symbology in ["qr", "code128", "ean13", "datamatrix", "pdf417"] {
        let code = json!({"id": "b", "type": "barcode", "symbology": symbology, "value": "{{ean}}", "width": 40, "quietZone": false});
        let found = node(code, json!({"ean": "4006381333931"}));
        assert!(found.starts_with("<div class=\"barcode\"><svg "), "{symbology}: {found}");
    }
    let code = tree(json!([{"id": "b", "type": "barcode", "symbology": "ean13", "value": "{{ean}}"}]));
    let error = write_with(&code, &json!({"ean": "4006381333932"}), &json!({})).unwrap_err();
    assert_eq!(error.to_string(), "Barcode 1 (value, line 1, column 1): the 13th digit of EAN-13 is a check digit, here 1 and not 2");
    assert!(!written(&code, &json!({})).html.contains("<svg"));
    let wrong = refusals(&tree(json!([{"id": "b", "type": "barcode", "symbology": "ean8", "value": "1"}])));
    assert!(wrong[0].contains("\"symbology\" is \"ean8\"; accepted: \"qr\", \"code128\""), "{wrong:?}");
}
