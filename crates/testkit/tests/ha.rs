//! What the reference architecture promises, asked of whole server processes behind a real balancer, with a real database and a
//! real S3 server. `cargo test -p testkit --test ha -- --nocapture` prints the figures. `HA_REPORT=docs/ha-validation-report.md`
//! writes them down, `HA_FULL=1` asks for as much as the report tells of. `scripts/ha-validate.sh` asks the same
//! of the compose stack.
#![cfg(test)]

#[path = "ha/compose.rs"]
mod compose;
#[path = "ha/deaths.rs"]
mod deaths;
#[path = "ha/load.rs"]
mod load;
#[path = "ha/oddities.rs"]
mod oddities;
#[path = "ha/outages.rs"]
mod outages;
#[path = "ha/proc.rs"]
mod proc;
#[path = "ha/processes.rs"]
mod processes;
#[path = "ha/report.rs"]
mod report;
#[path = "ha/sharing.rs"]
mod sharing;
#[path = "ha/soak.rs"]
mod soak;
#[path = "ha/stack.rs"]
mod stack;
#[path = "ha/work.rs"]
mod work;
