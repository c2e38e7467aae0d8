//! Content to black and white modules.

use datamatrix::{DataMatrix, SymbolList};
use rxing::common::BitMatrix;
use rxing::oned::{Code128Writer, EAN13Writer, OneDimensionalCodeWriter as _};
use rxing::pdf417::encoder::PDF417;
use rxing::qrcode::QRCodeWriter;
use rxing::{BarcodeFormat, EncodeHints, Writer as _};

use super::{BarcodeError, ErrorCorrection, Symbology};

/// Characters of content that are looked at; no code holds more digits.
const MAX_CHARACTERS: usize = 7_100;
/// What the standard leaves to the writer: a quarter of a small PDF417 may be damaged.
const PDF417_ERROR_CORRECTION: u32 = 2;

/// The modules of a code without the space around it, and what stands below it.
#[derive(Debug)]
pub(super) struct Symbol {
    /// Rows of modules, all of one length; black is true. One row for bars.
    pub(super) rows: Vec<Vec<bool>>,
    pub(super) caption: String,
}

pub(super) fn encoded(symbology: Symbology, content: &str, level: ErrorCorrection) -> Result<Symbol, BarcodeError> {
    let length = content.chars().count();
    let too_long = || BarcodeError::TooLong { symbology, capacity: capacity(symbology, level), length };
    if content.is_empty() {
        return Err(BarcodeError::Empty(symbology));
    }
    if length > MAX_CHARACTERS {
        return Err(too_long());
    }
    let symbol = |rows: Vec<Vec<bool>>, caption: &str| Symbol { rows, caption: caption.to_owned() };
    match symbology {
        Symbology::QrCode => qr(content, level).map(|rows| symbol(rows, content)).ok_or_else(too_long),
        Symbology::Code128 => {
            only(content, symbology, "ASCII characters", |character| character.is_ascii() && !character.is_ascii_control())?;
            let bars = Code128Writer.encode_oned(content).map_err(|_| too_long())?;
            Ok(symbol(vec![bars], content))
        }
        Symbology::Ean13 => {
            only(content, symbology, "12 or 13 digits", |character| character.is_ascii_digit())?;
            let digits = with_check_digit(content).ok_or_else(too_long)??;
            let bars = EAN13Writer.encode_oned(&digits).map_err(|_| too_long())?;
            Ok(symbol(vec![bars], &format!("{} {} {}", &digits[..1], &digits[1..7], &digits[7..])))
        }
        Symbology::DataMatrix => {
            only(content, symbology, "Latin-1 characters", is_latin)?;
            let code = DataMatrix::encode_str(content, SymbolList::default().enforce_square()).map_err(|_| too_long())?;
            let bitmap = code.bitmap();
            Ok(symbol(bitmap.bits().chunks(bitmap.width()).map(<[bool]>::to_vec).collect(), content))
        }
        Symbology::Pdf417 => {
            only(content, symbology, "Latin-1 characters", is_latin)?;
            pdf417(content).map(|rows| symbol(rows, content)).ok_or_else(too_long)
        }
    }
}

fn capacity(symbology: Symbology, level: ErrorCorrection) -> &'static str {
    match (symbology, level) {
        (Symbology::QrCode, ErrorCorrection::Low) => "up to 2,953 bytes at level L",
        (Symbology::QrCode, ErrorCorrection::Medium) => "up to 2,331 bytes at level M",
        (Symbology::QrCode, ErrorCorrection::Quartile) => "up to 1,663 bytes at level Q",
        (Symbology::QrCode, ErrorCorrection::High) => "up to 1,273 bytes at level H",
        (Symbology::Code128, _) => "up to 80 characters",
        (Symbology::Ean13, _) => "12 or 13 digits",
        (Symbology::DataMatrix, _) => "up to some 1,550 characters",
        (Symbology::Pdf417, _) => "up to some 1,000 characters",
    }
}

fn is_latin(character: char) -> bool {
    u32::from(character) < 0x100 && !character.is_control() || matches!(character, '\n' | '\r' | '\t' | '\u{1d}' | '\u{1e}' | '\u{4}')
}

fn only(content: &str, symbology: Symbology, accepted: &'static str, is_fine: impl Fn(char) -> bool) -> Result<(), BarcodeError> {
    match content.chars().position(|character| !is_fine(character)) {
        Some(at) => Err(BarcodeError::Character { symbology, accepted, at: at + 1 }),
        None => Ok(()),
    }
}

/// Thirteen digits; None where there are neither 12 nor 13.
fn with_check_digit(digits: &str) -> Option<Result<String, BarcodeError>> {
    let numbers: Vec<u32> = digits.chars().filter_map(|digit| digit.to_digit(10)).collect();
    let sum: u32 = numbers.iter().take(12).enumerate().map(|(at, digit)| if at % 2 == 0 { *digit } else { 3 * digit }).sum();
    let expected = (10 - sum % 10) % 10;
    match numbers[..] {
        [.., _] if numbers.len() == 12 => Some(Ok(format!("{digits}{expected}"))),
        [.., found] if numbers.len() == 13 && found == expected => Some(Ok(digits.to_owned())),
        [.., found] if numbers.len() == 13 => Some(Err(BarcodeError::CheckDigit { expected, found })),
        _ => None,
    }
}

fn qr(content: &str, level: ErrorCorrection) -> Option<Vec<Vec<bool>>> {
    let level = match level {
        ErrorCorrection::Low => "L",
        ErrorCorrection::Medium => "M",
        ErrorCorrection::Quartile => "Q",
        ErrorCorrection::High => "H",
    };
    let hints = EncodeHints {
        ErrorCorrection: Some(level.to_owned()),
        Margin: Some("0".to_owned()),
        // Readers take bytes for Latin-1 unless the code says otherwise.
        CharacterSet: (!content.is_ascii()).then(|| "UTF-8".to_owned()),
        ..EncodeHints::default()
    };
    let matrix = QRCodeWriter.encode_with_hints(content, &BarcodeFormat::QR_CODE, 0, 0, &hints).ok()?;
    Some(rows_of(&matrix))
}

fn pdf417(content: &str) -> Option<Vec<Vec<bool>>> {
    let mut encoder = PDF417::new();
    encoder.generateBarcodeLogic(content, PDF417_ERROR_CORRECTION).ok()?;
    // Its rows are three modules high, as the standard has them at least.
    let rows = encoder.getBarcodeMatrix().as_ref()?.getScaledMatrix(1, 3);
    Some(rows.into_iter().rev().map(|row| row.into_iter().map(|module| module == 1).collect()).collect())
}

fn rows_of(matrix: &BitMatrix) -> Vec<Vec<bool>> {
    (0..matrix.getHeight()).map(|y| (0..matrix.getWidth()).map(|x| matrix.get(x, y)).collect()).collect()
}
