//! What happens without a request: duties that one replica at a time carries out for the whole installation.
//!
//! This room must not answer requests, must not decide who may do what, and must not hold a database connection while
//! something else is waited for. It keeps no state of its own: what is due, who is at it and how it went is in the
//! database, so any replica may die at any moment.
//!
//! What has a moment of its own, such as a planned move of a label, is no duty: every replica looks for what is due and the
//! database gives each piece to one of them (`label_moves.rs`).
//!
//! To add a duty: a file with its act, which does its work in bounded pieces that are each whole, so that it may be cut off
//! after any of them and be run again; an entry in `installation.rs` with its switch; a row in the table of
//! `docs/ARCHITECTURE.md`.

mod archive;
mod assets;
mod audit;
mod datasets;
mod deliveries;
mod delivery_retention;
mod documents;
mod duties;
mod duty;
mod error;
mod expired;
mod heartbeat;
mod hints;
mod installation;
mod jitter;
mod job_retention;
mod jobs;
mod label_history;
mod label_moves;
mod label_proofs;
mod partitions;
mod schedule_deliveries;
mod schedule_executions;
mod schedule_history;
mod schedule_ticks;
mod trash;
mod usage;

pub use assets::asset_sweep;
pub use deliveries::Setup as DeliverySetup;
pub use duties::{Duties, Setup, Timing};
pub use duty::{Duty, Rhythm, Run};
pub use error::WorkerError;
pub use heartbeat::{Heartbeat, HeartbeatSetup, Standing};
pub use installation::{Options, Participation, duties};
pub use jobs::{JobOptions, JobSetup};
pub use partitions::make_months;
pub use schedule_deliveries::{DeclaredBuckets, ScheduleDeliverySetup, Smtp, SmtpOptions, SmtpSecurity};
pub use schedule_executions::ExecutionSetup;
pub use schedule_ticks::Setup as ScheduleTickSetup;
