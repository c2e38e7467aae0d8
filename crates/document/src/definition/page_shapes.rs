//! What the settings of a page may hold: its margins and what repeats on every page.

use crate::shapes::{Property, Shape, Takes};

/// Text that stands in a header or footer.
const TEXT: Takes = Takes::Other("text with expressions", r#"{"type": "string"}"#);
/// A header or footer of some pages.
const EDGE: Takes = Takes::Other(
    "HTML, or `{left, center, right}`",
    r#"{"anyOf": [{"type": "string"}, {"type": "object", "properties": {"left": {"type": ["string", "null"]}, "center": {"type": ["string", "null"]}, "right": {"type": ["string", "null"]}}, "additionalProperties": false}]}"#,
);
/// A length as text; numbers without a unit are of CSS pixels.
const LENGTH: Takes = Takes::Other("length with a unit", r#"{"type": "string"}"#);

/// A header or footer.
pub(crate) const FURNITURE: Takes = Takes::Either(&[Takes::Other("HTML", r#"{"type": "string"}"#), Takes::Object(&PAGE_FURNITURE)]);

const fn optional(name: &'static str, takes: Takes, default: &'static str, meaning: &'static str) -> Property {
    Property::optional(name, takes, default, meaning)
}

/// `pageHeader` and `pageFooter`.
pub(crate) static PAGE_FURNITURE: Shape = Shape {
    what: "a page header or footer",
    base: &[],
    properties: &[
        optional("left", TEXT, "", "On the left of every page."),
        optional("center", TEXT, "", "In the middle of every page."),
        optional("right", TEXT, "", "On the right of every page."),
        optional("first", EDGE, "as `odd`", "On the first page, in place of the others."),
        optional(
            "odd",
            EDGE,
            "as `other`",
            "On pages 1, 3, 5: the right-hand ones of a book, or the left-hand ones where it is read from right to left.",
        ),
        optional("even", EDGE, "as `other`", "On pages 2, 4, 6."),
        optional("other", EDGE, "", "On all other pages."),
    ],
};

/// `margins`.
pub(crate) static MARGINS: Shape = Shape {
    what: "margins",
    base: &[],
    properties: &[
        optional("top", LENGTH, "`20mm`", "Above; the header stands in it."),
        optional("right", LENGTH, "`20mm`", "To the right."),
        optional("bottom", LENGTH, "`20mm`", "Below; the footer stands in it."),
        optional("left", LENGTH, "`20mm`", "To the left."),
        optional(
            "inside",
            LENGTH,
            "",
            "At the binding of a book, in place of `left` and `right`: the left margin of right-hand pages and the right one of left-hand pages.",
        ),
        optional("outside", LENGTH, "", "On the other side."),
        optional("first", Takes::Object(&SIDES), "", "Of the first page, where it differs: `{top, right, bottom, left}`."),
    ],
};

static SIDES: Shape = Shape {
    what: "margins of the first page",
    base: &[],
    properties: &[
        optional("top", LENGTH, "as every page", "Above."),
        optional("right", LENGTH, "as every page", "To the right."),
        optional("bottom", LENGTH, "as every page", "Below."),
        optional("left", LENGTH, "as every page", "To the left."),
    ],
};

/// `watermark`.
pub(crate) static WATERMARK: Shape = Shape {
    what: "a watermark",
    base: &[],
    properties: &[
        optional("text", Takes::Plain, "", "Up to 200 characters as they are; braces in it are braces. Either this or `image`."),
        optional("image", Takes::Plain, "", "A data URI or an asset (`asset:` and its slug or id)."),
        optional(
            "imageWidth",
            Takes::Other("length with a unit, or share such as `40%`", r#"{"type": "string"}"#),
            "`60%`",
            "How wide the picture is; a share is of the width between the margins.",
        ),
        optional("fontFamily", Takes::Plain, "that of documents", "A font that is installed or in `fonts`."),
        optional(
            "fontSize",
            Takes::Other("number of points, or length with a unit", r#"{"type": ["number", "string"]}"#),
            "as large as fits",
            "From 4 to 1000 points.",
        ),
        optional("fontWeight", Takes::Words(&["normal", "bold"]), "`bold`", "How thick the letters are."),
        optional("color", Takes::Color, "grey", "Of the text."),
        optional("opacity", Takes::Number(0.0, 1.0), "`0.15`", "From 0, which cannot be seen, to 1, which hides what lies below."),
        optional("rotation", Takes::Number(-360.0, 360.0), "`-45` for a text in the middle, else `0`", "Degrees clockwise."),
        optional("position", Takes::Words(&["center", "top", "bottom"]), "`center`", "Where between the margins."),
        optional("layer", Takes::Words(&["behind", "front"]), "`behind`", "Under the content, whose surfaces hide it, or over it."),
        optional("pages", Takes::Words(&["all", "first"]), "`all`", "On which pages."),
    ],
};

/// `printProduction`.
pub(crate) static PRINT_PRODUCTION: Shape = Shape {
    what: "print production",
    base: &[],
    properties: &[
        optional("bleed", LENGTH, "`3mm`", "How far backgrounds reach over each edge of the page, up to 25mm."),
        optional("cropMarks", Takes::Flag, "`false`", "Whether lines outside of the bleed show where the page is cut."),
    ],
};
