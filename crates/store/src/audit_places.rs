//! Places in an audit chain, many at once: what a purge that blanks rows writes down about which.

use std::fmt;
use std::str::FromStr;

/// Places in a chain, as ranges that ascend and do not touch. Written as `1,3,5-9`: 5,000 places are 60 KB at the very most,
/// and usually far less.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Places(Vec<(i64, i64)>);

impl Places {
    /// Adds a place behind all others; one that is not behind them is left out.
    pub(crate) fn push(&mut self, seq: i64) {
        match self.0.last_mut() {
            Some((_, last)) if seq <= *last => {}
            Some((_, last)) if last.checked_add(1) == Some(seq) => *last = seq,
            _ => self.0.push((seq, seq)),
        }
    }

    /// How many.
    pub(crate) fn count(&self) -> u64 {
        self.0.iter().map(|(first, last)| last.abs_diff(*first).saturating_add(1)).fold(0, u64::saturating_add)
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those behind `seq`.
    pub(crate) fn after(&self, seq: i64) -> Self {
        Self(self.0.iter().filter(|(_, last)| *last > seq).map(|(first, last)| ((*first).max(seq.saturating_add(1)), *last)).collect())
    }

    /// Those that are not among `others`.
    pub(crate) fn without(&self, others: &Self) -> Self {
        let mut left = Vec::new();
        let mut others = others.0.iter().peekable();
        for &(mut first, last) in &self.0 {
            while first <= last {
                let Some(&&(from, to)) = others.peek().filter(|(from, _)| *from <= last) else {
                    left.push((first, last));
                    break;
                };
                if to < first {
                    others.next();
                    continue;
                }
                if from > first {
                    left.push((first, from - 1));
                }
                match to.checked_add(1) {
                    Some(next) => first = next,
                    None => break,
                }
            }
        }
        Self(left)
    }
}

impl FromIterator<i64> for Places {
    fn from_iter<T: IntoIterator<Item = i64>>(seqs: T) -> Self {
        let mut places = Self::default();
        for seq in seqs {
            places.push(seq);
        }
        places
    }
}

impl fmt::Display for Places {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (first, last)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            if first == last { write!(formatter, "{comma}{first}")? } else { write!(formatter, "{comma}{first}-{last}")? }
        }
        Ok(())
    }
}

impl FromStr for Places {
    type Err = ();

    /// Takes only what [`Places`] writes.
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut ranges: Vec<(i64, i64)> = Vec::new();
        for range in text.split(',') {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last): (i64, i64) = (first.parse().map_err(drop)?, last.parse().map_err(drop)?);
            if first < 1 || last < first || ranges.last().is_some_and(|(_, before)| *before >= first) {
                return Err(());
            }
            ranges.push((first, last));
        }
        Ok(Self(ranges))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(text: &str) -> Places {
        if text.is_empty() { Places::default() } else { text.parse().unwrap() }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let some: Places = [1, 3, 5, 6, 7, 9].into_iter().collect();
        assert_eq!((some.to_string().as_str(), some.count()), ("1,3,5-7,9", 6));
        assert_eq!("1,3,5-7,9".parse(), Ok(some));
        for odd in ["", "0", "a", "3,1", "3,3", "5-4", "1-", "-1", "1,,2"] {
            assert_eq!(odd.parse::<Places>(), Err(()), "{odd:?}");
        }
    }

    #[test]
    fn taking_some_away_leaves_the_others() {
        for (all, taken, left) in [
            ("1-9", "3-4,6", "1-2,5,7-9"),
            ("1-9", "1-9", ""),
            ("1,3,5", "2,4", "1,3,5"),
            ("1,3,5", "1-9223372036854775807", ""),
            ("2-3,5-6", "1-2,6-8", "3,5"),
            ("1-3,5-7", "2-6", "1,7"),
            ("4", "", "4"),
        ] {
            assert_eq!(places(all).without(&places(taken)).to_string(), left, "{all} without {taken}");
        }
        assert_eq!(places("1,3-6,8").after(4).to_string(), "5-6,8");
    }
}
