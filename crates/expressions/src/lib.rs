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
//! Behaviour is that of handlebars.js 4.7.10 (`tests/differential.rs` compares the two), except on purpose:
//!
//! | template | handlebars.js | here | why |
//! |---|---|---|---|
//! | `{{> partial}}` | found when rendered | found when parsing, among [`Partials`] that were given | a partial cannot call itself, and its place is known |
//! | `{{> (name)}}`, `{{#> …}}`, `{{* …}}`, `{{#* …}}` | computed names, partial blocks, decorators | refused when parsing | what a template calls is known without data |
//! | `{{each}}`, `{{if}}`, `{{lookup}}` alone | an error when rendered | the field of that name | a field named like a helper is common in data |
//! | `{{#if}}`, `{{#each a b}}`, `{{if a}}`, `{{lookup a}}` | an error when rendered | refused when parsing | found before data is there |
//! | `{{items.0}}`, `{{a.true}}` | refused | same as `{{items.[0]}}`, `{{a.[true]}}` | nothing else can be meant |
//! | `{{#if a as \|x\|}}{{x}}{{/if}}` | an error when rendered | `x` is undefined | the block gives no parameters |
//! | `{{{a}}}{{{b}}}` of two numbers | may print their sum | prints one after the other | a defect of its string building |
//! | `{{helperMissing}}`, `{{blockHelperMissing}}` | an error when rendered | the field of that name | inner hooks |
//! | a NUL character in the text | refused | text | it is text |
//! | `{{text.[0]}}` of half a surrogate pair | a lone surrogate | U+FFFD | output is UTF-8 |
//! | `@_parent`, `@level` and other inner variables | inner state | undefined | not part of the language |
//! | an object with its own `toString` or `valueOf` field, printed | an error | `[object Object]` | data must not break printing |
//! | `{{x}}` inside `<style>…</style>` | HTML references, which mean nothing there | CSS escapes ([`Escape::Css`]) | data must not add rules |
//! | more than 8 block parameters, more than 200 levels | accepted | refused | bounds the cost |
//! | `{{log x}}` | writes to the console | nothing | a server has no console for templates |

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
pub use partials::Partials;
pub use run::{Escape, Finding, Missing, MissingReason, Run};
pub use scope::Scope;
pub use template::{Expression, Template};
pub use used_paths::UsedPath;
pub use value::{Evaluated, Markup};
