//! Named example data of a template: kept, read, and the list of it.

use axum::Json;
use axum::extract::{Extension, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use domain::template_datasets::{Assertions, DATA_LIMIT_BYTES, DATASETS_LIMIT, DatasetName, TITLE_LIMIT_CHARS};
use domain::template_tags::TemplateTag;
use domain::{ErrorCode, Issue};
use serde::Deserialize;
use serde_json::{Value, json};
use store::{DESCRIPTION_LIMIT_CHARS, DatasetContent, DatasetOutcome, DatasetRecord, DatasetRemoval, DatasetSummary, TAGS_LIMIT};
use utoipa::ToSchema;

use crate::Setup;
use crate::auth::Caller;
use crate::body::{JsonBody, Path, nullable};
use crate::error::ApiError;
use crate::preconditions::expected;
use crate::query::Pairs;
use crate::templates::{known_key, unknown};

/// A dataset to be kept. What is absent stays as it is, `null` takes a text away.
#[expect(clippy::option_option, reason = "absent, null and a value are three things to say")]
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DatasetBody {
    /// An object, as a render takes it.
    #[schema(value_type = Object)]
    data: Value,
    /// For people, up to 255 characters.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    title: Option<Option<String>>,
    /// For people, up to 4,000 characters.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    description: Option<Option<String>>,
    /// Words to find it by, up to 50.
    #[serde(default)]
    tags: Option<Vec<String>>,
    /// The template's schema has to refuse the data: a test of the schema.
    #[serde(default)]
    expect_invalid: Option<bool>,
    /// Previews begin with it; a template has one at most.
    #[serde(default)]
    is_default: Option<bool>,
    /// What a document made of it has to show: `pages` (a number, or `min` and `max`), `contains`, `excludes`, `maxWarnings`.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<Object>)]
    assertions: Option<Option<Value>>,
}

/// The datasets of a template by name, without their data.
#[utoipa::path(get, path = "/templates/{key}/datasets", tag = "templates", params(("key" = String, Path), ("limit" = Option<u32>, Query), ("offset" = Option<u64>, Query), ("tag" = Option<String>, Query)), responses((status = 200, description = "A page of datasets"), (status = 404, description = "Unknown")))]
pub async fn list(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(key): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, ApiError> {
    let (key, pairs) = (known_key(&key)?, Pairs::read(query.as_deref())?);
    let page = pairs.page()?;
    let tag = pairs.filter("tag").map(|tag| tag.parse::<TemplateTag>().map_or(tag, |tag| tag.as_str().to_owned()));
    let found = setup.store.tenant(caller.tenant).template_datasets().list(&key, tag.as_deref(), page.limit, page.offset).await?;
    let found = found.ok_or_else(|| unknown(&key))?;
    let items: Vec<Value> = found.items.iter().map(summary).collect();
    Ok(page.answer(&items, found.total))
}

/// A dataset with its data.
#[utoipa::path(get, path = "/templates/{key}/datasets/{name}", tag = "templates", params(("key" = String, Path), ("name" = String, Path)), responses((status = 200, description = "The dataset"), (status = 404, description = "Unknown")))]
pub async fn get(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path((key, name)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let (key, name) = (known_key(&key)?, known_name(&name)?);
    let found = setup.store.tenant(caller.tenant).template_datasets().get(&key, &name).await?;
    found.as_ref().map(record).map(Json).ok_or_else(|| unknown_dataset(&name))
}

/// Keeps a dataset. With `If-Match: "<revision>"` only if that is what there is; `"0"` only if there is none.
#[utoipa::path(put, path = "/templates/{key}/datasets/{name}", tag = "templates", params(("key" = String, Path), ("name" = String, Path), ("If-Match" = Option<String>, Header)), request_body = DatasetBody, responses((status = 200, description = "Kept"), (status = 409, description = "The template has 100 of them"), (status = 412, description = "Another revision is there"), (status = 422, description = "Not acceptable")))]
pub async fn put(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path((key, name)): Path<(String, String)>,
    headers: HeaderMap,
    JsonBody(body): JsonBody<DatasetBody>,
) -> Result<Json<Value>, ApiError> {
    let key = known_key(&key)?;
    let name: DatasetName = name
        .parse()
        .map_err(|error: domain::template_datasets::InvalidDatasetName| ApiError::new(ErrorCode::DatasetNameInvalid, error.to_string()))?;
    let expected = expected_revision(&headers)?;
    let tags = checked(&body)?;
    let content = DatasetContent {
        data: &body.data,
        title: body.title.as_ref().map(Option::as_deref),
        description: body.description.as_ref().map(Option::as_deref),
        tags: tags.as_deref(),
        expect_invalid: body.expect_invalid,
        is_default: body.is_default,
        assertions: body.assertions.as_ref().map(Option::as_ref),
    };
    let datasets = setup.store.tenant(caller.tenant);
    match datasets.template_datasets().put(&key, &name, expected, content, &caller.actor).await? {
        DatasetOutcome::Written(kept) => Ok(Json(record(&kept))),
        DatasetOutcome::NotFound => Err(unknown(&key)),
        DatasetOutcome::Stale { current } => Err(stale(&name, current)),
        DatasetOutcome::TooMany => {
            let said = format!("a template has up to {DATASETS_LIMIT} datasets, and \"{key}\" has them; delete one first");
            Err(ApiError::new(ErrorCode::DatasetLimitExceeded, said))
        }
    }
}

/// Removes a dataset. With `If-Match: "<revision>"` only if that is what there is.
#[utoipa::path(delete, path = "/templates/{key}/datasets/{name}", tag = "templates", params(("key" = String, Path), ("name" = String, Path), ("If-Match" = Option<String>, Header)), responses((status = 204, description = "Removed"), (status = 404, description = "Unknown"), (status = 412, description = "Another revision is there")))]
pub async fn delete(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path((key, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    let (key, name) = (known_key(&key)?, known_name(&name)?);
    let expected = expected_revision(&headers)?;
    match setup.store.tenant(caller.tenant).template_datasets().delete(&key, &name, expected, &caller.actor).await? {
        DatasetRemoval::Removed => Ok(StatusCode::NO_CONTENT),
        DatasetRemoval::NotFound => Err(unknown_dataset(&name)),
        DatasetRemoval::Stale { current } => Err(stale(&name, current)),
    }
}

/// The tags as they are kept; everything else about the body is only looked at.
fn checked(body: &DatasetBody) -> Result<Option<Vec<String>>, ApiError> {
    let mut issues = Vec::new();
    if !body.data.is_object() {
        issues.push(Issue::new("/data", "must be an object"));
    } else if body.data.to_string().len() > DATA_LIMIT_BYTES {
        issues.push(Issue::new("/data", format!("is larger than {DATA_LIMIT_BYTES} bytes of JSON, the most that a dataset has")));
    }
    let mut text = |path: &str, given: &Option<Option<String>>, limit: usize| {
        if let Some(Some(text)) = given
            && (text.is_empty() || text.contains('\0') || text.chars().count() > limit)
        {
            issues.push(Issue::new(path, format!("must have 1 to {limit} characters and no NUL; null takes it away")));
        }
    };
    text("/title", &body.title, TITLE_LIMIT_CHARS);
    text("/description", &body.description, DESCRIPTION_LIMIT_CHARS);
    if let Some(Some(assertions)) = &body.assertions
        && let Err(refused) = Assertions::from_json(assertions, "/assertions")
    {
        issues.extend(refused);
    }
    let tags = body.tags.as_ref().map(|tags| tags.iter().map(|tag| tag.parse::<TemplateTag>()).collect::<Result<Vec<_>, _>>());
    let tags = match tags.transpose() {
        Ok(tags) => tags.map(TemplateTag::distinct),
        Err(error) => {
            issues.push(Issue::new("/tags", error.to_string()));
            None
        }
    };
    if tags.as_ref().is_some_and(|tags| tags.len() > TAGS_LIMIT) {
        issues.push(Issue::new("/tags", format!("must be up to {TAGS_LIMIT} tags")));
    }
    if issues.is_empty() { Ok(tags) } else { Err(ApiError::invalid(ErrorCode::ValidationFailed, issues)) }
}

fn expected_revision(headers: &HeaderMap) -> Result<Option<u32>, ApiError> {
    expected(headers, "one revision in double quotes, such as \"3\"; \"0\" keeps the dataset only if there is none yet")
}

fn stale(name: &DatasetName, current: u32) -> ApiError {
    let said = match current {
        0 => format!("there is no dataset \"{name}\"; send If-Match: \"0\" to make it"),
        current => {
            format!("dataset \"{name}\" is at revision {current}; read it, merge your change and send If-Match: \"{current}\"")
        }
    };
    ApiError::new(ErrorCode::PreconditionFailed, said)
}

fn known_name(text: &str) -> Result<DatasetName, ApiError> {
    text.parse().map_err(|_| ApiError::new(ErrorCode::DatasetNotFound, "the template has no such dataset"))
}

pub(crate) fn unknown_dataset(name: &DatasetName) -> ApiError {
    ApiError::new(ErrorCode::DatasetNotFound, format!("the template has no dataset \"{name}\""))
}

fn summary(dataset: &DatasetSummary) -> Value {
    json!({
        "name": dataset.name, "revision": dataset.revision, "title": dataset.title, "description": dataset.description,
        "tags": dataset.tags, "expectInvalid": dataset.expect_invalid, "isDefault": dataset.is_default,
        "assertions": dataset.assertions, "createdAt": dataset.created_at, "createdBy": dataset.created_by,
        "updatedAt": dataset.updated_at, "updatedBy": dataset.updated_by,
    })
}

fn record(dataset: &DatasetRecord) -> Value {
    let mut answer = summary(&dataset.summary);
    answer["data"] = dataset.data.clone();
    answer
}
