//! Data that comes as a CSV, XLSX or XML file: what it is and how it is to be read, and the JSON that becomes of it.
//!
//! Reading is pure, and as bounded as everything that strangers send: by bytes (packed and unpacked), rows, columns, values,
//! depth, and the text that comes out, which names of columns and shared texts of a workbook multiply.

mod csv;
mod issues;
mod limits;
mod meter;
mod options;
mod table;
mod text;
mod values;
mod xlsx;
mod xml;

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::error::DocumentError;
use issues::{invalid, too_large};
use meter::Meter;
use options::FileOptions;

pub use limits::DataInputLimits;

/// A file with data, and how it is to be read. Nothing of the file has been looked at yet.
#[derive(Clone, Debug)]
pub struct DataInput {
    options: FileOptions,
    content: String,
    encoding: Encoding,
    /// A JSON Pointer to the envelope.
    at: String,
}

/// How the bytes of a file stand in JSON.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Encoding {
    /// As the text they are.
    Text,
    /// As base64.
    Base64,
}

/// The data of a file.
#[derive(Clone, PartialEq, Debug)]
pub struct Converted {
    /// An object, as a template takes it.
    pub data: Value,
    /// Rows below the header; of XML the elements right below the root.
    pub rows: usize,
    /// What was read otherwise than it may have been meant; at most twenty, and then how many more.
    pub warnings: Vec<String>,
}

/// When to give up.
#[derive(Clone, Copy, Debug)]
pub struct Patience<'a> {
    /// Set when nobody waits any more.
    pub cancelled: &'a AtomicBool,
    /// The moment by which the conversion has to end.
    pub deadline: Option<Instant>,
}

impl DataInput {
    /// Reads the envelope `{format, content, encoding?, …options}` that stands at the JSON Pointer `at`.
    ///
    /// Errors are [`DocumentError::DataInput`] and name each option that is unknown or cannot be as it is.
    pub fn from_json(value: Value, at: &str) -> Result<Self, DocumentError> {
        options::read(value, at)
    }

    /// Reads the file.
    ///
    /// Errors are [`DocumentError::DataInput`], which names the line, or the sheet and the cell;
    /// [`DocumentError::DataInputTooLarge`], which names the limit; and [`DocumentError::Stopped`].
    pub fn convert(&self, limits: &DataInputLimits, patience: Patience<'_>) -> Result<Converted, DocumentError> {
        let decoded;
        let bytes = if self.encoding == Encoding::Base64 {
            // Three bytes of every four characters.
            self.fits(self.content.len() / 4 * 3, limits)?;
            let packed: String;
            let text = if self.content.contains(['\r', '\n']) {
                packed = self.content.replace(['\r', '\n'], "");
                &packed
            } else {
                &self.content
            };
            decoded = STANDARD.decode(text).map_err(|error| invalid(self.content_at(), format!("is no base64: {error}")))?;
            decoded.as_slice()
        } else {
            self.content.as_bytes()
        };
        self.fits(bytes.len(), limits)?;
        let mut meter = Meter::new(limits, patience, self.content_at());
        match &self.options {
            FileOptions::Csv(options) => csv::convert(bytes, options, &mut meter),
            FileOptions::Xlsx(options) => xlsx::convert(bytes, options, &mut meter),
            FileOptions::Xml(options) => xml::convert(bytes, self.encoding, options, &mut meter),
        }
    }

    fn fits(&self, size_bytes: usize, limits: &DataInputLimits) -> Result<(), DocumentError> {
        if size_bytes <= limits.bytes {
            return Ok(());
        }
        Err(too_large(self.content_at(), format!("has {size_bytes} bytes; a file may have {}", limits.bytes)))
    }

    fn content_at(&self) -> String {
        format!("{}/content", self.at)
    }
}
