//! What a definition and its settings may hold.

use crate::mapping;
use crate::nodes::DOCUMENT;
use crate::shapes::{Property, Shape, Takes};
use crate::theme;

use super::page_shapes::{FURNITURE, MARGINS, PRINT_PRODUCTION, WATERMARK};

const fn optional(name: &'static str, takes: Takes, default: &'static str, meaning: &'static str) -> Property {
    Property::optional(name, takes, default, meaning)
}

const REFERENCE: Takes = Takes::Other("key, or `{key, version}` or `{key, label}`", r#"{"type": ["string", "object"]}"#);
/// The whole definition.
pub(crate) static DEFINITION: Shape = Shape {
    what: "a template definition",
    base: &[],
    properties: &[
        optional("key", Takes::Plain, "", "The name callers render it by: letters, digits, `.`, `_` and `-`."),
        optional("version", Takes::Plain, "", "Three numbers, such as `1.0.3`; a save counts on from it."),
        optional("name", Takes::Plain, "", "For people, up to 200 characters; the title of the PDF where `metadata.title` is absent."),
        optional("description", Takes::Plain, "", "For people, up to 4,000 characters."),
        optional(
            "kind",
            Takes::Words(&["document", "theme", "component", "layout"]),
            "`document`",
            "What it is for: only a `document` is rendered, the others become part of it.",
        ),
        optional(
            "inputSchema",
            Takes::Other("JSON Schema", r#"{"type": ["object", "boolean"]}"#),
            "any data",
            "What the data has to be, after the mappings; an absent property that has a `default` gets it.",
        ),
        optional("fieldMappings", Takes::List(&mapping::SHAPE), "none", "From the caller's payload to the data of this template."),
        optional("sampleData", Takes::Other("object", r#"{"type": "object"}"#), "made from `inputSchema`", "Data for previews."),
        optional("renderConfig", Takes::Object(&RENDER_CONFIG), "", "Page, language, headers and footers."),
        optional(
            "theme",
            Takes::Either(&[REFERENCE, Takes::Object(&theme::SHAPE)]),
            "",
            "A theme to take the look from; in a theme, the theme itself.",
        ),
        optional("layout", REFERENCE, "", "The frame whose slots this content fills."),
        optional("document", Takes::Object(&DOCUMENT), "", "The content as a tree of nodes; either this or `html`."),
        optional("html", Takes::Text, "", "The content as HTML with expressions; either this or `document`."),
        optional("css", Takes::Text, "", "The style sheet of `html`; it can load nothing from elsewhere."),
        optional(
            "components",
            Takes::Other("object of names and references", r#"{"type": "object"}"#),
            "",
            "What `{{> name}}` in `html` stands for.",
        ),
        optional(
            "slots",
            Takes::Other("object of names and HTML", r#"{"type": "object"}"#),
            "",
            "What fills the named slots of an HTML layout.",
        ),
        Property::internal("slotComponents"),
        Property { takes: Takes::List(&PART_CSS), ..Property::internal("partCss") },
    ],
};

/// The style sheet of one part, put there with the name of the part.
static PART_CSS: Shape = Shape {
    what: "a style sheet of a part",
    base: &[],
    properties: &[Property::internal("key"), Property::internal("version"), Property { takes: Takes::Text, ..Property::internal("css") }],
};

/// `renderConfig`.
pub(crate) static RENDER_CONFIG: Shape = Shape {
    what: "renderConfig",
    base: &[],
    properties: &[
        optional(
            "paperSize",
            Takes::Other("name such as `A4`, `Letter`, or `{width, height}`", r#"{"type": ["string", "object"]}"#),
            "`A4`",
            "The sheet.",
        ),
        optional("orientation", Takes::Words(&["portrait", "landscape"]), "`portrait`", "Which way the sheet lies."),
        optional("margins", Takes::Object(&MARGINS), "`20mm` each", "Lengths from the edge of the sheet to the content.").also(&["margin"]),
        optional(
            "locale",
            Takes::Other("tag such as `de-CH`, or `{currency, date}` with one each", r#"{"type": ["string", "object"]}"#),
            "",
            "Language of the document.",
        ),
        optional("timeZone", Takes::Plain, "`UTC`", "The zone dates are written in, such as `Europe/Zurich`."),
        optional("direction", Takes::Words(&["ltr", "rtl", "auto"]), "`ltr`", "Reading direction of the whole document."),
        optional(
            "metadata",
            Takes::Other("`{title, subject, author, keywords, creator}`", r#"{"type": "object"}"#),
            "",
            "What the PDF says about itself; `title` and `subject` may hold expressions.",
        ),
        optional("filename", Takes::Text, "", "Name of the file in the answer."),
        optional("bookmarks", Takes::Flag, "`false`", "The headings as the outline of the PDF."),
        optional("pageHeader", FURNITURE, "", "At the top of every page."),
        optional("pageFooter", FURNITURE, "", "The same at the bottom."),
        optional("printProduction", Takes::Object(&PRINT_PRODUCTION), "", "For printing houses: a sheet that is larger than the page."),
        optional("watermark", Takes::Object(&WATERMARK), "", "A text or a picture across the pages."),
        optional("customCss", Takes::Plain, "", "A style sheet after all others; it can load nothing from elsewhere."),
        optional(
            "fonts",
            Takes::Other("list of slugs or ids", r#"{"type": "array", "items": {"type": "string"}}"#),
            "none",
            "Fonts that are assets.",
        ),
        optional(
            "fontImports",
            Takes::Other("list", r#"{"type": "array"}"#),
            "",
            "Taken and left out with a warning: nothing is loaded from elsewhere.",
        ),
    ],
};
