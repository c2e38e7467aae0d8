//! One pass along a tenant's audit log: what holds a link to the one before it, and a blanked row to the one that names it.

use std::collections::BTreeMap;

use domain::TenantId;
use domain::audit::{AuditKind, ChainHash, ChainedRow, GENESIS, link};
use uuid::Uuid;

use crate::audit_chain::ChainReport;
use crate::audit_places::Places;

/// More breaks than this are counted and not told.
const TOLD_BREAKS: usize = 20;
/// Of a list of places, so many characters are told.
const TOLD_PLACES_CHARS: usize = 200;

/// The end of a chain, as the database has it.
pub(crate) struct ChainRow {
    pub(crate) last_seq: i64,
    pub(crate) last_hash: Vec<u8>,
    pub(crate) removed_seq: i64,
    pub(crate) removed_hash: Vec<u8>,
}

impl ChainRow {
    /// What stands for an end that is gone: nothing of the log lies before it.
    pub(crate) fn gone() -> Self {
        Self { last_seq: 0, last_hash: GENESIS.to_vec(), removed_seq: 0, removed_hash: GENESIS.to_vec() }
    }
}

/// A row of the log, as it is stored.
pub(crate) struct EventRow {
    pub(crate) seq: i64,
    pub(crate) event_id: Uuid,
    pub(crate) occurred_at: jiff_sqlx::Timestamp,
    pub(crate) event: String,
    pub(crate) operation: String,
    pub(crate) resource_type: String,
    pub(crate) resource_id: String,
    pub(crate) actor: String,
    pub(crate) scope: Option<String>,
    pub(crate) request_id: Option<Uuid>,
    pub(crate) instance_id: String,
    pub(crate) details: String,
    pub(crate) content_hash: Vec<u8>,
    pub(crate) chain_hash: Vec<u8>,
    pub(crate) blanked_by: Option<i64>,
}

impl EventRow {
    fn content_hash(&self, tenant: &TenantId) -> ChainHash {
        ChainedRow {
            tenant,
            seq: self.seq,
            event_id: self.event_id,
            occurred_at: self.occurred_at.to_jiff(),
            event: &self.event,
            operation: &self.operation,
            resource_type: &self.resource_type,
            resource_id: &self.resource_id,
            actor: &self.actor,
            scope: self.scope.as_deref(),
            request_id: self.request_id,
            instance_id: &self.instance_id,
            details: &self.details,
        }
        .content_hash()
    }

    /// Whether it says no more than a blanked row may.
    fn is_blank(&self) -> bool {
        let texts = [&self.resource_id, &self.actor];
        texts.iter().all(|text| text.is_empty()) && self.scope.is_none() && self.request_id.is_none() && self.details == "{}"
    }
}

/// One pass along a chain.
pub(crate) struct Walk<'a> {
    tenant: &'a TenantId,
    /// The place of the row that was looked at last.
    seq: i64,
    previous: Option<ChainHash>,
    rows: u64,
    /// Blanked rows, by the place of the event that has to account for them.
    blanked: BTreeMap<i64, Places>,
    /// What the purges say they blanked, by their own place.
    accounted: BTreeMap<i64, Places>,
    /// What the purges say of the newest row they removed.
    removals: Vec<(i64, String)>,
    /// The newest row that a purge of the tenant itself takes away, some rows at a time: it accounts for each beginning of that,
    /// and the links of the rows that are still there lead up to it.
    purged_through: i64,
    breaks: Vec<String>,
    untold: usize,
}

impl<'a> Walk<'a> {
    /// Begins behind what was removed.
    pub(crate) fn new(tenant: &'a TenantId, end: &ChainRow) -> Self {
        Self {
            tenant,
            seq: end.removed_seq,
            previous: end.removed_hash.as_slice().try_into().ok(),
            rows: 0,
            blanked: BTreeMap::default(),
            accounted: BTreeMap::default(),
            removals: Vec::new(),
            purged_through: 0,
            breaks: Vec::new(),
            untold: 0,
        }
    }

    /// Notes something that is wrong.
    pub(crate) fn broken(&mut self, what: String) {
        if self.breaks.len() < TOLD_BREAKS { self.breaks.push(what) } else { self.untold += 1 }
    }

    /// Looks at the next row; they come by place.
    pub(crate) fn step(&mut self, row: &EventRow) {
        self.rows += 1;
        let expected = self.seq.saturating_add(1);
        if row.seq < expected {
            // Both may be the forged one: neither its link nor what it says is of use.
            return self.broken(format!("row {} is there more than once", row.seq));
        }
        if row.seq != expected {
            self.broken(format!("rows {expected} to {} are missing", row.seq - 1));
            // Where it goes on is unknown: the row's own link has to do.
            self.previous = None;
        }
        let content: Option<ChainHash> = row.content_hash.as_slice().try_into().ok();
        match row.blanked_by {
            Some(by) => self.blank(row, by),
            None if content != Some(row.content_hash(self.tenant)) => {
                self.broken(format!("row {} ({} of {}) was altered", row.seq, row.event, row.resource_id));
            }
            None => self.note(row),
        }
        if let (Some(previous), Some(content)) = (self.previous, content)
            && link(&previous, &content).as_slice() != row.chain_hash.as_slice()
        {
            self.broken(format!("row {} does not follow the row before it", row.seq));
        }
        self.previous = row.chain_hash.as_slice().try_into().ok();
        self.seq = row.seq;
    }

    /// Remembers a row that was blanked, until it is known what its purge says.
    fn blank(&mut self, row: &EventRow, by: i64) {
        if by <= row.seq {
            self.broken(format!("row {} was blanked in the name of row {by}, which is not after it", row.seq));
        }
        if !row.is_blank() {
            self.broken(format!("row {} was blanked and still says something", row.seq));
        }
        self.blanked.entry(by).or_default().push(row.seq);
    }

    /// Remembers what a purge says of itself.
    fn note(&mut self, row: &EventRow) {
        let accounts = [AuditKind::AuditPurged, AuditKind::AuditExpired, AuditKind::TenantPurged];
        if !accounts.iter().any(|kind| kind.event() == row.event) {
            return;
        }
        let details: serde_json::Value = serde_json::from_str(&row.details).unwrap_or_default();
        if let Some(places) = details["blankedSeqs"].as_str().and_then(|text| text.parse().ok()) {
            self.accounted.insert(row.seq, places);
        }
        if let (Some(seq), Some(hash)) = (details["throughSeq"].as_i64(), details["throughHash"].as_str()) {
            self.removals.push((seq, hash.to_owned()));
            if let Some(missing) = details["missing"].as_i64() {
                self.broken(format!("of the rows that were removed up to {seq}, {missing} were missing before"));
            }
            if row.event == AuditKind::TenantPurged.event() {
                self.purged_through = self.purged_through.max(seq);
            }
        }
    }

    /// Compares what was seen with where the chain ends, and with what the purges said.
    pub(crate) fn finish(mut self, end: &ChainRow) -> ChainReport {
        if self.seq != end.last_seq {
            self.broken(format!("rows {} to {} are missing at the end", self.seq.saturating_add(1), end.last_seq));
        } else if self.previous.as_ref().map(<[u8; 32]>::as_slice) != Some(end.last_hash.as_slice()) {
            self.broken("the end of the chain is not the last row's link".to_owned());
        }
        let removal = (end.removed_seq, hex::encode(&end.removed_hash));
        if end.removed_seq > 0 && end.removed_seq >= self.purged_through && !self.removals.contains(&removal) {
            self.broken(format!("rows 1 to {} are gone and no purge accounts for them", end.removed_seq));
        }
        let blanked = self.compare_blanked(end.removed_seq);
        if self.untold > 0 {
            self.breaks.push(format!("and {} more", self.untold));
        }
        ChainReport {
            tenant: self.tenant.clone(),
            rows: self.rows,
            blanked,
            removed_through: end.removed_seq,
            last_seq: end.last_seq,
            last_hash: end.last_hash.as_slice().try_into().unwrap_or(GENESIS),
            breaks: self.breaks,
        }
    }

    /// Finds the rows that were blanked without their purge naming them, and the other way round; says how many are blanked.
    fn compare_blanked(&mut self, removed_through: i64) -> u64 {
        let (blanked, accounted) = (std::mem::take(&mut self.blanked), std::mem::take(&mut self.accounted));
        let none = Places::default();
        for (by, places) in &blanked {
            let unnamed = places.without(accounted.get(by).unwrap_or(&none));
            if !unnamed.is_empty() {
                let (rows, them) = (told(&unnamed), if unnamed.count() == 1 { "it" } else { "them" });
                self.broken(format!("{rows} blanked in the name of row {by}, which does not account for {them}"));
            }
        }
        for (by, places) in &accounted {
            // What was removed since is no longer blanked either.
            let unblanked = places.after(removed_through).without(blanked.get(by).unwrap_or(&none));
            if !unblanked.is_empty() {
                self.broken(format!("row {by} says that {} blanked, and that is not so", told(&unblanked)));
            }
        }
        blanked.values().map(Places::count).sum()
    }
}

fn told(places: &Places) -> String {
    let text = places.to_string();
    let (count, more) = (places.count(), if text.len() > TOLD_PLACES_CHARS { "…" } else { "" });
    let text: String = text.chars().take(TOLD_PLACES_CHARS).collect();
    if count == 1 { format!("row {text} was") } else { format!("{count} rows ({text}{more}) were") }
}
