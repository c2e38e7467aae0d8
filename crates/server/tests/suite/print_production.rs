//! Pages for a printing house, as the browser prints them: boxes, bleed and crop marks.

use std::ops::Range;

use serde_json::{Value, json};
use testkit::pdf::{page_count, pixels, words_with_places};

use crate::page_furniture::words_of_pages;
use crate::running::Server;

const POINTS_PER_MM: f64 = 72.0 / 25.4;

/// A card without margins: a band that leaves the page on three sides, and a word.
#[expect(clippy::needless_pass_by_value, reason = "so that a definition reads as one")]
fn card(production: Value) -> Value {
    let band = "<div style='background:#00f;height:calc(20mm + var(--bleed,0mm));margin:calc(-1*var(--bleed,0mm));margin-bottom:0'></div>";
    let html = format!("<style>html{{background:#ff0}}p{{margin:10mm 0 0 30mm}}</style>{band}<p>Word");
    let margins = json!({"top": "0", "right": "0", "bottom": "0", "left": "0"});
    json!({"html": html, "renderConfig": {"paperSize": {"width": "85mm", "height": "55mm"}, "margins": margins, "printProduction": production}})
}

/// The width and the height of a box of the first page, in points.
fn size_of(pdf: &[u8], name: &str) -> [f64; 2] {
    let text = String::from_utf8_lossy(pdf);
    let (_, rest) = text.split_once(&format!("/{name}")).unwrap_or_else(|| panic!("no {name}"));
    let numbers: Vec<f64> = rest.split(['[', ']']).nth(1).unwrap().split_ascii_whitespace().map(|number| number.parse().unwrap()).collect();
    [numbers[2] - numbers[0], numbers[3] - numbers[1]]
}

fn is_near(found: [f64; 2], wanted_mm: [f64; 2], tolerance: f64) -> bool {
    found.into_iter().zip(wanted_mm).all(|(found, wanted)| (found - wanted * POINTS_PER_MM).abs() < tolerance)
}

#[tokio::test]
async fn a_sheet_has_its_boxes_its_bleed_and_its_marks_and_the_page_is_where_it_was() {
    let server = Server::start();
    let plain = server.pdf_of(&json!({"definition": card(Value::Null)})).await;
    let pdf = server.pdf_of(&json!({"definition": card(json!({"bleed": "3mm", "cropMarks": true}))})).await;
    assert_eq!(page_count(&pdf), 1);
    // 3 mm of bleed, 5 mm of mark and 1 mm of nothing on each side of 85 × 55 mm; a browser rounds the sheet to its next pixel.
    assert!(is_near(size_of(&pdf, "MediaBox"), [103.0, 73.0], 1.0), "{:?}", size_of(&pdf, "MediaBox"));
    assert!(is_near(size_of(&pdf, "TrimBox"), [85.0, 55.0], 0.01), "{:?}", size_of(&pdf, "TrimBox"));
    assert!(is_near(size_of(&pdf, "BleedBox"), [91.0, 61.0], 0.01), "{:?}", size_of(&pdf, "BleedBox"));

    // The word is as far from the edge of the page as without a sheet.
    let place =
        |pdf: &[u8]| words_with_places(pdf, 1).into_iter().find(|(word, ..)| word == "Word").map(|(_, left, top)| (left, top)).unwrap();
    let (alone, on_sheet) = (place(&plain), place(&pdf));
    let around = 9.0 * POINTS_PER_MM;
    assert!((on_sheet.0 - alone.0 - around).abs() < 0.8 && (on_sheet.1 - alone.1 - around).abs() < 0.8, "{alone:?} {on_sheet:?}");

    // Ten pixels are a millimetre.
    let page = pixels(&pdf, 1, 254);
    let (white, blue, yellow) = ([255, 255, 255], [0, 0, 255], [255, 255, 0]);
    assert_eq!([page.at(515, 65), page.at(65, 200), page.at(965, 200)], [blue; 3], "the band reaches into the bleed");
    assert_eq!([page.at(515, 665), page.at(65, 600)], [yellow; 2], "the background does too");
    assert_eq!([page.at(515, 55), page.at(55, 360), page.at(515, 676)], [white; 3], "and nothing leaves it");
    let is_dark = |x: Range<usize>, y: Range<usize>| y.flat_map(|y| x.clone().map(move |x| (x, y))).any(|(x, y)| page.at(x, y)[1] < 160);
    for corner in [90, 940] {
        assert!(is_dark(corner - 3..corner + 3, 30..31), "a mark above the page at {corner}");
    }
    for corner in [90, 640] {
        assert!(is_dark(30..31, corner - 3..corner + 3), "a mark beside the page at {corner}");
    }
    assert!(!is_dark(20..58, 20..58), "nothing stands in the corner itself");
}

#[tokio::test]
async fn pages_with_margins_headers_and_a_style_sheet_keep_their_places_on_the_sheet() {
    let server = Server::start();
    let definition = |production: Value| {
        let html = "<p style='margin:0'>One<p style='break-before:page;margin:0'>Two";
        let config =
            json!({"paperSize": "A5", "pageHeader": "Top {{pageNumber}}", "pageFooter": {"right": "End"}, "printProduction": production});
        json!({"html": html, "renderConfig": config})
    };
    let plain = server.pdf_of(&json!({"definition": definition(Value::Null)})).await;
    let mut with_rules = definition(json!({"bleed": "5mm"}));
    with_rules["css"] = json!("@page{size:A3;margin:0}");
    let around = 5.0 * POINTS_PER_MM;
    for definition in [definition(json!({"bleed": "5mm"})), with_rules] {
        let pdf = server.pdf_of(&json!({"definition": definition})).await;
        assert_eq!(words_of_pages(&pdf), words_of_pages(&plain));
        for page in 1..=2 {
            for ((word, left, top), (same, plain_left, plain_top)) in
                words_with_places(&pdf, page).into_iter().zip(words_with_places(&plain, page))
            {
                assert_eq!(word, same);
                assert!((left - plain_left - around).abs() < 1.0 && (top - plain_top - around).abs() < 1.0, "{word}: {left} {top}");
            }
        }
    }
}

#[tokio::test]
async fn a_bleed_that_no_machine_cuts_is_refused_with_what_is_accepted() {
    let server = Server::start();
    for (production, field) in [(json!({"bleed": "3cm"}), "bleed"), (json!({"bleed": 3}), "bleed"), (json!({"cropMarks": 1}), "cropMarks")]
    {
        let response = server.post("/render", &json!({"definition": {"html": "x"}, "options": {"printProduction": production}})).await;
        let answer: Value = response.json().await.unwrap();
        assert_eq!(answer["code"], "invalid_render_options", "{answer}");
        assert_eq!(answer["issues"][0]["path"], format!("/options/printProduction/{field}"), "{answer}");
    }
}
