//! What a render is asked with and answers.

use bytes::Bytes;
use document::Bindings;
use domain::TenantId;
use domain::options::RenderOptions;
use domain::templates::{TemplateKey, TemplateVersion};
use jiff::Timestamp;
use serde_json::Value;

use crate::templates::Which;

/// What to render from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A stored template.
    Stored {
        /// Its key.
        key: TemplateKey,
        /// Which of its versions.
        which: Which,
    },
    /// A definition that came with the request.
    Inline(Value),
}

/// What comes out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// A PDF.
    Pdf,
    /// The whole HTML document that would be printed.
    Html,
}

/// One render.
#[derive(Clone, Debug)]
pub struct RenderRequest {
    /// Whose templates.
    pub tenant: TenantId,
    /// What to render from.
    pub source: Source,
    /// The data, before the template's field mappings.
    pub data: Value,
    /// What the caller wants different from the template.
    pub options: RenderOptions,
    /// The moment the document believes it is; the clock's when absent.
    pub now: Option<Timestamp>,
    /// What a binding without a value means.
    pub bindings: Bindings,
    /// What comes out.
    pub format: Format,
}

/// A finished document.
#[derive(Debug)]
pub struct Rendered {
    /// The file.
    pub body: Bytes,
    /// The template version that was rendered; none for an inline definition.
    pub version: Option<TemplateVersion>,
    /// The file's name as the request's option made it, without its extension.
    pub filename: Option<String>,
    /// Codes of what was not quite right, with how often; in a fixed order.
    pub warnings: Vec<(&'static str, usize)>,
    /// Pages of the PDF; zero for HTML.
    pub pages: u32,
}
