use std::time::{Duration, Instant};

use proptest::prelude::*;

use crate::files::{avif, gif, jpeg, look, pdf, png, svg, system_font, webp};
use crate::fonts::{woff, woff2};
use crate::svgs::TYPICAL;

/// Good files of every type.
fn seeds() -> Vec<Vec<u8>> {
    let font = system_font("liberation/LiberationMono-Regular.ttf");
    let mut seeds = vec![png(), jpeg(), gif(), webp(), avif(), pdf(), svg(), woff(&font), woff2(&font), font];
    seeds.extend(TYPICAL.iter().map(|(_, text)| text.as_bytes().to_vec()));
    seeds
}

/// Well above what a debug build on a busy machine needs for the largest seed, and far below what anything quadratic would.
const LONGEST: Duration = Duration::from_secs(2);

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_changed_file_is_taken_or_refused_in_short_time(
        seed in prop::sample::select(seeds()),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..12),
    ) {
        let mut bytes = seed;
        for (place, value, kind) in changes {
            // Mostly near the front: there are the lists and the lengths.
            let place = if value % 2 == 0 { place.index(bytes.len().min(600)) } else { place.index(bytes.len()) };
            match kind {
                0 => bytes[place] = value,
                1 => bytes[place] ^= 1 << (value % 8),
                2 => bytes.truncate(place.max(1)),
                _ => bytes.insert(place, value),
            }
        }
        let start = Instant::now();
        let _ = look(&bytes);
        prop_assert!(start.elapsed() < LONGEST, "{:?}", start.elapsed());
    }
}
