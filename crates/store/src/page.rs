//! One page of a list.

/// The most rows a page can have, whatever its `limit` says.
pub const MAX_PAGE_ROWS: u32 = 1_000;

/// Some rows of a list, and how many there are in all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows of this page, in the order that was asked for.
    pub items: Vec<T>,
    /// How many rows match, on all pages together.
    pub total: u64,
}

impl<T> Page<T> {
    /// The total, where the page alone tells it: it was not full, and it was not beyond the end.
    pub(crate) fn total_from_its_end(found: usize, limit: i64, offset: i64) -> Option<u64> {
        let found = i64::try_from(found).ok()?;
        let is_the_last = found < limit && (found > 0 || offset == 0);
        if is_the_last { u64::try_from(offset.saturating_add(found)).ok() } else { None }
    }
}

/// `limit` and `offset` as Postgres takes them.
pub(crate) fn bounds(limit: u32, offset: u64) -> (i64, i64) {
    (i64::from(limit.min(MAX_PAGE_ROWS)), i64::try_from(offset).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_page_that_shows_the_end_tells_the_total() {
        assert_eq!(Page::<()>::total_from_its_end(0, 10, 0), Some(0));
        assert_eq!(Page::<()>::total_from_its_end(3, 10, 20), Some(23));
        assert_eq!(Page::<()>::total_from_its_end(10, 10, 0), None);
        assert_eq!(Page::<()>::total_from_its_end(0, 10, 20), None);
        assert_eq!(Page::<()>::total_from_its_end(0, 0, 0), None);
    }
}
