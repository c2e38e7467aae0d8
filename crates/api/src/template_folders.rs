//! Folders of templates.

use axum::Json;
use axum::extract::{Extension, RawQuery, State};
use axum::http::StatusCode;
use domain::ErrorCode;
use domain::template_folders::{FOLDER_DEPTH_LIMIT, FOLDERS_LIMIT, FolderName, InvalidFolderName};
use serde::Deserialize;
use serde_json::{Value, json};
use store::{FolderOutcome, FolderPatch, FolderPlace, FolderRecord};

use crate::Setup;
use crate::auth::Caller;
use crate::body::{JsonBody, Path, nullable};
use crate::error::ApiError;
use crate::query::Pairs;
use crate::template_meta::{known_folder, no_such_folder};

/// A folder to make.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewFolderBody {
    /// 1 to 128 characters.
    name: String,
    /// The folder it lies in; null for the top.
    #[serde(default)]
    parent_id: Option<String>,
}

/// What is to change; what is absent stays.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(clippy::option_option, reason = "absent, null and a value are three things to say")]
pub struct FolderPatchBody {
    /// Another name, 1 to 128 characters.
    #[serde(default)]
    name: Option<String>,
    /// Another folder to lie in; null for the top.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    parent_id: Option<Option<String>>,
}

/// Lists the folders by path.
#[utoipa::path(get, path = "/template-folders", tag = "templates", params(("limit" = Option<u32>, Query), ("offset" = Option<u64>, Query)), responses((status = 200, description = "A page: items, total, limit, offset")))]
pub async fn list(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, ApiError> {
    let page = Pairs::read(query.as_deref())?.page()?;
    let folders = setup.store.tenant(caller.tenant).template_folders().list(caller.templates.as_deref(), page.limit, page.offset).await?;
    let items: Vec<Value> = folders.items.iter().map(shown).collect();
    Ok(page.answer(&items, folders.total))
}

/// Makes a folder.
#[utoipa::path(post, path = "/template-folders", tag = "templates", request_body = NewFolderBody, responses((status = 201, description = "The folder"), (status = 404, description = "There is no folder to put it into"), (status = 409, description = "A folder of that name is there (`folder_exists`), or the tenant has as many as it may have (`quota_exceeded`)"), (status = 422, description = "The name is not acceptable, or it would lie too deep (`folder_depth_exceeded`)")))]
pub async fn create(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    JsonBody(body): JsonBody<NewFolderBody>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    caller.is_for_all_templates()?;
    let (name, place) = (name(&body.name)?, place(body.parent_id.as_deref())?);
    let outcome = setup.store.tenant(caller.tenant).template_folders().insert(&name, place, &caller.actor).await?;
    Ok((StatusCode::CREATED, Json(shown(&written(outcome)?))))
}

/// Renames or moves a folder, with all that lies in it.
#[utoipa::path(patch, path = "/template-folders/{id}", tag = "templates", params(("id" = String, Path)), request_body = FolderPatchBody, responses((status = 200, description = "The folder"), (status = 404, description = "There is no such folder, or none to put it into"), (status = 409, description = "A folder of that name is there (`folder_exists`), or it would lie in itself (`folder_cycle`)"), (status = 422, description = "The name is not acceptable, or it would lie too deep (`folder_depth_exceeded`)")))]
pub async fn update(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    JsonBody(body): JsonBody<FolderPatchBody>,
) -> Result<Json<Value>, ApiError> {
    caller.is_for_all_templates()?;
    let id = known_folder(&id)?;
    let patch = FolderPatch {
        name: body.name.as_deref().map(name).transpose()?,
        parent: body.parent_id.map(|parent| place(parent.as_deref())).transpose()?,
    };
    let outcome = setup.store.tenant(caller.tenant).template_folders().update(id, &patch, &caller.actor).await?;
    Ok(Json(shown(&written(outcome)?)))
}

/// Removes a folder in which nothing lies.
#[utoipa::path(delete, path = "/template-folders/{id}", tag = "templates", params(("id" = String, Path)), responses((status = 204, description = "Gone"), (status = 404, description = "There is no such folder"), (status = 409, description = "Something lies in it (`folder_not_empty`)")))]
pub async fn delete(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    caller.is_for_all_templates()?;
    let outcome = setup.store.tenant(caller.tenant).template_folders().delete(known_folder(&id)?, &caller.actor).await?;
    written(outcome)?;
    Ok(StatusCode::NO_CONTENT)
}

fn name(text: &str) -> Result<FolderName, ApiError> {
    text.parse().map_err(|error: InvalidFolderName| ApiError::field("/name", error.to_string()))
}

fn place(parent: Option<&str>) -> Result<FolderPlace, ApiError> {
    parent.map_or(Ok(FolderPlace::Top), |parent| known_folder(parent).map(FolderPlace::In))
}

fn written<T>(outcome: FolderOutcome<T>) -> Result<T, ApiError> {
    let refused = |code, message: String| Err(ApiError::new(code, message));
    match outcome {
        FolderOutcome::Written(what) => Ok(what),
        FolderOutcome::NotFound => Err(no_such_folder()),
        FolderOutcome::ParentNotFound => refused(ErrorCode::FolderNotFound, "parentId names no folder".to_owned()),
        FolderOutcome::Exists => refused(
            ErrorCode::FolderExists,
            "a folder of that name is there already; upper and lower case do not tell them apart".to_owned(),
        ),
        FolderOutcome::Cycle => {
            refused(ErrorCode::FolderCycle, "a folder cannot go into itself or into a folder that lies in it".to_owned())
        }
        FolderOutcome::TooDeep => {
            refused(ErrorCode::FolderDepthExceeded, format!("folders lie at most {FOLDER_DEPTH_LIMIT} deep in each other"))
        }
        FolderOutcome::TooMany => refused(ErrorCode::QuotaExceeded, format!("a tenant has at most {FOLDERS_LIMIT} folders")),
        FolderOutcome::NotEmpty => {
            refused(ErrorCode::FolderNotEmpty, "templates or folders lie in it; move or delete them first".to_owned())
        }
    }
}

fn shown(folder: &FolderRecord) -> Value {
    json!({
        "id": folder.id, "parentId": folder.parent_id, "name": folder.name, "path": folder.path, "templateCount": folder.template_count,
        "createdAt": folder.created_at, "createdBy": folder.created_by, "updatedAt": folder.updated_at,
    })
}
