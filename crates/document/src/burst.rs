//! One document for each element of a list in the data.

use domain::ErrorCode;
use domain::schedule_sources::Burst;
use serde_json::{Map, Value};

use crate::words::{When, WordsError, holds, value_at};

/// Characters of an element's name.
const KEY_CHARS: usize = 255;
/// Bytes of the data of all documents together, as JSON.
pub const BYTES_LIMIT: usize = 64 * 1024 * 1024;
/// Bytes that may be gone through for a condition: what it leaves out costs time all the same.
const LOOKED_AT_BYTES: usize = 16 * BYTES_LIMIT;
/// The name of an element that is no object, and for which none is given.
const ITEM: &str = "item";

/// What became of the list.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Bursted {
    /// Elements of the list.
    pub total: usize,
    /// Those that the condition left out.
    pub filtered: usize,
    /// Those that were too many.
    pub truncated: usize,
    /// The others.
    pub items: Vec<BurstItem>,
}

/// One element.
#[derive(Clone, PartialEq, Debug)]
pub struct BurstItem {
    /// What it calls itself.
    pub key: Option<String>,
    /// The data of its document.
    pub data: Value,
}

/// Why there is no document for each element.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BurstError {
    /// There is no list.
    #[error("{path} leads to {found}; it has to lead to a list")]
    NoList {
        /// Where it was looked for.
        path: String,
        /// What is there.
        found: &'static str,
    },
    /// There are more than is allowed.
    #[error("the list has {found} elements; maxItems is {limit}, and onOverflow says that more are a failure")]
    Overflow {
        /// Elements.
        found: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// Together they would have more data than is held.
    #[error("the data of all documents has more than {BYTES_LIMIT} bytes; leave mergeParent out, or make less of it")]
    TooLarge,
    /// A path or the condition cannot be read.
    #[error("{field}: {error}")]
    Words {
        /// Of which field.
        field: &'static str,
        /// What is wrong with it.
        error: WordsError,
    },
}

impl BurstError {
    /// The code that clients know it by.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NoList { .. } | Self::Words { .. } => ErrorCode::BurstInvalid,
            Self::Overflow { .. } => ErrorCode::BurstOverflow,
            Self::TooLarge => ErrorCode::PayloadTooLarge,
        }
    }
}

/// Makes the data of each document, with conditions and places as they are at `when`.
pub fn burst(burst: &Burst, data: &Value, when: &When) -> Result<Bursted, BurstError> {
    let words = |field| move |error| BurstError::Words { field, error };
    let found = value_at(&burst.items_path, data, when).map_err(words("itemsPath"))?;
    let Some(Value::Array(list)) = found else {
        return Err(BurstError::NoList { path: burst.items_path.clone(), found: found.as_ref().map_or("nothing", kind_of) });
    };
    let parent = match data {
        Value::Object(parent) if burst.merge_parent => {
            let mut parent = parent.clone();
            // The whole list in each of its documents would make them as many times larger.
            parent.shift_remove(burst.items_path.trim());
            parent
        }
        _ => Map::new(),
    };
    let parent_bytes = serde_json::to_string(&parent).map_or(0, |text| text.len());
    let mut made = Bursted { total: list.len(), ..Bursted::default() };
    let (mut fitting, mut kept_bytes, mut looked_at_bytes) = (0, 0, 0);
    for element in list {
        if burst.item_condition.is_none() && made.items.len() >= burst.max_items {
            fitting += 1;
            continue;
        }
        // Counted before it is copied.
        let bytes = parent_bytes + element.to_string().len();
        looked_at_bytes += bytes;
        if looked_at_bytes > LOOKED_AT_BYTES || kept_bytes + bytes > BYTES_LIMIT {
            return Err(BurstError::TooLarge);
        }
        let key = match &burst.key_path {
            Some(path) => value_at(path, &element, when).map_err(words("keyPath"))?.and_then(named),
            None => None,
        };
        let data = data_of(&parent, burst.item_as.as_deref(), element);
        if let Some(condition) = &burst.item_condition
            && !holds(condition, &data, when).map_err(words("itemCondition"))?
        {
            made.filtered += 1;
            continue;
        }
        fitting += 1;
        if made.items.len() < burst.max_items {
            kept_bytes += bytes;
            made.items.push(BurstItem { key, data });
        }
    }
    if fitting > burst.max_items && !burst.truncates {
        return Err(BurstError::Overflow { found: fitting, limit: burst.max_items });
    }
    made.truncated = fitting - made.items.len();
    Ok(made)
}

fn data_of(parent: &Map<String, Value>, item_as: Option<&str>, element: Value) -> Value {
    let mut data = parent.clone();
    match (item_as, element) {
        (Some(name), element) => {
            data.insert(name.to_owned(), element);
        }
        (None, Value::Object(element)) => data.extend(element),
        (None, element) => {
            data.insert(ITEM.to_owned(), element);
        }
    }
    Value::Object(data)
}

fn named(value: Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text,
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let text: String = text.chars().map(|character| if character.is_control() { ' ' } else { character }).take(KEY_CHARS).collect();
    Some(text).filter(|text| !text.trim().is_empty())
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
        Value::String(_) => "a text",
        Value::Number(_) => "a number",
        Value::Bool(_) => "true or false",
        Value::Null => "null",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn when() -> When {
        When { now: jiff::Timestamp::UNIX_EPOCH, time_zone: jiff::tz::TimeZone::UTC }
    }

    fn of(value: &Value) -> Burst {
        Burst::from_json(value, "").unwrap()
    }

    #[test]
    fn what_is_merged_into_every_element_is_counted_before_it_is_copied() {
        let data = json!({"big": "x".repeat(400_000), "xs": vec![0; 10_000]});
        let wanted = json!({"itemsPath": "xs", "mergeParent": true, "maxItems": 10_000});
        assert_eq!(burst(&of(&wanted), &data, &when()), Err(BurstError::TooLarge));
        let few = json!({"itemsPath": "xs", "mergeParent": true, "maxItems": 100, "onOverflow": "truncate"});
        let made = burst(&of(&few), &data, &when()).unwrap();
        assert_eq!((made.items.len(), made.truncated), (100, 9_900));
    }

    #[test]
    fn each_element_is_the_data_of_its_document() {
        let data = json!({"title": "T", "customers": [{"id": 7, "name": "a"}, {"id": "x", "name": "b"}]});
        let plain = burst(&of(&json!({"itemsPath": "customers", "keyPath": "id"})), &data, &when()).unwrap();
        assert_eq!(plain.items[0], BurstItem { key: Some("7".to_owned()), data: json!({"id": 7, "name": "a"}) });
        let merged = burst(&of(&json!({"itemsPath": "customers", "itemAs": "customer", "mergeParent": true})), &data, &when()).unwrap();
        assert_eq!(merged.items[1].data, json!({"title": "T", "customer": {"id": "x", "name": "b"}}), "without the list itself");
        let bare = burst(&of(&json!({"itemsPath": "xs"})), &json!({"xs": [1, null]}), &when()).unwrap();
        assert_eq!(bare.items[1].data, json!({"item": null}));
    }

    #[test]
    fn a_condition_leaves_out_and_a_bound_cuts_or_fails() {
        let data = json!({"xs": [{"n": 1}, {"n": 0}, {"n": 2}, {"n": 3}]});
        let cut =
            burst(&of(&json!({"itemsPath": "xs", "itemCondition": "n", "maxItems": 2, "onOverflow": "truncate"})), &data, &when()).unwrap();
        assert_eq!((cut.total, cut.filtered, cut.truncated, cut.items.len()), (4, 1, 1, 2));
        let refused = burst(&of(&json!({"itemsPath": "xs", "maxItems": 2})), &data, &when()).unwrap_err();
        assert_eq!((refused.code(), refused), (ErrorCode::BurstOverflow, BurstError::Overflow { found: 4, limit: 2 }));
        assert_eq!(
            burst(&of(&json!({"itemsPath": "ys"})), &data, &when()).unwrap_err().to_string(),
            "ys leads to nothing; it has to lead to a list"
        );
    }
}
