//! How long what is recorded is kept.

use super::declaration::Setting;
use super::reader::Values;
use super::settings as known;

/// How long the records of this server are kept, and whether it helps to remove the old ones.
#[derive(Debug)]
pub struct Retention {
    /// Of audit events.
    pub audit: Duty,
    /// Of the record of renders.
    pub usage: Duty,
}

/// The removal of old records of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duty {
    /// This server takes part in removing records of more than so many days, at least 1.
    RemoveAfterDays(u32),
    /// This server does not take part: they are kept for ever, or another one removes them.
    LeaveAlone,
}

/// Reads how long records are kept.
pub fn read(values: &Values) -> Retention {
    let duty = |days: &Setting, switch: &Setting| match values.required(days) {
        days if days > 0 && values.is_on(switch) => Duty::RemoveAfterDays(days),
        _ => Duty::LeaveAlone,
    };
    Retention {
        audit: duty(&known::AUDIT_RETENTION_DAYS, &known::AUDIT_RETENTION_ENABLED),
        usage: duty(&known::RENDER_USAGE_RETENTION_DAYS, &known::RENDER_USAGE_RETENTION_ENABLED),
    }
}
