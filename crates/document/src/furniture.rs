//! Page headers and footers: small HTML or three texts, written as the margin boxes of `@page`.
//!
//! A margin box holds one string, so markup is reduced to what a string can be: text, page counters, line breaks, and
//! the font of the whole box. What cannot be kept is left out with a warning.

use std::fmt::Write as _;

use domain::Issue;
use domain::furniture::{FurnitureContent, PageFurniture};
use domain::issues::pointer;
use domain::options::Direction;
use domain::paper::Length;
use expressions::{Scope, Template};

use crate::css;
use crate::error::DocumentError;
use crate::fields::Text;
use crate::limits::Limits;
use crate::markup::{self, Cell, Look, PLACES, Piece, Place};
use crate::outline::RunningTitles;
use crate::page::EffectiveOptions;
use crate::print_sheet::thousandths;
use crate::running_titles;
use crate::writer::Writer;

/// The names of what a page knows and data does not, with the characters that stand for them while a template is
/// rendered. They are in a private-use plane; texts that hold them print a page number, which harms nobody.
pub(crate) const TOKENS: [(&str, char); 7] = [
    ("pageNumber", '\u{10fff0}'),
    ("totalPages", '\u{10fff1}'),
    ("date", '\u{10fff2}'),
    ("title", '\u{10fff3}'),
    ("url", '\u{10fff4}'),
    ("chapterTitle", '\u{10fff5}'),
    ("sectionTitle", '\u{10fff6}'),
];
/// Those of them that are written in braces. `title`, `date` and `url` are also likely names in data.
const IN_BRACES: [&str; 4] = ["pageNumber", "totalPages", "chapterTitle", "sectionTitle"];

/// A header or footer: what stands on which pages.
#[derive(Debug)]
pub(crate) struct Furniture(Vec<(PageClass, Content)>);

/// Which pages something is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageClass {
    All,
    First,
    Odd,
    Even,
}

#[derive(Debug)]
enum Content {
    /// Markup with span classes, as browsers' print templates have it.
    Markup(Text),
    /// `{left?, center?, right?}`: texts with `{{pageNumber}}` and the like.
    Texts([Option<Text>; 3]),
}

impl Furniture {
    /// Every text in it.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &Text> {
        self.0.iter().flat_map(|(_, content)| match content {
            Content::Markup(text) => vec![text],
            Content::Texts(texts) => texts.iter().flatten().collect(),
        })
    }
}

impl PageClass {
    /// The selector of `@page`. Which side of a sheet has the odd numbers depends on the direction of reading.
    pub(crate) fn selector(self, direction: Option<Direction>) -> &'static str {
        match (self, direction) {
            (Self::All, _) => "",
            (Self::First, _) => " :first",
            (Self::Odd, Some(Direction::Rtl)) | (Self::Even, Some(Direction::Ltr | Direction::Auto) | None) => " :left",
            (Self::Odd | Self::Even, _) => " :right",
        }
    }
}

/// Where on a page it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edge {
    Top,
    Bottom,
}

impl Edge {
    fn word(self) -> &'static str {
        match self {
            Self::Top => "top",
            Self::Bottom => "bottom",
        }
    }
}

/// Of what says nothing about it.
const FONT_SIZE: &str = "8pt";
/// Letters are no lower than the size of their font.
const LEAST_LINE_HEIGHT: f64 = 1.0;
/// Bytes of a header or footer once its values are in it: no more can be read on a page, and its source is shorter.
const MAX_RENDERED_BYTES: usize = 64 * 1024;

/// What stands for the tokens, and how pages are.
pub(crate) struct Known<'k> {
    pub(crate) date: &'k str,
    pub(crate) title: &'k str,
    pub(crate) options: &'k EffectiveOptions,
    /// Whether a style sheet of the author may say something else about pages.
    pub(crate) page_rules: PageRules,
}

/// Who says what the pages are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageRules {
    /// The options alone.
    Options,
    /// The author's style sheet too.
    StyleSheet,
}

/// Parses the texts of a header or footer that stands at `path`; `name` is what its problems call it.
pub(crate) fn compile(furniture: &PageFurniture, name: &str, path: &str, limits: &Limits) -> Result<Furniture, Issue> {
    let mut compiled = Vec::new();
    // From the most to the least general: of two rules for one page the later one counts.
    for (class, content) in furniture.classes().into_iter().rev() {
        let (Some(content), page_class) = (content, PAGE_CLASSES.iter().find(|(word, _)| Some(*word) == class)) else { continue };
        let (name, path) = match class {
            Some(class) => (format!("{name}.{class}"), pointer(path, class)),
            None => (name.to_owned(), path.to_owned()),
        };
        compiled.push((page_class.map_or(PageClass::All, |(_, class)| *class), compile_content(content, &name, &path, limits)?));
    }
    Ok(Furniture(compiled))
}

const PAGE_CLASSES: [(&str, PageClass); 4] =
    [("first", PageClass::First), ("odd", PageClass::Odd), ("even", PageClass::Even), ("other", PageClass::All)];

fn compile_content(content: &FurnitureContent, name: &str, path: &str, limits: &Limits) -> Result<Content, Issue> {
    match content {
        FurnitureContent::Markup(source) => template(source, name.into(), path, limits).map(Content::Markup),
        FurnitureContent::Texts(sources) => {
            let mut texts = [None, None, None];
            for ((text, source), place) in texts.iter_mut().zip(sources).zip(PLACES.map(Place::word)) {
                if let Some(source) = source {
                    *text = Some(template(source, format!("{name}.{place}"), &pointer(path, place), limits)?);
                }
            }
            Ok(Content::Texts(texts))
        }
    }
}

fn template(source: &str, property: String, path: &str, limits: &Limits) -> Result<Text, Issue> {
    let mut source = source.to_owned();
    for (token, character) in TOKENS.into_iter().filter(|(token, _)| IN_BRACES.contains(token)) {
        for form in [format!("{{{{{token}}}}}"), format!("{{{{ {token} }}}}")] {
            source = source.replace(&form, &character.to_string());
        }
    }
    match Template::parse(&source, &limits.parsing) {
        Ok(template) => Ok(Text { template, property: property.into() }),
        Err(error) => {
            let message = format!("\"{property}\", line {}, column {}: {}", error.line(), error.column(), error.message());
            Err(Issue::new(path, message).with_code("template_expression_error"))
        }
    }
}

/// Writes a header or footer as rules of `@page` with margin boxes.
pub(crate) fn write_css(
    furniture: &Furniture,
    edge: Edge,
    known: &Known<'_>,
    writer: &mut Writer<'_>,
    scope: &Scope<'_>,
) -> Result<String, DocumentError> {
    let mut css = String::new();
    for (class, content) in &furniture.0 {
        let cells = cells(content, writer, scope)?;
        let names_title = |piece: &Piece| matches!(piece, Piece::Token("chapterTitle" | "sectionTitle"));
        if cells.iter().any(|cell| cell.pieces.iter().any(names_title)) {
            writer.outline.running_titles = RunningTitles::Named;
        }
        // A value of the data may hold the characters that stand for the title, and each of them becomes a title.
        let titles = |cell: &Cell| cell.pieces.iter().filter(|piece| matches!(piece, Piece::Token("title"))).count();
        if cells.iter().any(|cell| titles(cell).saturating_mul(known.title.len()) > MAX_RENDERED_BYTES) {
            return Err(too_long());
        }
        if known.page_rules == PageRules::Options {
            warn_of_height(&cells, edge, known.options.margin(edge, *class), writer);
        }
        css.extend(["@page", class.selector(known.options.direction), "{"]);
        for place in PLACES {
            match cells.iter().find(|cell| cell.place == place && !cell.pieces.is_empty()) {
                Some(cell) => css.push_str(&box_css(cell, edge, known)),
                // What stands there on other pages does not stand on these.
                None if *class != PageClass::All => css.extend(["@", edge.word(), "-", place.word(), "{content:none}"]),
                None => {}
            }
        }
        css.push('}');
    }
    Ok(css)
}

fn cells(content: &Content, writer: &mut Writer<'_>, scope: &Scope<'_>) -> Result<Vec<Cell>, DocumentError> {
    match content {
        Content::Markup(text) => {
            let mut warnings = Vec::new();
            writer.markup(text, scope)?;
            let html = short_enough(writer.take())?;
            let cells = markup::read(&html, &mut warnings);
            for message in warnings {
                writer.warn("page_furniture", message);
            }
            Ok(cells)
        }
        Content::Texts(texts) => {
            let mut cells = Vec::new();
            for (text, place) in texts.iter().zip(PLACES) {
                if let Some(text) = text {
                    let pieces = markup::pieces_of(&short_enough(writer.plain(text, scope)?)?);
                    cells.push(Cell { place, look: Look::default(), pieces });
                }
            }
            Ok(cells)
        }
    }
}

fn short_enough(rendered: String) -> Result<String, DocumentError> {
    if rendered.len() > MAX_RENDERED_BYTES {
        return Err(too_long());
    }
    Ok(rendered)
}

fn too_long() -> DocumentError {
    DocumentError::TooLarge { what: "page header or footer (bytes)", limit: MAX_RENDERED_BYTES as u64 }
}

/// Says where lines alone are too many for the margin; how long ones break is for the browser to find.
fn warn_of_height(cells: &[Cell], edge: Edge, margin: Length, writer: &mut Writer<'_>) {
    for cell in cells {
        let size = cell.look.size.as_deref().unwrap_or(FONT_SIZE);
        // Other units depend on what is around.
        let Some(size) = Length::parse(size).filter(|_| !size.ends_with(|last: char| last.is_ascii_digit())) else { continue };
        let breaks = |piece: &Piece| if let Piece::Text(text) = piece { text.matches('\n').count() } else { 0 };
        let lines = 1 + cell.pieces.iter().map(breaks).sum::<usize>();
        let height = size.mm() * LEAST_LINE_HEIGHT * f64::from(u32::try_from(lines).unwrap_or(u32::MAX));
        if !cell.pieces.is_empty() && height > margin.mm() {
            let (part, whereabouts) = if edge == Edge::Top { ("header", "top") } else { ("footer", "bottom") };
            let (margin, height) = (margin.mm().round(), height.ceil());
            let message =
                format!("the page {part} has {lines} lines, about {height} mm, and the {whereabouts} margin {margin} mm: it does not fit");
            writer.warn("page_furniture", message);
        }
    }
}

fn box_css(cell: &Cell, edge: Edge, known: &Known<'_>) -> String {
    let (place, edge) = (cell.place.word(), edge.word());
    let mut css = format!("@{edge}-{place}{{content:");
    for piece in &cell.pieces {
        let piece = match piece {
            Piece::Text(text) => css::string(text),
            Piece::Token("pageNumber") => "counter(page)".into(),
            Piece::Token("totalPages") => "counter(pages)".into(),
            Piece::Token("date") => css::string(known.date),
            Piece::Token("title") => css::string(known.title),
            Piece::Token("chapterTitle") => format!("counter(page,{})", running_titles::CHAPTER),
            Piece::Token("sectionTitle") => format!("counter(page,{})", running_titles::SECTION),
            // A document written from a template has no address.
            Piece::Token(_) => continue,
        };
        css.push_str(&piece);
        css.push(' ');
    }
    let Look { size, color, weight, slant, family } = &cell.look;
    // Writing to a String does not fail.
    let _ = write!(
        css,
        ";white-space:pre-wrap;text-align:{place};font-family:{};font-size:{};color:{};font-weight:{};font-style:{}}}",
        family.as_deref().unwrap_or("\"Liberation Sans\",\"Noto Sans\",\"Noto Sans CJK SC\",sans-serif"),
        size.as_deref().unwrap_or(FONT_SIZE),
        color.as_deref().unwrap_or("#59636e"),
        weight.as_deref().unwrap_or("400"),
        slant.as_deref().unwrap_or("normal"),
    );
    if let Some(sheet) = &known.options.sheet {
        // What is around the page is no part of its margin.
        css.truncate(css.len() - 1);
        let _ = write!(css, ";padding-{edge}:{}mm;box-sizing:border-box}}", thousandths(sheet.around_mm));
    }
    css
}
