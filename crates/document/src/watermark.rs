//! A watermark: a drawing of its own behind the pages or in front of them, written as rules of a style sheet.
//!
//! Behind the content it is the background of `@page`. Margin boxes and backgrounds of pages lie under the content, so in front it is a
//! box of the root that the browser repeats on every page. Either is as large as the area between the margins, to which the
//! browser cuts what lies in front.

use std::fmt::Write as _;

use domain::Issue;
use domain::assets::AssetName;
use domain::issues::pointer;
use domain::watermark::{ImageWidth, Layer, Mark, Pages, Position, TextMark, Watermark, Weight};

use crate::css;
use crate::error::DocumentError;
use crate::furniture::{PageClass, PageRules};
use crate::page::EffectiveOptions;
use crate::writer::{Writer, escape_into};

/// Of text: counterclockwise, so that it rises in the direction of reading.
const DIAGONAL_DEGREES: f64 = -45.0;
const GREY: &str = "#59636e";
const FAMILIES: &str = "\"Liberation Sans\",\"Noto Sans\",\"Noto Sans CJK SC\",\"Noto Sans Arabic\",\"Noto Sans Hebrew\",sans-serif";
/// Of the shorter side of the area: what a text takes that is as large as fits, and the size of letters of a short one.
const FITTING_PERCENT: f64 = 92.0;
const LARGEST_PERCENT: f64 = 26.0;
/// From line to line, in sizes of the font.
const LINE_HEIGHT: f64 = 1.2;

/// Checks what only this room knows about a watermark that stands at `path`.
pub(crate) fn check(watermark: &Watermark, path: &str) -> Result<(), Issue> {
    match &watermark.mark {
        Mark::Text(TextMark { color: Some(color), .. }) if !css::is_color(color) => {
            let found = crate::issues::clip(color, 60);
            let accepted = "a colour name, \"#rrggbb\", \"rgb(…)\" or \"hsl(…)\"";
            Err(Issue::new(pointer(path, "color"), format!("is \"{found}\"; accepted: {accepted}")))
        }
        Mark::Image { src, .. } if !is_address(src) => {
            let found = crate::issues::clip(src, 60);
            let accepted = "an asset (\"asset:\" and its slug or id) or a data URI";
            Err(Issue::new(pointer(path, "image"), format!("is \"{found}\"; accepted: {accepted}")))
        }
        _ => Ok(()),
    }
}

fn is_address(src: &str) -> bool {
    let is_data = src.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("data:"));
    is_data || src.starts_with(domain::assets::ASSET_SCHEME) || AssetName::of_address(src).is_some()
}

/// What is known of the document around a watermark.
pub(crate) struct Around<'a> {
    pub(crate) options: &'a EffectiveOptions,
    pub(crate) page_rules: PageRules,
    /// Fonts of the template that are assets: a drawing knows none of those around it.
    pub(crate) fonts: &'a [AssetName],
}

/// The rules that put a watermark on its pages. Nothing while its picture has still to be found out.
pub(crate) fn write_css(watermark: &Watermark, around: &Around<'_>, writer: &mut Writer<'_>) -> Result<String, DocumentError> {
    let drawing = match &watermark.mark {
        Mark::Text(mark) => text(mark, watermark, &own_fonts(mark, around.fonts, writer)?),
        Mark::Image { src, width } => {
            let uri = if let Some(found) = writer.asset_address(src)? {
                found
            } else {
                writer.check_image(src)?;
                src.as_str()
            };
            if uri.is_empty() {
                return Ok(String::new());
            }
            image(uri, *width, watermark)
        }
    };
    let image = format!("background-image:url(\"data:image/svg+xml,{}\")", in_url(&drawing));
    Ok(match watermark.layer {
        Layer::Behind => behind(&image, watermark.pages, around),
        Layer::Front => {
            // What is fixed is repeated on every page, what is absolute stands on the first.
            let place = if watermark.pages == Pages::All { "fixed" } else { "absolute" };
            format!(
                "html::after{{content:\"\"!important;display:block!important;position:{place}!important;inset:0!important;\
                 margin:0!important;pointer-events:none;z-index:2147483647!important;{image}!important;\
                 background-size:100% 100%!important;background-repeat:no-repeat!important}}"
            )
        }
    })
}

/// The rules of the fonts that a text names.
fn own_fonts(mark: &TextMark, fonts: &[AssetName], writer: &mut Writer<'_>) -> Result<String, DocumentError> {
    let mut rules = String::new();
    if let Some(family) = &mark.family {
        let named = format!("font-family:{};", css::string(family));
        for font in fonts {
            rules.push_str(&Some(writer.font_faces(std::slice::from_ref(font))?).filter(|rule| rule.contains(&named)).unwrap_or_default());
        }
    }
    Ok(rules)
}

fn behind(image: &str, pages: Pages, around: &Around<'_>) -> String {
    let size = |class| match around.page_rules {
        // A share would be of another area than that of the content: browsers add the outer margins of the first blocks to it.
        PageRules::Options => {
            let (width, height) = around.options.area_mm(class);
            format!("{width}mm {height}mm")
        }
        PageRules::StyleSheet => "100% 100%".to_owned(),
    };
    let rule = |class: PageClass| {
        let selector = class.selector(around.options.direction);
        format!("@page{selector}{{{image};background-size:{};background-position:0 0;background-repeat:no-repeat}}", size(class))
    };
    let first_differs = size(PageClass::First) != size(PageClass::All);
    match pages {
        Pages::First => rule(PageClass::First),
        Pages::All if first_differs => {
            format!("{}@page :first{{background-size:{}}}", rule(PageClass::All), size(PageClass::First))
        }
        Pages::All => rule(PageClass::All),
    }
}

/// A drawing that fills whatever area it is given; `inside` has its origin where the watermark stands.
fn drawing(head: &str, at: &str, rotation: f64, opacity: f64, inside: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"100%\" height=\"100%\">{head}\
         <g opacity=\"{opacity}\" style=\"transform:translate(50vw,{at}) rotate({rotation}deg)\">{inside}</g></svg>"
    )
}

fn text(mark: &TextMark, watermark: &Watermark, font_faces: &str) -> String {
    let rotation = watermark.rotation.unwrap_or(if watermark.position == Position::Center { DIAGONAL_DEGREES } else { 0.0 });
    let lines: Vec<&str> = mark.text.lines().collect();
    let width = lines.iter().map(|line| ems(line)).fold(1.0, f64::max);
    let height = LINE_HEIGHT * f64::from(u32::try_from(lines.len()).unwrap_or(u32::MAX));
    let (sine, cosine) = (rotation.to_radians().sin().abs(), rotation.to_radians().cos().abs());
    // How wide and high the turned text is, in sizes of its font.
    let (across, along) = (width * cosine + height * sine, width * sine + height * cosine);
    let (font_size, unit) = match mark.size {
        Some(fixed) => (fixed.mm(), "mm"),
        None => ((FITTING_PERCENT / across.max(along)).min(LARGEST_PERCENT), "vmin"),
    };
    let from_edge = along * font_size / 2.0;
    let at = match watermark.position {
        Position::Center => "50vh".to_owned(),
        Position::Top => format!("{from_edge:.3}{unit}"),
        Position::Bottom => format!("calc(100vh - {from_edge:.3}{unit})"),
    };
    let family = mark.family.as_deref().map_or_else(|| FAMILIES.to_owned(), |family| format!("{},{FAMILIES}", css::string(family)));
    let weight = if mark.weight == Weight::Bold { 700 } else { 400 };
    let color = mark.color.as_deref().unwrap_or(GREY);
    let mut style = String::new();
    let plain = format!("font:{weight} {font_size:.3}{unit} {family};fill:{color};white-space:pre;unicode-bidi:plaintext");
    escape_into(&plain, &mut style);
    let mut inside = String::new();
    for (index, line) in lines.iter().enumerate() {
        let middle = f64::from(u32::try_from(index).unwrap_or(u32::MAX)) + 0.5;
        let y = middle * LINE_HEIGHT - height / 2.0;
        // Writing to a String does not fail.
        let _ = write!(inside, "<text y=\"{y:.3}em\" text-anchor=\"middle\" dominant-baseline=\"central\" style=\"{style}\">");
        escape_into(
            &line.replace(|character: char| character.is_control() || matches!(character, '\u{fffe}' | '\u{ffff}'), " "),
            &mut inside,
        );
        inside.push_str("</text>");
    }
    let mut head = String::new();
    if !font_faces.is_empty() {
        head.push_str("<style>");
        escape_into(font_faces, &mut head);
        head.push_str("</style>");
    }
    drawing(&head, &at, rotation, watermark.opacity, &inside)
}

fn image(uri: &str, width: ImageWidth, watermark: &Watermark) -> String {
    let (width, unit) = match width {
        ImageWidth::Length(length) => (length.mm(), "mm"),
        ImageWidth::Percent(percent) => (percent, "vw"),
    };
    // As high as the area: the proportion decides.
    let (at, y, aligned) = match watermark.position {
        Position::Center => ("50vh", "-50vh", "xMidYMid"),
        Position::Top => ("0px", "0", "xMidYMin"),
        Position::Bottom => ("100vh", "-100vh", "xMidYMax"),
    };
    let mut inside = format!("<image x=\"{:.3}{unit}\" y=\"{y}\" width=\"{width:.3}{unit}\" height=\"100vh\" ", -width / 2.0);
    inside.push_str("preserveAspectRatio=\"");
    inside.push_str(aligned);
    inside.push_str("\" href=\"");
    escape_into(uri, &mut inside);
    inside.push_str("\"/>");
    drawing("", at, watermark.rotation.unwrap_or(0.0), watermark.opacity, &inside)
}

/// About how wide a line of bold letters is, in sizes of the font.
fn ems(line: &str) -> f64 {
    let width = |character: char| match character {
        ' ' | '.' | ',' | '\'' | 'i' | 'j' | 'l' | 'I' | '|' | '!' | ':' => 0.3,
        'm' | 'w' | 'M' | 'W' | '@' | '%' => 0.95,
        'a'..='z' | '0'..='9' | '-' => 0.59,
        '\0'..='\u{7ff}' => 0.74,
        _ => 1.0,
    };
    line.chars().map(width).sum()
}

/// Markup as it may stand in a quoted `url()`.
fn in_url(markup: &str) -> String {
    let mut out = String::with_capacity(markup.len() + markup.len() / 4);
    for character in markup.chars() {
        match character {
            '%' | '#' | '"' | '\\' | '<' | '>' | '\0'..='\x1f' | '\x7f' => {
                // Writing to a String does not fail.
                let _ = write!(out, "%{:02X}", u32::from(character));
            }
            plain => out.push(plain),
        }
    }
    out
}
