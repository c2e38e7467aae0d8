//! What repeats on every page: its header and its footer.

use serde_json::{Map, Value};

use crate::issues::{Issue, near_names, pointer};

/// The published limit of a header or footer, for each of its texts.
const MAX_CHARACTERS: usize = 10_000;
const PLACES: [&str; 3] = ["left", "center", "right"];
const CLASSES: [&str; 4] = ["first", "odd", "even", "other"];

/// A page header or footer: one for all pages, or one for each class of pages.
///
/// A page has that of the first class that it belongs to and that is there: `first`, then `odd` or `even`, then `other`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PageFurniture {
    /// On the first page.
    pub first: Option<FurnitureContent>,
    /// On pages with an odd number: those on the right of an opened book, where text is read from left to right.
    pub odd: Option<FurnitureContent>,
    /// On pages with an even number.
    pub even: Option<FurnitureContent>,
    /// On all others.
    pub other: Option<FurnitureContent>,
}

/// What stands at one edge of a page, with expressions not yet evaluated.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FurnitureContent {
    /// Markup with span classes (`pageNumber`, `totalPages`, `sectionTitle`, `date`, `title`, `url`), as browsers' print templates have it.
    Markup(String),
    /// Texts on the left, in the center and on the right, in which `{{pageNumber}}` and `{{totalPages}}` count pages.
    Texts([Option<String>; 3]),
}

impl PageFurniture {
    /// Reads markup, `{"left", "center", "right"}`, or `{"first", "odd", "even", "other"}` with one of the two for each; what is left
    /// out stays empty, and a class that is left out has what the next one has.
    pub fn from_json(value: &Value, path: &str) -> Result<Self, Issue> {
        let classes = match value {
            Value::Object(given) => {
                refuse_unknown(given, path)?;
                CLASSES.iter().any(|class| given.contains_key(*class)).then_some(given)
            }
            _ => None,
        };
        let Some(given) = classes else {
            let expected = "must be HTML as text, or an object with \"left\", \"center\" and \"right\" or with \"first\", \"odd\", \"even\" and \"other\"";
            return Ok(Self { other: Some(FurnitureContent::from_json(value, path, expected)?), ..Self::default() });
        };
        if let Some(place) = given.keys().find(|key| PLACES.contains(&key.as_str())) {
            let message = format!("\"{place}\" stands inside \"first\", \"odd\", \"even\" or \"other\" where pages differ");
            return Err(Issue::new(pointer(path, place), message));
        }
        let class = |name: &str| match given.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                let expected = "must be HTML as text, or an object with \"left\", \"center\" and \"right\"";
                FurnitureContent::from_json(value, &pointer(path, name), expected).map(Some)
            }
        };
        Ok(Self { first: class("first")?, odd: class("odd")?, even: class("even")?, other: class("other")? })
    }

    /// The classes that have something of their own, with their names; none for what holds for all pages.
    pub fn classes(&self) -> [(Option<&'static str>, Option<&FurnitureContent>); 4] {
        let of_all = self.first.is_none() && self.odd.is_none() && self.even.is_none();
        let other = if of_all { None } else { Some("other") };
        [
            (Some("first"), self.first.as_ref()),
            (Some("odd"), self.odd.as_ref()),
            (Some("even"), self.even.as_ref()),
            (other, self.other.as_ref()),
        ]
    }
}

impl FurnitureContent {
    fn from_json(value: &Value, path: &str, expected: &str) -> Result<Self, Issue> {
        match value {
            Value::String(markup) => Ok(Self::Markup(short_enough(markup, path)?)),
            Value::Object(given) => {
                if let Some(class) = given.keys().find(|key| CLASSES.contains(&key.as_str())) {
                    return Err(Issue::new(pointer(path, class), format!("\"{class}\" cannot stand inside another; {expected}")));
                }
                refuse_unknown(given, path)?;
                let text = |place: &str| match given.get(place) {
                    None | Some(Value::Null) => Ok(None),
                    Some(Value::String(source)) => Ok(Some(short_enough(source, &pointer(path, place))?)),
                    Some(_) => Err(Issue::new(pointer(path, place), "must be text")),
                };
                Ok(Self::Texts([text("left")?, text("center")?, text("right")?]))
            }
            _ => Err(Issue::new(path, expected)),
        }
    }
}

fn refuse_unknown(given: &Map<String, Value>, path: &str) -> Result<(), Issue> {
    let known = || PLACES.into_iter().chain(CLASSES);
    let Some(other) = given.keys().find(|key| !known().any(|name| name == key.as_str())) else { return Ok(()) };
    let hint = near_names(other, known()).first().map_or_else(|| ";".to_owned(), |near| format!("; did you mean \"{near}\"?"));
    let (places, classes) = (PLACES.join(", "), CLASSES.join(", "));
    let message = format!("\"{other}\" is no part of a header or footer{hint} accepted: {places}, or {classes}");
    Err(Issue::new(pointer(path, other), message))
}

fn short_enough(text: &str, path: &str) -> Result<String, Issue> {
    let count = text.chars().count();
    if count > MAX_CHARACTERS {
        return Err(Issue::new(path, format!("has {count} characters; at most {MAX_CHARACTERS} are accepted")));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_class_of_pages_takes_what_all_pages_take_and_what_is_wrong_is_named() {
        let read = PageFurniture::from_json(&json!({"first": "", "other": {"left": "A"}, "odd": null}), "/h").unwrap();
        assert_eq!(read.first, Some(FurnitureContent::Markup(String::new())));
        assert_eq!(read.other, Some(FurnitureContent::Texts([Some("A".into()), None, None])));
        assert_eq!((read.odd, read.even), (None, None));
        let of_all = PageFurniture::from_json(&json!({"left": "A", "right": "B"}), "/h").unwrap();
        assert_eq!(of_all.other, Some(FurnitureContent::Texts([Some("A".into()), None, Some("B".into())])));
        for (given, path, said) in [
            (json!({"frist": "A"}), "/h/frist", "did you mean \"first\"? accepted: left, center, right, or first, odd, even, other"),
            (json!({"first": "A", "left": "B"}), "/h/left", "inside \"first\", \"odd\", \"even\" or \"other\""),
            (json!({"odd": {"first": "A"}}), "/h/odd/first", "cannot stand inside another"),
            (json!({"odd": {"centre": "A"}}), "/h/odd/centre", "did you mean \"center\"?"),
            (json!({"even": 5}), "/h/even", "must be HTML as text"),
            (json!({"even": {"left": 5}}), "/h/even/left", "must be text"),
            (json!(["A"]), "/h", "\"first\", \"odd\", \"even\" and \"other\""),
        ] {
            let issue = PageFurniture::from_json(&given, "/h").unwrap_err();
            assert_eq!(issue.path, path, "{issue:?}");
            assert!(issue.message.contains(said), "{issue:?}");
        }
    }
}
