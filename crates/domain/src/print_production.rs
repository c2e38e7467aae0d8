//! What a printing house needs beyond the page: bleed and crop marks.

use serde_json::Value;

use crate::issues::{Issue, near_names, pointer};
use crate::paper::Length;

const NAMES: [&str; 2] = ["bleed", "cropMarks"];
/// What most printing houses ask for.
const DEFAULT_BLEED: Length = Length::from_mm(3.0);
/// More is cut off by no machine.
const MAX_BLEED_MM: f64 = 25.0;

/// How a sheet is larger than the page that is cut out of it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct PrintProduction {
    /// How far backgrounds reach over each edge of the page.
    pub bleed: Length,
    /// Whether lines outside of the bleed show where it is cut.
    pub crop_marks: CropMarks,
}

/// Lines that show where a page is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum CropMarks {
    /// None.
    #[default]
    No,
    /// Two at each corner.
    Yes,
}

impl PrintProduction {
    /// Reads `{"bleed": "3mm", "cropMarks": true}`; either may be left out.
    pub fn from_json(value: &Value, path: &str) -> Result<Self, Issue> {
        let Value::Object(given) = value else {
            return Err(Issue::new(path, "must be an object with \"bleed\" and \"cropMarks\""));
        };
        if let Some(other) = given.keys().find(|key| !NAMES.contains(&key.as_str())) {
            let hint = near_names(other, NAMES).first().map_or_else(|| ";".to_owned(), |near| format!("; did you mean \"{near}\"?"));
            let message = format!("\"{other}\" is no property of print production{hint} accepted: {}", NAMES.join(", "));
            return Err(Issue::new(pointer(path, other), message));
        }
        let value = |name: &str| given.get(name).filter(|value| !value.is_null());
        let bleed = match value("bleed") {
            None => DEFAULT_BLEED,
            Some(bleed) => bleed.as_str().and_then(Length::parse).filter(|bleed| bleed.mm() <= MAX_BLEED_MM).ok_or_else(|| {
                Issue::new(pointer(path, "bleed"), "must be a length from 0 to 25mm as text with a unit, such as \"3mm\" or \"0.125in\"")
            })?,
        };
        let crop_marks = match value("cropMarks").map(Value::as_bool) {
            None | Some(Some(false)) => CropMarks::No,
            Some(Some(true)) => CropMarks::Yes,
            Some(None) => return Err(Issue::new(pointer(path, "cropMarks"), "must be true or false")),
        };
        Ok(Self { bleed, crop_marks })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_empty_object_asks_for_the_usual_bleed_and_what_is_wrong_is_named() {
        let usual = PrintProduction::from_json(&json!({"cropMarks": null}), "/p").unwrap();
        assert_eq!(usual, PrintProduction { bleed: Length::from_mm(3.0), crop_marks: CropMarks::No });
        let full = PrintProduction::from_json(&json!({"bleed": "0.5cm", "cropMarks": true}), "/p").unwrap();
        assert_eq!(full, PrintProduction { bleed: Length::from_mm(5.0), crop_marks: CropMarks::Yes });
        for (given, path, said) in [
            (json!(true), "/p", "must be an object"),
            (json!({"bleed": 3}), "/p/bleed", "from 0 to 25mm"),
            (json!({"bleed": "26mm"}), "/p/bleed", "from 0 to 25mm"),
            (json!({"bleed": "-1mm"}), "/p/bleed", "from 0 to 25mm"),
            (json!({"cropMarks": "yes"}), "/p/cropMarks", "true or false"),
            (json!({"cropmarks": true}), "/p/cropmarks", "did you mean \"cropMarks\""),
        ] {
            let issue = PrintProduction::from_json(&given, "/p").unwrap_err();
            assert_eq!(issue.path, path, "{issue:?}");
            assert!(issue.message.contains(said), "{issue:?}");
        }
    }
}
