//! What tests of several crates need: a database each, an OpenID provider, S3 servers, and assertions on PDFs. Never part of the product.
//!
//! It must not name `store`, `api` or any other room above `embedded_postgres`: they name it in their
//! tests, and what it needs of them (such as the migrations) comes in as an argument.
//!
//! The usual change is a helper that asserts on what a person would look at: add it to the module of its
//! subject, and let it panic with the reason, as a test would. A new room or a new heavy dependency is
//! entered in `tests/architecture.rs`.

#[cfg(feature = "openid")]
pub mod openid;
pub mod pdf;
pub mod postgres;
#[cfg(feature = "s3")]
pub mod s3;
#[cfg(feature = "s3")]
pub mod seaweedfs;
