//! What follows the question mark, read strictly: a value that means nothing is refused with what would.

use axum::Json;
use axum::extract::Query;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use store::MAX_PAGE_ROWS;

use crate::error::ApiError;

/// The first moment of the year 1. The database knows no time before 4713 BC.
const FIRST_TIME: Timestamp = Timestamp::constant(-62_135_596_800, 0);

/// The names and values of a query, in their order.
pub(crate) struct Pairs(Vec<(String, String)>);

/// Which part of a list is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PageQuery {
    /// Rows, from 1.
    pub(crate) limit: u32,
    /// Rows before them.
    pub(crate) offset: u64,
}

/// What a switch means where the query does not say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Switch {
    On,
    Off,
}

impl PageQuery {
    /// The answer: these items of so many.
    pub(crate) fn answer(self, items: &[Value], total: u64) -> Json<Value> {
        Json(json!({ "items": items, "total": total, "limit": self.limit, "offset": self.offset }))
    }
}

impl Pairs {
    /// Reads a raw query string.
    pub(crate) fn read(query: Option<&str>) -> Result<Self, ApiError> {
        let unreadable = |_| ApiError::bad_request("the query string cannot be read");
        let uri =
            format!("/?{}", query.unwrap_or_default()).parse().map_err(|_| ApiError::bad_request("the query string cannot be read"))?;
        Ok(Self(Query::<Vec<(String, String)>>::try_from_uri(&uri).map_err(unreadable)?.0))
    }

    /// All of them.
    pub(crate) fn all(&self) -> &[(String, String)] {
        &self.0
    }

    /// The last value of that name; an empty one is none.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(given, _)| given == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// As [`Pairs::text`], for a filter: what holds a NUL matches nothing and cannot be asked for.
    pub(crate) fn filter(&self, name: &str) -> Option<String> {
        self.text(name).map(|text| text.replace('\0', "\u{FFFD}"))
    }

    /// Whether a switch is on; `otherwise` where the query does not say.
    pub(crate) fn switch(&self, name: &str, otherwise: Switch) -> Result<bool, ApiError> {
        match self.text(name) {
            None => Ok(otherwise == Switch::On),
            Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(refused(name, other, "true, false")),
        }
    }

    /// A moment since the year 1: an ISO 8601 time with its offset, or a day, which begins at midnight UTC.
    pub(crate) fn time(&self, name: &str) -> Result<Option<Timestamp>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let day = || text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok().map(|day| day.timestamp());
        let time = text.parse::<Timestamp>().ok().or_else(day).filter(|time| *time >= FIRST_TIME);
        time.map(Some).ok_or_else(|| refused(name, text, "a time such as 2026-11-21T08:00:00Z, or a day such as 2026-11-21"))
    }

    /// `limit` and `offset`.
    pub(crate) fn page(&self) -> Result<PageQuery, ApiError> {
        self.page_of(50)
    }

    /// As [`Pairs::page`], with that many rows where the query does not say.
    pub(crate) fn page_of(&self, rows: u32) -> Result<PageQuery, ApiError> {
        let limit = match self.text("limit") {
            None => rows,
            Some(text) => {
                let accepted = format!("a whole number from 1 to {MAX_PAGE_ROWS}");
                text.parse().ok().filter(|limit| (1..=MAX_PAGE_ROWS).contains(limit)).ok_or_else(|| refused("limit", text, &accepted))?
            }
        };
        let offset = match self.text("offset") {
            None => 0,
            Some(text) => text.parse().map_err(|_| refused("offset", text, "a whole number from 0"))?,
        };
        Ok(PageQuery { limit, offset })
    }
}

/// A value that is not accepted.
pub(crate) fn refused(name: &str, value: &str, accepted: &str) -> ApiError {
    let value: String = value.chars().take(80).collect();
    ApiError::bad_request(format!("the query parameter {name} is \"{value}\"; accepted: {accepted}"))
}
