//! Reads the small HTML of a header or footer down to the strings of up to three boxes.
//!
//! An allow-list: tags and styles that are not on it are left out, with their content where it is not for readers.

mod look;

use look::{apply_style, place};

use crate::css::find_ignoring_case;
use crate::furniture::TOKENS;
use crate::issues::clip;
use crate::tags::{attributes_of, decode, tag_end};

/// Where a box stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Left,
    Center,
    Right,
}

/// Every place, from left to right.
pub(crate) const PLACES: [Place; 3] = [Place::Left, Place::Center, Place::Right];

impl Place {
    /// What it is called in templates and in CSS.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Center => "center",
            Self::Right => "right",
        }
    }
}

/// One box.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cell {
    pub(crate) place: Place,
    pub(crate) look: Look,
    pub(crate) pieces: Vec<Piece>,
}

/// The font of a whole box, as CSS values; `None` is the default.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Look {
    pub(crate) size: Option<String>,
    pub(crate) color: Option<String>,
    pub(crate) weight: Option<String>,
    pub(crate) slant: Option<String>,
    pub(crate) family: Option<String>,
}

/// A part of a box's string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Text(String),
    /// The name of what the page knows, such as `pageNumber`.
    Token(&'static str),
}

/// Elements whose content begins on a line of its own.
const BLOCKS: [&str; 8] = ["div", "p", "header", "footer", "center", "table", "tbody", "tr"];
/// Elements that stand in a line.
const INLINE: [&str; 12] = ["span", "b", "strong", "i", "em", "small", "u", "a", "br", "td", "th", "font"];
/// Elements whose content is not for readers.
const DROPPED_WHOLE: [&str; 8] = ["script", "style", "svg", "title", "iframe", "object", "template", "noscript"];
/// Deeper nesting than this is no header.
const MAX_DEPTH: usize = 50;

struct Element {
    tag: String,
    look: Look,
    align: Option<Place>,
    /// Its children are boxes: a table row or a flex box.
    is_row: bool,
    centers: bool,
}

/// Reads the boxes and says what was left out.
pub(crate) fn read(html: &str, warnings: &mut Vec<String>) -> Vec<Cell> {
    let mut reader = Reader { stack: Vec::new(), boxes: Vec::new(), unclosed: Vec::new(), warnings };
    let mut rest = html;
    while !rest.is_empty() {
        let at = rest.find('<').unwrap_or(rest.len());
        reader.text(&rest[..at]);
        rest = &rest[at..];
        if rest.is_empty() {
            break;
        }
        rest = reader.tag(rest);
    }
    reader.finish()
}

struct Box_ {
    place: Option<Place>,
    centers: bool,
    in_row: bool,
    look: Look,
    pieces: Vec<Piece>,
    break_due: bool,
}

struct Reader<'w> {
    stack: Vec<Element>,
    boxes: Vec<Box_>,
    /// Dropped elements that nothing closes from here on, so that nobody looks for their end twice.
    unclosed: Vec<&'static str>,
    warnings: &'w mut Vec<String>,
}

impl Reader<'_> {
    fn text(&mut self, raw: &str) {
        if raw.trim().is_empty() && self.boxes.last().is_none_or(|current| current.pieces.is_empty()) {
            return;
        }
        let text = decode(&collapse(raw));
        self.push_all(pieces_of(&text));
    }

    fn push_all(&mut self, pieces: Vec<Piece>) {
        if pieces.iter().all(|piece| matches!(piece, Piece::Text(text) if text.trim().is_empty()))
            && self.boxes.last().is_none_or(|current| current.pieces.is_empty() || current.break_due)
        {
            return;
        }
        let current = self.current_box();
        if current.break_due && !current.pieces.is_empty() {
            current.pieces.push(Piece::Text("\n".into()));
        }
        current.break_due = false;
        current.pieces.extend(pieces);
    }

    /// The box that is written into; the look is that of the element where its first text stands.
    fn current_box(&mut self) -> &mut Box_ {
        if self.boxes.is_empty() {
            self.boxes.push(Box_ {
                place: None,
                centers: false,
                in_row: false,
                look: Look::default(),
                pieces: Vec::new(),
                break_due: false,
            });
        }
        let align = self.stack.iter().rev().find_map(|element| element.align);
        let centers = self.stack.iter().any(|element| element.centers);
        let look = self.stack.last().map(|element| element.look.clone());
        let last = self.boxes.len() - 1;
        let current = &mut self.boxes[last];
        if current.pieces.is_empty() {
            current.place = align;
            current.centers = centers;
            current.look = look.unwrap_or_default();
        }
        current
    }

    /// Reads one tag and gives what stands behind it.
    fn tag<'h>(&mut self, html: &'h str) -> &'h str {
        if let Some(comment) = html.strip_prefix("<!--") {
            return comment.find("-->").map_or("", |end| &comment[end + 3..]);
        }
        let Some(end) = tag_end(html) else { return "" };
        let (inside, rest) = (&html[1..end - 1], &html[end..]);
        let (closing, inside) = inside.strip_prefix('/').map_or((false, inside), |inside| (true, inside));
        let name_end = inside.find(|character: char| !character.is_ascii_alphanumeric()).unwrap_or(inside.len());
        let name = inside[..name_end].to_ascii_lowercase();
        if name.is_empty() {
            return rest;
        }
        if let Some(name) = DROPPED_WHOLE.into_iter().find(|dropped| *dropped == name) {
            self.warn(name);
            if closing || self.unclosed.contains(&name) {
                return rest;
            }
            let Some(at) = find_ignoring_case(rest, &format!("</{name}")) else {
                self.unclosed.push(name);
                return rest;
            };
            return rest[at..].find('>').map_or("", |end| &rest[at + end + 1..]);
        }
        let known = BLOCKS.contains(&name.as_str()) || INLINE.contains(&name.as_str());
        if !known {
            if !closing {
                self.warn(&name);
            }
            return rest;
        }
        if closing {
            self.close(&name);
        } else if name == "br" {
            self.push_all(vec![Piece::Text("\n".into())]);
        } else {
            let self_closing = inside.ends_with('/');
            self.open(name, &inside[name_end..]);
            if self_closing {
                self.stack.pop();
            }
        }
        rest
    }

    fn open(&mut self, tag: String, attributes: &str) {
        let parent = self.stack.last();
        if parent.is_some_and(|parent| parent.is_row) {
            self.boxes.push(Box_ {
                place: None,
                centers: false,
                in_row: true,
                look: Look::default(),
                pieces: Vec::new(),
                break_due: false,
            });
        } else if BLOCKS.contains(&tag.as_str()) {
            self.break_line();
        }
        let parent = self.stack.last();
        let mut element = Element {
            look: parent.map(|parent| parent.look.clone()).unwrap_or_default(),
            align: None,
            is_row: tag == "tr",
            centers: tag == "center",
            tag,
        };
        match element.tag.as_str() {
            "b" | "strong" | "th" => element.look.weight = Some("700".into()),
            "i" | "em" => element.look.slant = Some("italic".into()),
            _ => {}
        }
        let mut token = None;
        for (name, value) in attributes_of(attributes) {
            match name.as_str() {
                "style" => apply_style(&mut element, &value),
                "align" => element.align = place(&value),
                "class" => token = value.split_ascii_whitespace().find_map(|class| TOKENS.iter().find(|(token, _)| *token == class)),
                _ => {}
            }
        }
        if self.stack.len() < MAX_DEPTH {
            self.stack.push(element);
        }
        if let Some((token, _)) = token {
            self.push_all(vec![Piece::Token(token)]);
        }
    }

    fn close(&mut self, name: &str) {
        // A closing tag without its opening one closes nothing.
        if let Some(at) = self.stack.iter().rposition(|element| element.tag == name) {
            self.stack.truncate(at);
        }
        if BLOCKS.contains(&name) {
            self.break_line();
        }
    }

    /// What is written next begins on a new line, if anything is.
    fn break_line(&mut self) {
        if let Some(current) = self.boxes.last_mut() {
            current.break_due = true;
        }
    }

    fn warn(&mut self, name: &str) {
        let warning = format!("<{}> cannot stand in a page header or footer and was left out", clip(name, 30));
        if self.warnings.len() < 20 && !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    fn finish(self) -> Vec<Cell> {
        let in_row = self.boxes.iter().filter(|cell| cell.in_row).count();
        if in_row > 3 {
            self.warnings.push(format!("a page header or footer has {in_row} parts side by side; the first three are kept"));
        }
        let defaults = match in_row {
            0 | 1 => [Place::Left; 3],
            2 => [Place::Left, Place::Right, Place::Right],
            _ => [Place::Left, Place::Center, Place::Right],
        };
        let mut cells: Vec<Cell> = Vec::new();
        let mut row_index = 0;
        for current in self.boxes {
            let fallback = if current.centers && in_row <= 1 { Place::Center } else { defaults[row_index.min(2)] };
            // In a row of several parts the order decides, so that no two share a place.
            let place = if current.in_row && in_row > 1 { fallback } else { current.place.unwrap_or(fallback) };
            row_index += usize::from(current.in_row);
            if row_index > 3 {
                break;
            }
            let pieces = trimmed(current.pieces);
            match cells.iter_mut().find(|cell| cell.place == place) {
                Some(cell) if !pieces.is_empty() && !cell.pieces.is_empty() => {
                    cell.pieces.push(Piece::Text("\n".into()));
                    cell.pieces.extend(pieces);
                }
                Some(cell) if !pieces.is_empty() => *cell = Cell { place, look: current.look, pieces },
                Some(_) => {}
                None => cells.push(Cell { place, look: current.look, pieces }),
            }
        }
        cells
    }
}

/// Plain text with the characters of tokens taken for what they stand for.
pub(crate) fn pieces_of(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    for character in text.chars() {
        let Some((name, _)) = TOKENS.iter().find(|(_, token)| *token == character) else {
            plain.push(character);
            continue;
        };
        if !plain.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut plain)));
        }
        pieces.push(Piece::Token(name));
    }
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    pieces
}

/// Without white space at both ends.
fn trimmed(mut pieces: Vec<Piece>) -> Vec<Piece> {
    if let Some(Piece::Text(text)) = pieces.last_mut() {
        text.truncate(text.trim_end().len());
    }
    if let Some(Piece::Text(text)) = pieces.first_mut() {
        *text = text.trim_start().to_owned();
    }
    pieces.retain(|piece| !matches!(piece, Piece::Text(text) if text.is_empty()));
    pieces
}

/// Runs of white space as one space.
fn collapse(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if !character.is_ascii_whitespace() {
            out.push(character);
        } else if !out.ends_with(' ') {
            out.push(' ');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxes(html: &str) -> Vec<(Place, String)> {
        let mut warnings = Vec::new();
        read(html, &mut warnings)
            .into_iter()
            .map(|cell| {
                let text = cell.pieces.iter().map(|piece| match piece {
                    Piece::Text(text) => text.clone(),
                    Piece::Token(name) => format!("[{name}]"),
                });
                (cell.place, text.collect())
            })
            .collect()
    }

    #[test]
    fn a_line_with_counters_stands_where_its_text_align_says() {
        let html = "<div style='width:100%;font-size:9px;text-align:center'>Page <span class=\"pageNumber\"></span>\n of <span class='totalPages'></span></div>";
        assert_eq!(boxes(html), [(Place::Center, "Page [pageNumber] of [totalPages]".into())]);
        assert_eq!(boxes("plain &amp; simple"), [(Place::Left, "plain & simple".into())]);
        assert_eq!(boxes("<p align=right>a<br>b</p><p>c</p>"), [(Place::Right, "a\nb\nc".into())]);
    }

    #[test]
    fn the_parts_of_a_row_become_left_centre_and_right() {
        let flex = "<div style=\"display:flex; justify-content: space-between\"><span>A</span><span>B</span><span>C</span></div>";
        let wanted = [(Place::Left, "A".to_owned()), (Place::Center, "B".into()), (Place::Right, "C".into())];
        assert_eq!(boxes(flex), wanted);
        assert_eq!(boxes("<table><tr><td>A</td><td><b>B</b></td><td>C</td></tr></table>"), wanted);
        assert_eq!(boxes("<div style='display:flex'><span>A</span><span></span><span>C</span></div>")[2], wanted[2]);
        assert_eq!(boxes("<div style='display:flex'><div>A</div><div>Z</div></div>")[1], (Place::Right, "Z".into()));
    }

    #[test]
    fn what_cannot_be_kept_is_left_out_and_said() {
        let mut warnings = Vec::new();
        let cells = read("<script>alert(1)</script>A<img src=x onerror=y> B<style>p{}</style><!-- no > -->", &mut warnings);
        assert_eq!(cells[0].pieces, [Piece::Text("A".into()), Piece::Text(" B".into())]);
        assert_eq!(warnings.len(), 3, "{warnings:?}");
        assert!(warnings[1].contains("<img>"), "{warnings:?}");
    }

    #[test]
    fn the_look_comes_from_allowed_declarations_only() {
        let html = "<div style=\"font-size:9px;color:red;font-family:'X';background:url(http://x)\">a</div>";
        let cell = &read(html, &mut Vec::new())[0];
        assert_eq!(cell.look.size.as_deref(), Some("9px"));
        assert_eq!(cell.look.color.as_deref(), Some("red"));
        let hostile = "<div style=\"color:red}body{display:none;font-family:x&quot;}@import 'y'\">a</div>";
        assert_eq!(read(hostile, &mut Vec::new())[0].look, Look::default());
    }
}
