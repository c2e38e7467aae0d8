//! Assets in documents: found where a browser loads them, refused where they cannot stand, counted against the limits.

use std::sync::Arc;

use document::{AssetMap, Bindings, Compiled, DocumentError, InlineAsset, Input, Limits, check, write_html};
use domain::ErrorCode;
use domain::assets::{AssetKind, AssetName, FontFacts, FontSlant};
use domain::options::RenderOptions;
use serde_json::{Value, json};

fn name(text: &str) -> AssetName {
    text.parse().unwrap()
}

fn picture(size_px: (u32, u32), size_bytes: u64) -> Arc<InlineAsset> {
    let uri = "data:image/png;base64,AAAA".to_owned();
    Arc::new(InlineAsset { uri, kind: AssetKind::Image, size_bytes, size_px: Some(size_px), font: None })
}

fn font(family: &str, size_bytes: u64) -> Arc<InlineAsset> {
    let facts = FontFacts {
        family: family.to_owned(),
        subfamily: "Bold".to_owned(),
        weight: 700,
        style: FontSlant::Italic,
        format: "woff2".to_owned(),
        embeddable: true,
    };
    let uri = "data:font/woff2;base64,BBBB".to_owned();
    Arc::new(InlineAsset { uri, kind: AssetKind::Font, size_bytes, size_px: None, font: Some(facts) })
}

fn written(definition: &Value, data: &Value, assets: &AssetMap, limits: &Limits) -> Result<String, DocumentError> {
    let compiled = Compiled::compile(definition, limits).unwrap();
    let options = RenderOptions::default();
    let now = crate::NOW.parse().unwrap();
    let input =
        Input { data, fixed_data: None, options: &options, now, bindings: Bindings::Lenient, assets: Some(assets), cancelled: None };
    write_html(&compiled, &input, limits).map(|written| written.html)
}

fn refused(definition: &Value, assets: &AssetMap, limits: &Limits) -> (ErrorCode, String) {
    let error = written(definition, &json!({}), assets, limits).unwrap_err();
    (error.code(), error.to_string())
}

#[test]
fn what_data_names_is_asked_for_once_and_then_stands_in_the_document() {
    let definition =
        json!({"html": "<img src='{{a}}'><img src=\"asset:fixed\"><p>{{a}} asset:fixed</p>", "css": "p{background:url( 'asset:paper' )}"});
    let (data, limits) = (json!({"a": "asset:named"}), Limits::default());
    let mut assets = AssetMap::default();
    let Err(DocumentError::AssetsNeeded(needed)) = written(&definition, &data, &assets, &limits) else { panic!() };
    assert_eq!(needed, [name("fixed"), name("named"), name("paper")]);
    for needed in needed {
        assets.insert(needed, Some(picture((1, 1), 3)));
    }
    let html = written(&definition, &data, &assets, &limits).unwrap();
    assert_eq!(html.matches("data:image/png;base64,AAAA").count(), 3, "{html}");
    assert!(html.contains("<p>asset:named asset:fixed</p>"), "{html}");
    assert_eq!(html, written(&definition, &data, &assets, &limits).unwrap(), "the same bytes again");
}

#[test]
fn an_asset_that_cannot_stand_there_is_refused_by_its_place_and_name() {
    let limits =
        Limits { image_bytes: 1_000, image_pixels: 100, all_image_pixels: 150, font_bytes: 500, html_bytes: 4_000, ..Limits::default() };
    let mut assets = AssetMap::default();
    assets.insert(name("absent"), None);
    assets.insert(name("large"), Some(picture((1, 1), 1_001)));
    assets.insert(name("wide"), Some(picture((101, 1), 1)));
    assets.insert(name("a"), Some(picture((10, 10), 1)));
    assets.insert(name("b"), Some(picture((9, 10), 1)));
    assets.insert(name("font"), Some(font("F", 300)));
    assets.insert(name("font-2"), Some(font("G", 300)));
    let document = Arc::new(InlineAsset { uri: String::new(), kind: AssetKind::Document, size_bytes: 1, size_px: None, font: None });
    assets.insert(name("contract"), Some(document));
    let image = |src: &str| json!({"document": {"type": "document", "id": "r", "children": [{"type": "section", "id": "s", "title": "Top", "children": [{"type": "image", "id": "i", "src": src}]}]}});
    for (src, said) in [
        ("asset:absent", "there is no asset \"absent\""),
        ("asset:No-Slug", "names no asset"),
        ("asset:large", "1001 bytes"),
        ("asset:wide", "101 × 1"),
        ("asset:contract", "neither a picture nor a font"),
    ] {
        let (code, message) = refused(&image(src), &assets, &limits);
        assert_eq!(code, ErrorCode::AssetBlocked);
        assert!(message.contains(said) && message.contains("Top"), "{src}: {message}");
    }
    let both = json!({"html": "<img src=asset:a><img src=asset:a><img src=asset:b>"});
    assert!(refused(&both, &assets, &limits).1.contains("together"));
    let often = json!({"html": "<img src=asset:a>".repeat(120)});
    assert_eq!(refused(&often, &assets, &limits).0, ErrorCode::RenderInputTooLarge);
    let fonts = |fonts: Value| json!({"html": "x", "renderConfig": {"fonts": fonts}});
    assert_eq!(refused(&fonts(json!(["font", "font-2"])), &assets, &limits).0, ErrorCode::FontBudgetExceeded);
    for wrong in ["absent", "a"] {
        assert_eq!(refused(&fonts(json!([wrong])), &assets, &limits).0, ErrorCode::FontAssetMissing, "{wrong}");
    }
    let definition = json!({"html": "x", "renderConfig": {"fonts": ["Not A Slug", 7]}});
    assert!(matches!(Compiled::compile(&definition, &limits), Err(DocumentError::Definition(issues)) if issues.len() == 2));
}

#[test]
fn a_font_of_the_list_cannot_say_more_than_its_name() {
    let mut assets = AssetMap::default();
    assets.insert(name("font"), Some(font("A\"}p{display:none}</style><script>", 3)));
    let definition = json!({"html": "x", "renderConfig": {"fonts": ["asset:font"], "customCss": "@font-face{font-family:B;src:url(asset:font)}p{background:url(http://x)}"}});
    let html = written(&definition, &json!({}), &assets, &Limits::default()).unwrap();
    assert!(html.contains("font-weight:700;font-style:italic;src:url(data:font/woff2;base64,BBBB) format(\"woff2\")"), "{html}");
    assert!(html.contains("font-family:B;src:url(data:font/woff2;base64,BBBB)"), "{html}");
    assert!(!html.contains("<script>") && !html.contains("\"}p{") && !html.contains("http://x"), "{html}");
}

#[test]
fn a_dry_run_lists_what_a_render_would_refuse() {
    let limits = Limits::default();
    let mut assets = AssetMap::default();
    assets.insert(name("absent"), None);
    let definition = json!({"html": "<img src=asset:absent>{{#if never}}<img src=asset:absent>{{/if}}"});
    let compiled = Compiled::compile(&definition, &limits).unwrap();
    assert_eq!(compiled.assets(), [name("absent")]);
    let (options, data) = (RenderOptions::default(), json!({}));
    let now = crate::NOW.parse().unwrap();
    let input = Input {
        data: &data,
        fixed_data: None,
        options: &options,
        now,
        bindings: Bindings::Lenient,
        assets: Some(&assets),
        cancelled: None,
    };
    let report = check(&compiled, &input, &limits).unwrap();
    assert!(!report.valid && report.expressions.errors[0].message.contains("there is no asset \"absent\""), "{:?}", report.expressions);
}
