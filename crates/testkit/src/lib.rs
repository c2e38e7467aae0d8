//! What tests of several crates need: a database each, poolers in front of it, an OpenID provider, S3 servers, whole servers behind a balancer, and assertions on PDFs. Never part of the product.
//!
//! It must not name `store`, `api` or any other room above `embedded_postgres`: they name it in their
//! tests, and what it needs of them (such as the migrations) comes in as an argument.
//!
//! The usual change is a helper that asserts on what a person would look at: add it to the module of its
//! subject, and let it panic with the reason, as a test would. A new room or a new heavy dependency is
//! entered in `tests/architecture.rs`.

pub mod certificates;
pub mod haproxy;
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
pub mod server_process;
pub mod tcp_proxy;
#[cfg(feature = "tls")]
pub mod tls_front;

use std::net::TcpListener;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

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

/// A port of this machine that nothing listens on, for a process that is started later, perhaps several times. It is none of those that
/// the kernel gives to clients, so that none of them has it by then.
fn port_to_listen_on() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Processes begin in different places.
    let begin = std::process::id().wrapping_mul(97);
    for _ in 0..LISTENING.len() {
        let number = begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % u32::try_from(LISTENING.len()).unwrap_or(1);
        let port = LISTENING.start + u16::try_from(number).unwrap_or(0);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port of {LISTENING:?} is free");
}

/// Below the ports of clients, and above those of [`seaweedfs`].
const LISTENING: Range<u16> = 25_000..32_000;

#[expect(clippy::disallowed_methods, reason = "tests have no configuration to read it from")]
fn is_ci() -> bool {
    std::env::var_os("CI").is_some()
}
