//! Searches for input that makes a parser or a rule break a promise: random, and grown from valid input by small changes.
//!
//! This room is for tests only: nothing of the product names it, and it needs no tool beside `cargo test`. To add a target,
//! write a file in `tests/targets/` with one property per test, call [`search`] in it, and name the crate it tests in
//! `Cargo.toml` and among the arrows. Beside the promise, assert that the search reached both what is accepted and what is refused:
//! a search that only ever meets the first check finds nothing.
//!
//! A search lasts 1.5 seconds, so a target with its three to six searches about five; `PULP_FUZZ_SECONDS` makes each one longer. A failure prints its seed; `ARBTEST_SEED=0x…` and the
//! test's name repeat it.

use std::time::Duration;

pub use arbtest::arbitrary;
use arbtest::arbitrary::Unstructured;

/// What ends a single try early: the random bytes are used up.
pub type Tried = arbitrary::Result<()>;

/// How long one search lasts unless `PULP_FUZZ_SECONDS` says otherwise.
pub const DEFAULT_BUDGET: Duration = Duration::from_millis(1500);

/// Random bytes that one try may use: enough for a token of full length, little enough for thousands of tries per second.
const TRY_BYTES: u32 = 2048;

/// Tries the property with ever new random input until the time is over; it breaks its promise by a panic.
pub fn search(mut property: impl FnMut(&mut Unstructured<'_>) -> Tried) {
    let mut tries = 0_u64;
    let counted = |random: &mut Unstructured<'_>| {
        tries += 1;
        property(random)
    };
    arbtest::arbtest(counted).size_min(64).size_max(TRY_BYTES).budget(budget()).run();
    println!("{tries} tries");
}

#[expect(clippy::disallowed_methods, reason = "the one setting of a tool that has no configuration")]
fn budget() -> Duration {
    let seconds = std::env::var("PULP_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    seconds.map_or(DEFAULT_BUDGET, Duration::from_secs)
}

/// The text with one to four small changes, of the kinds that careless copying and forging make. It may be the same text again.
pub fn changed(random: &mut Unstructured<'_>, text: &str, dictionary: &[&str]) -> arbitrary::Result<String> {
    let mut characters: Vec<char> = text.chars().collect();
    for _ in 0..random.int_in_range(1..=4)? {
        let end = characters.len();
        let from = random.int_in_range(0..=end)?;
        let to = random.int_in_range(from..=end.min(from + 16))?;
        match random.int_in_range(0..=6)? {
            0 => drop(characters.drain(from..to)),
            1 => characters.truncate(from),
            2 => {
                let copy = characters[from..to].to_vec();
                let place = random.int_in_range(0..=end)?;
                characters.splice(place..place, copy);
            }
            3 => {
                let word = random.choose(dictionary)?;
                characters.splice(from..to, word.chars());
            }
            4 => characters[from..to].reverse(),
            5 => characters.insert(from, random.arbitrary()?),
            _ => {
                // A neighbour in the alphabet: the smallest change that base64 and numbers have.
                if let Some(character) = characters.get_mut(from) {
                    *character = char::from_u32(u32::from(*character) ^ (1 << random.int_in_range(0..=6)?)).unwrap_or('A');
                }
            }
        }
    }
    Ok(characters.into_iter().collect())
}

/// Up to `most` characters, most of them ones that parsers care about.
pub fn text(random: &mut Unstructured<'_>, most: usize, alphabet: &str) -> arbitrary::Result<String> {
    let alphabet: Vec<char> = alphabet.chars().collect();
    let length = random.int_in_range(0..=most)?;
    (0..length).map(|_| if random.ratio(15, 16)? { random.choose(&alphabet).copied() } else { random.arbitrary() }).collect()
}
