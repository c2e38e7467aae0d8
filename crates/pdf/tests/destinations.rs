//! Where the named destinations of a print are.
#![cfg(test)]

use pdf::{PdfError, pages_of};

const LETTERS: &[u8] = include_bytes!("files/three-letters.pdf");
const PLAIN: &[u8] = include_bytes!("files/two-pages.pdf");

#[test]
fn every_named_destination_has_its_page_and_a_name_that_the_file_does_not_have_has_none() {
    let names = ["letter-1", "letter-3", "nobody", "letter-2"];
    assert_eq!(pages_of(LETTERS, &names), Ok(vec![Some(1), Some(4), None, Some(2)]));
    assert_eq!(pages_of(PLAIN, &["letter-1"]), Ok(vec![None]));
    assert!(matches!(pages_of(b"%PDF-1.4 no", &names), Err(PdfError::Unreadable(_))));
}

#[test]
fn a_broken_file_is_refused_and_breaks_nothing() {
    for at in (0..LETTERS.len()).step_by(97) {
        let mut bytes = LETTERS.to_vec();
        bytes[at] ^= 0x2a;
        drop(pages_of(&bytes, &["letter-2"]));
        drop(pages_of(&LETTERS[..at], &["letter-2"]));
    }
}
