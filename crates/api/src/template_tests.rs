//! The tests of a template, run.

use std::time::Duration;

use axum::Json;
use axum::extract::{Extension, State};
use domain::template_datasets::{Assertions, DATASETS_LIMIT, DatasetName};
use domain::templates::TemplateKey;
use domain::{Action, ErrorCode, Issue};
use render::{Attribution, TestCase, TestResult, TestSubject, Tested};
use serde::Deserialize;
use serde_json::{Value, json};
use store::{DatasetRecord, TenantStore};
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::Setup;
use crate::auth::Caller;
use crate::body::{JsonBody, Path};
use crate::error::{ApiError, IssueBody};
use crate::renders::refusal;
use crate::requests::current_correlation_id;
use crate::samples::which;
use crate::template_datasets::unknown_dataset;
use crate::templates::{known_key, unknown};

/// How long all tests of one run may take together. What is not begun by then is told as not run.
const ALL_TESTS: Duration = Duration::from_mins(1);

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
    if !caller.may(Action::TemplateRead) {
        // A definition of the caller's own choosing could be made to tell what is in the datasets.
        return Err(ApiError::new(ErrorCode::Forbidden, "running tests needs template:read, because they are made from stored data"));
    }
    let tested = match body.template {
        Some(definition) if body.version.is_none() && body.label.is_none() => {
            caller.is_for_all_templates()?;
            Tested::Inline(definition)
        }
        Some(_) => return Err(ApiError::bad_request("template, version and label exclude each other; send one of them")),
        None => Tested::Stored { key: key.clone(), which: which(body.version.as_deref(), body.label.as_deref())? },
    };
    let tenant = setup.store.tenant(caller.tenant.clone());
    let names = names(&tenant, &key, body.datasets).await?;
    let attribution = Attribution { actor: Some(caller.actor.clone()), correlation_id: current_correlation_id(), ..Attribution::default() };
    let subject = setup.renderer.test_subject(caller.tenant, tested, attribution).await?;
    let results = run_all(&setup, &tenant, &key, &subject, &names).await?;
    Ok(Json(answer(&subject, &results)))
}

/// One after the other, so that the data of one dataset is held at a time. What the server lacks ends the run: the first test meets
/// it as an error, later ones are told as not run.
async fn run_all(
    setup: &Setup,
    tenant: &TenantStore,
    key: &TemplateKey,
    subject: &TestSubject,
    names: &[DatasetName],
) -> Result<Vec<TestResult>, ApiError> {
    let (started, mut results) = (Instant::now(), Vec::<TestResult>::with_capacity(names.len()));
    let mut ended = None;
    for name in names {
        if ended.is_none() && started.elapsed() > ALL_TESTS {
            ended = Some("the tests before it took a minute; name fewer datasets".to_owned());
        }
        if let Some(why) = &ended {
            results.push(not_run(name, why));
            continue;
        }
        let found = tenant.template_datasets().get(key, name).await?;
        match setup.renderer.test(subject, case(found.ok_or_else(|| unknown_dataset(name))?)?).await {
            Ok(result) => results.push(result),
            Err(error) if results.is_empty() => return Err(refusal(setup, error)),
            Err(error) => {
                results.push(not_run(name, &error.to_string()));
                ended = Some(error.to_string());
            }
        }
    }
    Ok(results)
}

fn not_run(name: &DatasetName, why: &str) -> TestResult {
    let failures = vec![Issue::new("", format!("not run: {why}"))];
    TestResult { name: name.to_string(), failures, pages: 0, warnings: 0, duration_ms: 0 }
}

/// The datasets that were asked for, or all, by name.
async fn names(tenant: &TenantStore, key: &TemplateKey, asked: Option<Vec<String>>) -> Result<Vec<DatasetName>, ApiError> {
    let limit = u32::try_from(DATASETS_LIMIT).unwrap_or(u32::MAX);
    let all = tenant.template_datasets().list(key, None, limit, 0).await?.ok_or_else(|| unknown(key))?;
    let Some(asked) = asked else { return Ok(all.items.into_iter().map(|dataset| dataset.name).collect()) };
    if asked.len() > DATASETS_LIMIT {
        return Err(ApiError::field("/datasets", format!("must be up to {DATASETS_LIMIT} names")));
    }
    let missing = |name: &str| {
        let said = format!("the template has no dataset \"{}\"", name.chars().take(100).collect::<String>());
        ApiError::new(ErrorCode::DatasetNotFound, said)
    };
    let mut names: Vec<DatasetName> = Vec::with_capacity(asked.len());
    for name in &asked {
        let known = all.items.iter().find(|dataset| dataset.name.as_str() == name).ok_or_else(|| missing(name))?;
        if !names.contains(&known.name) {
            names.push(known.name.clone());
        }
    }
    Ok(names)
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

fn answer(subject: &TestSubject, results: &[TestResult]) -> Value {
    let passed = results.iter().filter(|result| result.failures.is_empty()).count();
    json!({
        "passed": passed == results.len(), "version": subject.version, "total": results.len(),
        "succeeded": passed, "failed": results.len() - passed, "results": results.iter().map(shown).collect::<Vec<_>>(),
    })
}

fn shown(result: &TestResult) -> Value {
    let failures: Vec<IssueBody> = result.failures.iter().cloned().map(|issue: Issue| issue.into()).collect();
    json!({
        "dataset": result.name, "passed": failures.is_empty(), "failures": failures, "pages": result.pages,
        "warnings": result.warnings, "durationMs": result.duration_ms,
    })
}
