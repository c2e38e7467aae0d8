//! How many requests may come within a time.

use std::time::Duration;

/// The most requests a minute that a limit can name.
pub const MOST_REQUESTS_PER_MINUTE: u32 = 10_000_000;

/// What a limit of so many requests a minute means for a window of that length: at least 1, unless it is 0.
pub fn requests_in(window: Duration, per_minute: u32) -> u32 {
    let requests = u128::from(per_minute) * window.as_millis() / 60_000;
    u32::try_from(requests).unwrap_or(u32::MAX).max(u32::from(per_minute > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_never_rounded_to_nothing() {
        let in_seconds = |seconds, per_minute| requests_in(Duration::from_secs(seconds), per_minute);
        assert_eq!((in_seconds(60, 600), in_seconds(10, 600), in_seconds(10, 59)), (600, 100, 9));
        assert_eq!((in_seconds(1, 1), in_seconds(3600, 0)), (1, 0));
        assert_eq!(in_seconds(3600, MOST_REQUESTS_PER_MINUTE), 600_000_000);
    }
}
