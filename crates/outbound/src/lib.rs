//! Calls to addresses that somebody else named: judged before, pinned while, bounded in time and bytes, never redirected.
//!
//! This room must not know what is sent or why, must not retry, and must not let an error's text show the inner network to whom it
//! is none of their business: [`OutboundError::told`] is for tenants, the error itself for the operator's log. What may be called is
//! decided by `domain::outbound`; here is the one client that keeps to it. It resolves a name once for each connection and connects
//! to exactly the addresses that were judged, so that a name that means something else a second later changes nothing.
//!
//! To call from another room: a [`Call`] with the word for its metrics, its limits, and what becomes of an answer that is too long.

mod call;
mod client;
mod error;
mod resolver;

pub use call::{Answer, Call, Method, TooLong};
pub use client::{Options, Outbound};
pub use error::{OutboundError, Refusal};
pub use resolver::{Lookup, Resolved};
