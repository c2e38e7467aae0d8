//! HTML bodies with a style sheet.

use serde_json::{Value, json};

use crate::{body, write_with, written};

#[test]
fn a_fragment_gets_a_document_around_it() {
    let definition = json!({"name": "Offer <1>", "html": "<h1>{{title}}</h1>{{{raw}}}", "css": "h1{color:{{color}};}"});
    let html = written(&definition, &json!({"title": "<A>", "raw": "<b>x</b>", "color": "#123456"})).html;
    assert!(html.starts_with("<!doctype html><html><head><meta charset=\"utf-8\"><title>Offer &lt;1&gt;</title><style>@page{size:210mm 297mm;margin:20mm 20mm 20mm 20mm}"), "{html}");
    assert!(html.contains("h1{color:#123456;}</style></head><body><h1>&lt;A&gt;</h1><b>x</b></body></html>"), "{html}");
}

#[test]
fn a_whole_document_of_the_author_keeps_its_head_and_gets_ours_in_front() {
    let definition = json!({"name": "N", "html": "<!DOCTYPE html>\n<html class=x><head><title>Own &amp; {{n}}</title><style>@page{size:A5}</style></head><body>{{n}}</body></html>", "css": "p{}"});
    let document = written(&definition, &json!({"n": 1}));
    assert!(document.html.starts_with("<!DOCTYPE html>\n<html class=x><head><meta charset=\"utf-8\"><style>@page{size:210mm 297mm;margin:20mm 20mm 20mm 20mm}p{}</style><title>Own"), "{}", document.html);
    assert_eq!(document.metadata.title.as_deref(), Some("Own & 1"));
    let options = json!({"metadata": {"title": "T{{n}}"}, "locale": "ar", "direction": "rtl"});
    let document = write_with(&definition, &json!({"n": 1}), &options).unwrap();
    assert!(
        document.html.starts_with("<!DOCTYPE html>\n<html lang=\"ar\" dir=\"rtl\" class=x><head><meta charset=\"utf-8\"><title>T1</title>"),
        "{}",
        document.html
    );
}

#[test]
fn neither_css_nor_data_in_it_can_close_the_style_element() {
    let definition = json!({"html": "x", "css": "p{}</style><script>alert(1)</script>{{{d}}}{{d}}", "renderConfig": {"customCss": "q{}</STYLE><script>"}});
    let html = written(&definition, &json!({"d": "</style ><img src=x>"})).html;
    let (head, rest) = html.split_once("</style").unwrap();
    assert!(rest.starts_with("></head><body>x</body>"), "{rest}");
    assert!(!rest.contains("<script"), "{head}");
}

#[test]
fn custom_css_that_would_load_something_is_left_out_with_a_warning() {
    let definition = json!({"html": "x", "renderConfig": {"customCss": "@import url(http://x/y.css);p{background:url(http://x/z.png)}", "fontImports": ["https://x/f.css"]}});
    let document = written(&definition, &json!({}));
    assert!(document.html.contains("p{background:none}") && !document.html.contains("http:"), "{}", document.html);
    let codes: Vec<&str> = document.warnings.iter().map(|warning| warning.code).collect();
    assert_eq!(codes, ["css_import", "css_url", "font_import"]);
}

#[test]
fn an_image_bomb_in_markup_or_css_is_blocked() {
    let bomb = "data:image/gif;base64,R0lGODlh/////wAAACwAAAAAAQABAAA=";
    for definition in [
        json!({"html": format!("<img src='{bomb}'>")}),
        json!({"html": "<img src='{{b}}'>"}),
        json!({"html": "x", "css": format!("p{{background:url({bomb})}}")}),
        json!({"html": "<p style='background:url({{{b}}})'>"}),
    ] {
        let error = write_with(&definition, &json!({"b": bomb}), &json!({})).unwrap_err();
        assert!(error.to_string().contains("65535 × 65535"), "{error}");
    }
}

#[test]
fn title_subject_and_file_name_may_hold_expressions() {
    let definition =
        json!({"html": "x", "renderConfig": {"filename": "{{no}}.pdf", "metadata": {"title": "Nr. {{no}}", "author": "{{literal}}"}}});
    let document = write_with(&definition, &json!({"no": "7/8 <&>"}), &json!({"metadata": {"subject": "S {{no}}"}})).unwrap();
    assert_eq!(document.filename.as_deref(), Some("7-8 -&-.pdf"));
    assert_eq!(document.metadata.title.as_deref(), Some("Nr. 7/8 <&>"));
    assert_eq!(document.metadata.subject.as_deref(), Some("S 7/8 <&>"));
    assert_eq!(document.metadata.author.as_deref(), Some("{{literal}}"));
    assert!(document.html.contains("<title>Nr. 7/8 &lt;&amp;&gt;</title>"));
    let error = write_with(&definition, &Value::Null, &json!({"filename": "{{#if"})).unwrap_err();
    assert_eq!(error.issues()[0].path, "/options/filename");
}

#[test]
fn handlebars_blocks_work_in_the_body() {
    let definition = json!({"html": "{{#each items}}<li>{{@index}} {{name}}</li>{{else}}none{{/each}}"});
    assert_eq!(body(&definition, &json!({"items": [{"name": "a"}, {"name": "b"}]})), "<li>0 a</li><li>1 b</li>");
    assert_eq!(body(&definition, &json!({"items": []})), "none");
}
