//! What the reference architecture promises, asked of whole server processes behind a real balancer, with a real database and a
//! real S3 server. `cargo test -p testkit --test ha -- --nocapture` prints the figures; `HA_REPORT=docs/ha-validation-report.md`
//! writes them down.
#![cfg(test)]

#[path = "ha/deaths.rs"]
mod deaths;
#[path = "ha/load.rs"]
mod load;
#[path = "ha/report.rs"]
mod report;
#[path = "ha/stack.rs"]
mod stack;
