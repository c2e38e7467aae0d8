//! What stands on every page, as the browser prints it: headers and footers by the class of the page.

use serde_json::{Value, json};
use testkit::pdf::{page_count, page_words};

use crate::running::Server;

/// Pages with a heading each, on A5.
#[expect(clippy::needless_pass_by_value, reason = "so that a definition reads as one")]
pub fn pages(headings: &[&str], config: Value) -> Value {
    let mut children = Vec::new();
    for (index, heading) in headings.iter().enumerate() {
        if index > 0 {
            children.push(json!({"id": format!("break-{index}"), "type": "pageBreak"}));
        }
        children.push(json!({"id": format!("heading-{index}"), "type": "heading", "level": 1, "content": heading}));
    }
    let mut definition =
        json!({"name": "Pages", "renderConfig": config, "document": {"id": "root", "type": "document", "children": children}});
    definition["renderConfig"]["paperSize"] = json!("A5");
    definition
}

/// The words of each page, with one blank between them.
pub fn words_of_pages(pdf: &[u8]) -> Vec<String> {
    (1..=page_count(pdf)).map(|page| page_words(pdf, page).split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[tokio::test]
async fn the_first_the_odd_and_the_even_pages_each_have_their_own_header_and_count_pages() {
    let server = Server::start();
    let definition = pages(
        &["One", "Two", "Three", "Four"],
        json!({
            "pageHeader": {"first": "", "odd": {"right": "odd {{pageNumber}}"}, "even": {"left": "even {{pageNumber}}"}},
            "pageFooter": {"first": {"center": "Cover of {{name}}"}, "other": "<b>Page <span class=pageNumber></span> of <span class=totalPages></span></b>"},
        }),
    );
    let data = json!({"name": "Ada & <Co>"});
    let pdf = server.pdf_of(&json!({"definition": definition, "data": data})).await;
    let wanted = ["One Cover of Ada & <Co>", "even 2 Two Page 2 of 4", "odd 3 Three Page 3 of 4", "even 4 Four Page 4 of 4"];
    assert_eq!(words_of_pages(&pdf), wanted);

    // The header of the request is one for all pages, in place of the whole of the template's.
    let options = json!({"pageHeader": {"center": "Copy"}});
    let pdf = server.pdf_of(&json!({"definition": definition, "data": data, "options": options})).await;
    assert_eq!(words_of_pages(&pdf)[..2], ["Copy One Cover of Ada & <Co>", "Copy Two Page 2 of 4"]);
}

#[tokio::test]
async fn odd_pages_are_odd_in_a_document_that_is_read_from_right_to_left() {
    let server = Server::start();
    for direction in ["ltr", "rtl"] {
        let definition = pages(&["1", "2"], json!({"direction": direction, "pageHeader": {"odd": "odd", "even": "even"}}));
        let pdf = server.pdf_of(&json!({"definition": definition})).await;
        assert_eq!(words_of_pages(&pdf), ["odd 1", "even 2"], "{direction}");
    }
}

#[tokio::test]
async fn a_header_names_the_chapter_and_the_section_that_its_page_belongs_to() {
    let server = Server::start();
    let text = |id: &str, content: &str| json!({"id": id, "type": "text", "content": content});
    let heading = |id: &str, level: u8, content: &str| json!({"id": id, "type": "heading", "level": level, "content": content});
    let turn = |id: &str| json!({"id": id, "type": "pageBreak"});
    let children = json!([
        text("cover", "Cover"),
        turn("b1"),
        heading("c1", 1, "Aims"),
        heading("s1", 2, "Scope & \"<limits>\""),
        text("t1", "t1"),
        turn("b2"),
        text("t2", "t2"),
        turn("b3"),
        text("t3", "t3"),
        heading("s2", 2, "Time"),
        heading("s3", 2, "Money"),
        turn("b4"),
        text("t4", "t4"),
        heading("c2", 1, "Ζωή 世界"),
        turn("b5"),
        text("t5", "t5"),
        turn("b6"),
        text("t6", "t6"),
    ]);
    let config = json!({"paperSize": "A5", "pageHeader": {"left": "[{{chapterTitle}}]", "right": "({{ sectionTitle }}) {{pageNumber}}/{{totalPages}}"}});
    let tree = json!({"renderConfig": config, "document": {"id": "root", "type": "document", "children": children}});
    let pdf = server.pdf_of(&json!({"definition": tree})).await;
    let limits = "Scope & \"<limits>\"";
    let wanted = [
        "[] () 1/7 Cover".to_owned(),
        format!("[Aims] ({limits}) 2/7 Aims {limits} t1"),
        format!("[Aims] ({limits}) 3/7 t2"),
        "[Aims] (Time) 4/7 t3 Time Money".to_owned(),
    ];
    let found = words_of_pages(&pdf);
    assert_eq!(found[..4], wanted);
    let rest = ["[Ζωή 世界] (Ζωή 世界) 5/7 t4 Ζωή 世界", "[Ζωή 世界] (Ζωή 世界) 6/7 t5", "[Ζωή 世界] (Ζωή 世界) 7/7 t6"];
    assert_eq!(found[4..], rest);

    // The same of a page that its author wrote.
    let html = "<h1 style='break-before:page'>Aims</h1><p>x</p><h2 id=Größe style='break-before:page'>Time<br>and <i>money</i></h2><p style='break-before:page'>y</p>";
    let written = json!({"html": format!("<p>Cover</p>{html}"), "renderConfig": config});
    let found = words_of_pages(&server.pdf_of(&json!({"definition": written})).await);
    let wanted =
        ["[] () 1/4 Cover", "[Aims] (Aims) 2/4 Aims x", "[Aims] (Time and money) 3/4 Time and money", "[Aims] (Time and money) 4/4 y"];
    assert_eq!(found, wanted);
}

/// How far the first word of a page is from its left and its upper edge, in points.
fn first_word_at(pdf: &[u8], page: u32) -> (f64, f64) {
    let words = testkit::pdf::words_with_places(pdf, page);
    let (_, left, top) = words.first().expect("a word on the page");
    (*left, *top)
}

#[tokio::test]
async fn margins_are_mirrored_in_a_book_and_the_first_page_has_its_own() {
    let server = Server::start();
    let margins = json!({"top": "20mm", "inside": "40mm", "outside": "10mm", "first": {"top": "80mm"}});
    let html = "<p style='margin:0'>One<p style='margin:0;break-before:page'>Two<p style='margin:0;break-before:page'>Three";
    let definition = json!({"html": html, "renderConfig": {"margins": margins}});
    let pdf = server.pdf_of(&json!({"definition": definition})).await;
    let places: Vec<_> = (1..=3).map(|page| first_word_at(&pdf, page)).collect();
    let mm = |points: f64| (points / 72.0 * 25.4).round();
    assert_eq!(places.iter().map(|(left, _)| mm(*left)).collect::<Vec<_>>(), [40.0, 10.0, 40.0]);
    let below = |page: usize| mm(places[page].1 - places[1].1);
    assert_eq!((below(0), below(2)), (60.0, 0.0), "{places:?}");
}

#[tokio::test]
async fn a_wrong_header_is_refused_by_its_field_with_the_nearest_name() {
    let server = Server::start();
    for (config, path, said) in [
        (json!({"pageHeader": {"frist": "A"}}), "/renderConfig/pageHeader/frist", "did you mean \"first\""),
        (json!({"pageFooter": {"odd": {"centre": "A"}}}), "/renderConfig/pageFooter/odd/centre", "did you mean \"center\""),
        (json!({"pageHeader": {"first": "{{#if}"}}), "/renderConfig/pageHeader/first", "renderConfig.pageHeader.first"),
        (json!({"margins": {"inside": "30mm", "left": "1mm"}}), "/renderConfig/margins/left", "exclude each other"),
    ] {
        let response = server.post("/render", &json!({"definition": pages(&["One"], config)})).await;
        let status = response.status().as_u16();
        let body: Value = response.json().await.unwrap();
        assert_eq!(status, 422, "{body}");
        let issue = &body["issues"][0];
        assert_eq!(issue["path"], path, "{body}");
        assert!(issue["message"].as_str().unwrap().contains(said), "{body}");
    }
}
