//! The tests of a template, run.

use axum::Json;
use axum::extract::{Extension, State};
use domain::template_datasets::{Assertions, DATASETS_LIMIT, DatasetName};
use domain::templates::TemplateKey;
use domain::{ErrorCode, Issue};
use render::{Attribution, TestCase, TestResult, TestRun, Tested};
use serde::Deserialize;
use serde_json::{Value, json};
use store::{DatasetRecord, TenantStore};
use utoipa::ToSchema;

use crate::Setup;
use crate::auth::Caller;
use crate::body::{JsonBody, Path};
use crate::error::{ApiError, IssueBody};
use crate::requests::current_correlation_id;
use crate::samples::which;
use crate::template_datasets::unknown_dataset;
use crate::templates::{known_key, unknown};

/// Which tests of which version. Nothing at all means every dataset with what renders by default.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TestRunBody {
    /// A definition that is not saved yet, in place of a version.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    template: Option<Value>,
    /// A version such as `1.0.3`.
    #[serde(default)]
    version: Option<String>,
    /// A label.
    #[serde(default)]
    label: Option<String>,
    /// Names of datasets; all when absent.
    #[serde(default)]
    datasets: Option<Vec<String>>,
}

/// Renders the template with its datasets and says what is not as it has to be; gives no documents back.
#[utoipa::path(post, path = "/templates/{key}/tests/run", tag = "templates", params(("key" = String, Path)), request_body = TestRunBody, responses((status = 200, description = "passed, and a result for each dataset"), (status = 404, description = "Unknown")))]
pub async fn run(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(key): Path<String>,
    JsonBody(body): JsonBody<TestRunBody>,
) -> Result<Json<Value>, ApiError> {
    let key = known_key(&key)?;
    let tested = match body.template {
        Some(definition) if body.version.is_none() && body.label.is_none() => Tested::Inline(definition),
        Some(_) => return Err(ApiError::bad_request("template, version and label exclude each other; send one of them")),
        None => Tested::Stored { key: key.clone(), which: which(body.version.as_deref(), body.label.as_deref())? },
    };
    let tenant = setup.store.tenant(caller.tenant.clone());
    let names = names(&tenant, &key, body.datasets).await?;
    let mut cases = Vec::with_capacity(names.len());
    for name in names {
        let found = tenant.template_datasets().get(&key, &name).await?;
        cases.push(case(found.ok_or_else(|| unknown_dataset(&name))?)?);
    }
    let attribution = Attribution { actor: Some(caller.actor.clone()), correlation_id: current_correlation_id(), ..Attribution::default() };
    let ran = setup.renderer.test(&caller.tenant, tested, cases, &attribution).await?;
    Ok(Json(answer(&ran)))
}

/// The datasets that were asked for, or all, by name.
async fn names(tenant: &TenantStore, key: &TemplateKey, asked: Option<Vec<String>>) -> Result<Vec<DatasetName>, ApiError> {
    let Some(asked) = asked else {
        let limit = u32::try_from(DATASETS_LIMIT).unwrap_or(u32::MAX);
        let all = tenant.template_datasets().list(key, None, limit, 0).await?.ok_or_else(|| unknown(key))?;
        return Ok(all.items.into_iter().map(|dataset| dataset.name).collect());
    };
    if asked.len() > DATASETS_LIMIT {
        return Err(ApiError::field("/datasets", format!("must be up to {DATASETS_LIMIT} names")));
    }
    let missing = |name: &str| {
        let said = format!("the template has no dataset \"{}\"", name.chars().take(100).collect::<String>());
        ApiError::new(ErrorCode::DatasetNotFound, said)
    };
    asked.iter().map(|name| name.parse().map_err(|_| missing(name))).collect()
}

fn case(dataset: DatasetRecord) -> Result<TestCase, ApiError> {
    let assertions =
        dataset.summary.assertions.as_ref().map_or(Ok(Assertions::default()), |kept| Assertions::from_json(kept, "/assertions"));
    Ok(TestCase {
        name: dataset.summary.name.to_string(),
        data: dataset.data,
        expect_invalid: dataset.summary.expect_invalid,
        assertions: assertions.map_err(|issues| ApiError::invalid(ErrorCode::ValidationFailed, issues))?,
    })
}

fn answer(ran: &TestRun) -> Value {
    let passed = ran.results.iter().filter(|result| result.failures.is_empty()).count();
    json!({
        "passed": passed == ran.results.len(), "version": ran.version, "total": ran.results.len(),
        "succeeded": passed, "failed": ran.results.len() - passed,
        "results": ran.results.iter().map(shown).collect::<Vec<_>>(),
    })
}

fn shown(result: &TestResult) -> Value {
    let failures: Vec<IssueBody> = result.failures.iter().cloned().map(|issue: Issue| issue.into()).collect();
    json!({
        "dataset": result.name, "passed": failures.is_empty(), "failures": failures, "pages": result.pages,
        "warnings": result.warnings, "durationMs": result.duration_ms,
    })
}
