//! What this server does without a request.

use std::num::NonZeroU32;

use worker::{Options, Participation};

use super::declaration::Setting;
use super::reader::Values;
use super::settings as known;

/// Reads what this server takes part in. Zero days are for ever, as is a switch that is off on every server.
pub fn read(values: &Values) -> Options {
    let days = |days: &Setting, switch: &Setting| NonZeroU32::new(values.required(days)).filter(|_| values.is_on(switch));
    let part = |switch| if values.is_on(switch) { Participation::TakesPart } else { Participation::LeavesAlone };
    Options {
        partitions: part(&known::PARTITIONS_AHEAD_ENABLED),
        audit_days: days(&known::AUDIT_RETENTION_DAYS, &known::AUDIT_RETENTION_ENABLED),
        usage_days: days(&known::RENDER_USAGE_RETENTION_DAYS, &known::RENDER_USAGE_RETENTION_ENABLED),
        trash_days: days(&known::TEMPLATE_TRASH_RETENTION_DAYS, &known::TEMPLATE_TRASH_RETENTION_ENABLED),
        proof_days: days(&known::LABEL_PROOF_RETENTION_DAYS, &known::LABEL_PROOF_RETENTION_ENABLED),
        label_history_days: days(&known::LABEL_HISTORY_RETENTION_DAYS, &known::LABEL_HISTORY_RETENTION_ENABLED),
        documents: part(&known::DOCUMENT_RETENTION_ENABLED),
        datasets: part(&known::DATASET_RETENTION_ENABLED),
        job_retention: part(&known::JOB_RETENTION_ENABLED),
        delivery_days: days(&known::WEBHOOK_DELIVERY_RETENTION_DAYS, &known::WEBHOOK_DELIVERY_RETENTION_ENABLED),
        schedule_days: days(&known::SCHEDULE_EXECUTION_RETENTION_DAYS, &known::SCHEDULE_EXECUTION_RETENTION_ENABLED),
        expired: part(&known::EXPIRED_CLEANUP_ENABLED),
        label_moves: part(&known::LABEL_MOVES_ENABLED),
    }
}
