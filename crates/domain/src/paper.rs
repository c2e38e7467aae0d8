//! Paper sizes and lengths.

use serde_json::Value;

use crate::issues::{Issue, near_names, pointer};

/// A length on paper, in millimetres.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug)]
pub struct Length(f64);

/// PDF readers accept pages up to 200 inches on a side (PDF 1.7, annex C: 14,400 units).
pub const MAX_LENGTH_MM: f64 = 5080.0;

const UNITS: [(&str, f64); 6] = [("mm", 1.0), ("cm", 10.0), ("in", 25.4), ("pt", 25.4 / 72.0), ("pc", 25.4 / 6.0), ("px", 25.4 / 96.0)];

impl Length {
    /// A length of `mm` millimetres.
    pub const fn from_mm(mm: f64) -> Self {
        Self(mm)
    }

    /// Reads `20mm`, `2cm`, `1in`, `72pt`, `6pc`, `96px` or a bare number of CSS pixels.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (number, factor) = UNITS
            .iter()
            .find_map(|(unit, factor)| text.strip_suffix(unit).map(|number| (number.trim_end(), *factor)))
            .unwrap_or((text, 25.4 / 96.0));
        let plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let mm = number.parse::<f64>().ok().filter(|_| plain)? * factor;
        (mm <= MAX_LENGTH_MM).then_some(Self(mm))
    }

    /// In millimetres.
    pub fn mm(self) -> f64 {
        self.0
    }

    /// In inches.
    pub fn inches(self) -> f64 {
        self.0 / 25.4
    }
}

/// The size of a sheet in portrait orientation.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct PaperSize {
    /// The shorter side of a preset; the first side of a custom size.
    pub width: Length,
    /// The longer side of a preset; the second side of a custom size.
    pub height: Length,
}

/// The named sizes, in millimetres (ISO 216, ISO 269 and ANSI/ASME Y14.1).
pub const PRESETS: [(&str, f64, f64); 13] = [
    ("A3", 297.0, 420.0),
    ("A4", 210.0, 297.0),
    ("A5", 148.0, 210.0),
    ("A6", 105.0, 148.0),
    ("B5", 176.0, 250.0),
    ("Letter", 215.9, 279.4),
    ("Legal", 215.9, 355.6),
    ("Tabloid", 279.4, 431.8),
    ("Executive", 184.15, 266.7),
    ("Statement", 139.7, 215.9),
    ("EnvelopeDL", 110.0, 220.0),
    ("EnvelopeC5", 162.0, 229.0),
    ("Envelope10", 104.775, 241.3),
];

impl PaperSize {
    /// A4, the default.
    pub const A4: Self = Self { width: Length::from_mm(210.0), height: Length::from_mm(297.0) };

    /// Reads a preset name or `{"width": "100mm", "height": "150mm"}`.
    pub fn from_json(value: &Value, path: &str) -> Result<Self, Issue> {
        match value {
            Value::String(name) => Self::preset(name).ok_or_else(|| Issue::new(path, unknown_preset(name))),
            Value::Object(sides) => {
                if let Some(other) = sides.keys().find(|key| !matches!(key.as_str(), "width" | "height")) {
                    return Err(Issue::new(
                        pointer(path, other),
                        format!("\"{other}\" is unknown; a custom size has \"width\" and \"height\""),
                    ));
                }
                Ok(Self { width: side(value, path, "width")?, height: side(value, path, "height")? })
            }
            _ => Err(Issue::new(path, "must be a paper size name or {\"width\", \"height\"}")),
        }
    }

    fn preset(name: &str) -> Option<Self> {
        let (_, width, height) = PRESETS.iter().find(|(preset, ..)| preset.eq_ignore_ascii_case(name))?;
        Some(Self { width: Length::from_mm(*width), height: Length::from_mm(*height) })
    }
}

/// Chromium refuses to print on less than about a centimetre.
const MIN_SIDE_MM: f64 = 10.0;

fn side(size: &Value, path: &str, name: &str) -> Result<Length, Issue> {
    let length = match &size[name] {
        Value::String(text) => Length::parse(text),
        _ => None,
    };
    length.filter(|length| length.mm() >= MIN_SIDE_MM).ok_or_else(|| {
        Issue::new(pointer(path, name), "must be a length from 10mm to 5080mm as text with a unit, such as \"100mm\", \"4in\" or \"288pt\"")
    })
}

fn unknown_preset(name: &str) -> String {
    let names: Vec<&str> = PRESETS.iter().map(|(preset, ..)| *preset).collect();
    let near = near_names(name, names.iter().copied());
    let hint = near.first().map(|near| format!("; did you mean \"{near}\"?")).unwrap_or_default();
    format!("\"{name}\" is no paper size{hint} Accepted: {} or {{\"width\", \"height\"}}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lengths_are_read_in_every_css_unit() {
        for (text, mm) in [
            ("25.4mm", 25.4),
            ("2.54cm", 25.4),
            ("1in", 25.4),
            ("72pt", 25.4),
            ("6pc", 25.4),
            ("96px", 25.4),
            ("96", 25.4),
            (" 10 mm ", 10.0),
            ("0", 0.0),
        ] {
            assert!((Length::parse(text).unwrap().mm() - mm).abs() < 1e-9, "{text}");
        }
        for bad in ["", "mm", "-1mm", "1e9mm", "ten", "1em", "6000mm", "NaN", "inf", "1..2mm"] {
            assert!(Length::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_misspelt_paper_size_is_told_its_neighbour() {
        let issue = PaperSize::from_json(&json!("Leter"), "/paperSize").unwrap_err();
        assert!(issue.message.contains("did you mean \"Letter\""), "{}", issue.message);
        assert_eq!(PaperSize::from_json(&json!({"width": "100mm"}), "/p").unwrap_err().path, "/p/height");
    }
}
