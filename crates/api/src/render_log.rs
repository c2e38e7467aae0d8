//! The log of renders: what was rendered, for whom, and the hashes that prove it.

use axum::body::Body;
use axum::extract::{Extension, RawQuery, State};
use axum::{BoxError, Json};
use bytes::Bytes;
use domain::ids::UsageId;
use domain::{ErrorCode, TenantId};
use futures_util::stream;
use serde_json::{Map, Value, json};
use store::{TenantStore, UsageCursor, UsageFilter, UsageRecord};
use uuid::Uuid;

use crate::Setup;
use crate::auth::Caller;
use crate::body::Path;
use crate::csv;
use crate::error::ApiError;
use crate::heavy_reads::HeavyReads;
use crate::query::Pairs;
use crate::usage_filter;

/// Renders of one export; more are asked for in pieces by time.
const MOST_EXPORTED: u64 = 1_000_000;
/// Rows read at a time while exporting.
const PIECE: u32 = 1_000;

/// One page of the renders, newest first. A render appears a moment after it ended.
#[utoipa::path(get, path = "/renders", tag = "usage", params(("from" = Option<String>, Query, description = "The first moment; 30 days before to when absent"), ("to" = Option<String>, Query, description = "The first moment after; now when absent"), ("meta" = Option<Vec<String>>, Query, description = "name:value, all of them"), ("template" = Option<String>, Query), ("actor" = Option<String>, Query), ("source" = Option<String>, Query), ("status" = Option<String>, Query, description = "succeeded, failed, cancelled or an error code"), ("format" = Option<String>, Query), ("label" = Option<String>, Query, description = "the label whose version was rendered"), ("limit" = Option<u32>, Query), ("offset" = Option<u64>, Query)), responses((status = 200, description = "items, total, limit and offset")))]
pub async fn list(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, ApiError> {
    let pairs = Pairs::read(query.as_deref())?;
    let (filter, page) = (usage_filter::read(&pairs, setup.clock.now())?, pairs.page()?);
    usage_filter::reach(&caller, &filter)?;
    let found = setup.store.tenant(caller.tenant).usage().list(&filter, page.limit, page.offset).await?;
    let items: Vec<Value> = found.items.iter().map(shown).collect();
    Ok(page.answer(&items, found.total))
}

/// One render.
#[utoipa::path(get, path = "/renders/{id}", tag = "usage", params(("id" = String, Path)), responses((status = 200, description = "The render"), (status = 404, description = "Unknown")))]
pub async fn get(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let unknown = || ApiError::not_found("there is no such render");
    let id = UsageId::from(Uuid::parse_str(&id).map_err(|_| unknown())?);
    let found = setup.store.tenant(caller.tenant.clone()).usage().get(id).await?.ok_or_else(unknown)?;
    usage_filter::reach_template(&caller, found.template.as_deref())?;
    Ok(Json(shown(&found)))
}

fn shown(record: &UsageRecord) -> Value {
    let metadata: Map<String, Value> = record.metadata.iter().map(|(name, word)| (name.to_owned(), Value::from(word))).collect();
    json!({
        "id": record.usage_id, "renderedAt": record.rendered_at.to_string(), "template": record.template, "version": record.version,
        "label": record.label, "format": record.format, "source": record.mode, "outcome": record.outcome,
        "durationMs": record.duration_ms, "pages": record.pages, "sizeBytes": record.size_bytes,
        "dataSha256": hex(record.data_sha256.as_deref()), "outputSha256": hex(record.output_sha256.as_deref()),
        "actor": record.actor, "credentialScope": record.credential_scope, "requestId": record.request_id,
        "correlationId": record.correlation_id, "instanceId": record.instance_id, "metadata": metadata,
    })
}

fn hex(hash: Option<&[u8]>) -> Option<String> {
    Some(hash?.iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(|digit| char::from_digit(digit.into(), 16)).collect())
}

/// The columns of the export: the fields of a render.
const COLUMNS: [&str; 19] = [
    "id",
    "renderedAt",
    "template",
    "version",
    "label",
    "format",
    "source",
    "outcome",
    "durationMs",
    "pages",
    "sizeBytes",
    "dataSha256",
    "outputSha256",
    "actor",
    "credentialScope",
    "requestId",
    "correlationId",
    "instanceId",
    "metadata",
];

/// All renders of a filter as CSV, oldest first, as they are read from the database. A failure in the middle breaks the
/// answer off, so that nobody takes half for the whole.
pub(crate) async fn export(setup: &Setup, tenant: TenantId, filter: UsageFilter) -> Result<Body, ApiError> {
    let heavy_reads = setup.heavy_reads.clone();
    let rows = setup.store.tenant(tenant.clone());
    let count = {
        let _turn = heavy_reads.turn(&tenant).await?;
        rows.usage().list(&filter, 1, 0).await?.total
    };
    if count > MOST_EXPORTED {
        let said = format!("{count} renders match; an export gives up to {MOST_EXPORTED}: narrow it with from and to");
        return Err(ApiError::new(ErrorCode::UsageExportTooLarge, said));
    }
    let first = Next { heavy_reads, tenant, rows, filter, after: None };
    Ok(Body::from_stream(stream::try_unfold(Some(first), async |next| {
        let Some(mut next) = next else { return Ok::<_, BoxError>(None) };
        // Piece by piece: whoever reads slowly takes no turn meanwhile.
        let turn = next.heavy_reads.next_turn(&next.tenant).await?;
        let records = next.rows.usage().batch(&next.filter, next.after.as_ref(), PIECE).await?;
        drop(turn);
        let begins = next.after.is_none();
        let text = lines(&records, begins);
        let Some(last) = records.last() else { return Ok(begins.then_some((text, None))) };
        next.after = Some(last.cursor());
        Ok(Some((text, Some(next))))
    })))
}

struct Next {
    heavy_reads: HeavyReads,
    tenant: TenantId,
    rows: TenantStore,
    filter: UsageFilter,
    after: Option<UsageCursor>,
}

fn lines(records: &[UsageRecord], begins: bool) -> Bytes {
    let mut text = String::new();
    if begins {
        csv::heads(&mut text, COLUMNS);
    }
    for record in records {
        let shown = shown(record);
        csv::line(&mut text, COLUMNS.map(|column| &shown[column]));
    }
    text.into()
}
