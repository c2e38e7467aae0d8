//! The product's main act: template and data become a document, the same for every caller.
//!
//! It must not know HTTP, scopes or SQL. To add an output format, give [`run`](Renderer::render) one more branch after
//! the HTML is written; to add a door (a job, a schedule), call the same function from there.

mod admission;
mod asset_uploads;
mod assets;
mod batches;
mod blame;
mod data_sources;
mod data_urls;
mod datasets;
mod documents;
mod error;
mod form_fields;
mod format_options;
mod hashes;
mod label_proofs;
mod labels;
mod limits;
mod mail_merge;
mod outputs;
mod parts;
mod pictures;
mod printing;
mod quotas;
pub mod render_body;
mod request;
mod run;
mod schedule_data;
mod schedule_words;
mod schedule_work;
mod several;
mod stored_files;
mod tabular;
mod tallies;
mod template_tests;
mod templates;
mod usage;
mod usage_queue;
#[cfg(test)]
mod usage_tests;

pub use asset_uploads::{AssetDetails, Upload};
pub use assets::Assets;
pub use batches::{Batch, Item, Printing};
pub use blame::Blame;
pub use blobs::{BlobContent, BlobError, ByteRange};
pub use chromium::{ChromiumError, Phase};
pub use data_sources::DataSource;
pub use data_urls::{DataUrlOptions, DataUrls};
pub use datasets::{DatasetUpload, Datasets};
pub use documents::{DocumentOptions, Documents, Fetch, Keeping, MadeFile, MadeLink, NoDownload, Origin};
pub use error::RenderError;
pub use format_options::{CsvOptions, FormatOptions, HtmlOptions, ImageOptions, PICTURE_WIDTHS};
pub use label_proofs::ProofOrder;
pub use labels::{Choice, Via, Which};
pub use limits::Limits;
pub use media::Refusal;
pub use outputs::Outputs;
pub use parts::{Checking, EffectiveTemplate};
pub use pdf::{FormField, FormFieldKind, FormFieldValue, FormFields, PdfError, Xfa};
pub use request::{Attribution, FileKind, Format, RenderRequest, Rendered, Source};
pub use run::{Renderer, Setup};
pub use schedule_data::ScheduleError;
pub use schedule_words::check_schedule_words;
pub use schedule_work::{ScheduleItem, ScheduleOutcome, ScheduleRun, ScheduleWork};
pub use tallies::{MetricLabels, TemplateLabels};
pub use template_tests::{TestCase, TestResult, TestSubject, Tested};
pub use templates::Resolved;
pub use usage::UsageOptions;
