//! Barcodes as SVG: QR code, Code 128, EAN-13, Data Matrix, PDF417.
//!
//! The same content and options give the same bytes. What is drawn stands on white, with the clear space that readers need around it.

mod drawing;
mod symbols;

use std::fmt;

/// A kind of barcode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Symbology {
    /// Squares; up to 2,953 bytes, or more where they are digits.
    QrCode,
    /// Bars; up to 80 ASCII characters.
    Code128,
    /// Bars; 13 digits, of which the last is reckoned from the others.
    Ean13,
    /// Squares, the smallest; up to some 1,550 Latin-1 characters.
    DataMatrix,
    /// Stacked bars; up to some 1,000 Latin-1 characters.
    Pdf417,
}

/// How much of a QR code may be damaged: 7, 15, 25 or 30 per cent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ErrorCorrection {
    /// 7 per cent.
    Low,
    /// 15 per cent.
    #[default]
    Medium,
    /// 25 per cent.
    Quartile,
    /// 30 per cent.
    High,
}

/// Whether the clear space around is part of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum QuietZone {
    /// As much as the standard of the code asks for.
    #[default]
    Standard,
    /// None: the page has it.
    Omitted,
}

/// Whether the content stands in letters below the bars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Caption {
    /// Under Code 128 and EAN-13; the other codes have none.
    #[default]
    Shown,
    /// Nowhere.
    Hidden,
}

/// How a barcode is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct BarcodeOptions {
    /// Width of the whole picture in millimetres. None makes the narrowest bar 0.33 mm wide and the smallest square 0.5 mm.
    pub width_mm: Option<f64>,
    /// Height of the bars of Code 128 and EAN-13 in millimetres; none is 15.
    pub height_mm: Option<f64>,
    /// The clear space around.
    pub quiet_zone: QuietZone,
    /// The content in letters.
    pub caption: Caption,
    /// Of QR codes alone.
    pub error_correction: ErrorCorrection,
}

/// Why something cannot be a barcode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BarcodeError {
    /// Nothing is to be encoded.
    #[error("{0} needs something to hold; the text is empty")]
    Empty(Symbology),
    /// More than the largest code of the kind holds.
    #[error("{symbology} holds {capacity}; the text has {length} characters")]
    TooLong {
        /// The kind.
        symbology: Symbology,
        /// What it holds.
        capacity: &'static str,
        /// What was given.
        length: usize,
    },
    /// A character that the code cannot express.
    #[error("{symbology} holds {accepted}; character {at} of the text is none of them")]
    Character {
        /// The kind.
        symbology: Symbology,
        /// What it can express.
        accepted: &'static str,
        /// Which character, from 1.
        at: usize,
    },
    /// The 13th digit is not what the others make it.
    #[error("the 13th digit of EAN-13 is a check digit, here {expected} and not {found}")]
    CheckDigit {
        /// What it must be.
        expected: u32,
        /// What was given.
        found: u32,
    },
}

impl ErrorCorrection {
    /// All of them by the letter in templates, which is that of the standard.
    pub const NAMES: [(&'static str, Self); 4] = [("L", Self::Low), ("M", Self::Medium), ("Q", Self::Quartile), ("H", Self::High)];
}

impl Symbology {
    /// All of them by the name in templates.
    pub const NAMES: [(&'static str, Self); 5] = [
        ("qr", Self::QrCode),
        ("code128", Self::Code128),
        ("ean13", Self::Ean13),
        ("datamatrix", Self::DataMatrix),
        ("pdf417", Self::Pdf417),
    ];

    /// Bars from top to bottom, rather than squares.
    fn is_linear(self) -> bool {
        matches!(self, Self::Code128 | Self::Ean13)
    }
}

impl fmt::Display for Symbology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::QrCode => "QR code",
            Self::Code128 => "Code 128",
            Self::Ean13 => "EAN-13",
            Self::DataMatrix => "Data Matrix",
            Self::Pdf417 => "PDF417",
        })
    }
}

/// Draws `content` as an `<svg>` element of at most some 200 kB. Everything of the content in it is escaped.
///
/// # Errors
/// What the code cannot hold.
pub fn svg(symbology: Symbology, content: &str, options: &BarcodeOptions) -> Result<String, BarcodeError> {
    let symbol = symbols::encoded(symbology, content, options.error_correction)?;
    Ok(drawing::drawn(&symbol, symbology, options))
}
