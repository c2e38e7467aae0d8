//! The Handlebars language with its helpers, evaluated within budgets.
//!
//! Must not: read files, the clock (but for the deadline it is given) or the network; know documents, HTML beyond
//! escaping and the markup that its helpers make, or tenants; recurse deeper than [`Limits`] allow, whatever the template or the data.
//!
//! To add a helper: write its function in the file of its group under `registry/` (or a new file, listed in
//! `registry/mod.rs`), add one line with its name and number of arguments to that file's `HELPERS`, and a case to
//! `tests/`. A helper takes an `Invocation`, asks it for `arg(n)` or `hash("name")`, charges steps for work that grows
//! with its input, and gives an [`Evaluated`]; named arguments stand in `options`, which the parser checks. A field of the
//! data with the same name stays reachable as `{{this.name}}`, and as `{{name}}` when the helper needs arguments.
//!
//! Behaviour is that of handlebars.js 4.7.10 (`tests/differential.rs` compares the two), except on purpose: the last part of
//! `docs/expressions.md` lists where and why.

pub mod barcodes;
mod characters;
mod error;
mod escape;
mod evaluate;
mod language;
mod lexer;
mod limits;
mod localized;
mod markdown;
mod meaning;
mod near_names;
mod parse_path;
mod parse_value;
mod parser;
mod partial_calls;
mod partials;
mod places;
mod registry;
mod run;
mod scope;
mod template;
mod tree;
mod used_paths;
mod value;
mod value_text;
mod whitespace;

pub use error::{BudgetKind, ExpressionError, Position};
pub use language::{Language, Regional};
pub use limits::{Budget, Limits};
pub use meaning::{Meaning, NumberLook};
pub use partials::Partials;
pub use run::{Escape, Finding, Missing, MissingReason, Run};
pub use scope::Scope;
pub use template::{Expression, Template};
pub use used_paths::UsedPath;
pub use value::{Evaluated, Markup};
