//! What the searches of both kinds of tokens share: a signer that signs whatever it is given, and odd texts and times.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use domain::secrets::Secret;
use fuzz::arbitrary::{self, Unstructured};
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use sha2::Sha256;

const SECRET: &str = "the secret of the installation";

/// Spellings of JSON, numbers and base64 that have fooled parsers.
pub const DICTIONARY: [&str; 20] = [
    ".",
    "=",
    "-",
    "_",
    "null",
    "true",
    "[]",
    "{}",
    "\"\"",
    "\\u0000",
    "\u{0}",
    "0",
    "-0",
    "1e400",
    "9223372036854775808",
    ",\"u\":true",
    "\"s\":\"admin\"",
    ":",
    "ä",
    "*",
];

pub fn secret() -> Secret {
    Secret::new(SECRET).unwrap()
}

pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// The signature of somebody who knows the secret and nothing of the rules.
pub fn sign(bytes: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(bytes.as_bytes());
    encode(mac.finalize().into_bytes())
}

/// A moment in this century, often at a whole second.
pub fn moment(random: &mut Unstructured<'_>) -> arbitrary::Result<Timestamp> {
    let second = random.int_in_range(1_000_000_000..=4_000_000_000)?;
    Ok(Timestamp::new(second, nanoseconds(random)?).unwrap())
}

fn nanoseconds(random: &mut Unstructured<'_>) -> arbitrary::Result<i32> {
    if random.arbitrary()? { Ok(0) } else { random.int_in_range(0..=999_999_999) }
}

/// A span between −2 hours and the given length and a little more, often at a limit or close to it.
pub fn span(random: &mut Unstructured<'_>, longest_seconds: i64) -> arbitrary::Result<SignedDuration> {
    let around = *random.choose(&[0, 60, longest_seconds, longest_seconds / 2])?;
    let reach = *random.choose(&[0, 1, 100, 7200])?;
    Ok(SignedDuration::new(around + random.int_in_range(-reach..=reach)?, nanoseconds(random)?))
}

/// The whole milliseconds of a moment, rounded down.
pub fn whole_ms(moment: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(moment.as_millisecond()).unwrap()
}

/// Whether a token of these times is valid, said anew and in whole milliseconds.
pub fn in_its_time(
    issued_at: Timestamp,
    expires_at: Timestamp,
    now: Timestamp,
    cut_over: Option<Timestamp>,
    longest_seconds: i128,
) -> bool {
    let (issued, expires) = (i128::from(issued_at.as_millisecond()) * 1_000_000, i128::from(expires_at.as_millisecond()) * 1_000_000);
    let now = now.as_nanosecond();
    let life = expires - issued;
    let born = cut_over.is_none_or(|cut_over| issued >= cut_over.as_nanosecond());
    life > 0 && life <= longest_seconds * 1_000_000_000 && issued - now <= 60_000_000_000 && now < expires && born
}
