//! What is said about a template beside its definition, and the tags in use.

use axum::Json;
use axum::extract::{Extension, RawQuery, State};
use axum::http::HeaderMap;
use domain::ids::FolderId;
use domain::invisible::is_invisible;
use domain::template_tags::{InvalidTemplateTag, TemplateTag};
use domain::{ErrorCode, Issue};
use serde::Deserialize;
use serde_json::{Value, json};
use store::{FolderPlace, MetaOutcome, MetaPatch, OWNER_LIMIT_CHARS, Owner, TAGS_LIMIT};
use uuid::Uuid;

use crate::Setup;
use crate::auth::Caller;
use crate::body::{JsonBody, Path, nullable};
use crate::error::ApiError;
use crate::preconditions::takes_no_condition;
use crate::query::Pairs;
use crate::templates::{known_key, summary, unknown};

/// What is to change; what is absent stays, and null takes away.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(clippy::option_option, reason = "absent, null and a value are three things to say")]
pub struct MetaBody {
    /// Another folder; null for the top.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    folder_id: Option<Option<String>>,
    /// These tags instead of all others; null for none.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<Vec<String>>)]
    tags: Option<Option<Vec<String>>>,
    /// Another owner, 1 to 255 characters; null for none.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    owner: Option<Option<String>>,
}

/// Changes folder, tags or owner of a template. No version is made.
#[utoipa::path(patch, path = "/templates/{key}/meta", tag = "templates", params(("key" = String, Path)), request_body = MetaBody, responses((status = 200, description = "The template as a list shows it"), (status = 400, description = "With If-Match, which this operation does not take, or not acceptable"), (status = 404, description = "No such template, or no such folder (`folder_not_found`)"), (status = 422, description = "A tag or the owner is not acceptable")))]
pub async fn update(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(key): Path<String>,
    headers: HeaderMap,
    JsonBody(body): JsonBody<MetaBody>,
) -> Result<Json<Value>, ApiError> {
    takes_no_condition(&headers)?;
    let key = known_key(&key)?;
    let patch = patch(body)?;
    let templates = setup.store.tenant(caller.tenant.clone());
    match templates.templates().set_meta(&key, &patch, caller.templates.as_deref(), &caller.actor).await? {
        MetaOutcome::NotFound => Err(unknown(&key)),
        MetaOutcome::FolderNotFound => Err(no_such_folder()),
        MetaOutcome::Written(now) => Ok(Json(summary(&now))),
    }
}

/// Lists the tags in use with the number of templates that have each.
#[utoipa::path(get, path = "/template-tags", tag = "templates", params(("q" = Option<String>, Query, description = "part of the tag"), ("limit" = Option<u32>, Query), ("offset" = Option<u64>, Query)), responses((status = 200, description = "A page of tag and count")))]
pub async fn tags(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, ApiError> {
    let pairs = Pairs::read(query.as_deref())?;
    let page = pairs.page()?;
    let q = pairs.filter("q");
    let tenant = setup.store.tenant(caller.tenant);
    let found = tenant.templates().tags(q.as_deref(), caller.templates.as_deref(), page.limit, page.offset).await?;
    let items: Vec<Value> = found.items.iter().map(|tag| json!({ "tag": tag.tag, "count": tag.templates })).collect();
    Ok(page.answer(&items, found.total))
}

pub(crate) fn no_such_folder() -> ApiError {
    ApiError::new(ErrorCode::FolderNotFound, "there is no such folder")
}

/// The id of a folder in a body or a path. What is no id names no folder either.
pub(crate) fn known_folder(text: &str) -> Result<FolderId, ApiError> {
    text.parse::<Uuid>().map(FolderId::from).map_err(|_| no_such_folder())
}

fn patch(body: MetaBody) -> Result<MetaPatch, ApiError> {
    let folder = match body.folder_id {
        None => None,
        Some(None) => Some(FolderPlace::Top),
        Some(Some(id)) => Some(FolderPlace::In(known_folder(&id)?)),
    };
    let tags = body.tags.map(|tags| checked_tags(&tags.unwrap_or_default())).transpose()?;
    let owner = match body.owner {
        None => None,
        Some(None) => Some(Owner::Nobody),
        Some(Some(owner)) => {
            let owner = owner.trim();
            if owner.is_empty() || owner.chars().count() > OWNER_LIMIT_CHARS || owner.contains(is_invisible) {
                return Err(ApiError::field(
                    "/owner",
                    "has 1 to 255 characters and no control or invisible characters; null takes it away",
                ));
            }
            Some(Owner::Named(owner.to_owned()))
        }
    };
    Ok(MetaPatch { folder, tags, owner })
}

fn checked_tags(given: &[String]) -> Result<Vec<String>, ApiError> {
    let (mut tags, mut issues) = (Vec::new(), Vec::new());
    for (place, text) in given.iter().enumerate() {
        match text.parse::<TemplateTag>() {
            Ok(tag) => tags.push(tag),
            Err(error @ InvalidTemplateTag) => issues.push(Issue::new(format!("/tags/{place}"), error.to_string())),
        }
    }
    if !issues.is_empty() {
        return Err(ApiError::invalid(ErrorCode::ValidationFailed, issues));
    }
    let tags = TemplateTag::distinct(tags);
    if tags.len() > TAGS_LIMIT {
        return Err(ApiError::field("/tags", format!("has {} different tags; a template has at most {TAGS_LIMIT}", tags.len())));
    }
    Ok(tags)
}
