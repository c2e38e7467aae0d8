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

#[test]
fn each_class_of_pages_has_its_own_boxes_and_empties_those_it_does_not_fill() {
    let header = json!({"first": "", "odd": {"right": "{{pageNumber}}"}, "even": {"left": "{{pageNumber}}"}, "other": "never seen"});
    let rules = page_rules(&json!({"pageHeader": header}), &json!({}));
    let even = rules.find("@page :left{@top-left{content:counter(page) ;").expect(&rules);
    let odd = rules.find("@page :right{@top-left{content:none}@top-center{content:none}@top-right{content:counter(page) ;").expect(&rules);
    let first = rules.find("@page :first{@top-left{content:none}@top-center{content:none}@top-right{content:none}}").expect(&rules);
    assert!(even < first && odd < first, "{rules}");
    // Where text is read from right to left, page 1 is on the left.
    let rules = page_rules(&json!({"pageHeader": {"odd": "O"}, "direction": "rtl"}), &json!({}));
    assert!(rules.contains("@page :left{@top-left{content:\"O\" ;") && !rules.contains(":right{"), "{rules}");
}

#[test]
fn margins_differ_on_the_first_page_and_in_a_book() {
    let config = json!({"margins": {"inside": "30mm", "outside": "10mm", "first": {"top": "50mm"}}});
    let options = json!({"margins": {"first": {"top": "60mm"}}});
    assert_eq!(
        page_rules(&config, &options),
        "@page{size:210mm 297mm;margin:20mm 20mm 20mm 20mm}\
        @page :right{margin-left:30mm;margin-right:10mm;}@page :left{margin-right:30mm;margin-left:10mm;}@page :first{margin-top:50mm;}\
        @page :first{margin-top:60mm !important;}"
    );
}

#[test]
fn a_header_whose_lines_are_too_many_for_its_margin_comes_with_a_warning() {
    let warnings = |config: Value, css: &str| {
        let definition = json!({"html": "x", "css": css, "renderConfig": config});
        let written = written(&definition, &json!({}));
        written.warnings.into_iter().map(|warning| warning.message).collect::<Vec<_>>()
    };
    let lines = "1<br>2<br>3<br>4";
    let short = json!({"pageHeader": {"first": lines}, "margins": {"top": "40mm", "first": {"top": "10mm"}}});
    let found = warnings(short.clone(), "");
    assert!(found.len() == 1 && found[0].contains("has 4 lines, about 12 mm, and the top margin 10 mm"), "{found:?}");
    for (config, css) in [(short, "@PAGE :first{margin:4cm}"), (json!({"pageFooter": lines}), "")] {
        assert_eq!(warnings(config, css), Vec::<String>::new());
    }
}

#[test]
fn headings_of_nodes_and_of_html_become_the_titles_of_their_pages() {
    let config = json!({"pageHeader": {"left": "{{chapterTitle}}"}, "pageFooter": "<i class=sectionTitle></i>"});
    let node = |level: u8, text: &str| json!({"id": text, "type": "heading", "level": level, "content": text});
    let tree = json!({"id": "root", "type": "document", "children": [node(1, "A \" B"), node(2, "C"), node(1, "D")]});
    for definition in [
        json!({"document": tree, "renderConfig": config}),
        json!({"html": "<h1>A &quot; B</h1><h2>C</h2><h1>D</h1>", "renderConfig": config}),
        json!({"html": "<!doctype html><html><head><title>T</title></head><body><h1>A &quot; B</h1><h2>C</h2><h1>D</h1>", "renderConfig": config}),
    ] {
        let document::Written { html, headings, .. } = written(&definition, &json!({}));
        assert!(html.contains("@top-left{content:counter(page,pulp-chapter-title) ;"), "{html}");
        assert!(html.contains("@bottom-left{content:counter(page,pulp-section-title) ;"), "{html}");
        assert_eq!(headings.iter().map(|heading| heading.level).collect::<Vec<_>>(), [1, 2, 1]);
        for heading in &headings {
            assert!(
                html.contains(&format!(" id=\"{}\">", heading.anchor)) && html.contains(&format!("href=\"#{}\"", heading.anchor)),
                "{html}"
            );
        }
        let titled = document::with_pages(&html, &headings, &[Some(1), Some(1), Some(3)]);
        assert!(titled.contains("@counter-style pulp-chapter-title{system:fixed;symbols: \"A \\22  B\" \"A \\22  B\" \"D\";"), "{titled}");
        assert!(titled.contains("@counter-style pulp-section-title{system:fixed;symbols: \"C\" \"C\" \"D\";"), "{titled}");
    }
    // Who names no title pays nothing for it.
    let plain = written(&json!({"html": "<h1>A</h1>", "renderConfig": {"pageHeader": "x"}}), &json!({}));
    assert!(plain.headings.is_empty() && plain.html.contains("<h1>A</h1>") && !plain.html.contains("counter-style"), "{}", plain.html);
}

#[test]
fn a_watermark_leaves_neither_its_drawing_nor_its_document() {
    let text = "{{name}}</style><script>\"\\%'#";
    for (layer, pages, wanted) in [
        ("behind", "all", "@page{background-image:url(\"data:image/svg+xml,%3Csvg "),
        ("behind", "first", "@page :first{background-image:url(\"data:image/svg+xml,%3Csvg "),
        ("front", "all", "position:fixed!important;"),
        ("front", "first", "position:absolute!important;"),
    ] {
        let watermark = json!({"text": text, "fontFamily": "A\"};B", "layer": layer, "pages": pages});
        let html = written(&json!({"html": "x", "renderConfig": {"watermark": watermark}}), &json!({"name": "never"})).html;
        assert!(html.contains(wanted), "{layer} {pages}: {html}");
        assert_eq!(html.matches("</style>").count(), 1, "{html}");
        assert!(!html.contains("<script") && !html.contains("never"), "{html}");
        let (_, drawing) = html.split_once("data:image/svg+xml,").unwrap();
        let drawing = drawing.split('"').next().unwrap();
        assert!(drawing.contains("{{name}}&lt;/style&gt;&lt;script&gt;&quot;%5C%25'%23%3C/text%3E"), "{drawing}");
        // Beside other documents it would lie over their pages.
        assert_eq!(document::sheaf::Leaf::of(&html), None, "{layer} {pages}");
    }
    let hidden = written(&json!({"html": "x", "renderConfig": {"watermark": {"text": "A"}}}), &json!({})).html;
    assert!(hidden.contains("background-size:170mm 257mm;"), "{hidden}");
}

#[test]
fn a_picture_across_the_pages_is_among_the_assets_of_its_template() {
    let definition = json!({"html": "x", "renderConfig": {"watermark": {"image": "asset:seal"}}});
    let compiled = document::Compiled::compile(&definition, &document::Limits::default()).unwrap();
    assert_eq!(compiled.assets().iter().map(ToString::to_string).collect::<Vec<_>>(), ["seal"]);
}

#[test]
fn a_page_on_a_larger_sheet_has_its_margins_and_what_has_none_reaches_into_the_bleed() {
    let config = json!({"paperSize": "A5", "margins": {"left": "0"}, "printProduction": {"bleed": "3mm", "cropMarks": true}});
    let rules = page_rules(&config, &json!({}));
    let wanted = "@page{size:166mm 228mm !important;margin:29mm 29mm 29mm 6mm !important}\
        :root{--bleed:3mm}html{padding:0mm 0mm 0mm 3mm !important;box-decoration-break:clone!important}";
    assert_eq!(rules, wanted);
    let long = json!({"paperSize": {"width": "5070mm", "height": "50mm"}, "printProduction": {"bleed": "6mm"}});
    let refused = write_with(&json!({"html": "x"}), &json!({}), &long).unwrap_err().issues();
    assert_eq!(refused[0].path, "/options/printProduction", "{refused:?}");
    assert!(refused[0].message.contains("5080mm"), "{refused:?}");
}
