//! What was rendered and what it cost, summed up, and how much of its limits a tenant has used.

use axum::Json;
use axum::extract::{Extension, RawQuery, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use domain::quotas::UsageTotals;
use domain::{ErrorCode, Month, TenantId};
use serde_json::{Map, Value, json};
use store::{
    DurationPercentiles, MAX_USAGE_GROUPS, Page, Percentiles, TemplateUsage, Unused, UsageFilter, UsageGroup, UsageSummary,
    UsageTemplateSort,
};

use crate::Setup;
use crate::auth::Caller;
use crate::csv;
use crate::error::ApiError;
use crate::query::{Pairs, Switch, refused};
use crate::{render_log, usage_filter};

/// What a tenant's renders cost, in groups: those with the most renders first, days in their order.
#[utoipa::path(get, path = "/usage", tag = "usage", params(("groupBy" = Option<String>, Query, description = "template (the default), actor, day, format, status or tenant"), ("from" = Option<String>, Query, description = "The first moment; 30 days before to when absent"), ("to" = Option<String>, Query, description = "The first moment after; now when absent. Up to 366 days after from"), ("source" = Option<String>, Query, description = "single, batch, async or scheduled"), ("status" = Option<String>, Query, description = "succeeded, failed, cancelled or an error code"), ("stats" = Option<String>, Query, description = "percentiles"), ("template" = Option<String>, Query), ("actor" = Option<String>, Query), ("format" = Option<String>, Query), ("meta" = Option<Vec<String>>, Query, description = "name:value, all of them")), responses((status = 200, description = "The groups as items, and the totals of all"), (status = 400, description = "No date, no window, or a window that is too wide")))]
pub async fn summary(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, ApiError> {
    let question = Question::read(&Pairs::read(query.as_deref())?, &setup, UsageGroup::Template)?;
    usage_filter::reach(&caller, &question.filter)?;
    let _turn = setup.heavy_reads.turn(&caller.tenant).await?;
    let tenant = setup.store.tenant(caller.tenant);
    let groups = tenant.usage().summary(&question.filter, question.by, question.percentiles).await?;
    let cut = groups.len() >= MAX_USAGE_GROUPS as usize;
    let all = if cut { Some(tenant.usage().summary(&question.filter, UsageGroup::Status, Percentiles::Omitted).await?) } else { None };
    Ok(Json(question.answer(&groups, all.as_deref())))
}

/// As /usage for all tenants.
#[utoipa::path(get, path = "/admin/usage", tag = "usage", params(("groupBy" = Option<String>, Query, description = "tenant (the default), template, actor, day, format or status"), ("from" = Option<String>, Query), ("to" = Option<String>, Query), ("source" = Option<String>, Query), ("status" = Option<String>, Query), ("stats" = Option<String>, Query), ("template" = Option<String>, Query), ("actor" = Option<String>, Query), ("format" = Option<String>, Query), ("meta" = Option<Vec<String>>, Query)), responses((status = 200, description = "The groups as items, and the totals of all")))]
pub async fn summary_of_all(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, ApiError> {
    let question = Question::read(&Pairs::read(query.as_deref())?, &setup, UsageGroup::Tenant)?;
    let _turn = setup.heavy_reads.turn(&caller.tenant).await?;
    let usage = setup.store.usage();
    let groups = usage.summary(&question.filter, question.by, question.percentiles).await?;
    let cut = groups.len() >= MAX_USAGE_GROUPS as usize;
    let all = if cut { Some(usage.summary(&question.filter, UsageGroup::Status, Percentiles::Omitted).await?) } else { None };
    Ok(Json(question.answer(&groups, all.as_deref())))
}

/// As CSV: with groupBy what /usage says, without it one line for each render, oldest first.
#[utoipa::path(get, path = "/usage.csv", tag = "usage", params(("groupBy" = Option<String>, Query), ("from" = Option<String>, Query), ("to" = Option<String>, Query), ("source" = Option<String>, Query), ("status" = Option<String>, Query), ("stats" = Option<String>, Query), ("template" = Option<String>, Query), ("actor" = Option<String>, Query), ("format" = Option<String>, Query), ("meta" = Option<Vec<String>>, Query)), responses((status = 200, description = "A header and lines", content_type = "text/csv"), (status = 413, description = "Too many; narrow the window")))]
pub async fn export(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let pairs = Pairs::read(query.as_deref())?;
    let question = Question::read(&pairs, &setup, UsageGroup::Template)?;
    usage_filter::reach(&caller, &question.filter)?;
    let body = if pairs.text("groupBy").is_some() {
        let _turn = setup.heavy_reads.turn(&caller.tenant).await?;
        let tenant = setup.store.tenant(caller.tenant);
        let groups = tenant.usage().summary(&question.filter, question.by, question.percentiles).await?;
        if groups.len() >= MAX_USAGE_GROUPS as usize {
            let said = format!("there are {MAX_USAGE_GROUPS} groups or more; narrow the window or leave groupBy out");
            return Err(ApiError::new(ErrorCode::UsageExportTooLarge, said));
        }
        question.lines(&groups).into()
    } else {
        render_log::export(&setup, caller.tenant, question.filter).await?
    };
    let name = "attachment; filename=\"usage.csv\"";
    Ok(([(header::CONTENT_TYPE, "text/csv; charset=utf-8"), (header::CONTENT_DISPOSITION, name)], body).into_response())
}

/// What each template cost, and on request which are not used at all.
#[utoipa::path(get, path = "/usage/templates", tag = "usage", params(("from" = Option<String>, Query), ("to" = Option<String>, Query), ("includeUnused" = Option<bool>, Query), ("sort" = Option<String>, Query, description = "renders (the default), failed, pages, sizeBytes, durationMs, p50, p95, p99, lastRenderedAt or key"), ("limit" = Option<u32>, Query), ("offset" = Option<u64>, Query)), responses((status = 200, description = "items, total, limit and offset")))]
pub async fn templates(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, ApiError> {
    caller.is_for_all_templates()?;
    let pairs = Pairs::read(query.as_deref())?;
    let window = usage_filter::window(&pairs, setup.clock.now())?;
    let unused = if pairs.switch("includeUnused", Switch::Off)? { Unused::Included } else { Unused::Omitted };
    let sort = match pairs.text("sort") {
        None => UsageTemplateSort::default(),
        Some(word) => {
            let known = || UsageTemplateSort::ALL.map(UsageTemplateSort::as_str).join(", ");
            UsageTemplateSort::from_word(word).ok_or_else(|| refused("sort", word, &known()))?
        }
    };
    let page = pairs.page()?;
    let _turn = setup.heavy_reads.turn(&caller.tenant).await?;
    let tenant = setup.store.tenant(caller.tenant);
    let found: Page<TemplateUsage> = tenant.usage().templates(window, unused, sort, page.limit, page.offset).await?;
    let past_the_end = found.items.is_empty() && page.offset > 0;
    let total = if past_the_end { tenant.usage().templates(window, unused, sort, 1, 0).await?.total } else { found.total };
    let items: Vec<Value> = found.items.iter().map(of_template).collect();
    Ok(Json(json!({
        "from": window.from().to_string(), "to": window.to().to_string(), "items": items, "total": total, "limit": page.limit,
        "offset": page.offset,
    })))
}

/// The tenant's limits and how much of them is used.
#[utoipa::path(get, path = "/usage/quota", tag = "usage", responses((status = 200, description = "limits, used, and for each limit on renders limit, used, remaining and resetAt")))]
pub async fn quota(State(setup): State<Setup>, Extension(caller): Extension<Caller>) -> Result<Json<Value>, ApiError> {
    caller.is_for_all_templates()?;
    standing(&setup, &caller.tenant).await
}

/// The same as /usage/quota.
#[utoipa::path(get, path = "/tenant/quota", tag = "tenants", responses((status = 200, description = "limits, used, and for each limit on renders limit, used, remaining and resetAt")))]
pub async fn tenant_quota(State(setup): State<Setup>, Extension(caller): Extension<Caller>) -> Result<Json<Value>, ApiError> {
    caller.is_for_all_templates()?;
    standing(&setup, &caller.tenant).await
}

/// `limits` and `used` are the database's; `quotas` is what this replica judges the next render by.
async fn standing(setup: &Setup, tenant: &TenantId) -> Result<Json<Value>, ApiError> {
    let month = Month::of(setup.clock.now());
    let known = setup.store.tenants().quotas(std::slice::from_ref(tenant), month).await?;
    let (limits, used) = known.first().map(|known| (known.quotas, known.used)).unwrap_or_default();
    let mut quotas = setup.renderer.quota_standings(tenant).await;
    if limits.storage_bytes.is_some() {
        let stored = setup.store.tenant(tenant.clone()).asset_versions().stored_bytes().await?;
        quotas.extend(limits.storage_standing(stored, setup.clock.now()));
    }
    Ok(Json(json!({
        "tenantId": tenant, "period": "month", "periodStart": month.start().to_string(), "resetAt": month.end().to_string(),
        "limits": limits, "used": of_totals(used), "quotas": quotas,
    })))
}

fn of_totals(used: UsageTotals) -> Value {
    json!({ "renders": used.renders, "renderSeconds": used.render_ms / 1_000, "pages": used.pages, "sizeBytes": used.size_bytes })
}

/// Which renders are asked about, and how they are to be summed up.
struct Question {
    filter: UsageFilter,
    by: UsageGroup,
    percentiles: Percentiles,
}

impl Question {
    fn read(pairs: &Pairs, setup: &Setup, usually_by: UsageGroup) -> Result<Self, ApiError> {
        let by = match pairs.text("groupBy") {
            None => usually_by,
            Some(word) => {
                let known = || UsageGroup::ALL.map(UsageGroup::as_str).join(", ");
                UsageGroup::from_word(word).ok_or_else(|| refused("groupBy", word, &known()))?
            }
        };
        let percentiles = match pairs.text("stats") {
            None => Percentiles::Omitted,
            Some("percentiles") => Percentiles::Included,
            Some(other) => return Err(refused("stats", other, "percentiles")),
        };
        Ok(Self { filter: usage_filter::read(pairs, setup.clock.now())?, by, percentiles })
    }

    /// `all` sums up what `groups` leaves out; none when nothing is left out.
    fn answer(&self, groups: &[UsageSummary], all: Option<&[UsageSummary]>) -> Value {
        let items: Vec<Value> = groups.iter().map(|group| Value::Object(self.group(group))).collect();
        json!({
            "from": self.filter.window.from().to_string(), "to": self.filter.window.to().to_string(), "groupBy": self.by.as_str(),
            "totals": sum(all.unwrap_or(groups)), "items": items, "total": items.len(), "truncated": all.is_some(),
        })
    }

    fn group(&self, group: &UsageSummary) -> Map<String, Value> {
        let mut object = Map::new();
        object.insert(self.by.as_str().to_owned(), json!(group.group));
        object.insert("renders".to_owned(), json!(group.renders));
        object.insert("failed".to_owned(), json!(group.failed));
        object.insert("pages".to_owned(), json!(group.pages));
        object.insert("sizeBytes".to_owned(), json!(group.size_bytes));
        object.insert("durationMs".to_owned(), json!(group.duration_ms));
        if self.percentiles == Percentiles::Included {
            insert_percentiles(&mut object, group.percentiles);
        }
        object
    }

    fn lines(&self, groups: &[UsageSummary]) -> String {
        let mut text = String::new();
        let with_percentiles: &[&str] = if self.percentiles == Percentiles::Included { &PERCENTILES } else { &[] };
        let columns = [self.by.as_str(), "renders", "failed", "pages", "sizeBytes", "durationMs"];
        csv::heads(&mut text, columns.into_iter().chain(with_percentiles.iter().copied()));
        for group in groups {
            csv::line(&mut text, self.group(group).values());
        }
        text
    }
}

const PERCENTILES: [&str; 3] = ["p50Ms", "p95Ms", "p99Ms"];

fn insert_percentiles(object: &mut Map<String, Value>, percentiles: Option<DurationPercentiles>) {
    let values = percentiles.map_or([None; 3], |known| [known.p50_ms, known.p95_ms, known.p99_ms].map(Some));
    object.extend(PERCENTILES.into_iter().map(str::to_owned).zip(values.map(|value| json!(value))));
}

fn sum(groups: &[UsageSummary]) -> Value {
    let of = |number: fn(&UsageSummary) -> u64| groups.iter().map(number).fold(0, u64::saturating_add);
    json!({
        "renders": of(|group| group.renders), "failed": of(|group| group.failed), "pages": of(|group| group.pages),
        "sizeBytes": of(|group| group.size_bytes), "durationMs": of(|group| group.duration_ms),
    })
}

fn of_template(usage: &TemplateUsage) -> Value {
    let mut object = Map::new();
    object.insert("template".to_owned(), json!(usage.template));
    object.insert("name".to_owned(), json!(usage.name));
    object.insert("renders".to_owned(), json!(usage.renders));
    object.insert("failed".to_owned(), json!(usage.failed));
    object.insert("pages".to_owned(), json!(usage.pages));
    object.insert("sizeBytes".to_owned(), json!(usage.size_bytes));
    object.insert("durationMs".to_owned(), json!(usage.duration_ms));
    insert_percentiles(&mut object, usage.percentiles);
    object.insert("lastRenderedAt".to_owned(), json!(usage.last_rendered_at.map(|time| time.to_string())));
    Value::Object(object)
}
