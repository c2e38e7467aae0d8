//! What a reader of a finished file sees, on files that Chromium printed.
#![cfg(test)]

mod poppler;

use pdf::{Limits, Metadata, PdfError, Stamp, finish, page_count};
use proptest::prelude::*;

use poppler::poppler;

const PLAIN: &[u8] = include_bytes!("files/two-pages.pdf");
const TAGGED: &[u8] = include_bytes!("files/two-pages-tagged.pdf");
const ROOMY: Limits = Limits { max_bytes: 1 << 20, max_pages: 100 };

fn stamp(metadata: Metadata) -> Stamp {
    Stamp { now: "2026-01-02T03:04:05Z".parse().unwrap(), metadata }
}

#[test]
fn both_dates_are_the_moment_of_the_request_and_nothing_else_moves() {
    for original in [PLAIN, TAGGED] {
        let finished = finish(original.to_vec(), &stamp(Metadata::default()), ROOMY).unwrap();
        assert_eq!((finished.page_count, finished.bytes.len()), (2, original.len()));
        let said = poppler("pdfinfo", &["-isodates", "-"], &finished.bytes);
        assert!(said.contains("CreationDate:    2026-01-02T03:04:05Z"), "{said}");
        assert!(said.contains("ModDate:         2026-01-02T03:04:05Z"), "{said}");
        assert!(said.contains("Pages:           2"), "{said}");
    }
}

#[test]
fn metadata_in_any_script_reaches_the_reader() {
    let metadata = Metadata {
        title: Some("Rechnung (Nr. 7) \\ 東京 😀".into()),
        author: Some("Åsa / (Müller".into()),
        subject: Some("Plain (subject) >> endobj".into()),
        keywords: Some("a, b".into()),
        creator: None,
    };
    for original in [PLAIN, TAGGED] {
        let finished = finish(original.to_vec(), &stamp(metadata.clone()), ROOMY).unwrap();
        let said = poppler("pdfinfo", &["-isodates", "-"], &finished.bytes);
        for line in [
            "Title:           Rechnung (Nr. 7) \\ 東京 😀",
            "Author:          Åsa / (Müller",
            "Subject:         Plain (subject) >> endobj",
            "Keywords:        a, b",
            "Creator:         Chromium",
            "CreationDate:    2026-01-02T03:04:05Z",
        ] {
            assert!(said.contains(line), "{line} in {said}");
        }
        assert_eq!(poppler("pdftotext", &["-", "-"], &finished.bytes), poppler("pdftotext", &["-", "-"], original));
        // A second, strict reader, and the same file again through this room.
        assert_eq!(lopdf::Document::load_mem(&finished.bytes).unwrap().get_pages().len(), 2);
        assert_eq!(page_count(&finished.bytes).unwrap(), 2);
        let again = finish(original.to_vec(), &stamp(metadata.clone()), ROOMY).unwrap();
        assert_eq!(again.bytes, finished.bytes);
    }
}

#[test]
fn prints_at_other_times_and_with_other_histories_come_out_identical() {
    let print = |original: &[u8], seconds: &str, first_id: u32| {
        let text = original.iter().map(|byte| char::from(*byte)).collect::<String>();
        let text = text.replace("D:202611210416", &format!("D:2026112104{seconds}"));
        let text = text.replace("node00000014", &format!("node{first_id:08}")).replace("node00000015", &format!("node{:08}", first_id + 5));
        text.chars().map(|character| u8::try_from(u32::from(character)).unwrap()).collect::<Vec<u8>>()
    };
    let stamp = stamp(Metadata::default());
    for original in [PLAIN, TAGGED] {
        let (one, other) = (print(original, "17", 31), print(original, "59", 1_234_567));
        assert_ne!(one, other);
        assert_eq!(finish(one, &stamp, ROOMY).unwrap().bytes, finish(other, &stamp, ROOMY).unwrap().bytes);
    }
}

#[test]
fn limits_are_refused_with_what_was_found() {
    let stamp = stamp(Metadata::default());
    let refusal = finish(PLAIN.to_vec(), &stamp, Limits { max_bytes: 100, ..ROOMY }).unwrap_err();
    assert_eq!(refusal, PdfError::TooLarge { size_bytes: PLAIN.len() as u64, max_bytes: 100 });
    let refusal = finish(PLAIN.to_vec(), &stamp, Limits { max_pages: 1, ..ROOMY }).unwrap_err();
    assert_eq!(refusal, PdfError::TooManyPages { pages: 2, max_pages: 1 });
    let refusal = finish(PLAIN[..PLAIN.len() / 2].to_vec(), &stamp, ROOMY).unwrap_err();
    assert_eq!(refusal, PdfError::Unreadable("startxref is missing"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn damaged_files_end_in_an_error_or_a_file_but_never_in_a_panic(
        tagged: bool,
        head in prop::collection::vec((0..600_usize, any::<u8>()), 0..6),
        tail in prop::collection::vec((1..1300_usize, any::<u8>()), 0..6),
        keep in 0..40_000_usize,
    ) {
        let mut bytes = if tagged { TAGGED.to_vec() } else { PLAIN.to_vec() };
        // The structure stands at both ends; the middle is compressed content, where the reader does not look.
        for (place, byte) in head {
            bytes[place] = byte;
        }
        for (place, byte) in tail {
            let at = bytes.len() - place;
            bytes[at] = byte;
        }
        bytes.truncate(keep);
        let metadata = Metadata { title: Some("T".into()), ..Metadata::default() };
        let _ = finish(bytes, &stamp(metadata), ROOMY);
    }

    #[test]
    fn any_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(page_count(&bytes).is_err());
    }
}
