//! What a reader finds in merged and in split files, made from files that Chromium printed.
#![cfg(test)]

mod poppler;

use bytes::Bytes;
use lopdf::{Document, Object};
use pdf::{Limits, Metadata, Part, PdfError, Stamp, finish, merge, page_count, split};
use proptest::prelude::*;

use poppler::poppler;

/// Outline with two levels, links inside and out, named destinations, tags.
const HANDBOOK: &[u8] = include_bytes!("files/handbook-tagged.pdf");
/// Three letters printed together, the second with two pages, with a mark where each begins.
const LETTERS: &[u8] = include_bytes!("files/three-letters.pdf");
const PLAIN: &[u8] = include_bytes!("files/two-pages.pdf");
const MARKS: [&str; 3] = ["letter-1", "letter-2", "letter-3"];
const ROOMY: Limits = Limits { max_bytes: 1 << 20, max_pages: 100 };

fn stamp(title: Option<&str>) -> Stamp {
    let metadata = Metadata { title: title.map(str::to_owned), ..Metadata::default() };
    Stamp { now: "2026-01-02T03:04:05Z".parse().unwrap(), metadata }
}

fn part(pdf: &'static [u8], title: Option<&str>) -> Part {
    Part { pdf: Bytes::from_static(pdf), title: title.map(str::to_owned) }
}

fn words(pdf: &[u8]) -> String {
    poppler("pdftotext", &["-layout", "-", "-"], pdf)
}

/// Outline as (depth, title, page).
fn outline(pdf: &[u8]) -> Vec<(usize, String, u32)> {
    let document = Document::load_mem(pdf).unwrap();
    let toc = document.get_toc().unwrap();
    assert_eq!(toc.errors, Vec::<String>::new());
    toc.toc.into_iter().map(|entry| (entry.level, entry.title, u32::try_from(entry.page).unwrap())).collect()
}

/// Where the links of all pages lead: (page, target page or address).
fn links(pdf: &[u8]) -> Vec<(u32, String)> {
    let document = Document::load_mem(pdf).unwrap();
    let pages = document.get_pages();
    let number = |id| pages.iter().find(|(_, page)| **page == id).map(|(number, _)| number.to_string());
    let destinations = document.catalog().unwrap().get(b"Dests").ok().and_then(|dests| document.dereference(dests).ok()?.1.as_dict().ok());
    let mut found = Vec::new();
    for (page, id) in &pages {
        for annotation in document.get_page_annotations(*id).unwrap() {
            let target = match annotation.get(b"Dest") {
                Ok(Object::Name(name)) => {
                    let place = destinations.unwrap().get(name).unwrap();
                    let place = document.dereference(place).unwrap().1.as_array().unwrap();
                    number(place[0].as_reference().unwrap()).expect("a page of this file")
                }
                Ok(other) => panic!("{other:?}"),
                Err(_) => {
                    let action = annotation.get(b"A").unwrap().as_dict().unwrap();
                    String::from_utf8(action.get(b"URI").unwrap().as_str().unwrap().to_vec()).unwrap()
                }
            };
            found.push((*page, target));
        }
    }
    found
}

#[test]
fn merged_documents_have_all_pages_and_every_link_and_entry_leads_where_it_led() {
    let parts = [part(PLAIN, None), part(HANDBOOK, None), part(LETTERS, None), part(HANDBOOK, None)];
    let merged = merge(&parts, &stamp(Some("Größe & Co")), ROOMY).unwrap();
    assert_eq!(merged.page_count, 10);
    assert_eq!(page_count(&merged.bytes), Ok(10), "our own reader takes it too");
    assert_eq!(words(&merged.bytes), [words(PLAIN), words(HANDBOOK), words(LETTERS), words(HANDBOOK)].concat());
    assert_eq!(
        outline(&merged.bytes),
        [
            (1, "Pumps".to_owned(), 3),
            (2, "Valves".to_owned(), 4),
            (1, "Filters".to_owned(), 4),
            (1, "Pumps".to_owned(), 9),
            (2, "Valves".to_owned(), 10),
            (1, "Filters".to_owned(), 10)
        ]
    );
    let to = |page: u32, target: &str| (page, target.to_owned());
    let (out, ada) = ("https://example.org/pumps", "https://example.org/ada");
    assert_eq!(links(&merged.bytes), [to(3, "4"), to(3, out), to(4, "4"), to(5, ada), to(9, "10"), to(9, out), to(10, "10")]);

    let said = poppler("pdfinfo", &["-isodates", "-"], &merged.bytes);
    for line in ["Title:           Größe & Co", "CreationDate:    2026-01-02T03:04:05Z", "Tagged:          no", "Producer:        Skia/PDF"]
    {
        assert!(said.contains(line), "{line} in {said}");
    }
    assert_eq!(merge(&parts, &stamp(Some("Größe & Co")), ROOMY).unwrap().bytes, merged.bytes, "the same bytes each time");
}

#[test]
fn a_part_with_a_title_has_its_outline_under_that() {
    let parts = [part(HANDBOOK, Some("Handbuch")), part(PLAIN, Some("Rechnung № 7"))];
    let merged = merge(&parts, &stamp(None), ROOMY).unwrap();
    assert_eq!(
        outline(&merged.bytes),
        [
            (1, "Handbuch".to_owned(), 1),
            (2, "Pumps".to_owned(), 1),
            (3, "Valves".to_owned(), 2),
            (2, "Filters".to_owned(), 2),
            (1, "Rechnung № 7".to_owned(), 3)
        ]
    );
}

#[test]
fn fonts_that_several_parts_have_are_kept_once() {
    let once = merge(&[part(LETTERS, None)], &stamp(None), ROOMY).unwrap().bytes.len();
    let many = merge(&vec![part(LETTERS, None); 10], &stamp(None), ROOMY).unwrap().bytes.len();
    assert!(many < once * 4, "{many} bytes for ten, {once} for one");
}

#[test]
fn merging_keeps_to_its_limits() {
    let parts = vec![part(PLAIN, None); 3];
    assert_eq!(
        merge(&parts, &stamp(None), Limits { max_pages: 5, ..ROOMY }).unwrap_err(),
        PdfError::TooManyPages { pages: 6, max_pages: 5 }
    );
    let refusal = merge(&parts, &stamp(None), Limits { max_bytes: 100, ..ROOMY }).unwrap_err();
    assert!(matches!(refusal, PdfError::TooLarge { max_bytes: 100, .. }), "{refusal}");
    let broken = Part { pdf: Bytes::from_static(b"%PDF-1.4 no"), title: None };
    assert!(matches!(merge(&[broken], &stamp(None), ROOMY), Err(PdfError::Unreadable(_))));
}

#[test]
fn each_piece_of_a_print_is_a_document_of_its_own_with_its_pages_and_nothing_of_the_others() {
    let pieces = split(LETTERS, &MARKS, None).unwrap();
    let expected: [(&[&str], u32); 3] = [(&["Dear Ada"], 1), (&["Dear Grace", "Grace, page two"], 2), (&["Dear Łucja"], 1)];
    assert_eq!(pieces.len(), 3);
    assert_eq!(pieces.iter().map(|piece| words(piece)).collect::<String>(), words(LETTERS));
    for (piece, (said, pages)) in pieces.iter().zip(expected) {
        let text = words(piece);
        assert!(said.iter().all(|line| text.contains(line)), "{text}");
        // What one letter says is in no stream of another, seen or not.
        let others = expected.iter().filter(|(other, _)| *other != said).flat_map(|(other, _)| other.iter());
        let document = Document::load_mem(piece).unwrap();
        assert_eq!(document.get_pages().len(), pages as usize);
        for other in others {
            assert!(!text.contains(other), "{other} in {text}");
        }
        let finished = finish(piece.to_vec(), &stamp(Some("Brief")), ROOMY).unwrap();
        assert_eq!(finished.page_count, pages);
        let info = poppler("pdfinfo", &["-isodates", "-"], &finished.bytes);
        for line in ["Title:           Brief", "CreationDate:    2026-01-02T03:04:05Z", "Creator:         Chromium", "(A5)"] {
            assert!(info.contains(line), "{line} in {info}");
        }
    }
    assert_eq!(links(&pieces[0]), [(1, "https://example.org/ada".to_owned())]);
    let streams = |pdf: &[u8]| Document::load_mem(pdf).unwrap().objects.values().filter(|object| object.as_stream().is_ok()).count();
    assert!(streams(&pieces[0]) < streams(LETTERS), "pages of others are not carried along");
}

#[test]
fn marks_that_are_missing_or_share_a_page_or_stand_in_another_order_split_nothing() {
    for marks in [
        &["letter-1", "letter-2", "nobody"][..],
        &["letter-2", "letter-3"],
        &["letter-1", "letter-3", "letter-2"],
        &["letter-1", "letter-1"],
        &[],
    ] {
        assert!(matches!(split(LETTERS, marks, None), Err(PdfError::Unreadable(_))), "{marks:?}");
    }
    assert!(matches!(split(PLAIN, &["letter-1"], None), Err(PdfError::Unreadable(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn damaged_files_end_in_an_error_or_a_file_but_never_in_a_panic(
        handbook: bool,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        keep in any::<prop::sample::Index>(),
    ) {
        let mut bytes = if handbook { HANDBOOK.to_vec() } else { LETTERS.to_vec() };
        let length = bytes.len();
        for (place, byte) in damage {
            bytes[place.index(length)] = byte;
        }
        if keep.index(3) == 0 {
            bytes.truncate(keep.index(length));
        }
        drop(split(&bytes, &MARKS, None));
        drop(merge(&[Part { pdf: bytes.into(), title: None }, part(PLAIN, None)], &stamp(None), ROOMY));
    }
}
