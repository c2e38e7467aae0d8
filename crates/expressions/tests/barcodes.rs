//! What is drawn is read back from the picture, and what cannot be drawn is refused with what can.

use std::time::Instant;

use expressions::barcodes::{BarcodeOptions, Caption, ErrorCorrection, QuietZone, Symbology, svg};
use expressions::{Budget, Escape, ExpressionError, Limits, Run, Scope, Template};
use proptest::prelude::*;
use rxing::BarcodeFormat;
use serde_json::{Value, json};

/// Pixels per module.
const SCALE: f64 = 4.0;

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "lengths in a picture are small and not negative")]
fn pixels(length: f64) -> usize {
    (length * SCALE).round() as usize
}

/// Numbers of an attribute such as `viewBox`.
fn numbers(svg: &str, attribute: &str) -> Vec<f64> {
    let value = svg.split(&format!(" {attribute}=\"")).nth(1).and_then(|rest| rest.split('"').next()).expect(attribute);
    value.split(' ').map(|number| number.trim_end_matches("mm").parse().expect(value)).collect()
}

/// The picture as grey pixels, painted from its second path, with its width and height.
fn painted(svg: &str) -> (Vec<u8>, u32, u32) {
    let size = numbers(svg, "viewBox");
    let (width, height) = (pixels(size[2]), pixels(size[3]));
    let mut image = vec![255_u8; width * height];
    let path = svg.split(" d=\"").nth(2).and_then(|rest| rest.split('"').next()).expect("a path");
    for bar in path.split('M').skip(1) {
        let (place, rest) = bar.split_once('h').expect(bar);
        let (x, y) = place.split_once(' ').expect(bar);
        let (wide, rest) = rest.split_once('v').expect(bar);
        let (high, _) = rest.split_once('h').expect(bar);
        let number = |text: &str| pixels(text.parse().expect(bar));
        for row in number(y)..(number(y) + number(high)).min(height) {
            image[row * width..][number(x)..number(x) + number(wide)].fill(0);
        }
    }
    (image, u32::try_from(width).expect("small"), u32::try_from(height).expect("small"))
}

fn read(svg: &str, format: BarcodeFormat) -> String {
    let (image, width, height) = painted(svg);
    rxing::helpers::detect_in_luma(image, width, height, Some(format)).expect("a reader finds it").getText().to_owned()
}

fn format(symbology: Symbology) -> BarcodeFormat {
    match symbology {
        Symbology::QrCode => BarcodeFormat::QR_CODE,
        Symbology::Code128 => BarcodeFormat::CODE_128,
        Symbology::Ean13 => BarcodeFormat::EAN_13,
        Symbology::DataMatrix => BarcodeFormat::DATA_MATRIX,
        Symbology::Pdf417 => BarcodeFormat::PDF_417,
    }
}

fn render_as(escape: Escape, source: &str, data: &Value) -> Result<String, ExpressionError> {
    let template = Template::parse(source, &Limits::default())?;
    let mut out = String::new();
    template.render(&Scope::root(data), &mut Run::new(Budget::default()).with_escape(escape), &mut out)?;
    Ok(out)
}

fn render(source: &str, data: &Value) -> Result<String, ExpressionError> {
    render_as(Escape::Html, source, data)
}

#[test]
fn a_reader_finds_in_the_picture_what_was_put_into_it() {
    let payment = "BCD\n002\n1\nSCT\nBELADEBEXXX\nMüller GmbH\nDE89370400440532013000\nEUR12.30\n\n\nRechnung 2026-017";
    for (symbology, content, found) in [
        (Symbology::QrCode, "https://example.com/i/2026-017?a=1&b=<2>", "https://example.com/i/2026-017?a=1&b=<2>"),
        (Symbology::QrCode, payment, payment),
        (Symbology::QrCode, "見積書 №7 — 😀", "見積書 №7 — 😀"),
        (Symbology::QrCode, "0123456789", "0123456789"),
        (Symbology::Code128, "INV-2026-000017", "INV-2026-000017"),
        (Symbology::Code128, "00340434161094042557", "00340434161094042557"),
        (Symbology::Code128, "a<b>&\"c\"", "a<b>&\"c\""),
        (Symbology::Ean13, "4006381333931", "4006381333931"),
        (Symbology::Ean13, "400638133393", "4006381333931"),
        (Symbology::DataMatrix, "A1B2C3 lot 44; 2027-01", "A1B2C3 lot 44; 2027-01"),
        (Symbology::DataMatrix, "Größe", "Größe"),
        (Symbology::Pdf417, "M1LOVELACE/ADA        E2026017 ZRHLHRLX 0318", "M1LOVELACE/ADA        E2026017 ZRHLHRLX 0318"),
        (Symbology::Pdf417, "Größe\t1234567890123456", "Größe\t1234567890123456"),
    ] {
        let drawn = svg(symbology, content, &BarcodeOptions::default()).expect(content);
        assert_eq!(read(&drawn, format(symbology)), found, "{symbology}");
    }
}

#[test]
fn the_bars_of_a_known_number_are_the_ones_of_the_standard() {
    // Guard, six digits in the parities that the first digit 4 asks for, middle, six digits, guard.
    let bars = "101\
                0001101 0100111 0101111 0111101 0001001 0110011\
                01010\
                1000010 1000010 1000010 1110100 1000010 1100110\
                101"
    .replace(' ', "");
    let options = BarcodeOptions { quiet_zone: QuietZone::Omitted, caption: Caption::Hidden, ..BarcodeOptions::default() };
    let (image, width, _) = painted(&svg(Symbology::Ean13, "4006381333931", &options).expect("a number"));
    let drawn: String = (0..95).map(|at| if image[at * 4 + 2] == 0 { '1' } else { '0' }).collect();
    assert_eq!((drawn, width), (bars, 380));
}

#[test]
fn sizes_levels_captions_and_clear_space_are_as_asked_for() {
    let content = "INV-2026-000017";
    let plain = BarcodeOptions::default();
    let qr = svg(Symbology::QrCode, content, &BarcodeOptions { width_mm: Some(30.0), ..plain }).expect("fits");
    assert_eq!((numbers(&qr, "width"), numbers(&qr, "height")), (vec![30.0], vec![30.0]));
    assert_eq!(numbers(&qr, "viewBox"), [0.0, 0.0, 29.0, 29.0]);
    let high = svg(Symbology::QrCode, content, &BarcodeOptions { error_correction: ErrorCorrection::High, ..plain }).expect("fits");
    assert_eq!(numbers(&high, "viewBox"), [0.0, 0.0, 33.0, 33.0]);
    let bare = svg(Symbology::QrCode, content, &BarcodeOptions { quiet_zone: QuietZone::Omitted, ..plain }).expect("fits");
    assert_eq!(numbers(&bare, "viewBox"), [0.0, 0.0, 21.0, 21.0]);

    let shown = svg(Symbology::Ean13, "400638133393", &BarcodeOptions { height_mm: Some(20.0), ..plain }).expect("fits");
    assert!(shown.contains(">4 006381 333931</text>"), "{shown}");
    let hidden = BarcodeOptions { height_mm: Some(20.0), caption: Caption::Hidden, ..plain };
    let hidden = svg(Symbology::Ean13, "400638133393", &hidden).expect("fits");
    assert!(!hidden.contains("<text"), "{hidden}");
    assert_eq!((numbers(&hidden, "width"), numbers(&hidden, "height")), (vec![38.61], vec![20.0]));
}

#[test]
fn what_a_code_cannot_hold_is_refused_with_what_it_can() {
    let data = json!({"long": "x".repeat(3_000), "digits": "1".repeat(8_000), "list": [1]});
    for (source, said) in [
        ("{{qr \"\"}}", "`qr`: QR code needs something to hold; the text is empty"),
        ("{{qr long}}", "`qr`: QR code holds up to 2,331 bytes at level M; the text has 3000 characters"),
        ("{{qr digits level=\"L\"}}", "`qr`: QR code holds up to 2,953 bytes at level L; the text has 8000 characters"),
        ("{{qr \"a\" level=\"X\"}}", "`qr` takes level= as \"L\", \"M\", \"Q\", \"H\", not \"X\""),
        ("{{qr \"a\" size=0}}", "`qr` takes size= as millimetres above 0 and up to 1200, not 0"),
        ("{{qr list}}", "`qr` needs a text as its 1st argument, not a list"),
        ("{{barcode long \"code128\"}}", "`barcode`: Code 128 holds up to 80 characters; the text has 3000 characters"),
        ("{{barcode \"Größe\" \"code128\"}}", "`barcode`: Code 128 holds ASCII characters; character 3 of the text is none of them"),
        ("{{barcode \"12a\" \"ean13\"}}", "`barcode`: EAN-13 holds 12 or 13 digits; character 3 of the text is none of them"),
        ("{{barcode \"123\" \"ean13\"}}", "`barcode`: EAN-13 holds 12 or 13 digits; the text has 3 characters"),
        ("{{barcode \"4006381333932\" \"ean13\"}}", "`barcode`: the 13th digit of EAN-13 is a check digit, here 1 and not 2"),
        ("{{barcode \"€\" \"datamatrix\"}}", "`barcode`: Data Matrix holds Latin-1 characters; character 1 of the text is none of them"),
        ("{{barcode long \"datamatrix\"}}", "`barcode`: Data Matrix holds up to some 1,550 characters; the text has 3000 characters"),
        ("{{barcode long \"pdf417\"}}", "`barcode`: PDF417 holds up to some 1,000 characters; the text has 3000 characters"),
        (
            "{{barcode \"1\" \"ean\"}}",
            "`barcode` needs one of \"qr\", \"code128\", \"ean13\", \"datamatrix\", \"pdf417\" as its 2nd argument, not \"ean\"",
        ),
    ] {
        assert_eq!(render(source, &data).expect_err(source).message(), said, "{source}");
    }
}

#[test]
fn a_code_stands_in_html_alone() {
    let data = json!({"no": "a\"><script>"});
    let said = "what is printed here is markup, which can only stand in HTML, and there outside of tags and style sheets";
    for source in ["<p title=\"{{qr no}}\">", "<p {{qr no}}>", "<style>{{qr no}}</style>", "<p title='{{#if no}}{{qr no}}{{/if}}'>"] {
        assert_eq!(render(source, &data).expect_err(source).message(), said, "{source}");
    }
    assert_eq!(render_as(Escape::None, "{{qr no}}", &data).expect_err("text").message(), said);
    for before in [
        "<!-- the customer's code --><p>",
        "<!doctype html><style>p::before{content:'<p>it'}</style>",
        "<script>if (a<b && c=='d') x()</script>",
        "<title>it's <b</title>",
        "<p title='a > b' hidden>1 < 2, it's ",
        "{{#if no}}<p>{{else}}<p class='x'>{{/if}}",
    ] {
        let drawn = render(&format!("{before}{{{{qr no}}}}"), &data).expect(before);
        assert!(drawn.contains("<svg "), "{before}");
    }
    for around in
        ["<title>{{qr no}}</title>", "<textarea rows='2'>{{qr no}}</textarea>", "<{{no}} {{qr no}}>", "{{#if no}}<p {{/if}}{{qr no}}"]
    {
        assert_eq!(render(around, &data).expect_err(around).message(), said, "{around}");
    }
    let drawn = render("<p title=\"x > y\">{{qr no}}</p>", &data).expect("fits");
    assert!(drawn.starts_with("<p title=\"x > y\"><svg ") && drawn.ends_with("</svg></p>"), "{drawn}");
    assert!(!drawn.contains("<script"), "{drawn}");
    assert_eq!(render("{{qr nothing}}", &data).as_deref(), Ok(""));
}

#[test]
fn many_large_codes_end_by_their_budget_and_soon() {
    let items: Vec<usize> = (0..10_000).collect();
    let data = json!({"items": items, "text": "x".repeat(900), "digits": "7".repeat(2_000)});
    for helper in ["qr @root.text", "qr @root.digits", "barcode @root.text \"datamatrix\"", "barcode @root.text \"pdf417\""] {
        let began = Instant::now();
        let refused = render(&format!("{{{{#each items}}}}{{{{{helper}}}}}{{{{/each}}}}"), &data).expect_err(helper);
        assert!(matches!(refused, ExpressionError::Budget { .. }), "{helper}: {refused}");
        assert!(began.elapsed().as_secs() < 20, "{helper}: {:?}", began.elapsed());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_content_makes_a_code_panic_or_leave_its_quotes(content in prop_oneof![
            4 => prop_oneof!["\\PC{0,40}", "[ -~]{0,80}", "[0-9]{0,60}", "[\\x00-\\xff]{0,60}"],
            1 => prop_oneof!["[ -~]{1500,3200}", "[0-9]{1200,3400}", "[\\x20-\\xff]{900,3000}", "([0-9]{13}[a-z]{5}[\\x80-\\xff]){20,60}"],
        ], kind in 0..5_usize) {
        let symbology = Symbology::NAMES[kind].1;
        if let Ok(drawn) = svg(symbology, &content, &BarcodeOptions::default()) {
            let tags = if drawn.contains("<text") { 4 } else { 3 };
            prop_assert_eq!(drawn.matches('<').count(), tags + drawn.matches("</").count());
            // Kinds of spaces and newlines are the reader's affair.
            if content.chars().all(|character| character.is_ascii_graphic()) && (3..200).contains(&content.len()) {
                let found = read(&drawn, format(symbology));
                prop_assert!(found == content || symbology == Symbology::Ean13, "{:?} was read as {:?}", content, found);
            }
        }
    }
}
