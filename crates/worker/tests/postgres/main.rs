//! The worker against a real Postgres. One program, so that all of it shares one server.
#![cfg(test)]

mod assets;
mod duties;
mod fixture;
mod retention;
