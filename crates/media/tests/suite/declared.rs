use std::io::Cursor;

use media::{DeclaredType, Limits, MediaType, Refusal, inspect};

use crate::files::{gif, jpeg, look, pdf, png, svg, system_font, webp};

fn declared(mime: Option<&str>, file_name: Option<&str>, bytes: &[u8]) -> Result<MediaType, Refusal> {
    inspect(&DeclaredType { mime, file_name }, Cursor::new(bytes), &Limits::default()).map(|media| media.media_type)
}

#[test]
fn what_says_nothing_takes_the_bytes_for_what_they_are() {
    for (mime, name) in [(None, None), (Some("application/octet-stream"), Some("logo")), (Some(""), Some("logo.v2"))] {
        assert_eq!(declared(mime, name, &png()).unwrap(), MediaType::Png);
        assert_eq!(declared(mime, name, &svg()).unwrap(), MediaType::Svg);
    }
}

#[test]
fn other_names_of_a_type_are_understood() {
    for (mime, name, bytes) in [
        ("image/jpg", "a.JPEG", jpeg()),
        ("IMAGE/PNG; charset=binary", "a.b.png", png()),
        ("application/x-font-ttf", "a.ttf", system_font("liberation/LiberationSans-Regular.ttf")),
        ("font/otf", "a.otf", system_font("liberation/LiberationSans-Regular.ttf")),
        ("application/pdf", "a.pdf", pdf()),
    ] {
        assert!(declared(Some(mime), Some(name), &bytes).is_ok(), "{mime} {name}");
    }
}

#[test]
fn a_type_or_a_name_that_the_bytes_contradict_is_a_mismatch() {
    for (mime, name, bytes) in [
        (Some("image/png"), None, jpeg()),
        (Some("text/html"), None, gif()),
        (None, Some("a.html"), png()),
        (None, Some("a.svg"), webp()),
        (None, Some("a.exe. "), webp()),
        (Some("image/svg+xml"), Some("a.svg"), b"<html></html>".to_vec()),
        (Some("image/png"), Some("a.png"), b"hello".to_vec()),
    ] {
        let found = declared(mime, name, &bytes);
        assert!(matches!(found, Err(Refusal::Mismatch { .. })), "{mime:?} {name:?} {found:?}");
    }
}

#[test]
fn what_is_of_no_accepted_type_is_named() {
    for (bytes, part) in [
        (b"".as_slice(), "empty"),
        (b"a,b\n1,2\n", "text"),
        (b"<!doctype html><p>", "HTML"),
        (b"<?xml version='1.0'?><feed/>", "no SVG"),
        ("<!-- -->\u{e4}<svg/>".as_bytes(), "no SVG"),
        (b"PK\x03\x04", "ZIP"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"MZ\x90", "program"),
        (b"junk%PDF-1.7", "text"),
        (b"ttcf\0\x01\0\0", "collection"),
    ] {
        let said = look(bytes).unwrap_err();
        assert!(matches!(said, Refusal::Unsupported { found } if found.contains(part)), "{said}");
    }
}
