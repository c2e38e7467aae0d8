//! Pages as a reader sees them, on files that Chromium printed.
#![cfg(test)]

use std::time::Instant;

use bytes::Bytes;
use pdf::{CompareLimits, PageChange, RasterLimits, compare, rasterise};

const OLD: &[u8] = include_bytes!("files/notice.pdf");
const WORD: &[u8] = include_bytes!("files/notice-word.pdf");
const COMMA: &[u8] = include_bytes!("files/notice-comma.pdf");
const LONGER: &[u8] = include_bytes!("files/notice-longer.pdf");
const LANDSCAPE: &[u8] = include_bytes!("files/notice-landscape.pdf");

const RASTER: RasterLimits = RasterLimits { dpi: 96, max_page_pixels: 4_000_000 };
const LIMITS: CompareLimits = CompareLimits { raster: RASTER, max_pages: 50, max_pictures: 50, max_picture_bytes: 50_000_000 };

fn bytes(file: &'static [u8]) -> Bytes {
    Bytes::from_static(file)
}

/// What differs between the two-page notice and another file: page, way, pixels.
fn differences(file: &'static [u8]) -> Vec<(u32, PageChange, u32)> {
    let found = compare(bytes(OLD), bytes(file), &LIMITS, || true).unwrap();
    assert_eq!(found.left_out(), 0);
    found.differences.iter().map(|page| (page.page, page.change, page.pixels)).collect()
}

#[test]
fn a_page_is_drawn_with_its_letters_at_the_size_that_was_asked_for() {
    let page = rasterise(bytes(OLD), 0, RASTER).unwrap();
    assert_eq!((page.width, page.height), (793, 1122));
    assert_eq!(page.rgba.len(), 793 * 1122 * 4);
    let dark = page.rgba.chunks_exact(4).filter(|pixel| pixel[0] < 100).count();
    assert!((1_000..100_000).contains(&dark), "{dark} dark pixels are a page of text");
    assert!(page.rgba.chunks_exact(4).all(|pixel| pixel[3] == 255), "on paper");
    let small = rasterise(bytes(OLD), 0, RasterLimits { max_page_pixels: 10_000, ..RASTER }).unwrap();
    assert!(u32::from(small.width) * u32::from(small.height) <= 10_000, "{}x{}", small.width, small.height);
    assert!(rasterise(bytes(OLD), 2, RASTER).is_err(), "it has two pages");
}

#[test]
fn a_document_does_not_differ_from_itself_or_from_one_with_another_title() {
    assert_eq!(differences(OLD), []);
    let at = OLD.windows(6).position(|part| part == b"Notice").unwrap();
    let mut retitled = OLD.to_vec();
    retitled[at..at + 6].copy_from_slice(b"NOTICE");
    let found = compare(bytes(OLD), retitled.into(), &LIMITS, || true).unwrap();
    assert_eq!((found.compared, found.differences.len()), (2, 0));
}

#[test]
fn one_word_differs_on_its_page_only_and_so_does_a_comma() {
    let [(page, PageChange::Changed, pixels)] = differences(WORD)[..] else { panic!("{:?}", differences(WORD)) };
    assert!(page == 2 && (20..3_000).contains(&pixels), "{page} {pixels}");
    let [(page, PageChange::Changed, pixels)] = differences(COMMA)[..] else { panic!("{:?}", differences(COMMA)) };
    assert!(page == 2 && (1..20).contains(&pixels), "{page} {pixels}");
}

#[test]
fn a_page_more_or_less_or_of_another_size_is_told() {
    let longer = differences(LONGER);
    assert_eq!(longer.iter().map(|found| (found.0, found.1)).collect::<Vec<_>>(), [(3, PageChange::Added)]);
    let shorter = compare(bytes(LONGER), bytes(OLD), &LIMITS, || true).unwrap();
    assert_eq!(shorter.differences.iter().map(|found| (found.page, found.change)).collect::<Vec<_>>(), [(3, PageChange::Removed)]);
    assert!(differences(LANDSCAPE).iter().all(|(_, change, pixels)| *change == PageChange::Changed && *pixels > 100_000));
}

#[test]
fn limits_leave_out_what_is_beyond_them_and_say_so() {
    let one_page = compare(bytes(OLD), bytes(WORD), &CompareLimits { max_pages: 1, ..LIMITS }, || true).unwrap();
    assert_eq!((one_page.compared, one_page.left_out(), one_page.differences.len()), (1, 1, 0));
    let stopped = compare(bytes(OLD), bytes(WORD), &LIMITS, || false).unwrap();
    assert_eq!((stopped.compared, stopped.left_out()), (0, 2));
    for limits in [CompareLimits { max_pictures: 1, ..LIMITS }, CompareLimits { max_picture_bytes: 1, ..LIMITS }] {
        let found = compare(bytes(OLD), bytes(LANDSCAPE), &limits, || true).unwrap();
        assert_eq!(found.differences.len(), 2);
        assert!(found.differences[1].picture.is_none(), "told without a picture: {limits:?}");
    }
}

#[test]
fn twenty_pages_are_drawn_in_a_time_that_can_be_waited_for() {
    let started = Instant::now();
    for _ in 0..10 {
        let found = compare(bytes(OLD), bytes(WORD), &LIMITS, || true).unwrap();
        assert!(found.differences[0].picture.as_ref().is_some_and(|png| png.starts_with(b"\x89PNG")));
    }
    println!("{:?} for each pair of pages, every second one with its picture", started.elapsed() / 20);
}
