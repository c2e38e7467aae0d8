use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use media::{Content, FontInfo, FontStyle, MediaType, Refusal};

use crate::files::{look, system_font};

fn info(bytes: &[u8]) -> FontInfo {
    match look(bytes).unwrap().content {
        Content::Font(font) => font,
        other => panic!("{other:?}"),
    }
}

fn number(bytes: &[u8], at: usize) -> usize {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()).try_into().unwrap()
}

/// Where the list has a table's entry.
fn entry(font: &[u8], tag: &[u8]) -> usize {
    let count = usize::from(u16::from_be_bytes([font[4], font[5]]));
    (0..count).map(|index| 12 + 16 * index).find(|at| &font[*at..at + 4] == tag).unwrap()
}

fn table_at(font: &[u8], tag: &[u8]) -> usize {
    number(font, entry(font, tag) + 8)
}

/// The tables in the order of the file, as (tag, content).
fn tables(font: &[u8]) -> Vec<([u8; 4], Vec<u8>)> {
    let count = usize::from(u16::from_be_bytes([font[4], font[5]]));
    let entries = (0..count).map(|index| 12 + 16 * index);
    entries.map(|at| (font[at..at + 4].try_into().unwrap(), font[number(font, at + 8)..][..number(font, at + 12)].to_vec())).collect()
}

fn be(number: usize) -> [u8; 4] {
    u32::try_from(number).unwrap().to_be_bytes()
}

pub fn woff(font: &[u8]) -> Vec<u8> {
    let tables = tables(font);
    let (mut list, mut data) = (Vec::new(), Vec::new());
    let start = 44 + 20 * tables.len();
    for (tag, table) in &tables {
        let mut writer = ZlibEncoder::new(Vec::new(), Compression::fast());
        writer.write_all(table).unwrap();
        let mut packed = writer.finish().unwrap();
        if packed.len() >= table.len() {
            packed.clone_from(table);
        }
        list.extend([*tag, be(start + data.len()), be(packed.len()), be(table.len()), [0; 4]].concat());
        data.extend(&packed);
        data.resize(data.len().next_multiple_of(4), 0);
    }
    let mut header = [b"wOFF".as_slice(), &font[..4], &be(start + data.len())].concat();
    header.extend(u16::try_from(tables.len()).unwrap().to_be_bytes());
    header.resize(44, 0);
    [header, list, data].concat()
}

/// A Brotli stream that stores: no packer is at hand, and unpackers read it all the same.
fn stored_brotli(bytes: &[u8]) -> Vec<u8> {
    // A window of 16 bits is one zero bit; then for each part: not last (0), four nibbles (00), length - 1, stored (1).
    let mut out = Vec::new();
    for (index, part) in bytes.chunks(65_536).enumerate() {
        let head = u32::try_from(part.len() - 1).unwrap() << 3 | 1 << 19;
        let head = if index == 0 { head << 1 } else { head };
        out.extend_from_slice(&head.to_le_bytes()[..3]);
        out.extend_from_slice(part);
    }
    out.push(3);
    out
}

pub fn woff2(font: &[u8]) -> Vec<u8> {
    let tables = tables(font);
    let variable = |mut number: usize| {
        let mut out = vec![u8::try_from(number & 0x7f).unwrap()];
        while number > 0x7f {
            number >>= 7;
            out.insert(0, u8::try_from(number & 0x7f | 0x80).unwrap());
        }
        out
    };
    let mut list = Vec::new();
    for (tag, table) in &tables {
        let version = if matches!(tag, b"glyf" | b"loca") { 3 << 6 } else { 0 };
        list.push(63 | version);
        list.extend_from_slice(tag);
        list.extend(variable(table.len()));
    }
    let stream = stored_brotli(&tables.iter().flat_map(|(_, table)| table.clone()).collect::<Vec<u8>>());
    let size = (48 + list.len() + stream.len()).next_multiple_of(4);
    let mut header = [b"wOF2".as_slice(), &font[..4], &be(size)].concat();
    header.extend(u16::try_from(tables.len()).unwrap().to_be_bytes());
    header.resize(20, 0);
    header.extend(be(stream.len()));
    header.resize(48, 0);
    let mut all = [header, list, stream].concat();
    all.resize(size, 0);
    all
}

#[test]
fn a_font_tells_its_names_weight_and_style() {
    let regular = info(&system_font("liberation/LiberationSans-Regular.ttf"));
    let expected =
        FontInfo { family: "Liberation Sans".into(), subfamily: "Regular".into(), weight: 400, style: FontStyle::Normal, embeddable: true };
    assert_eq!(regular, expected);
    let slanted = info(&system_font("liberation/LiberationMono-BoldItalic.ttf"));
    assert_eq!((slanted.weight, slanted.style, slanted.subfamily.as_str()), (700, FontStyle::Italic, "Bold Italic"));
    assert_eq!(info(&system_font("dejavu/DejaVuSans-ExtraLight.ttf")).weight, 200);
}

#[test]
fn a_packed_font_tells_the_same() {
    for name in ["liberation/LiberationSans-Regular.ttf", "dejavu/DejaVuSans-BoldOblique.ttf"] {
        let font = system_font(name);
        assert_eq!(look(&woff(&font)).unwrap().media_type, MediaType::Woff);
        assert_eq!(look(&woff2(&font)).unwrap().media_type, MediaType::Woff2);
        assert_eq!(info(&woff(&font)), info(&font));
        assert_eq!(info(&woff2(&font)), info(&font));
    }
}

#[test]
fn every_font_of_the_system_is_taken() {
    let mut folders = vec![std::path::PathBuf::from("/usr/share/fonts")];
    let (mut seen, mut refused) = (0, Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let is_font = entry.extension().is_some_and(|ending| ending == "ttf" || ending == "otf");
            if entry.is_dir() {
                folders.push(entry);
            } else if is_font {
                seen += 1;
                if let Err(refusal) = look(&std::fs::read(&entry).unwrap()) {
                    refused.push(format!("{}: {refusal}", entry.display()));
                }
            }
        }
    }
    assert!(seen > 10 && refused.is_empty(), "{} of {seen}:\n{}", refused.len(), refused.join("\n"));
}

#[test]
fn the_licence_bits_say_whether_it_may_be_embedded() {
    let mut font = system_font("liberation/LiberationSans-Regular.ttf");
    let at = table_at(&font, b"OS/2") + 8;
    for (bits, embeddable) in [(0, true), (2, false), (4, true), (8, true), (0x0a, true), (0x204, false)] {
        font[at..at + 2].copy_from_slice(&u16::to_be_bytes(bits));
        assert_eq!(info(&font).embeddable, embeddable, "{bits:#x}");
    }
}

#[test]
fn a_font_with_a_broken_table_is_refused_and_the_table_named() {
    let good = system_font("liberation/LiberationSans-Regular.ttf");
    let changed = |at: usize, bytes: &[u8]| {
        let mut font = good.clone();
        font[at..at + bytes.len()].copy_from_slice(bytes);
        font
    };
    let glyf = table_at(&good, b"glyf");
    for (font, part) in [
        (changed(entry(&good, b"name") + 8, &[0x7f, 0xff, 0xff, 0xff]), "table name does not lie inside"),
        (changed(entry(&good, b"cmap") + 12, &[0xff; 4]), "table cmap does not lie inside"),
        (changed(entry(&good, b"head") + 8, &be(glyf)), "lies over"),
        (changed(entry(&good, b"OS/2"), b"OS/9"), "no table OS/2"),
        (changed(entry(&good, b"cmap"), b"head"), "head"),
        (changed(table_at(&good, b"head") + 12, &[0; 4]), "table head"),
        (changed(table_at(&good, b"maxp") + 4, &[0; 2]), "table maxp"),
        (changed(table_at(&good, b"hhea") + 34, &[0xff; 2]), "hhea and hmtx"),
        (changed(table_at(&good, b"name") + 2, &[0xff; 2]), "table name is too short"),
        (changed(table_at(&good, b"cmap") + 8, &[0xff; 4]), "table cmap is too short"),
        (changed(table_at(&good, b"loca") + 8, &[0xff; 4]), "loca and glyf"),
        (good[..good.len() / 2].to_vec(), "does not lie inside"),
        ([good.as_slice(), b"<script>alert(1)</script>"].concat(), "belong to no table"),
    ] {
        let said = look(&font).unwrap_err().to_string();
        assert!(said.contains(part), "{said} | {part}");
    }
}

#[test]
fn a_packed_font_that_lies_of_its_lengths_is_refused_before_it_is_unpacked() {
    let font = system_font("liberation/LiberationSans-Regular.ttf");
    let (one, two) = (woff(&font), woff2(&font));
    let changed = |font: &[u8], at: usize, bytes: &[u8]| {
        let mut font = font.to_vec();
        font[at..at + bytes.len()].copy_from_slice(bytes);
        font
    };
    let bomb = look(&changed(&one, 44 + 12, &[0x7f, 0xff, 0xff, 0xff])).unwrap_err();
    assert!(matches!(bomb, Refusal::TooLarge { what: "bytes after unpacking", .. }), "{bomb}");
    // A length of five groups of seven bits in place of the first table's.
    let end = 53 + two[53..].iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
    let mut bomb = [&two[..53], &[0x8f, 0xff, 0xff, 0xff, 0x7f], &two[end..]].concat();
    let size = be(bomb.len());
    bomb[8..12].copy_from_slice(&size);
    let said = look(&bomb).unwrap_err();
    assert!(matches!(said, Refusal::TooLarge { what: "bytes after unpacking", .. }), "{said}");
    for (bytes, part) in [
        (changed(&one, 44 + 12, &be(number(&one, 44 + 12) + 1)), "does not unpack"),
        (changed(&one, 8, &be(one.len() - 4)), "behind its end"),
        (changed(&two, 8, &be(two.len() + 4)), "ends before"),
        ([two.as_slice(), b"PK\x03\x04"].concat(), "behind its end"),
        (changed(&two, 48 + 60, &[0xff; 400]), ""),
    ] {
        let said = look(&bytes).unwrap_err().to_string();
        assert!(said.contains(part), "{said} | {part}");
    }
}
