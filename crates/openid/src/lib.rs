//! Speaks to an OpenID provider: discovery, keys, the code exchange, token verification.
//!
//! It must know nothing of HTTP routes, users, tenants or the database: it says who somebody is, and
//! the caller decides what that person may do.
//!
//! To accept one more signature algorithm, enter it in `jwt.rs` with the kind of key that it needs.
//! A new call to the provider is a function of `http.rs`, which bounds its time and its answer.

mod cache;
mod claims;
mod completion;
mod error;
mod exchange;
mod flow;
mod http;
mod identity;
mod jwt;
mod keys;
mod metadata;
mod provider;
mod seal;
mod settings;

pub use completion::{Completion, SealedCompletion};
pub use error::OpenIdError;
pub use flow::{Begun, COOKIE_NAME, FlowState, flow_cookie};
pub use identity::Identity;
pub use provider::{Callback, Finished, Provider};
pub use settings::{ClaimNames, CookieSecrets, Settings};
