//! What the words mean: ids, tenants, scopes, templates, options and error codes.
//!
//! This room does no I/O, knows no async and reads no clock. To add a word, give it a file named
//! after the noun, a type that cannot hold a wrong value, and one constructor that says what is accepted.

pub mod actions;
pub mod actors;
pub mod addresses;
pub mod api_keys;
pub mod asset_references;
pub mod assets;
pub mod audit;
pub mod clock;
pub mod codes;
pub mod document_links;
pub mod documents;
pub mod drafts;
pub mod editor_tokens;
pub mod formats;
pub mod forwarding;
pub mod furniture;
pub mod host_names;
pub mod ids;
pub mod invisible;
pub mod issues;
pub mod jobs;
pub mod label_proofs;
pub mod labels;
pub mod local_times;
pub mod months;
pub mod networks;
pub mod options;
pub mod origins;
pub mod outbound;
pub mod paper;
pub mod peppers;
pub mod pictures;
pub mod quotas;
pub mod render_tokens;
pub mod scopes;
pub mod secret_text;
pub mod secrets;
pub mod signed_tokens;
pub mod template_datasets;
pub mod template_folders;
pub mod template_references;
pub mod template_selectors;
pub mod template_tags;
pub mod templates;
pub mod tenants;
pub mod usage;
pub mod users;
pub mod variants;
pub mod webhooks;
mod words;

pub use actions::Action;
pub use actors::Actor;
pub use audit::{AuditEvent, AuditKind};
pub use clock::Clock;
pub use codes::ErrorCode;
pub use issues::Issue;
pub use months::Month;
pub use quotas::Quotas;
pub use scopes::Scope;
pub use secret_text::SecretText;
pub use template_selectors::TemplateSelector;
pub use tenants::TenantId;
