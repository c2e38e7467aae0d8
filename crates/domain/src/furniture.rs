//! What repeats on every page: its header and its footer.

use serde_json::Value;

use crate::issues::{Issue, pointer};

/// The published limit of a header or footer, for each of its texts.
const MAX_CHARACTERS: usize = 10_000;
const PLACES: [&str; 3] = ["left", "center", "right"];

/// A page header or footer, with expressions not yet evaluated.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PageFurniture {
    /// Markup with span classes (`pageNumber`, `totalPages`, `date`, `title`, `url`), as browsers' print templates have it.
    Markup(String),
    /// Texts on the left, in the center and on the right, in which `{{pageNumber}}` and `{{totalPages}}` count pages.
    Texts([Option<String>; 3]),
}

impl PageFurniture {
    /// Reads markup or `{"left", "center", "right"}`; places may be left out, and without any the edge stays empty.
    pub fn from_json(value: &Value, path: &str) -> Result<Self, Issue> {
        match value {
            Value::String(markup) => Ok(Self::Markup(short_enough(markup, path)?)),
            Value::Object(given) => {
                if let Some(other) = given.keys().find(|key| !PLACES.contains(&key.as_str())) {
                    let message = format!("\"{other}\" is no part of a header or footer; accepted: {}", PLACES.join(", "));
                    return Err(Issue::new(pointer(path, other), message));
                }
                let mut texts = [None, None, None];
                for (text, place) in texts.iter_mut().zip(PLACES) {
                    *text = match given.get(place) {
                        None | Some(Value::Null) => None,
                        Some(Value::String(source)) => Some(short_enough(source, &pointer(path, place))?),
                        Some(_) => return Err(Issue::new(pointer(path, place), "must be text")),
                    };
                }
                Ok(Self::Texts(texts))
            }
            _ => Err(Issue::new(path, "must be HTML as text, or an object with \"left\", \"center\" and \"right\"")),
        }
    }
}

fn short_enough(text: &str, path: &str) -> Result<String, Issue> {
    let count = text.chars().count();
    if count > MAX_CHARACTERS {
        return Err(Issue::new(path, format!("has {count} characters; at most {MAX_CHARACTERS} are accepted")));
    }
    Ok(text.to_owned())
}
