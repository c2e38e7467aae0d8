//! Streams made plain: what was deflated is inflated, and what was predicted is summed up again, both within a bound.

use std::io::Read as _;

use flate2::read::ZlibDecoder;

use crate::error::PdfError;
use crate::values::{Dictionary, Value};

const BROKEN: PdfError = PdfError::Invalid("a stream cannot be unpacked");

/// The plain bytes of a stream of at most `limit_bytes`. Filters that no table of objects uses are refused.
pub(crate) fn unpacked(dictionary: &Dictionary, raw: &[u8], limit_bytes: usize) -> Result<Vec<u8>, PdfError> {
    let one = |value: Option<&Value>| match value {
        Some(Value::Array(items)) if items.len() > 1 => Err(PdfError::Invalid("a stream is packed more than once")),
        Some(Value::Array(items)) => Ok(items.first().cloned()),
        other => Ok(other.cloned()),
    };
    let parameters = match one(dictionary.get(b"DecodeParms"))? {
        Some(Value::Dictionary(parameters)) => parameters,
        _ => Dictionary::default(),
    };
    match one(dictionary.get(b"Filter"))? {
        None => raw.get(..raw.len().min(limit_bytes)).map(<[u8]>::to_vec).filter(|plain| plain.len() == raw.len()).ok_or(too_much()),
        Some(Value::Name(name)) if name == b"FlateDecode" || name == b"Fl" => predicted(inflated(raw, limit_bytes)?, &parameters),
        Some(_) => Err(PdfError::Invalid("a stream is packed in a way that tables of objects are not")),
    }
}

fn too_much() -> PdfError {
    PdfError::TooMuch { what: "unpacked bytes" }
}

fn inflated(raw: &[u8], limit_bytes: usize) -> Result<Vec<u8>, PdfError> {
    let mut plain = Vec::new();
    // One more, which tells that there is more.
    ZlibDecoder::new(raw).take(limit_bytes as u64 + 1).read_to_end(&mut plain).map_err(|_| BROKEN)?;
    if plain.len() > limit_bytes { Err(too_much()) } else { Ok(plain) }
}

/// Undoes the predictors of PNG (PDF 1.7, 7.4.4.4).
fn predicted(plain: Vec<u8>, parameters: &Dictionary) -> Result<Vec<u8>, PdfError> {
    let number = |key: &[u8], otherwise: usize| parameters.number(key).unwrap_or(otherwise);
    match number(b"Predictor", 1) {
        1 => return Ok(plain),
        10..=15 => {}
        _ => return Err(BROKEN),
    }
    let bits = number(b"Colors", 1).checked_mul(number(b"BitsPerComponent", 8)).filter(|bits| (1..=256).contains(bits)).ok_or(BROKEN)?;
    let (pixel, columns) = (bits.div_ceil(8), number(b"Columns", 1));
    let width = columns.checked_mul(bits).map(|bits| bits.div_ceil(8)).filter(|width| (1..=1 << 20).contains(width)).ok_or(BROKEN)?;
    let mut out: Vec<u8> = Vec::with_capacity(plain.len());
    let mut above = vec![0_u8; width];
    for row in plain.chunks(width + 1) {
        let (kind, row) = row.split_first().ok_or(BROKEN)?;
        let mut line = row.to_vec();
        for at in 0..line.len() {
            let left = if at >= pixel { line[at - pixel] } else { 0 };
            let corner = if at >= pixel { above[at - pixel] } else { 0 };
            let guess = match kind {
                0 => 0,
                1 => left,
                2 => above[at],
                3 => u8::midpoint(left, above[at]),
                4 => paeth(left, above[at], corner),
                _ => return Err(BROKEN),
            };
            line[at] = line[at].wrapping_add(guess);
        }
        out.extend_from_slice(&line);
        line.resize(width, 0);
        above = line;
    }
    Ok(out)
}

fn paeth(left: u8, above: u8, corner: u8) -> u8 {
    let guess = i16::from(left) + i16::from(above) - i16::from(corner);
    let away = |value: u8| (guess - i16::from(value)).abs();
    if away(left) <= away(above) && away(left) <= away(corner) {
        left
    } else if away(above) <= away(corner) {
        above
    } else {
        corner
    }
}
