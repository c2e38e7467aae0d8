//! Which tables a backup has, and which it leaves out and why. Every table is in one of the two lists: a test compares them with the
//! database.

/// Whether rows differ after a while without anybody having changed anything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TableDrift {
    /// They change when somebody changes something: another content than that of the backup is drift.
    Counts,
    /// They change by themselves while a server runs: another content is to be expected.
    Expected,
}

/// A table that is in every backup.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BackupTable {
    /// Its name.
    pub name: &'static str,
    /// Whether another content is drift.
    pub drift: TableDrift,
}

const fn people_change(name: &'static str) -> BackupTable {
    BackupTable { name, drift: TableDrift::Counts }
}

const fn moves_by_itself(name: &'static str) -> BackupTable {
    BackupTable { name, drift: TableDrift::Expected }
}

/// What is in a backup, in the order in which a restore fills it: who is referred to comes first. A table that a later migration
/// drops stays in the list, since older backups have it.
pub const BACKUP_TABLES: [BackupTable; 35] = [
    people_change("tenants"),
    people_change("installation_secrets"),
    people_change("users"),
    moves_by_itself("api_keys"),
    moves_by_itself("render_tokens"),
    moves_by_itself("used_codes"),
    people_change("template_folders"),
    people_change("templates"),
    people_change("template_versions"),
    people_change("template_labels"),
    moves_by_itself("template_label_events"),
    people_change("template_drafts"),
    people_change("template_datasets"),
    people_change("template_references"),
    people_change("template_asset_references"),
    people_change("label_proofs"),
    people_change("label_proof_pictures"),
    people_change("assets"),
    people_change("asset_versions"),
    moves_by_itself("datasets"),
    moves_by_itself("documents"),
    moves_by_itself("jobs"),
    moves_by_itself("job_items"),
    moves_by_itself("webhooks"),
    moves_by_itself("webhook_deliveries"),
    people_change("schedule_calendars"),
    moves_by_itself("schedules"),
    moves_by_itself("schedule_executions"),
    moves_by_itself("schedule_execution_items"),
    moves_by_itself("schedule_deliveries"),
    moves_by_itself("idempotency_keys"),
    moves_by_itself("audit_chains"),
    moves_by_itself("audit_events"),
    moves_by_itself("render_usage"),
    moves_by_itself("usage_periods"),
];

/// What no backup has, and why. Partitions are parts of the tables above and are written out with them.
pub const NOT_IN_BACKUPS: [(&str, &str); 5] = [
    ("_sqlx_migrations", "a restore runs the migrations, which write it"),
    ("unfinished_restore", "only says that a restore into this very database has not ended"),
    ("duties", "who is at which duty and when it was last done here; in another installation each is due at once, which harms nothing"),
    ("replicas", "the processes that serve this very database; each writes its row anew every few seconds"),
    ("rate_windows", "requests of the running minute; not even a crash of the database keeps them"),
];

/// Where the hashes and sizes of stored objects are: the table, the word of their kind, and the two columns.
pub(crate) const OBJECTS: [(&str, &str, &str, &str); 5] = [
    ("asset_versions", "assets", "content_hash", "size_bytes"),
    ("datasets", "datasets", "sha256", "size_bytes"),
    ("documents", "outputs", "sha256", "size_bytes"),
    ("job_items", "outputs", "sha256", "size_bytes"),
    ("label_proof_pictures", "proofs", "sha256", "size_bytes"),
];
