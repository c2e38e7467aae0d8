//! Data and definitions made to use up time and memory outside of any expression, or to change what a page says.

use std::time::Duration;

use document::{Bindings, Compiled, DocumentError, Input, Limits, check, write_html};
use domain::options::RenderOptions;
use serde_json::{Map, Value, json};

use crate::{body, compile, input, processor_time, refusals, tree, write_with, written};

/// Far more than linear work needs in a debug build, far less than quadratic work.
const SOON: Duration = Duration::from_secs(5);

fn soon<T>(work: impl FnOnce() -> T) -> T {
    let mut done = None;
    let spent = processor_time(|| done = Some(work()));
    assert!(spent < SOON, "{spent:?}");
    done.unwrap()
}

fn dry_run(definition: &Value, data: &Value) -> Value {
    let options = RenderOptions::default();
    serde_json::to_value(check(&compile(definition), &input(data, &options), &Limits::default()).unwrap()).unwrap()
}

#[test]
fn a_megabyte_of_begun_images_is_read_in_one_go() {
    for part in ["data:image/", "data:image/png;base64", "&data:image/&", "data:image/png;base64,&"] {
        let text = part.repeat(1_000_000 / part.len());
        let _ = soon(|| write_with(&json!({"html": "<p>{{{t}}}</p>"}), &json!({"t": text}), &json!({})));
        let _ = soon(|| write_with(&json!({"html": "{{t}}", "css": "p{}{{t}}"}), &json!({"t": text}), &json!({})));
    }
}

#[test]
fn an_image_bomb_behind_another_image_is_still_found() {
    let bomb = "data:image/gif;base64,R0lGODlh/////wAAACwAAAAAAQABAAA=";
    for joined in ["", ";", "\t", "&#9;", ","] {
        let html = format!("<img srcset='data:image/svg+xml,x{joined}{bomb}'>");
        let error = write_with(&json!({"html": html}), &json!({}), &json!({})).unwrap_err();
        assert!(error.to_string().contains("65535 × 65535"), "{error}");
    }
}

#[test]
fn a_header_of_elements_that_never_close_is_read_in_one_go_and_a_long_one_is_refused() {
    let definition = |header: &str| json!({"html": "x", "renderConfig": {"pageHeader": header}});
    let write = |header: &str, text: &str| soon(|| write_with(&definition(header), &json!({"t": text}), &json!({})));
    for part in ["<svg>", "<script a=1>", "<style><svg>", "<b>", "&", "<!--", "<a \"", "<svg></sv"] {
        write("{{{t}}}", &part.repeat(60_000 / part.len())).unwrap();
    }
    let error = write("{{t}}", &"x".repeat(70_000)).unwrap_err();
    assert_eq!(error.to_string(), "the document's page header or footer (bytes) passed the limit of 65536");
    let texts = json!({"html": "x", "renderConfig": {"pageFooter": {"left": "{{t}}"}}});
    assert!(write_with(&texts, &json!({"t": "x".repeat(70_000)}), &json!({})).is_err());
}

#[test]
fn titles_that_data_asks_for_in_a_header_do_not_multiply() {
    let html = "<!doctype html><html><head><title>{{name}}</title></head><body>x</body></html>";
    let definition = json!({"html": html, "renderConfig": {"pageHeader": {"left": "{{note}}"}}});
    let data = json!({"name": "n".repeat(60_000), "note": "\u{10fff3}".repeat(16_000)});
    let error = soon(|| write_with(&definition, &data, &json!({}))).unwrap_err();
    assert!(error.to_string().contains("page header or footer (bytes)"), "{error}");
}

#[test]
fn headings_and_numbers_that_never_end_are_read_in_one_go() {
    let header = json!({"pageHeader": {"left": "{{chapterTitle}}"}});
    let open = json!({"html": "{{{t}}}", "renderConfig": header});
    let written = soon(|| write_with(&open, &json!({"t": "<h1>x".repeat(200_000)}), &json!({}))).unwrap();
    assert!(written.headings.is_empty());
    let numbers = format!("<h1>x</h1><!--{}-->", "<b data-heading=\"".repeat(100_000));
    let written = soon(|| write_with(&open, &json!({"t": numbers}), &json!({}))).unwrap();
    assert_eq!(written.headings.len(), 1);
    let titled = soon(|| document::with_pages(&written.html, &written.headings, &[Some(1)]));
    assert_eq!(titled.matches("data-heading").count(), 100_000);
}

#[test]
fn mappings_do_not_multiply_the_payload() {
    let mappings = |count: usize| {
        let entries: Vec<Value> = (0..count).map(|at| json!({"target": format!("t{at}"), "source": "this"})).collect();
        json!({"html": "x", "fieldMappings": entries})
    };
    let data = json!({"rows": vec![json!([1, 2, 3]); 25_000]});
    let error = soon(|| write_with(&mappings(400), &data, &json!({}))).unwrap_err();
    assert_eq!(error.to_string(), "the document's mapped data (bytes) passed the limit of 67108864");
    assert_eq!(written(&mappings(3), &data).mappings_applied, 3);
    let said = refusals(&mappings(1_001));
    assert_eq!(said, ["/fieldMappings: there are 1001 field mappings; at most 1000 are accepted"]);
}

#[test]
fn warnings_and_problems_are_listed_up_to_a_hundred() {
    let sheet = "p{background:url(http://x)}".repeat(1_000);
    let definition = json!({"html": "x", "renderConfig": {"customCss": sheet, "fontImports": vec!["x"; 100_000]}});
    let warnings = soon(|| written(&definition, &json!({}))).warnings;
    assert_eq!((warnings.len(), warnings[100].code), (101, "more_warnings"));

    let image = |id: String| json!({"id": id, "type": "image", "src": "http://x/{{@index}}"});
    let images: Vec<Value> = (0..300).map(|at| image(format!("i{at}"))).collect();
    let hidden = tree(json!([{"id": "c", "type": "conditional", "condition": "never", "children": images}]));
    let answer = soon(|| dry_run(&hidden, &json!({})));
    assert_eq!(answer["formatWarnings"].as_array().unwrap().len(), 101);
    let shown = tree(json!(images));
    assert_eq!(dry_run(&shown, &json!({}))["expressions"]["errors"].as_array().unwrap().len(), 100);
}

#[test]
fn long_names_are_cut_in_every_report() {
    let name = "n".repeat(100_000);
    let mut definition = json!({"html": format!("{{{{{name}}}}} {{{{#if {name} }}}}{{{{/if}}}} {{{{{name} x}}}}")});
    let answer = dry_run(&definition, &json!({})).to_string();
    assert!(answer.len() < 10_000, "{}", answer.len());
    definition[&name] = json!(1);
    let error = Compiled::compile(&definition, &Limits::default()).unwrap_err();
    assert!(error.to_string().len() < 5_000 && error.issues()[0].path.len() < 1_000, "{error}");
    let unknown: Map<String, Value> = (0..20_000).map(|at| (format!("{name}{at}").split_off(99_000), json!(1))).collect();
    let error = soon(|| Compiled::compile(&Value::Object(unknown), &Limits::default())).unwrap_err();
    let size: usize = error.issues().iter().map(|issue| issue.path.len() + issue.message.len()).sum();
    assert!(error.issues().len() <= 101 && size < 200_000, "{size}");
}

#[test]
fn a_value_in_the_style_sheet_cannot_hide_what_a_page_says() {
    let css = ".a{color: {{color}}; width: {{w}}%; font-family: {{font}}; background: {{rgb}} } .b::after{content: \"{{text}}\"}";
    let definition = json!({"html": "x", "css": css});
    let fine = json!({"color": "#ff0000", "w": 12.5, "font": "Noto Sans, serif", "rgb": "rgb(1, 2, 3)", "text": "Größe 1"});
    let html = written(&definition, &fine).html;
    let wanted =
        ".a{color: #ff0000; width: 12.5%; font-family: Noto Sans, serif; background: rgb(1, 2, 3) } .b::after{content: \"Größe 1\"}";
    assert!(html.contains(wanted), "{html}");
    let hostile =
        json!({"color": "red}.total{display:none", "w": "1;x:url(http://x)", "font": "\"x", "rgb": "/*", "text": "\";}*{display:none}"});
    let html = written(&definition, &hostile).html;
    let sheet = &html[html.find(".a{").unwrap()..html.find("</style").unwrap()];
    assert_eq!((sheet.matches('{').count(), sheet.matches('}').count(), sheet.matches(';').count()), (2, 2, 3), "{sheet}");
    assert!(!sheet.contains("url(") && !sheet.contains("/*") && sheet.matches('"').count() == 2, "{sheet}");
}

#[test]
fn the_same_holds_in_a_style_element_of_the_markup_and_only_there() {
    let hostile = json!({"c": "red}p{x:y", "t": "1/2 (a) & b", "on": true});
    let html = "<STYLE>p{color:{{c}} }{{#if on}}q{color:{{c}} }{{/if}}</style><p style='x'>{{t}}{{#if on}}<style>{{else}}<style>i{}{{/if}}s{color:{{c}} }</style>{{t}}";
    let said = body(&json!({"html": html}), &hostile);
    assert_eq!(said.matches("red\\7d p\\7b x\\3a y").count(), 3, "{said}");
    assert_eq!(said.matches("1/2 (a) &amp; b").count(), 2, "{said}");
}

#[test]
fn a_link_from_data_to_a_script_or_a_file_keeps_only_its_text() {
    let link = "<a href=\"{{u}}\">{{t}}</a>";
    for definition in [json!({"html": link}), tree(json!([{"id": "h", "type": "html", "content": link}]))] {
        for address in ["javascript:alert(1)", "file:///etc/passwd", " JAVA\tSCRIPT:x", "data:text/html,x"] {
            let document = written(&definition, &json!({"u": address, "t": "click"}));
            assert!(document.html.contains(" data-href=") && document.html.contains(">click</a>"), "{}", document.html);
            assert_eq!(document.warnings[0].code, "link");
        }
        for address in ["https://example.com/?a=b:c", "mailto:a@b.example", "tel:+49", "#part", "http://x"] {
            let document = written(&definition, &json!({"u": address, "t": "click"}));
            assert!(document.html.contains("<a href=") && document.warnings.is_empty(), "{}", document.html);
        }
    }
}

#[test]
fn work_between_expressions_is_charged() {
    let limits = || {
        let mut limits = Limits::default();
        limits.budget.steps = 200_000;
        limits
    };
    let long = "x".repeat(1_000_000);
    let many: Vec<u32> = (0..3_000).collect();
    let data = json!({"many": many, "long": long, "list": vec![json!({}); 1000], "deep": [[long]]});
    let conditional = |operator: &str, path: &str, value: Value| {
        let test = json!({"id": "c", "type": "conditional", "path": path, "operator": operator, "value": value, "children": []});
        tree(json!([{"id": "r", "type": "repeater", "items": "many", "children": [test]}]))
    };
    let definitions = [
        json!({"html": "{{#each many}}{{lookup @root ../deep}}{{lookup @root @root.long}}{{/each}}"}),
        conditional("contains", "@root.long", json!("y")),
        conditional("in", "@root.list", json!(vec![json!([{}, 1]); 2_000])),
        tree(json!([{"id": "r", "type": "repeater", "items": "many", "children": [
            {"id": "s", "type": "repeater", "items": "@root.many", "children": []}]}])),
    ];
    for definition in definitions {
        let compiled = compile(&definition);
        let options = RenderOptions::default();
        let input = Input {
            data: &data,
            fixed_data: None,
            options: &options,
            now: crate::NOW.parse().unwrap(),
            bindings: Bindings::Lenient,
            cancelled: None,
            assets: None,
        };
        let error = soon(|| write_html(&compiled, &input, &limits())).unwrap_err();
        assert!(matches!(error, DocumentError::Budget(_)), "{error}");
    }
}

#[test]
fn a_title_made_of_data_is_as_short_as_a_written_one() {
    let options = json!({"metadata": {"title": "{{t}}", "subject": "{{t}}"}});
    let document = write_with(&json!({"html": "x"}), &json!({"t": "ü".repeat(100_000)}), &options).unwrap();
    let count = |text: Option<String>| text.map(|text| text.chars().count());
    assert_eq!((count(document.metadata.title), count(document.metadata.subject)), (Some(2000), Some(2000)));
}
