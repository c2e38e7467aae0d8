//! Who changed what: the audit log of the caller's tenant.

use axum::body::Body;
use axum::extract::{Extension, RawQuery, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::{BoxError, Json};
use bytes::Bytes;
use domain::audit::AuditKind;
use domain::ids::RequestId;
use domain::{ErrorCode, Issue, TenantId};
use futures_util::{Stream, stream};
use serde_json::{Value, json};
use store::{AuditFilter, AuditRecord, Purge, TenantStore};

use crate::Setup;
use crate::auth::Caller;
use crate::csv;
use crate::error::ApiError;
use crate::heavy_reads::HeavyReads;
use crate::query::{Pairs, refused};

/// Events of one export; more are asked for in pieces by time.
const MOST_EXPORTED: u64 = 1_000_000;
/// Events read at a time while exporting.
const PIECE: u32 = 1_000;

/// One page of the audit events, newest first.
#[utoipa::path(get, path = "/audit-events", tag = "audit", params(("limit" = Option<u32>, Query), ("offset" = Option<u64>, Query), ("event" = Option<String>, Query), ("operation" = Option<String>, Query), ("actor" = Option<String>, Query), ("resourceType" = Option<String>, Query), ("resourceId" = Option<String>, Query), ("since" = Option<String>, Query), ("until" = Option<String>, Query)), responses((status = 200, description = "items, total, limit and offset")))]
pub async fn list(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, ApiError> {
    let pairs = Pairs::read(query.as_deref())?;
    let (filter, page) = (filter(&pairs)?, pairs.page()?);
    let found = setup.store.tenant(caller.tenant).audit().list(&filter, page.limit, page.offset).await?;
    let items: Vec<Value> = found.items.iter().map(event).collect();
    Ok(page.answer(&items, found.total))
}

/// All audit events of a filter, oldest first, as they are read from the database.
#[utoipa::path(get, path = "/audit-events/export", tag = "audit", params(("format" = Option<String>, Query, description = "ndjson or csv"), ("since" = Option<String>, Query), ("until" = Option<String>, Query)), responses((status = 200, description = "One event a line", content_type = "application/x-ndjson"), (status = 413, description = "Too many; narrow the time")))]
pub async fn export(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let pairs = Pairs::read(query.as_deref())?;
    let filter = filter(&pairs)?;
    let format = match pairs.text("format") {
        None | Some("ndjson") => Lines::Ndjson,
        Some("csv") => Lines::Csv,
        Some(other) => return Err(refused("format", other, "ndjson, csv")),
    };
    let rows = setup.store.tenant(caller.tenant.clone());
    let count = {
        let _turn = setup.heavy_reads.turn(&caller.tenant).await?;
        rows.audit().count(&filter).await?
    };
    if count > MOST_EXPORTED {
        let said = format!("{count} events match; an export gives up to {MOST_EXPORTED}: narrow it with since and until");
        return Err(ApiError::new(ErrorCode::AuditExportTooLarge, said));
    }
    let (content_type, name) = match format {
        Lines::Ndjson => ("application/x-ndjson", "attachment; filename=\"audit-events.ndjson\""),
        Lines::Csv => ("text/csv; charset=utf-8", "attachment; filename=\"audit-events.csv\""),
    };
    let headers = [(header::CONTENT_TYPE, content_type), (header::CONTENT_DISPOSITION, name)];
    let first = Next { heavy_reads: setup.heavy_reads, tenant: caller.tenant, rows, filter, after: 0, format };
    Ok((headers, Body::from_stream(pieces(first))).into_response())
}

/// Removes audit events before a time, or what the log knows of one actor. The log keeps that this was done.
#[utoipa::path(delete, path = "/audit-events", tag = "audit", params(("before" = Option<String>, Query), ("actor" = Option<String>, Query)), responses((status = 200, description = "deleted: how many")))]
pub async fn purge(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, ApiError> {
    let pairs = Pairs::read(query.as_deref())?;
    if let Some((name, value)) = pairs.all().iter().find(|(name, _)| !matches!(name.as_str(), "before" | "actor")) {
        return Err(refused(name, value, "nothing: a purge takes before or actor, and removes all that it names"));
    }
    let purge = match (pairs.time("before")?, pairs.filter("actor")) {
        (Some(before), None) if before <= setup.clock.now() => Purge::Before(before),
        (Some(before), None) => return Err(refused("before", &before.to_string(), "a time that has passed")),
        (None, Some(actor)) if *actor == *caller.actor.name || actor.starts_with("system:") || actor == "env:super-admin" => {
            return Err(ApiError::new(ErrorCode::Forbidden, "nobody removes their own traces, nor the operator's"));
        }
        (None, Some(actor)) => Purge::Of(actor),
        _ => {
            let issue = Issue::new("", "name what to remove: either before=<time> or actor=<name>");
            return Err(ApiError::invalid(ErrorCode::BadRequest, vec![issue]));
        }
    };
    let tenant = setup.store.tenant(caller.tenant.clone());
    let deleted = tenant.audit().purge(&purge, AuditKind::AuditPurged, &caller.actor).await?;
    Ok(Json(json!({ "deleted": deleted })))
}

fn filter(pairs: &Pairs) -> Result<AuditFilter, ApiError> {
    Ok(AuditFilter {
        event: pairs.filter("event"),
        operation: pairs.filter("operation"),
        actor: pairs.filter("actor"),
        resource_type: pairs.filter("resourceType"),
        resource_id: pairs.filter("resourceId"),
        since: pairs.time("since")?,
        until: pairs.time("until")?,
    })
}

fn event(record: &AuditRecord) -> Value {
    json!({
        "id": record.id, "seq": record.seq, "timestamp": record.occurred_at.to_string(), "event": record.event,
        "operation": record.operation, "resourceType": record.resource_type, "resourceId": record.resource_id, "actor": record.actor,
        "credentialScope": record.scope, "requestId": record.request_id, "instanceId": record.instance_id, "details": record.details,
        "requestIdFrom": record.request_id.map(|id| if RequestId::from(id).is_own() { "server" } else { "caller" }),
    })
}

#[derive(Clone, Copy)]
enum Lines {
    Ndjson,
    Csv,
}

/// The export piece by piece. A failure in its middle breaks the answer off, so that nobody takes half for the whole.
fn pieces(first: Next) -> impl Stream<Item = Result<Bytes, BoxError>> + Send {
    stream::try_unfold(Some(first), async |next| {
        let Some(mut next) = next else { return Ok(None) };
        // Piece by piece: whoever reads slowly takes no turn meanwhile.
        let turn = next.heavy_reads.next_turn(&next.tenant).await?;
        let records = next.rows.audit().after(&next.filter, next.after, PIECE).await?;
        drop(turn);
        let begins = next.after == 0;
        let text = lines(&records, next.format, begins);
        let Some(last) = records.last() else { return Ok(begins.then_some((text, None))) };
        next.after = last.seq;
        Ok(Some((text, Some(next))))
    })
}

struct Next {
    heavy_reads: HeavyReads,
    tenant: TenantId,
    rows: TenantStore,
    filter: AuditFilter,
    after: i64,
    format: Lines,
}

const COLUMNS: [&str; 13] = [
    "id",
    "seq",
    "timestamp",
    "event",
    "operation",
    "resourceType",
    "resourceId",
    "actor",
    "credentialScope",
    "requestId",
    "instanceId",
    "details",
    "requestIdFrom",
];

fn lines(records: &[AuditRecord], format: Lines, begins: bool) -> Bytes {
    let mut text = String::new();
    if begins && matches!(format, Lines::Csv) {
        csv::heads(&mut text, COLUMNS);
    }
    for record in records {
        let event = event(record);
        match format {
            Lines::Ndjson => {
                text.push_str(&event.to_string());
                text.push('\n');
            }
            Lines::Csv => csv::line(&mut text, COLUMNS.map(|column| &event[column])),
        }
    }
    text.into()
}
