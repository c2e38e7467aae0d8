//! Uploaded bytes: whatever is changed in a good file, it is taken or refused, and what is taken of an SVG neither runs nor loads.

use std::io::Cursor;

use fuzz::arbitrary::{self, Unstructured};
use fuzz::{changed, search};
use media::{Content, DeclaredType, Limits, inspect};

/// Words that have fooled sanitisers.
const WORDS: [&str; 48] = [
    "<script>",
    "</script>",
    "<style>",
    "</style>",
    "<foreignObject>",
    "<use href='#a'/>",
    " href='//evil'",
    " xlink:href='//evil'",
    " onload='evil'",
    "javascript:",
    "url(",
    "url(//evil)",
    "image-set('//evil')",
    "@import '//evil';",
    "\\",
    "\\75 rl(",
    "5.",
    "@x;",
    "@x{}",
    "-",
    "#",
    "u",
    "rl(//evil)",
    "image(",
    "/*",
    "*/",
    "<![CDATA[",
    "]]>",
    "<!--",
    "-->",
    "<!DOCTYPE svg [",
    "<!ENTITY a 'b'>",
    "]>",
    "&a;",
    "&lt;",
    "&#x3c;",
    "&quot;",
    "\"",
    "'",
    ")",
    "{",
    "}",
    ";",
    " style='",
    "<animate attributeName='href'/>",
    "<?xml-stylesheet href='//evil'?>",
    "xmlns='",
    "<image href='data:image/svg+xml,<svg/>'/>",
];

const SVG: &str = "<?xml version='1.0'?><!DOCTYPE svg [<!ENTITY n 'x'>]><svg xmlns='http://www.w3.org/2000/svg' \
    xmlns:xlink='http://www.w3.org/1999/xlink'><style>.a > b { fill: url(#c); content: \"x\" } @media print { .b { x: y } }</style>\
    <g id='a' style='fill:url(\"#c\")' transform='scale(2)'><path d='M0 0z' fill='url(#c) red'/></g><use xlink:href='#a'/>\
    <text xml:space='preserve'>&n; <tspan>b</tspan></text><animate attributeName='x' values='0;1'/></svg>";

/// Names and values of all attributes in a cleaned SVG: there every tag ends at its first bracket, and every value has double quotes.
fn attributes(text: &str) -> impl Iterator<Item = (&str, String)> {
    let tags = text.split('<').map(|piece| piece.split('>').next().unwrap_or_default());
    tags.flat_map(|tag| tag.split('"').step_by(2).zip(tag.split('"').skip(1).step_by(2))).map(|(before, value)| {
        let name = before.strip_suffix('=').unwrap_or_default().rsplit(' ').next().unwrap_or_default();
        (name, value.replace("&quot;", "\""))
    })
}

/// Whether an address in a cleaned SVG is neither one of its own parts nor carried by it.
fn leads_elsewhere(text: &str) -> bool {
    let is_local = |address: &str| address.starts_with('#') || address.starts_with("data:");
    let mut sheets = text.split("<style").skip(1).filter_map(|rest| rest.split("</style").next()?.split_once('>')).map(|(_, sheet)| sheet);
    attributes(text)
        .filter(|(name, _)| !["id", "class", "xml:lang"].contains(name))
        .any(|(name, value)| if name.ends_with("href") { !is_local(&value) } else { loads(&value, is_local) })
        || sheets.any(|sheet| loads(sheet, is_local))
}

/// Whether CSS as it is written by us, without escapes that matter, has an address that is not local; quoted texts name none.
fn loads(css: &str, is_local: impl Fn(&str) -> bool) -> bool {
    let mut rest = css.to_ascii_lowercase();
    while let Some(at) = rest.find(['"', '(']) {
        let behind = rest.split_off(at + 1);
        let before = rest.strip_suffix("url(").map(|before| before.chars().next_back());
        let is_address = before.is_some_and(|last| !last.is_some_and(|c| c.is_alphanumeric() || "-_#".contains(c) || !c.is_ascii()));
        let end = if rest.ends_with('"') { behind.find('"').map_or(behind.len(), |end| end + 1) } else { 0 };
        if is_address && !is_local(behind.trim_start_matches('"')) {
            return true;
        }
        let skip = if is_address { behind.find(')').unwrap_or(behind.len()) } else { end };
        rest = behind[skip..].to_owned();
    }
    false
}

fn picture(random: &mut Unstructured<'_>) -> arbitrary::Result<Vec<u8>> {
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x03\0\0\0\x04\x08\x06\0\0\0\0\0\0\0\0\0\0\x01IDAT\x63\0\0\0\0\0\0\0\0IEND\0\0\0\0";
    let gif = b"GIF89a\x03\0\x04\0\x80\0\0\0\0\0\xff\xff\xff!\xfe\x05hello\0,\0\0\0\0\x03\0\x04\0\0\x02\x02\x44\x01\0;";
    let jpeg =
        b"\xff\xd8\xff\xe0\0\x07JFIF\0\xff\xc0\0\x0b\x08\0\x04\0\x03\x01\x01\x11\0\xff\xda\0\x08\x01\x01\0\0\x3f\0\x01\xff\0\xff\xd9";
    let webp = b"RIFF\x14\0\0\0WEBPVP8L\x07\0\0\0\x2f\x02\xc0\0\0\0\0\0";
    let pdf = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\nstartxref\n9\n%%EOF\n";
    let seeds: [&[u8]; 5] = [png, gif, jpeg, webp, pdf];
    let mut bytes = random.choose(&seeds)?.to_vec();
    for _ in 0..random.int_in_range(0..=4)? {
        let place = random.choose_index(bytes.len())?;
        match random.int_in_range(0..=3)? {
            0 => bytes[place] = random.arbitrary()?,
            1 => bytes[place] ^= 1 << random.int_in_range(0..=7)?,
            2 => bytes.insert(place, random.arbitrary()?),
            _ => bytes.truncate(place.max(1)),
        }
    }
    Ok(bytes)
}

#[test]
fn no_changed_picture_breaks_the_walk_and_none_is_taken_with_something_behind_it() {
    let (mut taken, mut refused) = (0, 0);
    search(|random| {
        let bytes = picture(random)?;
        if inspect(&DeclaredType::default(), Cursor::new(&bytes), &Limits::default()).is_err() {
            refused += 1;
            return Ok(());
        }
        taken += 1;
        let longer = [bytes.as_slice(), b"<script>"].concat();
        assert!(inspect(&DeclaredType::default(), Cursor::new(&longer), &Limits::default()).is_err(), "{bytes:?}");
        Ok(())
    });
    assert!(taken > 100 && refused > 100, "{taken} taken, {refused} refused");
}

#[test]
fn no_changed_svg_runs_or_loads_and_cleaning_again_changes_nothing() {
    let (mut taken, mut refused) = (0, 0);
    let clean = |text: &str| match inspect(&DeclaredType::default(), Cursor::new(text), &Limits::default()).map(|media| media.content) {
        Ok(Content::Svg(svg)) => Some(String::from_utf8(svg.bytes).unwrap()),
        _ => None,
    };
    search(|random| {
        let text = changed(random, SVG, &WORDS)?;
        let Some(out) = clean(&text) else {
            refused += 1;
            return Ok(());
        };
        taken += 1;
        assert!(!attributes(&out).any(|(name, _)| name.starts_with("on") || name == "src"), "{text}\nbecame\n{out}");
        for word in ["<script", "<foreignobject", "<iframe", "<!doctype", "<?"] {
            assert!(!out.to_ascii_lowercase().contains(word), "{text}\nbecame\n{out}");
        }
        assert!(!leads_elsewhere(&out), "{text}\nbecame\n{out}");
        assert_eq!(clean(&out).as_deref(), Some(out.as_str()), "{text}");
        Ok(())
    });
    assert!(taken > 100 && refused > 100, "{taken} taken, {refused} refused");
}

#[test]
fn no_changed_font_breaks_the_walk() {
    let font = std::fs::read("/usr/share/fonts/truetype/liberation/LiberationMono-Regular.ttf").unwrap();
    let (mut taken, mut refused) = (0, 0);
    let starts: Vec<usize> = (0..usize::from(font[5]))
        .map(|index| 12 + 16 * index + 8)
        .map(|at| u32::from_be_bytes(font[at..at + 4].try_into().unwrap()).try_into().unwrap())
        .collect();
    search(|random| {
        let mut bytes = font.clone();
        for _ in 0..random.int_in_range(1..=4)? {
            // Headers of tables, where numbers are.
            let place = random.choose(&starts)? + random.int_in_range(0..=60)?;
            let place = if random.ratio(1, 3)? { random.int_in_range(0..=300)? } else { place.min(bytes.len() - 1) };
            bytes[place] = random.arbitrary()?;
        }
        match inspect(&DeclaredType::default(), Cursor::new(&bytes), &Limits::default()) {
            Ok(_) => taken += 1,
            Err(_) => refused += 1,
        }
        Ok(())
    });
    assert!(taken > 20 && refused > 20, "{taken} taken, {refused} refused");
}
