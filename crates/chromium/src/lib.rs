//! Owns browser processes and turns one HTML page into PDF bytes within limits.
//!
//! It must not know templates, tenants' data, HTTP or the database: it is given HTML and gives back bytes. It never
//! reads the environment; every path and limit arrives in [`PoolOptions`]. The browsers are children of this process, or belong to
//! render workers ([`remote`]) or to containers that print one document each ([`container`]); nobody above notices which.
//!
//! The usual additions:
//! * a DevTools method: one struct in `cdp.rs`, used as a step in `page.rs`;
//! * a launch flag: `flags.rs`, with the measurement that justifies it;
//! * a way one document could leak into the next: a case in `tests/contamination.rs`, then a rule in `lane.rs`;
//! * something that replicas and render workers say to each other: `remote/wire.rs`, and a new `PROTOCOL` where an older side would
//!   misunderstand it;
//! * a way out to the network: a case in `tests/egress.rs`, then `egress.rs`.

mod browser;
mod cdp;
pub mod container;
mod egress;
mod errors;
mod executable;
mod flags;
pub mod fonts;
mod lane;
mod lease;
mod local;
mod memory;
mod options;
mod pace;
mod page;
mod pipe;
mod pool;
mod process;
mod profile;
mod queue;
mod recycle;
pub mod remote;
mod script;
mod session;
mod slots;
mod status;
mod supervisor;
mod tab;

pub use errors::{ChromiumError, Phase};
pub use executable::{Found, Kind, find_executable};
pub use lane::{Lane, scan};
pub use options::{
    Account, Budgets, Isolation, Margins, Outline, PageSize, Paint, PoolOptions, PrintJob, PrintOptions, Printed, Priority, RecycleLimits,
    Sandbox, Scripts, Tagged, Timings, Turn,
};
pub use pool::Pool;
pub use status::PoolStatus;
