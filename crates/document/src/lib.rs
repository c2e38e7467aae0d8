//! What a definition and its data become, purely: definition and data in, one HTML document out.
//!
//! This room does no I/O, reads no clock and knows no async; whatever a document needs is an argument. It must not
//! name Chromium, HTTP or the database, and nothing of a caller's data may reach the output unescaped.
//!
//! To add a kind of node: see `nodes`. To add a property of a node: read it in the node's `read` (what is not read
//! there is refused as unknown) and write it in its `write_html`. Themes, layouts and components become part of a
//! definition before it is compiled: see `parts`. Formats of tables are made in `tables` from what the writer
//! took down. The whole path of a document is `html::write`.

mod assets;
pub mod bindings;
pub mod burst;
mod chart;
mod check;
pub mod compatibility;
mod css;
pub mod data_input;
mod definition;
pub mod diff;
mod error;
mod fields;
pub mod format;
mod furniture;
mod head;
mod html;
mod html_body;
mod html_headings;
mod html_slots;
mod images;
pub mod inference;
mod issues;
mod limits;
mod links;
mod mapping;
mod markup;
mod metered;
mod nodes;
mod outline;
mod page;
pub mod parts;
mod print_sheet;
mod report;
mod rich_text;
mod running_titles;
mod sample;
mod schema;
mod schema_defaults;
mod schema_depth;
mod schema_references;
mod schema_steps;
mod self_contained;
mod shapes;
pub mod sheaf;
mod sheaf_css;
mod style;
pub mod tables;
mod tags;
mod theme;
mod visible_text;
mod watermark;
pub mod words;
mod writer;

pub use assets::{AssetMap, InlineAsset};
pub use check::{check, refused, validate};
pub use definition::{Compiled, Kind};
pub use error::DocumentError;
pub use format::template_schema;
pub use html::{Bindings, Input, Written, write_html, write_tables};
pub use limits::Limits;
pub use nodes::node_at;
pub use outline::{Heading, with_pages};
pub use parts::effective;
pub use print_sheet::{PrintMarks, PrintSheet};
pub use report::{
    DryRun, ExpressionProblem, Expressions, Location, Reason, Severity, Suggestion, UnresolvedBinding, Validation, Warning, Warnings,
};
pub use self_contained::self_contained;
pub use visible_text::{squeezed, visible_text};
