//! Nodes one by one, beyond those that every document has.

use document::with_pages;
use serde_json::{Value, json};

use crate::{body, compile, refusals, tree, write_compiled, write_with, written};

#[expect(clippy::needless_pass_by_value, reason = "every caller makes the values on the spot")]
pub(crate) fn node(node: Value, data: Value) -> String {
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
fn rich_text_without_expressions_is_the_same_in_every_document_of_its_template() {
    // The second text becomes many times as long, as nothing in it is closed.
    let long = "<p><b title=1><i title=2><u title=3></p>".repeat(20);
    let compiled = compile(&tree(json!([
        {"id": "a", "type": "richText", "content": "<p onclick=\"x()\">a <b>{{! nothing }}b</b> &amp; c</p><script>alert(1)</script>"},
        {"id": "b", "type": "richText", "content": long},
        {"id": "c", "type": "richText", "content": "<p>{{{name}}}</p>"},
    ])));
    let of = |name: &str| {
        let written = write_compiled(&compiled, &json!({"name": name}), &json!({})).unwrap();
        (written.html.replace(name, "NAME"), written.warnings)
    };
    let first = of("Ada");
    assert!(first.0.contains("<div class=\"rich\"><p>a <b>b</b> &amp; c</p></div>"), "{}", first.0);
    assert!(first.0.contains("<div class=\"rich\"><p>NAME</p></div>"), "{}", first.0);
    assert!(first.1.iter().any(|warning| warning.message.contains("onclick")), "{:?}", first.1);
    assert_eq!([of("Grace"), of("Edsger")], [first.clone(), first]);
}

#[test]
fn a_signature_has_a_line_a_name_and_a_date_and_its_picture_is_checked() {
    let field = json!({"id": "s", "type": "signatureField", "name": "{{who}}", "label": "Seller", "dateLabel": "Date", "src": "{{scan}}", "width": "100mm", "height": "20mm"});
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

#[test]
fn a_signature_without_a_date_has_a_line_as_wide_as_the_field() {
    assert_eq!(
        node(json!({"id": "s", "type": "signatureField", "name": "Ada", "width": "60mm"}), json!({})),
        "<div class=\"signature undated\" style=\"width:60mm\"><div><div class=\"line\" style=\"height:16mm\"></div><p>Ada</p></div></div>"
    );
}

#[test]
fn a_box_has_the_height_it_is_given_and_columns_stand_where_they_are_told() {
    let text = json!({"id": "t", "type": "text", "content": "x"});
    assert_eq!(
        node(json!({"id": "c", "type": "container", "width": "80mm", "height": "45mm", "place": "end", "children": [text]}), json!({})),
        "<div class=\"container\" style=\"width:80mm;margin-inline-start:auto;box-sizing:border-box;min-height:45mm\"><p>x</p></div>"
    );
    for (align, css) in [("top", ";align-items:start"), ("middle", ";align-items:center"), ("baseline", ";align-items:baseline")] {
        assert_eq!(
            node(json!({"id": "c", "type": "columns", "align": align, "children": [text]}), json!({})),
            format!("<div class=\"columns\" style=\"grid-template-columns:minmax(0,1fr);gap:6mm{css}\"><div><p>x</p></div></div>")
        );
    }
}

#[test]
fn a_style_names_fonts_and_draws_lines_at_single_sides() {
    let style = json!({"borderTop": "1pt solid #999", "borderBottom": false, "borderStart": "2pt dotted red", "borderEnd": true, "borderRadius": "1mm",
        "fontFamily": "Liberation Serif, Noto Naskh Arabic, serif", "letterSpacing": "0.08em"});
    let found = node(json!({"id": "t", "type": "text", "content": "x", "style": style}), json!({}));
    for wanted in [
        "border-top:1pt solid #999",
        "border-bottom:none",
        "border-inline-start:2pt dotted red",
        "border-inline-end:0.75pt solid #c4c9d0",
        "border-radius:1mm",
        "font-family:'Liberation Serif','Noto Naskh Arabic',serif",
        "letter-spacing:0.08em",
    ] {
        assert!(found.contains(wanted), "{wanted} is missing in {found}");
    }
    for hostile in ["a\"b", "a'b", "x;color:red", "x\\", "a,,b", "", "url(x)", "a,b,c,d,e,f"] {
        let refused = refusals(&tree(json!([{"id": "t", "type": "text", "content": "x", "style": {"fontFamily": hostile}}])));
        assert!(refused[0].starts_with("/document/children/0/style/fontFamily: Text 1: style.fontFamily is "), "{refused:?}");
        assert!(refused[0].contains("accepted: one to five names of fonts"), "{refused:?}");
    }
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
        format!("<p class=\"l{level}\"><a href=\"#heading-{number}\"><span>{text}</span><i></i><b data-heading=\"{number}\"></b></a></p>")
    };
    let wanted = [entry(1, 1, "One &lt;1&gt;"), entry(2, 2, "More"), entry(1, 4, "Two"), entry(2, 5, "More")].concat();
    assert!(written.html.contains(&format!("<p class=\"title\">Contents</p>{wanted}</nav>")), "{}", written.html);
    let without = crate::written(&tree(json!([{"id": "h", "type": "heading", "content": "x"}])), &json!({}));
    assert_eq!(without.headings, []);
    assert!(without.html.contains("<h2>x</h2>"), "{}", without.html);
}

#[test]
fn the_pages_of_headings_stand_in_the_table_of_contents_and_nothing_else_changes() {
    let data = json!({"chapters": [{"name": "One"}, {"name": "Two <b data-heading=\"1\"></b>"}]});
    let document::Written { html: plain, headings, .. } = written(&book(), &data);
    let numbered = with_pages(&plain, &headings, &[Some(2), Some(3), None, Some(11)]);
    for (number, page) in [(1, "2"), (2, "3"), (4, "11"), (5, "")] {
        let line = numbered.split(&format!("href=\"#heading-{number}\"")).nth(1).unwrap().split("</a>").next().unwrap();
        assert!(line.ends_with(&format!("<b data-heading=\"{number}\">{page}</b>")), "{line}");
    }
    assert_eq!(numbered.replace(">2</b>", "></b>").replace(">3</b>", "></b>").replace(">11</b>", "></b>"), plain);
    for odd in
        ["<b data-heading=\"", "<b data-heading=\"x\"></b>", "<b data-heading=\"0\"></b>", "<b data-heading=\"99999999999999999999\"></b>"]
    {
        assert_eq!(with_pages(odd, &headings, &[Some(1)]), odd);
    }
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

#[test]
fn an_asset_that_a_signature_shows_is_known_as_one_of_its_template() {
    let compiled = compile(&tree(json!([{"id": "s", "type": "signatureField", "src": "asset:signature-ada"}])));
    assert_eq!(compiled.assets().iter().map(ToString::to_string).collect::<Vec<_>>(), ["signature-ada"]);
}
