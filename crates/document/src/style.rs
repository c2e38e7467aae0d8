//! The style properties of a node: a closed set, each with values that cannot leave their declaration.

use serde_json::Value;

use crate::css::{is_color, is_length};
use crate::fields::Fields;
use crate::issues::short;
use crate::shapes::{Property, Shape, Takes};

/// The set, with the CSS property each one becomes.
const PROPERTIES: [(&str, &str, Check); 19] = [
    ("align", "text-align", align),
    ("bold", "font-weight", bold),
    ("italic", "font-style", italic),
    ("color", "color", color),
    ("fontFamily", "font-family", font_family),
    ("fontSize", "font-size", length),
    ("letterSpacing", "letter-spacing", length),
    ("lineHeight", "line-height", line_height),
    ("marginTop", "margin-top", length),
    ("marginBottom", "margin-bottom", length),
    ("background", "background-color", color),
    ("border", "border", border),
    ("borderTop", "border-top", border),
    ("borderBottom", "border-bottom", border),
    ("borderStart", "border-inline-start", border),
    ("borderEnd", "border-inline-end", border),
    ("borderRadius", "border-radius", length),
    ("padding", "padding", padding),
    ("keepTogether", "break-inside", keep_together),
];

/// Fonts that a style may name at a time, the first that there is being taken.
const MAX_FAMILIES: usize = 5;

/// What `fontFamily` takes.
const FAMILIES: &str = "names of fonts such as `Liberation Serif, serif`";

/// What a border of one side takes.
const LINE: Takes = Takes::Either(&[Takes::Flag, Takes::Other("width, line and colour", r#"{"type": "string"}"#)]);

pub(crate) static SHAPE: Shape = Shape {
    what: "a style",
    base: &[],
    properties: &[
        Property::optional("align", Takes::Words(&["left", "center", "right", "justify", "start", "end"]), "`start`", "Where lines stand."),
        Property::optional("bold", Takes::Flag, "", "Weight of the letters."),
        Property::optional("italic", Takes::Flag, "", "Slant of the letters."),
        Property::optional("color", Takes::Color, "", "Of the letters."),
        Property::optional("fontFamily", Takes::Other(FAMILIES, r#"{"type": "string"}"#), "`Liberation Sans`", "Typeface of the letters."),
        Property::optional("fontSize", Takes::Length, "`10pt`", "Size of the letters."),
        Property::optional("letterSpacing", Takes::Length, "", "Room between letters, such as `0.08em` for a line of capitals."),
        Property::optional("lineHeight", Takes::Number(0.5, 10.0), "`1.45`", "Height of a line in font sizes."),
        Property::optional("marginTop", Takes::Length, "", "Room above."),
        Property::optional("marginBottom", Takes::Length, "", "Room below."),
        Property::optional("background", Takes::Color, "none", "Behind the node."),
        Property::optional(
            "border",
            Takes::Either(&[Takes::Flag, Takes::Other("width, line and colour such as `1pt solid #999`", r#"{"type": "string"}"#)]),
            "none",
            "Around the node; lines are `solid`, `dashed`, `dotted` or `double`.",
        ),
        Property::optional("borderTop", LINE, "none", "Above the node."),
        Property::optional("borderBottom", LINE, "none", "Below the node."),
        Property::optional("borderStart", LINE, "none", "At the side where lines begin: left, or right where `direction` is `rtl`."),
        Property::optional("borderEnd", LINE, "none", "At the side where lines end."),
        Property::optional("borderRadius", Takes::Length, "", "Radius of the corners of a border or a background."),
        Property::optional(
            "padding",
            Takes::Either(&[Takes::Length, Takes::Other("up to four lengths such as `4pt 8pt`", r#"{"type": "string"}"#)]),
            "",
            "Between the edge of the node and its content.",
        ),
        Property::optional("keepTogether", Takes::Flag, "`false`", "Whether page breaks inside are avoided."),
    ],
};

/// Names people know from CSS, with the property meant.
const SYNONYMS: [(&str, &str); 5] =
    [("textAlign", "align"), ("fontWeight", "bold"), ("fontStyle", "italic"), ("backgroundColor", "background"), ("text-align", "align")];

/// The CSS value, or what would be accepted.
type Check = fn(&Value) -> Result<String, &'static str>;

/// Declarations for a style attribute, safe there without escaping.
#[derive(Clone, Debug, Default)]
pub(crate) struct Style(pub(crate) Box<str>);

/// Reads the `style` object of a node.
pub(crate) fn read(fields: &mut Fields<'_, '_>) -> Style {
    let mut css = String::new();
    let Some(given) = fields.object("style") else { return Style::default() };
    for (name, value) in given {
        let known = PROPERTIES.iter().find(|(property, ..)| property == name);
        let Some((_, property, check)) = known else {
            let meant = SYNONYMS.iter().find(|(synonym, _)| synonym == name).map(|(_, property)| *property);
            fields.refuse_member("style", name, "style property", PROPERTIES.map(|(name, ..)| name), meant);
            continue;
        };
        if value.is_null() {
            continue;
        }
        match check(value) {
            Ok(value) => {
                if !css.is_empty() {
                    css.push(';');
                }
                css.push_str(property);
                css.push(':');
                css.push_str(&value);
            }
            Err(accepted) => fields.refuse_at(&format!("style/{name}"), &format!("style.{name} is {}; accepted: {accepted}", short(value))),
        }
    }
    Style(css.into())
}

fn word(value: &Value, accepted: &[&str]) -> Option<String> {
    value.as_str().filter(|word| accepted.contains(word)).map(str::to_owned)
}

fn align(value: &Value) -> Result<String, &'static str> {
    word(value, &["left", "center", "right", "justify", "start", "end"])
        .ok_or("\"left\", \"center\", \"right\", \"justify\", \"start\" or \"end\"")
}

fn bold(value: &Value) -> Result<String, &'static str> {
    value.as_bool().map(|bold| if bold { "700" } else { "400" }.to_owned()).ok_or("true or false")
}

fn italic(value: &Value) -> Result<String, &'static str> {
    value.as_bool().map(|italic| if italic { "italic" } else { "normal" }.to_owned()).ok_or("true or false")
}

fn keep_together(value: &Value) -> Result<String, &'static str> {
    value.as_bool().map(|keep| if keep { "avoid" } else { "auto" }.to_owned()).ok_or("true or false")
}

pub(crate) fn color(value: &Value) -> Result<String, &'static str> {
    value.as_str().filter(|text| is_color(text)).map(str::to_owned).ok_or("a colour name, \"#rrggbb\", \"rgb(…)\" or \"hsl(…)\"")
}

/// A length of a node: text with a unit, or a number of points.
pub(crate) fn length(value: &Value) -> Result<String, &'static str> {
    let points = value.as_f64().filter(|points| (0.0..=5000.0).contains(points)).map(|points| format!("{points}pt"));
    points
        .or_else(|| value.as_str().filter(|text| is_length(text)).map(str::to_owned))
        .ok_or("a number of points or text with a unit, such as 12, \"12pt\", \"4mm\", \"1.5em\" or \"50%\"")
}

fn line_height(value: &Value) -> Result<String, &'static str> {
    value.as_f64().filter(|factor| (0.5..=10.0).contains(factor)).map(|factor| factor.to_string()).ok_or("a factor from 0.5 to 10")
}

/// Names in quotes, so that each stays a name; the words for kinds of fonts as they are.
fn font_family(value: &Value) -> Result<String, &'static str> {
    const ACCEPTED: &str = "one to five names of fonts with commas between them, such as \"Liberation Serif, serif\"";
    let names: Vec<&str> = value.as_str().ok_or(ACCEPTED)?.split(',').map(str::trim).collect();
    let is_name = |name: &&str| {
        let is_plain = |character: char| character.is_alphanumeric() || matches!(character, ' ' | '-' | '_' | '.');
        (1..=64).contains(&name.len()) && name.chars().all(is_plain)
    };
    if names.len() > MAX_FAMILIES || !names.iter().all(is_name) {
        return Err(ACCEPTED);
    }
    let quoted = |name: &&str| match *name {
        kind @ ("serif" | "sans-serif" | "monospace") => kind.to_owned(),
        name => format!("'{name}'"),
    };
    Ok(names.iter().map(quoted).collect::<Vec<_>>().join(","))
}

fn padding(value: &Value) -> Result<String, &'static str> {
    const ACCEPTED: &str = "one to four lengths, such as 6, \"4pt\" or \"4pt 8pt\"";
    let Some(text) = value.as_str() else { return length(value).map_err(|_| ACCEPTED) };
    let parts: Vec<&str> = text.split(' ').collect();
    if parts.len() <= 4 && parts.iter().all(|part| is_length(part)) { Ok(text.to_owned()) } else { Err(ACCEPTED) }
}

fn border(value: &Value) -> Result<String, &'static str> {
    const ACCEPTED: &str = "true, false or text such as \"1pt solid #999\" (width, then solid, dashed, dotted or double, then colour)";
    match value {
        Value::Bool(true) => Ok("0.75pt solid #c4c9d0".into()),
        Value::Bool(false) => Ok("none".into()),
        Value::String(text) if text == "none" => Ok("none".into()),
        Value::String(text) => {
            let parts: Vec<&str> = text.splitn(3, ' ').collect();
            match parts[..] {
                [width, line @ ("solid" | "dashed" | "dotted" | "double"), color] if is_length(width) && is_color(color) => {
                    Ok(format!("{width} {line} {color}"))
                }
                _ => Err(ACCEPTED),
            }
        }
        _ => Err(ACCEPTED),
    }
}
