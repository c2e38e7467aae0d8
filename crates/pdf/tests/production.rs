//! The boxes of a page that is cut out of a larger sheet.
#![cfg(test)]

use lopdf::{Document, Object};
use pdf::{Marks, PdfError, Production, produce};

const PLAIN: &[u8] = include_bytes!("files/two-pages.pdf");
const TAGGED: &[u8] = include_bytes!("files/handbook-tagged.pdf");

/// A page of the sheets of the files, 20 points away from each edge.
fn production(pdf: &[u8]) -> Production {
    let [_, _, width, height] = sides(pdf, 0, b"MediaBox");
    let marks = Some(Marks { offset_pt: 9.0, length_pt: 10.0 });
    Production { width_pt: width - 40.0, height_pt: height - 40.0, around_pt: 20.0, bleed_pt: 8.5, marks }
}

fn sides(pdf: &[u8], page: usize, name: &[u8]) -> [f32; 4] {
    let document = Document::load_mem(pdf).unwrap();
    let page = document.page_iter().nth(page).unwrap();
    let page = document.get_dictionary(page).unwrap();
    let found: Vec<f32> = page.get(name).and_then(Object::as_array).unwrap().iter().map(|side| side.as_float().unwrap()).collect();
    found.try_into().unwrap()
}

/// To a hundredth of a point.
fn shown(sides: [f32; 4]) -> [String; 4] {
    sides.map(|side| format!("{side:.2}"))
}

#[test]
fn every_page_has_its_boxes_and_says_the_same_words() {
    for pdf in [PLAIN, TAGGED] {
        let produced = produce(pdf, &production(pdf)).unwrap();
        let [_, _, width, height] = sides(pdf, 0, b"MediaBox");
        let (before, after) = (Document::load_mem(pdf).unwrap(), Document::load_mem(&produced).unwrap());
        let pages = before.page_iter().count();
        assert_eq!(after.page_iter().count(), pages);
        for page in 0..pages {
            assert_eq!(shown(sides(&produced, page, b"MediaBox")), shown([0.0, 0.0, width, height]));
            assert_eq!(shown(sides(&produced, page, b"TrimBox")), shown([20.0, 20.0, width - 20.0, height - 20.0]));
            assert_eq!(shown(sides(&produced, page, b"BleedBox")), shown([11.5, 11.5, width - 11.5, height - 11.5]));
        }
        let first = after.page_iter().next().unwrap();
        let content = String::from_utf8_lossy(&after.get_page_content(first)).into_owned();
        assert!(content.starts_with(&format!("q 11.5 11.5 {} {} re W n\n", width - 23.0, height - 23.0)), "{content}");
        let marks = content.rsplit("\nQ\n").nth(1).unwrap();
        assert_eq!(marks.matches(" l S").count(), 8, "{marks}");
        assert!(
            marks.contains("11 20 m 1 20 l S") && marks.contains(&format!("20 {} m 20 {} l S", height - 11.0, height - 1.0)),
            "{marks}"
        );
        assert_eq!(produced, produce(pdf, &production(pdf)).unwrap(), "the same file gives the same bytes");
    }
}

#[test]
fn without_marks_nothing_is_drawn_and_a_page_that_does_not_fit_its_sheet_is_refused() {
    let production = production(PLAIN);
    let produced = produce(PLAIN, &Production { marks: None, ..production }).unwrap();
    let document = Document::load_mem(&produced).unwrap();
    let content = document.get_page_content(document.page_iter().next().unwrap());
    assert!(content.ends_with(b"\nQ\n") || content.trim_ascii_end().ends_with(b"\nQ"), "{}", String::from_utf8_lossy(&content));
    let wide = Production { width_pt: production.width_pt + 50.0, ..production };
    assert!(matches!(produce(PLAIN, &wide), Err(PdfError::Unreadable(_))));
    assert!(matches!(produce(b"%PDF-1.4 no", &production), Err(PdfError::Unreadable(_))));
    for at in (0..PLAIN.len()).step_by(97) {
        let mut bytes = PLAIN.to_vec();
        bytes[at] ^= 0x2a;
        drop(produce(&bytes, &production));
        drop(produce(&PLAIN[..at], &production));
    }
}
