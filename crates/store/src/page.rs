//! One page of a list.

use crate::totals::Place;

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

/// From where the rows of a list are counted off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End<'a> {
    Front,
    /// This row, which is the first that counts.
    Place(&'a Place),
    Back,
}

/// Which rows of a list: how many, after how many, counted off from where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Span<'a> {
    pub(crate) limit: i64,
    pub(crate) skip: i64,
    pub(crate) from: End<'a>,
}

impl<'a> Span<'a> {
    /// The rows, from where the fewest others are passed by: either end, or a place that so many rows come before. None
    /// where there are none.
    pub(crate) fn nearest(limit: i64, offset: i64, total: u64, place: Option<&'a (i64, Place)>) -> Option<Self> {
        let total = i64::try_from(total).unwrap_or(i64::MAX);
        let limit = limit.min(total.saturating_sub(offset));
        if limit <= 0 {
            return None;
        }
        let ends = [(offset, End::Front), (total.saturating_sub(offset).saturating_sub(limit), End::Back)];
        let place = place.filter(|(row, _)| *row <= offset).map(|(row, place)| (offset - row, End::Place(place)));
        let (skip, from) = ends.into_iter().chain(place).min_by_key(|(skip, _)| *skip)?;
        Some(Self { limit, skip, from })
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
    fn a_page_is_counted_off_from_where_it_is_nearest() {
        let span = |limit, offset, total, place| {
            Span::nearest(limit, offset, total, place).map(|span| (span.limit, span.skip, matches!(span.from, End::Back)))
        };
        let place = (4_000, vec!["key".to_owned()]);
        assert_eq!(span(50, 100, 10_000, None), Some((50, 100, false)));
        assert_eq!(span(50, 9_950, 10_000, None), Some((50, 0, true)));
        assert_eq!(span(50, 9_980, 10_000, None), Some((20, 0, true)));
        assert_eq!(span(50, 6_000, 10_000, None), Some((50, 3_950, true)));
        assert_eq!(span(50, 6_000, 10_000, Some(&place)), Some((50, 2_000, false)));
        assert_eq!(Span::nearest(50, 4_000, 10_000, Some(&place)), Some(Span { limit: 50, skip: 0, from: End::Place(&place.1) }));
        assert_eq!(span(50, 3_999, 10_000, Some(&place)), Some((50, 3_999, false)));
        for (limit, offset) in [(50, 10_000), (50, i64::MAX), (0, 5)] {
            assert_eq!(span(limit, offset, 10_000, None), None);
        }
    }
}
