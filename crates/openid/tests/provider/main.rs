//! Against a real provider: a process of its own that each test starts, and makes lie as it needs.
#![cfg(test)]

mod bearer;
mod completion;
mod flow;
mod id_tokens;
mod keys;
mod login;
mod transport;
mod world;

testkit::openid_provider_process!();
