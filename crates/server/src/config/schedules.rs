//! How this server takes part in schedules.

use worker::Participation;

use super::reader::Values;
use super::settings as known;

/// How schedules are looked after.
#[derive(Clone, Copy, Debug)]
pub struct Schedules {
    /// Whether it has them executed when they are due.
    pub engine: Participation,
    /// Schedules of one transaction.
    pub tick_limit: u32,
}

impl Schedules {
    pub(super) fn read(values: &Values) -> Self {
        let engine = if values.is_on(&known::SCHEDULE_ENGINE_ENABLED) { Participation::TakesPart } else { Participation::LeavesAlone };
        Self { engine, tick_limit: values.required(&known::SCHEDULE_ENGINE_TICK_LIMIT) }
    }
}
