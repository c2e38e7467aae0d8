//! Paper, margins, headers and footers.

use serde_json::{Value, json};

use crate::{write_with, written};

/// The `@page` rules in front of everything else in the style element.
fn page_rules(config: &Value, options: &Value) -> String {
    let definition = json!({"html": "x", "renderConfig": config});
    let html = write_with(&definition, &json!({"name": "A\"<b>\\"}), options).unwrap().html;
    let from = html.find("<style>").unwrap() + 7;
    html[from..html.find(":where(body)").unwrap()].to_owned()
}

#[test]
fn the_request_goes_over_the_template_and_the_template_over_the_defaults() {
    assert_eq!(page_rules(&json!({}), &json!({})), "@page{size:210mm 297mm;margin:20mm 20mm 20mm 20mm}");
    let config = json!({"paperSize": "A5", "orientation": "landscape", "margin": {"top": "1in"}});
    assert_eq!(page_rules(&config, &json!({})), "@page{size:210mm 148mm;margin:25.4mm 20mm 20mm 20mm}");
    let options = json!({"paperSize": {"width": "100mm", "height": "150mm"}, "margins": {"left": "0"}});
    assert_eq!(
        page_rules(&config, &options),
        "@page{size:150mm 100mm;margin:25.4mm 20mm 20mm 20mm}@page{size:150mm 100mm !important;margin-left:0mm !important;}"
    );
}

#[test]
fn a_header_of_markup_becomes_margin_boxes_with_counters() {
    let footer = "<div style='font-size:9px;color:#333;display:flex'><span>{{name}}</span><span class=\"date\"></span><span>Page <span class='pageNumber'></span> of <span class=totalPages></span></span></div>";
    let rules = page_rules(&json!({"pageFooter": footer, "timeZone": "Asia/Tokyo"}), &json!({}));
    let font = "font-size:9px;color:#333;font-weight:400;font-style:normal}";
    for wanted in [
        "@page{@bottom-left{content:\"A\\22 \\3c b\\3e \\5c \" ;",
        // 22:30 UTC is the next day in Tokyo.
        "@bottom-center{content:\"2026-11-22\" ;",
        "@bottom-right{content:\"Page \" counter(page) \" of \" counter(pages) ;white-space:pre-wrap;text-align:right;",
        font,
    ] {
        assert!(rules.contains(wanted), "{wanted} in {rules}");
    }
}

#[test]
fn a_header_of_three_texts_knows_the_page_numbers() {
    let rules = page_rules(&json!({"pageHeader": {"center": "{{name}} {{pageNumber}}/{{ totalPages }}"}}), &json!({}));
    assert!(rules.contains("@top-center{content:\"A\\22 \\3c b\\3e \\5c  \" counter(page) \"/\" counter(pages) ;"), "{rules}");
}

#[test]
fn the_request_puts_its_own_header_and_footer_in_place_of_the_templates() {
    let config = json!({"pageHeader": "Theirs", "pageFooter": {"left": "Theirs"}});
    let options = json!({"pageHeader": {}, "pageFooter": {"right": "{{name}} {{pageNumber}}"}});
    let rules = page_rules(&config, &options);
    assert!(!rules.contains("Theirs") && !rules.contains("@top"), "{rules}");
    assert!(rules.contains("@bottom-right{content:\"A\\22 \\3c b\\3e \\5c  \" counter(page) ;"), "{rules}");

    let wrong = write_with(&json!({"html": "x"}), &json!({}), &json!({"pageFooter": {"left": "{{#if}"}})).unwrap_err();
    let issues = wrong.issues();
    assert_eq!(issues[0].path, "/options/pageFooter/left", "{issues:?}");
}

#[test]
fn what_a_header_cannot_show_is_left_out_with_a_warning() {
    let definition = json!({"html": "x", "renderConfig": {"pageHeader": "<img src='http://x/y.png'>ACME<script>x()</script>"}});
    let document = written(&definition, &json!({}));
    assert!(document.html.contains("@top-left{content:\"ACME\" ;"), "{}", document.html);
    assert!(!document.html.contains("http:") && !document.html.contains("script"), "{}", document.html);
    assert_eq!(document.warnings.iter().map(|warning| warning.code).collect::<Vec<_>>(), ["page_furniture"; 2]);
}

#[test]
fn language_and_direction_are_on_the_document() {
    let document = write_with(&json!({"html": "x"}), &json!({}), &json!({"locale": "he-IL", "direction": "rtl"})).unwrap();
    assert!(document.html.starts_with("<!doctype html><html lang=\"he-IL\" dir=\"rtl\">"));
    assert_eq!(document.locale.as_deref(), Some("he-IL"));
}
