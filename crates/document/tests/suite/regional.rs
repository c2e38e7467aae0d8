//! Numbers, dates and codes of a document: whose language and zone count, and where the markup of a helper may stand.

use serde_json::{Value, json};

use super::{body, tree, write_with, written};

/// The body of a document with this `renderConfig` and these options of the request, spaces that do not break made plain.
fn body_with(config: &Value, options: &Value) -> String {
    let source = "{{number 1234.5}} {{currency 5 \"EUR\"}} {{date at \"long\"}} {{date at \"HH:mm\"}} {{date \"now\" \"iso\"}}";
    let definition = json!({"html": source, "renderConfig": config});
    let html = write_with(&definition, &json!({"at": "2026-12-01T23:30:00Z"}), options).unwrap().html;
    let from = html.find("<body>").unwrap() + "<body>".len();
    html[from..html.rfind("</body>").unwrap()].replace('\u{a0}', " ")
}

#[test]
fn the_language_and_the_zone_of_the_request_go_over_those_of_the_template() {
    let german = json!({"locale": "de", "timeZone": "Europe/Berlin"});
    for (config, options, body) in [
        (json!({}), json!({}), "1,234.5 €5.00 1 December 2026 23:30 2026-11-21"),
        (german.clone(), json!({}), "1.234,5 5,00 € 2. Dezember 2026 00:30 2026-11-21"),
        (german.clone(), json!({"locale": "fr", "timeZone": "Asia/Tokyo"}), "1\u{202f}234,5 5,00 € 2 décembre 2026 08:30 2026-11-22"),
        (json!({"locale": {"date": "de", "currency": "en-IE"}}), json!({}), "1,234.5 €5.00 1. Dezember 2026 23:30 2026-11-21"),
        (german, json!({"locale": {"currency": "en-US", "date": "en-GB"}}), "1,234.5 €5.00 2 December 2026 00:30 2026-11-21"),
        // A tag with a part that means nothing is the tag without it.
        (json!({"locale": "de-a"}), json!({}), "1.234,5 5,00 € 1. Dezember 2026 23:30 2026-11-21"),
    ] {
        assert_eq!(body_with(&config, &options), body, "{config} {options}");
    }
}

#[test]
fn names_of_files_titles_and_headers_are_written_for_the_same_reader() {
    let definition = json!({"html": "x", "renderConfig": {
        "locale": "de", "filename": "Rechnung {{date at}}", "metadata": {"title": "{{currency 5 \"EUR\"}}"},
        "pageFooter": "<p>{{date at \"long\"}}</p>",
    }});
    let document = written(&definition, &json!({"at": "2026-12-01"}));
    assert_eq!(document.filename.as_deref(), Some("Rechnung 01.12.2026"));
    assert_eq!(document.metadata.title.as_deref(), Some("5,00\u{a0}€"));
    assert!(document.html.contains("1. Dezember 2026"), "{}", document.html);
}

#[test]
fn codes_addresses_and_markdown_are_markup_in_html_and_text_in_text() {
    let data = json!({"a": {"name": "Ada", "city": "Ulm"}, "text": "**b** <i>c</i>"});
    let html = json!({"html": "<div>{{qr a.name}}</div><p>{{formatAddress a}}</p><td title=\"{{markdown text}}\">{{markdown text}}</td>"});
    let page = body(&html, &data);
    assert!(page.starts_with("<div><svg ") && page.contains("</svg></div><p>Ada<br>Ulm</p>"), "{page}");
    assert!(page.ends_with("<td title=\"b c\"><p><strong>b</strong> c</p></td>"), "{page}");

    let text = |content: &str| tree(json!([{"id": "t", "type": "text", "content": content}]));
    let page = body(&text("{{formatAddress a}}; {{markdown text}}"), &data);
    assert!(page.contains("Ada\nUlm; b c<"), "{page}");
    let refused = write_with(&text("{{qr a.name}}"), &data, &json!({})).unwrap_err().to_string();
    assert!(refused.contains("markup, which can only stand in HTML"), "{refused}");
}

#[test]
fn a_table_of_five_thousand_amounts_dates_and_percentages_stays_within_its_budget() {
    let rows: Vec<Value> = (0..5_000).map(|n| json!({"price": f64::from(n) / 100.0, "at": "2026-12-01", "rate": 0.19})).collect();
    let html =
        "{{#each rows}}<tr><td>{{date at}}<td>{{currency price \"EUR\"}}<td>{{percent rate}}<td>{{number price decimals=2}}{{/each}}";
    let page = body(&json!({"html": html}), &json!({"rows": rows}));
    assert_eq!(page.matches("1 Dec 2026").count(), 5_000);
}
