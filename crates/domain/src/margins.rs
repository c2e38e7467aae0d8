//! The margins of pages: one length for each side, and what differs on the first page and in an opened book.

use serde_json::{Map, Value};

use crate::issues::{Issue, near_names, pointer};
use crate::paper::Length;

const SIDES: [&str; 4] = ["top", "right", "bottom", "left"];
const ACCEPTED: [&str; 7] = ["top", "right", "bottom", "left", "inside", "outside", "first"];

/// The page margins; `None` leaves the template's own.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Margins {
    /// Of every page.
    pub sides: Sides,
    /// On the side of the binding, which is the left one of right-hand pages; in place of left and right.
    pub inside: Option<Length>,
    /// On the other side.
    pub outside: Option<Length>,
    /// Of the first page, where it differs.
    pub first: Sides,
}

/// A length for each side of a page.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Sides {
    /// Above.
    pub top: Option<Length>,
    /// To the right.
    pub right: Option<Length>,
    /// Below.
    pub bottom: Option<Length>,
    /// To the left.
    pub left: Option<Length>,
}

impl Margins {
    /// Reads `{"top": "20mm", …}`; what is left out is `None`.
    pub fn from_json(value: &Value, path: &str) -> Result<Self, Issue> {
        let given = object(value, path, &ACCEPTED)?;
        let margins = Self {
            sides: Sides::read(given, path)?,
            inside: length(given, "inside", path)?,
            outside: length(given, "outside", path)?,
            first: match given.get("first") {
                None | Some(Value::Null) => Sides::default(),
                Some(first) => {
                    let path = pointer(path, "first");
                    Sides::read(object(first, &path, &SIDES)?, &path)?
                }
            },
        };
        let is_book = margins.inside.is_some() || margins.outside.is_some();
        match [("left", margins.sides.left), ("right", margins.sides.right)].into_iter().find(|(_, side)| side.is_some()) {
            Some((side, _)) if is_book => {
                let message = format!(
                    "\"{side}\" and \"inside\" or \"outside\" exclude each other; give \"left\" and \"right\", or \"inside\" and \"outside\""
                );
                Err(Issue::new(pointer(path, side), message))
            }
            _ => Ok(margins),
        }
    }
}

impl Sides {
    fn read(given: &Map<String, Value>, path: &str) -> Result<Self, Issue> {
        let side = |name: &str| length(given, name, path);
        Ok(Self { top: side("top")?, right: side("right")?, bottom: side("bottom")?, left: side("left")? })
    }

    /// Each side by its name in CSS.
    pub fn named(self) -> [(&'static str, Option<Length>); 4] {
        [("top", self.top), ("right", self.right), ("bottom", self.bottom), ("left", self.left)]
    }
}

fn object<'v>(value: &'v Value, path: &str, accepted: &[&str]) -> Result<&'v Map<String, Value>, Issue> {
    let Value::Object(given) = value else {
        return Err(Issue::new(path, "must be an object with \"top\", \"right\", \"bottom\" and \"left\""));
    };
    let Some(other) = given.keys().find(|key| !accepted.contains(&key.as_str())) else { return Ok(given) };
    let near = near_names(other, accepted.iter().copied());
    let hint = near.first().map_or_else(|| ";".to_owned(), |near| format!("; did you mean \"{near}\"?"));
    Err(Issue::new(pointer(path, other), format!("\"{other}\" is no side{hint} accepted: {}", accepted.join(", "))))
}

fn length(given: &Map<String, Value>, name: &str, path: &str) -> Result<Option<Length>, Issue> {
    match given.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let found = value.as_str().and_then(Length::parse);
            let wrong = || Issue::new(pointer(path, name), "must be a length as text, such as \"20mm\", \"0.8in\" or \"0\"");
            found.map(Some).ok_or_else(wrong)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_book_has_inside_and_outside_and_the_first_page_its_own_sides() {
        let read = Margins::from_json(&json!({"top": "1cm", "inside": "3cm", "outside": "2cm", "first": {"top": "5cm"}}), "/m").unwrap();
        assert_eq!((read.sides.top, read.inside, read.outside), (Length::parse("1cm"), Length::parse("3cm"), Length::parse("2cm")));
        assert_eq!(read.first, Sides { top: Length::parse("5cm"), ..Sides::default() });
        for (given, path, said) in [
            (json!({"left": "1cm", "inside": "2cm"}), "/m/left", "exclude each other"),
            (json!({"insde": "2cm"}), "/m/insde", "did you mean \"inside\"? accepted: top, right"),
            (json!({"first": {"inside": "2cm"}}), "/m/first/inside", "accepted: top, right, bottom, left"),
            (json!({"first": {"top": 5}}), "/m/first/top", "must be a length"),
            (json!({"first": "1cm"}), "/m/first", "must be an object"),
            (json!("1cm"), "/m", "must be an object"),
        ] {
            let issue = Margins::from_json(&given, "/m").unwrap_err();
            assert_eq!(issue.path, path, "{issue:?}");
            assert!(issue.message.contains(said), "{issue:?}");
        }
    }
}
