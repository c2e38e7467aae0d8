//! What tests of several crates need: a database each, poolers in front of it, an OpenID provider, S3 servers, and assertions on PDFs. Never part of the product.
//!
//! It must not name `store`, `api` or any other room above `embedded_postgres`: they name it in their
//! tests, and what it needs of them (such as the migrations) comes in as an argument.
//!
//! The usual change is a helper that asserts on what a person would look at: add it to the module of its
//! subject, and let it panic with the reason, as a test would. A new room or a new heavy dependency is
//! entered in `tests/architecture.rs`.

pub mod certificates;
mod kept;
#[cfg(feature = "openid")]
pub mod openid;
pub mod pdf;
pub mod pgbouncer;
pub mod postgres;
#[cfg(feature = "s3")]
pub mod s3;
#[cfg(feature = "s3")]
pub mod seaweedfs;
pub mod tcp_proxy;
#[cfg(feature = "tls")]
pub mod tls_front;

use std::path::{Path, PathBuf};

/// A program that `scripts/test` puts below the repository's `target`. Nothing when it is not there, which on CI is a failure.
fn installed(path: &str) -> Option<PathBuf> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    if program.exists() {
        return Some(program);
    }
    assert!(!is_ci(), "{} is missing: scripts/test installs it", program.display());
    println!("LEFT OUT: {} is missing; scripts/test installs it", program.display());
    None
}

#[expect(clippy::disallowed_methods, reason = "tests have no configuration to read it from")]
fn is_ci() -> bool {
    std::env::var_os("CI").is_some()
}
