//! What kinds of documents the interface knows.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A kind of document, by its published name. Not every version can write every kind.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A PDF.
    Pdf,
    /// The HTML document that would be printed.
    Html,
    /// Comma-separated values.
    Csv,
    /// A spreadsheet.
    Xlsx,
    /// A text document.
    Docx,
    /// A presentation.
    Pptx,
    /// Pictures of pages.
    Image,
}

/// The text names no format.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a format is one of pdf, html, csv, xlsx, docx, pptx and image")]
pub struct UnknownFormat;

impl Format {
    /// Every format.
    pub const ALL: [Self; 7] = [Self::Pdf, Self::Html, Self::Csv, Self::Xlsx, Self::Docx, Self::Pptx, Self::Image];

    /// The published spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pdf => "pdf",
            Self::Html => "html",
            Self::Csv => "csv",
            Self::Xlsx => "xlsx",
            Self::Docx => "docx",
            Self::Pptx => "pptx",
            Self::Image => "image",
        }
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        Self::ALL.into_iter().find(|format| format.as_str() == text).ok_or(UnknownFormat)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_has_one_spelling_in_text_and_json() {
        for format in Format::ALL {
            assert_eq!(format.as_str().parse(), Ok(format));
            assert_eq!(serde_json::to_value(format).unwrap(), format.as_str());
        }
        assert_eq!("PDF".parse::<Format>(), Err(UnknownFormat));
    }
}
