//! Pauses that differ a little, so that replicas which started together do not ask together for ever.

use std::time::Duration;

/// The pause, give or take a tenth.
pub fn jittered(pause: Duration) -> Duration {
    // Without random bytes the pause is as it was: nothing depends on it.
    let fraction = getrandom::u32().map_or(0.5, |random| f64::from(random) / f64::from(u32::MAX));
    pause.mul_f64(0.9 + 0.2 * fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_stays_within_a_tenth_and_is_not_always_the_same() {
        let pauses: Vec<Duration> = (0..50).map(|_| jittered(Duration::from_secs(10))).collect();
        assert!(pauses.iter().all(|pause| (9.0..=11.0).contains(&pause.as_secs_f64())), "{pauses:?}");
        assert!(pauses.iter().any(|pause| pause != &pauses[0]));
    }
}
