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

/// The end of a list from which rows are counted off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    Front,
    Back,
}

/// Which rows of a list, counted off from which end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Span {
    pub(crate) limit: i64,
    pub(crate) offset: i64,
    pub(crate) from: End,
}

impl Span {
    /// The rows, from the end that is nearer to them: the last page costs no more than the first. None where there are none.
    pub(crate) fn nearer(limit: i64, offset: i64, total: u64) -> Option<Self> {
        let total = i64::try_from(total).unwrap_or(i64::MAX);
        let limit = limit.min(total.saturating_sub(offset));
        let behind = total.saturating_sub(offset).saturating_sub(limit);
        if limit <= 0 {
            return None;
        }
        let (offset, from) = if behind < offset { (behind, End::Back) } else { (offset, End::Front) };
        Some(Self { limit, offset, from })
    }
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

    #[test]
    fn a_page_is_counted_off_from_the_end_that_is_nearer() {
        let span = |limit, offset, total| Span::nearer(limit, offset, total).map(|span| (span.limit, span.offset, span.from));
        assert_eq!(span(50, 100, 10_000), Some((50, 100, End::Front)));
        assert_eq!(span(50, 9_950, 10_000), Some((50, 0, End::Back)));
        assert_eq!(span(50, 9_980, 10_000), Some((20, 0, End::Back)));
        assert_eq!(span(50, 6_000, 10_000), Some((50, 3_950, End::Back)));
        for (limit, offset) in [(50, 10_000), (50, i64::MAX), (0, 5)] {
            assert_eq!(span(limit, offset, 10_000), None);
        }
    }
}
