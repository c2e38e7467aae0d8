//! Watermarks as the browser prints them: on the pages that they are for, over or under the content, and without moving anything.

use base64::Engine as _;
use serde_json::{Value, json};
use testkit::pdf::{Pixels, info, page_count, pixels};

use crate::assets::PNG;
use crate::page_furniture::{pages, words_of_pages};
use crate::running::Server;

const WHOLE: [usize; 4] = [0, 0, 100, 100];

fn is_red([red, green, blue]: [u8; 3]) -> bool {
    red > 150 && green < 120 && blue < 120
}

/// Two pages on A5 with a surface in the middle of the first.
#[expect(clippy::needless_pass_by_value, reason = "so that a definition reads as one")]
fn document(watermark: Value) -> Value {
    let surface = "<div style='position:absolute;left:0;right:0;top:60mm;height:50mm;background:#dfd'></div>";
    let html = format!("<h1>One</h1>{surface}<h1 style='break-before:page'>Two</h1>");
    json!({"html": html, "renderConfig": {"paperSize": "A5", "watermark": watermark}})
}

async fn looks(server: &Server, watermark: Value) -> [Pixels; 2] {
    let pdf = server.pdf_of(&json!({"definition": document(watermark)})).await;
    assert_eq!(page_count(&pdf), 2);
    assert!(info(&pdf)["Page size"].contains("A5"), "{:?}", info(&pdf));
    [1, 2].map(|page| pixels(&pdf, page, 40))
}

#[tokio::test]
async fn a_text_is_on_all_pages_or_on_the_first_and_over_or_under_what_has_a_surface() {
    let server = Server::start();
    // What of the page the surface takes: 80 mm to 130 mm of 210 mm.
    let surface = [20, 39, 80, 61];
    for (layer, shown_on) in [("behind", "all"), ("front", "all"), ("behind", "first"), ("front", "first")] {
        let watermark = json!({"text": "DRAFT", "color": "red", "opacity": 1, "layer": layer, "pages": shown_on});
        let [first, second] = looks(&server, watermark).await;
        let on = |page: &Pixels, part| page.count(part, is_red);
        assert!(on(&first, WHOLE) > 300, "{layer} {shown_on}: {}", on(&first, WHOLE));
        assert_eq!(on(&first, surface) > 100, layer == "front", "{layer} {shown_on}: {}", on(&first, surface));
        assert_eq!(on(&second, WHOLE) > 300, shown_on == "all", "{layer} {shown_on}: {}", on(&second, WHOLE));
        assert!(first.count(surface, |[red, green, blue]| red < green && green > 250 && blue < green) > 100, "the surface is there");
    }
}

#[tokio::test]
async fn a_text_stands_where_it_is_to_stand_and_is_as_large_and_as_dark_as_it_is_to_be() {
    let server = Server::start();
    let parts = [("top", [0, 5, 100, 30]), ("center", [0, 40, 100, 60]), ("bottom", [0, 70, 100, 95])];
    for (position, part) in parts {
        let watermark = json!({"text": "COPY", "color": "#ff0000", "opacity": 1, "rotation": 0, "position": position, "layer": "front"});
        let [_, page] = looks(&server, watermark).await;
        assert_eq!(page.count(part, is_red), page.count(WHOLE, is_red), "{position}");
        assert!(page.count(part, is_red) > 300, "{position}");
    }
    let inked = async |watermark: Value| looks(&server, watermark).await[1].count(WHOLE, |[red, _, _]| red < 250);
    let small = inked(json!({"text": "COPY", "fontSize": "20pt"})).await;
    let large = inked(json!({"text": "COPY"})).await;
    assert!(large > 4 * small && small > 0, "{large} {small}");
    // Grey that leaves black on white to be read, where nobody says anything else.
    let [_, page] = looks(&server, json!({"text": "COPY"})).await;
    let darkest =
        (0..page.height).flat_map(|y| (0..page.width).map(move |x| (x, y))).filter(|(_, y)| *y > 60).map(|(x, y)| page.at(x, y)[0]).min();
    assert!(darkest.is_some_and(|darkest| (200..245).contains(&darkest)), "{darkest:?}");
}

#[tokio::test]
async fn text_is_literal_and_a_page_keeps_its_words() {
    let server = Server::start();
    let definition = pages(&["One", "Two"], json!({"watermark": {"text": "{{name}} & <b>\"\\</style>", "rotation": 0, "fontSize": 12}}));
    let data = json!({"name": "never seen"});
    let pdf = server.pdf_of(&json!({"definition": definition, "data": data})).await;
    let mark = "{{name}} & <b>\"\\</style>";
    for (words, heading) in words_of_pages(&pdf).into_iter().zip(["One", "Two"]) {
        assert!(words.contains(mark) && words.contains(heading) && !words.contains("never seen"), "{words}");
    }
    // The request's goes over the template's.
    let options = json!({"watermark": {"text": "SECOND", "rotation": 0, "layer": "front"}});
    let pdf = server.pdf_of(&json!({"definition": definition, "data": data, "options": options})).await;
    assert_eq!(words_of_pages(&pdf), ["One SECOND", "Two SECOND"]);
}

#[tokio::test]
async fn a_picture_is_as_wide_as_it_is_to_be() {
    let server = Server::start();
    let square = "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 10 10'><rect width='10' height='10' fill='red'/></svg>";
    let uri = format!("data:image/svg+xml;base64,{}", base64::engine::general_purpose::STANDARD.encode(square));
    for layer in ["behind", "front"] {
        let watermark = json!({"image": uri, "imageWidth": "50mm", "opacity": 1, "layer": layer});
        let [_, page] = looks(&server, watermark).await;
        // 50 mm are 79 pixels.
        let found = page.count(WHOLE, is_red);
        assert!((77 * 77..=81 * 81).contains(&found), "{layer}: {found}");
        assert_eq!(page.count([25, 30, 75, 70], is_red), found, "{layer}: it is in the middle");
    }
    let png = format!("data:image/png;base64,{}", base64::engine::general_purpose::STANDARD.encode(PNG));
    let pdf = server.pdf_of(&json!({"definition": document(json!({"image": png}))})).await;
    assert_eq!(page_count(&pdf), 2);
}

#[tokio::test]
async fn what_is_wrong_with_a_watermark_is_said_by_its_field() {
    let server = Server::start();
    for (watermark, field, said) in [
        (json!({"txt": "A"}), "txt", "did you mean \"text\""),
        (json!({"text": "A", "color": "url(x)"}), "color", "a colour name"),
        (json!({"image": "http://x/y.png"}), "image", "an asset (\"asset:\""),
        (json!({"text": "A", "opacity": 2}), "opacity", "from 0 to 1"),
    ] {
        for (body, path) in [
            (json!({"definition": document(watermark.clone())}), format!("/renderConfig/watermark/{field}")),
            (json!({"definition": {"html": "x"}, "options": {"watermark": watermark}}), format!("/options/watermark/{field}")),
        ] {
            let response = server.post("/render", &body).await;
            let status = response.status().as_u16();
            let answer: Value = response.json().await.unwrap();
            let issue = &answer["issues"][0];
            assert!([400, 422].contains(&status), "{status}: {answer}");
            assert_eq!(issue["path"], path, "{answer}");
            assert!(issue["message"].as_str().unwrap().contains(said), "{answer}");
        }
    }
    let missing = server.post("/render", &json!({"definition": document(json!({"image": "asset:nobody"}))})).await;
    assert_eq!(missing.status().as_u16(), 422);
    assert_eq!(missing.json::<Value>().await.unwrap()["code"], "asset_blocked");
}
