//! What a render is asked with and answers.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use document::Bindings;
use domain::documents::DocumentOutput;
use domain::ids::UsageId;
use domain::options::RenderOptions;
use domain::templates::{TemplateKey, TemplateVersion};
use domain::usage::{RenderMode, UsageMetadata};
use domain::variants::BucketKey;
use domain::{Actor, TenantId};
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::data_sources::DataSource;
use crate::format_options::FormatOptions;
use crate::labels::{Via, Which};

/// What to render from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A stored template.
    Stored {
        /// Its key.
        key: TemplateKey,
        /// Which of its versions.
        which: Which,
        /// What decides on which side of a split label the caller is.
        bucket_key: Option<BucketKey>,
    },
    /// A definition that came with the request.
    Inline(Arc<Value>),
}

/// What comes out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// A PDF.
    Pdf,
    /// The whole HTML document that would be printed.
    Html,
    /// The texts of one of its tables, or an archive with a file for each.
    Csv,
    /// A workbook with its tables.
    Xlsx,
    /// A picture of its page, or an archive with one of each.
    Image,
}

impl Format {
    /// Every format that is made here.
    pub const ALL: [Self; 5] = [Self::Pdf, Self::Html, Self::Csv, Self::Xlsx, Self::Image];

    /// The published word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pdf => "pdf",
            Self::Html => "html",
            Self::Csv => "csv",
            Self::Xlsx => "xlsx",
            Self::Image => "image",
        }
    }

    /// The format of that word, if it is one that is made here.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == word)
    }

    /// All words, for refusals.
    pub fn words() -> String {
        Self::ALL.map(Self::as_str).join(", ")
    }
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What a finished file is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileKind {
    /// Its media type.
    pub media_type: &'static str,
    /// What the names of such files end with, without the dot.
    pub extension: &'static str,
}

impl FileKind {
    /// A PDF.
    pub const PDF: Self = Self { media_type: "application/pdf", extension: "pdf" };
    /// HTML in UTF-8.
    pub const HTML: Self = Self { media_type: "text/html; charset=utf-8", extension: "html" };
    /// Comma-separated values in UTF-8.
    pub const CSV: Self = Self { media_type: "text/csv; charset=utf-8", extension: "csv" };
    /// A workbook.
    pub const XLSX: Self = Self { media_type: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", extension: "xlsx" };
    /// A picture without loss.
    pub const PNG: Self = Self { media_type: "image/png", extension: "png" };
    /// A picture with loss.
    pub const JPEG: Self = Self { media_type: "image/jpeg", extension: "jpg" };
    /// A picture without loss.
    pub const WEBP: Self = Self { media_type: "image/webp", extension: "webp" };
    /// Several files.
    pub const ZIP: Self = Self { media_type: "application/zip", extension: "zip" };
}

/// What the log of renders says about who asked, and why. It changes nothing about the document.
#[derive(Clone, Debug, Default)]
pub struct Attribution {
    /// Who asked.
    pub actor: Option<Actor>,
    /// Through which door.
    pub mode: RenderMode,
    /// Words of the caller to find the render by.
    pub metadata: UsageMetadata,
    /// What the caller calls the whole of which this is a part, up to 200 characters.
    pub correlation_id: Option<Box<str>>,
}

/// One render.
#[derive(Clone, Debug)]
pub struct RenderRequest {
    /// Whose templates.
    pub tenant: TenantId,
    /// What to render from.
    pub source: Source,
    /// Where the data comes from, before the template's field mappings.
    pub data: DataSource,
    /// What stands in the data whatever the field mappings do, such as what a render token fixes; `data` should hold it
    /// too, as that is what the mappings read and what the log of renders proves.
    pub fixed_data: Option<Map<String, Value>>,
    /// What the caller wants different from the template.
    pub options: RenderOptions,
    /// The moment the document believes it is; the clock's when absent.
    pub now: Option<Timestamp>,
    /// What a binding without a value means.
    pub bindings: Bindings,
    /// What comes out.
    pub format: Format,
    /// How it is written.
    pub format_options: FormatOptions,
    /// Who asked, and why.
    pub attribution: Attribution,
    /// Whether and how what comes out is kept as a stored document. [`crate::Renderer::render_and_keep`] does it;
    /// [`crate::Renderer::render`] does not.
    pub output: Option<DocumentOutput>,
}

/// A finished document.
#[derive(Debug)]
pub struct Rendered {
    /// The file.
    pub body: Bytes,
    /// What it is.
    pub kind: FileKind,
    /// The template version that was rendered; none for an inline definition.
    pub version: Option<TemplateVersion>,
    /// The label that led to it, where one did.
    pub via: Option<Via>,
    /// The file's name as the request's option made it, without its extension.
    pub filename: Option<String>,
    /// Codes of what was not quite right, with how often; in a fixed order.
    pub warnings: Vec<(&'static str, usize)>,
    /// Pages of the PDF, also where pictures were made of it; zero for what is not printed.
    pub pages: u32,
    /// Names this render in the log of renders, where it appears a moment later.
    pub usage_id: UsageId,
    /// The SHA-256 of the file.
    pub sha256: [u8; 32],
}
