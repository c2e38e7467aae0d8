//! Times as a clock on the wall shows them, and the moments they mean.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

/// Why a local time names no moment.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidLocalTime {
    /// Not the date and time of a clock on the wall.
    #[error("must be a date and a time without an offset, such as \"2026-12-31T23:59:00\"")]
    Unreadable,
    /// No IANA name.
    #[error("{name:?} is no time zone; send an IANA name such as \"Europe/Berlin\"")]
    Zone {
        /// What was given, at most 80 characters of it.
        name: Box<str>,
    },
    /// The clocks are put forward over it.
    #[error("there is no {local} in {zone}: the clocks are put forward then; send effectiveAt, such as {after} for right after it")]
    Gap {
        /// What was given.
        local: DateTime,
        /// The zone.
        zone: Box<str>,
        /// The moment that a clock which was not put forward would call so.
        after: Timestamp,
    },
    /// The clocks are put back over it.
    #[error(
        "{local} happens twice in {zone}, as the clocks are put back then; send effectiveAt with the one you mean: {first} or {second}"
    )]
    Fold {
        /// What was given.
        local: DateTime,
        /// The zone.
        zone: Box<str>,
        /// The first of the two moments.
        first: Timestamp,
        /// The second.
        second: Timestamp,
    },
}

/// The moment at which clocks in `zone` show `local`. What happens twice or not at all on those clocks is refused: whoever
/// plans a release is to say which moment is meant.
pub fn moment_of(local: &str, zone: &str) -> Result<Timestamp, InvalidLocalTime> {
    let name = || zone.chars().take(80).collect();
    let time_zone = TimeZone::get(zone).map_err(|_| InvalidLocalTime::Zone { name: name() })?;
    // A text with an offset or a zone would be read with that cut off.
    let plain = local.len() <= 40 && !local.ends_with(['Z', 'z', ']']) && !local.get(10..).unwrap_or_default().contains(['+', '-']);
    let local: DateTime = local.parse().ok().filter(|_| plain).ok_or(InvalidLocalTime::Unreadable)?;
    let out_of_range = |_| InvalidLocalTime::Unreadable;
    match time_zone.to_ambiguous_timestamp(local).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(local).map_err(out_of_range),
        AmbiguousOffset::Gap { before, .. } => {
            Err(InvalidLocalTime::Gap { local, zone: name(), after: before.to_timestamp(local).map_err(out_of_range)? })
        }
        AmbiguousOffset::Fold { before, after } => Err(InvalidLocalTime::Fold {
            local,
            zone: name(),
            first: before.to_timestamp(local).map_err(out_of_range)?,
            second: after.to_timestamp(local).map_err(out_of_range)?,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_time_is_a_moment_unless_the_clocks_are_changed_over_it() {
        assert_eq!(moment_of("2026-12-31T23:59:00", "Europe/Berlin").unwrap().to_string(), "2026-12-31T22:59:00Z");
        assert_eq!(moment_of("2026-07-01T08:00", "America/New_York").unwrap().to_string(), "2026-07-01T12:00:00Z");
        let gap = moment_of("2027-03-28T02:30:00", "Europe/Berlin").unwrap_err();
        assert!(gap.to_string().contains("2027-03-28T01:30:00Z"), "{gap}");
        let fold = moment_of("2026-10-25T02:30:00", "Europe/Berlin").unwrap_err();
        assert!(fold.to_string().contains("2026-10-25T00:30:00Z or 2026-10-25T01:30:00Z"), "{fold}");
        for bad in ["soon", "2026-12-31T23:59:00Z", "2026-12-31T23:59:00+01:00", "2026-12-31T23:59:00-01:00", "2026-13-01T00:00:00", ""] {
            assert_eq!(moment_of(bad, "UTC"), Err(InvalidLocalTime::Unreadable), "{bad}");
        }
        assert!(matches!(moment_of("2026-12-31T23:59:00", "Mars/Olympus"), Err(InvalidLocalTime::Zone { .. })));
    }
}
