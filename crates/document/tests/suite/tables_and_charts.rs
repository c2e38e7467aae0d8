//! Tables with groups and totals, pivot tables and charts.

use serde_json::{Value, json};

use crate::nodes::node;
use crate::{refusals, tree, write_with, written};

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
fn a_cell_has_smaller_lines_below_its_text_where_there_are_any() {
    let table = json!({"id": "t", "type": "table", "items": "lines", "density": "compact", "columns": [{"field": "name", "detail": "{{#if (eq kind \"Goods\")}}of <{{kind}}>{{/if}} "}]});
    let found = node(table, lines());
    assert!(found.starts_with("<table class=\"table compact\">"), "{found}");
    let rows = found.split("<tbody>").nth(1).unwrap().trim_end_matches("</tbody></table>");
    assert_eq!(
        rows,
        "<tr><td>Paper &lt;A4&gt;<small>of &lt;Goods&gt; </small></td></tr><tr><td>Setting up</td></tr>\
         <tr><td>Ink<small>of &lt;Goods&gt; </small></td></tr><tr><td>Advice</td></tr>"
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

#[expect(clippy::needless_pass_by_value, reason = "every caller makes the value on the spot")]
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
    for kind in ["bar", "horizontalBar", "line", "area", "pie", "donut"] {
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

#[test]
fn sums_are_carried_from_page_to_page_and_end_in_the_total() {
    let table = json!({"id": "t", "type": "table", "items": "lines", "rowsPerPage": 2, "rowsOnFirstPage": 1, "broughtLabel": "From {{currency}}",
        "columns": [{"field": "name"}, {"field": "amount", "total": "sum"}, {"field": "kind", "total": "count"}]});
    let found = node(table, lines());
    let row = |class: &str, label: &str, sum: &str, count: &str| {
        format!("<tr class=\"{class}\"><th colspan=\"1\">{label}</th><td class=\"n\">{sum}</td><td>{count}</td></tr>")
    };
    let turn = |sum: &str| {
        let (carried, brought) = (row("total", "Carried forward", sum, ""), row("subtotal", "From EUR", sum, ""));
        format!("{carried}</tbody><tbody class=\"next\">{brought}")
    };
    let pages: Vec<&str> = found.split("<tbody class=\"next\">").collect();
    assert_eq!(pages.len(), 3, "{found}");
    assert!(found.contains(&turn("0.1")) && found.contains(&turn("95.8")), "{found}");
    assert!(pages[2].ends_with(&format!("{}</tbody></table>", row("total", "Total", "95.8", "4"))), "{found}");
    let grouped =
        refusals(&tree(json!([{"id": "t", "type": "table", "items": "a", "groupBy": "b", "rowsPerPage": 5, "columns": [{"field": "a"}]}])));
    assert!(grouped[0].contains("\"rowsPerPage\" and \"groupBy\" exclude each other"), "{grouped:?}");
}
