//! What a person sees in a PDF, through the programs of poppler.
//!
//! Every function panics when the bytes are no PDF, and names the package when poppler is missing.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

/// The text of all pages with its layout kept by spaces; a form feed ends each page.
pub fn words(pdf: &[u8]) -> String {
    text(run("pdftotext", &["-layout", "-enc", "UTF-8"], pdf, &["-"]))
}

/// The text of one page, counted from 1. Panics when there is no such page.
pub fn page_words(pdf: &[u8], page: u32) -> String {
    check_page(pdf, page);
    let number = page.to_string();
    text(run("pdftotext", &["-layout", "-enc", "UTF-8", "-f", &number, "-l", &number], pdf, &["-"]))
}

/// The words of one page, counted from 1, in the order of reading, each with the place of its upper left corner: points from the left
/// and from the upper edge of the page. Panics when there is no such page.
pub fn words_with_places(pdf: &[u8], page: u32) -> Vec<(String, f64, f64)> {
    check_page(pdf, page);
    let number = page.to_string();
    let boxes = text(run("pdftotext", &["-bbox", "-enc", "UTF-8", "-f", &number, "-l", &number], pdf, &["-"]));
    let words = boxes.lines().filter_map(|line| line.trim().strip_prefix("<word ")?.strip_suffix("</word>")?.split_once('>'));
    let place = |attributes: &str, name: &str| -> f64 {
        let value = attributes.split_once(&format!("{name}=\"")).and_then(|(_, rest)| rest.split('"').next());
        value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("pdftotext tells no {name}: {attributes}"))
    };
    words.map(|(attributes, word)| (word.to_owned(), place(attributes, "xMin"), place(attributes, "yMin"))).collect()
}

/// How many pages there are.
pub fn page_count(pdf: &[u8]) -> u32 {
    let info = info(pdf);
    info.get("Pages").and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("pdfinfo tells no number of pages: {info:?}"))
}

/// What `pdfinfo` prints, by its left column: `Title`, `Author`, `Pages`, `Page size`, `Tagged`,
/// `CreationDate` (in ISO 8601) and so on. What the file does not say is absent.
pub fn info(pdf: &[u8]) -> BTreeMap<String, String> {
    let lines = text(run("pdfinfo", &["-isodates", "-enc", "UTF-8"], pdf, &[]));
    let pairs = lines.lines().filter_map(|line| line.split_once(':'));
    pairs.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect()
}

/// How many pictures are placed in it.
pub fn pictures(pdf: &[u8]) -> usize {
    // Two lines are the head of the table.
    text(run("pdfimages", &["-list"], pdf, &[])).lines().count().saturating_sub(2)
}

/// One page, counted from 1, as the bytes of a PNG at the given resolution. Panics when there is no such page.
pub fn picture(pdf: &[u8], page: u32, dpi: u32) -> Vec<u8> {
    check_page(pdf, page);
    let (number, dpi) = (page.to_string(), dpi.to_string());
    run("pdftoppm", &["-png", "-r", &dpi, "-f", &number, "-l", &number, "-singlefile"], pdf, &[])
}

/// The pixels of one page, counted from 1, at the given resolution. Panics when there is no such page.
pub fn pixels(pdf: &[u8], page: u32, dpi: u32) -> Pixels {
    check_page(pdf, page);
    let (number, dpi) = (page.to_string(), dpi.to_string());
    let map = run("pdftoppm", &["-r", &dpi, "-f", &number, "-l", &number, "-singlefile"], pdf, &[]);
    // "P6", width, height and the largest value, each behind a blank, then the channels of one pixel after the other.
    let mut fields = map.splitn(4, u8::is_ascii_whitespace).skip(1);
    let mut side = || fields.next().and_then(|field| str::from_utf8(field).ok()?.parse().ok()).expect("the size of a picture");
    let (width, height): (usize, usize) = (side(), side());
    let channels = map[map.len() - width * height * 3..].to_vec();
    Pixels { width, height, channels }
}

/// A page as it looks.
pub struct Pixels {
    /// From left to right.
    pub width: usize,
    /// From top to bottom.
    pub height: usize,
    channels: Vec<u8>,
}

impl Pixels {
    /// Red, green and blue of a pixel, counted from the upper left one.
    pub fn at(&self, x: usize, y: usize) -> [u8; 3] {
        let from = (y * self.width + x) * 3;
        [self.channels[from], self.channels[from + 1], self.channels[from + 2]]
    }

    /// How many pixels of a part of the page fulfil a condition; its left, upper, right and lower edge are hundredths of the page.
    pub fn count(&self, [left, top, right, bottom]: [usize; 4], fulfils: impl Fn([u8; 3]) -> bool) -> usize {
        let columns = left * self.width / 100..right * self.width / 100;
        let rows = top * self.height / 100..bottom * self.height / 100;
        rows.flat_map(|y| columns.clone().map(move |x| (x, y))).filter(|(x, y)| fulfils(self.at(*x, *y))).count()
    }
}

/// The file with the numbers of each `MediaBox` as short as they can be in single precision; everything stays where it is.
///
/// A height that is 841.91998 in one file and 841.92 in another, which is the same number in single precision, makes poppler put a
/// line that lies between two pixels into another of them, and see a blank line more or less.
fn with_shortest_sizes(pdf: &[u8]) -> Vec<u8> {
    const NAME: &[u8] = b"/MediaBox";
    let mut whole = pdf.to_vec();
    let mut at = 0;
    while let Some(found) = whole[at..].windows(NAME.len()).position(|window| window == NAME) {
        at += found + NAME.len();
        let Some(open) = whole[at..].iter().position(|byte| !byte.is_ascii_whitespace()).map(|blanks| at + blanks) else { break };
        let Some(length) = whole[open..].iter().position(|byte| *byte == b']') else { break };
        let numbers = str::from_utf8(&whole[open..open + length]).ok().and_then(|text| text.strip_prefix('['));
        let numbers: Option<Vec<f32>> = numbers.and_then(|text| text.split_ascii_whitespace().map(|number| number.parse().ok()).collect());
        let Some(numbers) = numbers else { continue };
        let numbers: Vec<String> = numbers.iter().map(f32::to_string).collect();
        let shortest = format!("[{:<width$}", numbers.join(" "), width = length - 1);
        if shortest.len() == length {
            whole[open..open + length].copy_from_slice(shortest.as_bytes());
        }
    }
    whole
}

fn check_page(pdf: &[u8], page: u32) {
    let count = page_count(pdf);
    assert!((1..=count).contains(&page), "there is no page {page}, the PDF has {count}");
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("poppler was asked for UTF-8")
}

fn run(program: &str, options: &[&str], pdf: &[u8], after_the_file: &[&str]) -> Vec<u8> {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(&with_shortest_sizes(pdf)).expect("room for a temporary file");
    let output = Command::new(program)
        .args(options)
        .arg(file.path())
        .args(after_the_file)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{program} cannot be run ({error}); install it with `apt install poppler-utils`"));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} does not accept the PDF of {} bytes: {complaint}", pdf.len());
    output.stdout
}
