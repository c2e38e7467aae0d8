//! A text or a picture across the pages of a document.

use serde_json::{Map, Value};

use crate::issues::{Issue, near_names, pointer};
use crate::options::choice;
use crate::paper::Length;

const NAMES: [&str; 12] =
    ["text", "image", "imageWidth", "fontFamily", "fontSize", "fontWeight", "color", "opacity", "rotation", "position", "layer", "pages"];
/// Characters of the text; more cannot be read across a page.
pub const WATERMARK_CHARACTERS: usize = 200;
/// Characters of a font's name.
const FAMILY_CHARACTERS: usize = 100;
/// The lowest and the highest size of the text, in points.
pub const FONT_SIZE_PT: (f64, f64) = (4.0, 1000.0);

/// What stands across the pages. Text is literal: braces in it are braces.
#[derive(Clone, PartialEq, Debug)]
pub struct Watermark {
    /// What is shown.
    pub mark: Mark,
    /// From 0, which cannot be seen, to 1, which hides what is below.
    pub opacity: f64,
    /// Degrees clockwise; none for the default of its place, which for a text in the middle is 45 counterclockwise.
    pub rotation: Option<f64>,
    /// Where on the page.
    pub position: Position,
    /// Over or under the content.
    pub layer: Layer,
    /// On which pages.
    pub pages: Pages,
}

/// What a watermark shows.
#[derive(Clone, PartialEq, Debug)]
pub enum Mark {
    /// A text of one or more lines.
    Text(TextMark),
    /// A picture.
    Image {
        /// A data URI or the address of an asset.
        src: String,
        /// How wide; the height is in proportion.
        width: ImageWidth,
    },
}

/// A text and how it looks.
#[derive(Clone, PartialEq, Debug)]
pub struct TextMark {
    /// 1 to [`WATERMARK_CHARACTERS`] characters.
    pub text: String,
    /// The name of a font; none for that of documents.
    pub family: Option<String>,
    /// None for as large as fits the page.
    pub size: Option<Length>,
    /// How thick.
    pub weight: Weight,
    /// A CSS colour that its reader has still to check; none for grey.
    pub color: Option<String>,
}

/// How wide a picture is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum ImageWidth {
    /// So long.
    Length(Length),
    /// So many hundredths of the width between the margins.
    Percent(f64),
}

/// How thick letters are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Weight {
    /// As in running text.
    Normal,
    /// As in a heading.
    #[default]
    Bold,
}

/// Where on the page, between its margins.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Position {
    /// In the middle.
    #[default]
    Center,
    /// At the upper edge.
    Top,
    /// At the lower edge.
    Bottom,
}

/// Over or under the content.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Layer {
    /// Under it: surfaces of the content hide it.
    #[default]
    Behind,
    /// Over it.
    Front,
}

/// On which pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Pages {
    /// On each.
    #[default]
    All,
    /// On the first alone.
    First,
}

impl Watermark {
    /// Reads `{"text": "DRAFT", …}` or `{"image": "asset:logo", …}`.
    pub fn from_json(value: &Value, path: &str) -> Result<Self, Issue> {
        let Value::Object(given) = value else {
            return Err(Issue::new(path, "must be an object with \"text\" or \"image\""));
        };
        if let Some(other) = given.keys().find(|key| !NAMES.contains(&key.as_str())) {
            let hint = near_names(other, NAMES).first().map_or_else(|| ";".to_owned(), |near| format!("; did you mean \"{near}\"?"));
            let message = format!("\"{other}\" is no property of a watermark{hint} accepted: {}", NAMES.join(", "));
            return Err(Issue::new(pointer(path, other), message));
        }
        let fields = Given { given, path };
        let mark = match (fields.text("text", WATERMARK_CHARACTERS)?, fields.text("image", usize::MAX)?) {
            (Some(text), None) => Mark::Text(TextMark {
                text,
                family: fields.text("fontFamily", FAMILY_CHARACTERS)?,
                size: fields.font_size()?,
                weight: fields.choice("fontWeight", &[("normal", Weight::Normal), ("bold", Weight::Bold)])?.unwrap_or_default(),
                color: fields.text("color", FAMILY_CHARACTERS)?,
            }),
            (None, Some(src)) => Mark::Image { src, width: fields.image_width()? },
            (Some(_), Some(_)) => return Err(Issue::new(pointer(path, "image"), "a watermark has either \"text\" or \"image\", not both")),
            (None, None) => return Err(Issue::new(path, "\"text\" or \"image\" is missing")),
        };
        let belongs_to_text = ["fontFamily", "fontSize", "fontWeight", "color"];
        let (foreign, of): (&[&str], _) = match mark {
            Mark::Text(_) => (&["imageWidth"], "image"),
            Mark::Image { .. } => (&belongs_to_text, "text"),
        };
        if let Some(name) = foreign.iter().find(|name| fields.value(name).is_some()) {
            return Err(Issue::new(pointer(path, name), format!("\"{name}\" belongs to \"{of}\", which is not there")));
        }
        Ok(Self {
            mark,
            opacity: fields.number("opacity", (0.0, 1.0))?.unwrap_or(DEFAULT_OPACITY),
            rotation: fields.number("rotation", (-360.0, 360.0))?,
            position: fields
                .choice("position", &[("center", Position::Center), ("top", Position::Top), ("bottom", Position::Bottom)])?
                .unwrap_or_default(),
            layer: fields.choice("layer", &[("behind", Layer::Behind), ("front", Layer::Front)])?.unwrap_or_default(),
            pages: fields.choice("pages", &[("all", Pages::All), ("first", Pages::First)])?.unwrap_or_default(),
        })
    }
}

/// So that what lies under it can be read.
const DEFAULT_OPACITY: f64 = 0.15;

/// The members of one watermark.
struct Given<'v> {
    given: &'v Map<String, Value>,
    path: &'v str,
}

impl<'v> Given<'v> {
    fn value(&self, name: &str) -> Option<&'v Value> {
        self.given.get(name).filter(|value| !value.is_null())
    }

    fn at(&self, name: &str, message: impl Into<String>) -> Issue {
        Issue::new(pointer(self.path, name), message)
    }

    fn text(&self, name: &str, most: usize) -> Result<Option<String>, Issue> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let text = value.as_str().ok_or_else(|| self.at(name, "must be text"))?;
        let count = text.chars().count();
        if text.trim().is_empty() {
            return Err(self.at(name, "is empty; leave it out, or give the text"));
        }
        if count > most {
            return Err(self.at(name, format!("has {count} characters; at most {most} are accepted")));
        }
        Ok(Some(text.to_owned()))
    }

    fn choice<T: Copy>(&self, name: &str, accepted: &[(&str, T)]) -> Result<Option<T>, Issue> {
        self.value(name).map(|value| choice(value, &pointer(self.path, name), accepted)).transpose()
    }

    fn number(&self, name: &str, (least, most): (f64, f64)) -> Result<Option<f64>, Issue> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let found = value.as_f64().filter(|number| (least..=most).contains(number));
        found.map(Some).ok_or_else(|| self.at(name, format!("must be a number from {least} to {most}")))
    }

    fn font_size(&self) -> Result<Option<Length>, Issue> {
        let Some(value) = self.value("fontSize") else { return Ok(None) };
        let (least, most) = FONT_SIZE_PT;
        let size = match value {
            Value::String(text) => Length::parse(text),
            Value::Number(points) => points.as_f64().and_then(|points| Length::parse(&format!("{points}pt"))),
            _ => None,
        };
        let fits = |size: &Length| (least..=most).contains(&(size.inches() * 72.0));
        let wrong =
            || self.at("fontSize", format!("must be a number of points from {least} to {most}, or a length as text, such as \"30mm\""));
        size.filter(fits).map(Some).ok_or_else(wrong)
    }

    fn image_width(&self) -> Result<ImageWidth, Issue> {
        let Some(value) = self.value("imageWidth") else { return Ok(ImageWidth::Percent(DEFAULT_IMAGE_PERCENT)) };
        let text = value.as_str().map(str::trim).unwrap_or_default();
        let percent = text.strip_suffix('%').and_then(|number| number.parse().ok()).filter(|percent| (1.0..=100.0).contains(percent));
        let length = Length::parse(text).filter(|length| length.mm() >= 1.0).map(ImageWidth::Length);
        let wrong =
            || self.at("imageWidth", "must be a length of 1mm or more as text, such as \"80mm\", or a share from \"1%\" to \"100%\"");
        percent.map(ImageWidth::Percent).or(length).ok_or_else(wrong)
    }
}

/// Of the width between the margins.
const DEFAULT_IMAGE_PERCENT: f64 = 60.0;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_alone_is_enough_and_the_rest_has_defaults() {
        let read = Watermark::from_json(&json!({"text": "{{draft}}", "color": null}), "/w").unwrap();
        let Mark::Text(mark) = &read.mark else { panic!("{read:?}") };
        assert_eq!((mark.text.as_str(), mark.weight, mark.size), ("{{draft}}", Weight::Bold, None));
        assert_eq!((read.position, read.layer, read.pages, read.rotation), (Position::Center, Layer::Behind, Pages::All, None));
        let sized = Watermark::from_json(&json!({"text": "x", "fontSize": 72}), "/w").unwrap();
        assert!(matches!(sized.mark, Mark::Text(TextMark { size: Some(size), .. }) if (size.mm() - 25.4).abs() < 1e-9), "{sized:?}");
        let image = Watermark::from_json(&json!({"image": "asset:logo", "imageWidth": "40%"}), "/w").unwrap();
        assert!(
            matches!(image.mark, Mark::Image { width: ImageWidth::Percent(percent), .. } if (percent - 40.0).abs() < 1e-9),
            "{image:?}"
        );
    }

    #[test]
    fn whatever_is_wrong_is_named_with_what_is_accepted() {
        for (given, path, said) in [
            (json!("DRAFT"), "/w", "\"text\" or \"image\""),
            (json!({}), "/w", "is missing"),
            (json!({"text": " "}), "/w/text", "is empty"),
            (json!({"text": "x".repeat(201)}), "/w/text", "at most 200"),
            (json!({"text": "x", "image": "asset:y"}), "/w/image", "not both"),
            (json!({"text": "x", "imageWidth": "1cm"}), "/w/imageWidth", "belongs to \"image\""),
            (json!({"image": "asset:y", "color": "red"}), "/w/color", "belongs to \"text\""),
            (json!({"image": "asset:y", "imageWidth": "200%"}), "/w/imageWidth", "\"1%\" to \"100%\""),
            (json!({"text": "x", "fontSize": "huge"}), "/w/fontSize", "points from 4 to 1000"),
            (json!({"text": "x", "fontSize": 3}), "/w/fontSize", "points from 4 to 1000"),
            (json!({"text": "x", "fontWeight": 700}), "/w/fontWeight", "\"normal\", \"bold\""),
            (json!({"text": "x", "opacity": 15}), "/w/opacity", "from 0 to 1"),
            (json!({"text": "x", "rotation": "45"}), "/w/rotation", "from -360 to 360"),
            (json!({"text": "x", "position": "left"}), "/w/position", "\"center\", \"top\", \"bottom\""),
            (json!({"text": "x", "layer": "above"}), "/w/layer", "\"behind\", \"front\""),
            (json!({"text": "x", "pages": "last"}), "/w/pages", "\"all\", \"first\""),
            (json!({"text": "x", "rotaton": 4}), "/w/rotaton", "did you mean \"rotation\""),
        ] {
            let issue = Watermark::from_json(&given, "/w").unwrap_err();
            assert_eq!(issue.path, path, "{issue:?}");
            assert!(issue.message.contains(said), "{issue:?}");
        }
    }
}
