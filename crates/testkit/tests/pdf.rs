//! The helpers see what is in a PDF and complain about what is none.
#![cfg(test)]

use std::fmt::Write;

use testkit::pdf;

/// Two pages with a word each, in the smallest form a reader accepts.
fn two_pages() -> Vec<u8> {
    let mut bytes = b"%PDF-1.4\n".to_vec();
    let page = |contents: u8| {
        format!(
            "<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 144]/Contents {contents} 0 R/Resources<</Font<</F <</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>"
        )
    };
    let stream = |word: &str| {
        let drawing = format!("BT /F 24 Tf 20 60 Td ({word}) Tj ET");
        format!("<</Length {}>>\nstream\n{drawing}\nendstream", drawing.len())
    };
    let objects = [
        "<</Type/Catalog/Pages 2 0 R>>".to_owned(),
        "<</Type/Pages/Kids[3 0 R 4 0 R]/Count 2>>".to_owned(),
        page(5),
        page(6),
        stream("Apple"),
        stream("Pear"),
        "<</Title(Fruit: a list)>>".to_owned(),
    ];
    let mut table = "xref\n0 8\n0000000000 65535 f \n".to_owned();
    for (index, object) in objects.iter().enumerate() {
        writeln!(table, "{:010} 00000 n ", bytes.len()).unwrap();
        bytes.extend(format!("{} 0 obj\n{object}\nendobj\n", index + 1).bytes());
    }
    let start = bytes.len();
    bytes.extend(format!("{table}trailer <</Size 8/Root 1 0 R/Info 7 0 R>>\nstartxref\n{start}\n%%EOF\n").bytes());
    bytes
}

#[test]
fn words_are_found_on_their_pages() {
    let file = two_pages();
    assert_eq!(pdf::page_count(&file), 2);
    assert!(pdf::words(&file).contains("Apple") && pdf::words(&file).contains("Pear"));
    assert_eq!(pdf::page_words(&file, 1).trim(), "Apple");
    assert_eq!(pdf::page_words(&file, 2).trim(), "Pear");
    assert_eq!(pdf::info(&file)["Title"], "Fruit: a list");
}

#[test]
fn a_page_becomes_a_picture_of_its_size() {
    let picture = pdf::picture(&two_pages(), 2, 72);
    assert_eq!(picture[..8], *b"\x89PNG\r\n\x1a\n");
    let side = |at: usize| u32::from_be_bytes(picture[at..at + 4].try_into().unwrap());
    assert_eq!((side(16), side(20)), (300, 144));
}

#[test]
#[should_panic(expected = "there is no page 3, the PDF has 2")]
fn a_page_that_is_not_there_is_a_failure() {
    pdf::page_words(&two_pages(), 3);
}

#[test]
#[should_panic(expected = "does not accept the PDF")]
fn bytes_that_are_no_pdf_are_a_failure() {
    pdf::words(b"<html>");
}
