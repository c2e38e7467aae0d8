//! Assets: uploaded, read, changed and removed.

use axum::Json;
use axum::extract::{Extension, RawQuery, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::assets::{
    ASSET_ALT_TEXT_LIMIT_CHARS, ASSET_PATH, ASSET_TAG_LIMIT_CHARS, ASSET_TAGS_LIMIT, AssetFile, AssetFolder, AssetKind, AssetSlug,
};
use domain::ids::AssetId;
use domain::{ErrorCode, Issue};
use render::{AssetDetails, Upload};
use serde::Deserialize;
use serde_json::{Value, json};
use store::{
    AssetFilter, AssetInUse, AssetOutcome, AssetPatch, AssetRecord, AssetSort, AssetUsage, AssetUser, Facet, SortOrder, Subfolders,
};

use crate::Setup;
use crate::asset_upload::receive;
use crate::auth::Caller;
use crate::body::{JsonBody, Path, nullable};
use crate::error::ApiError;
use crate::idempotency::{Attempt, hash_of_parts, once};
use crate::preconditions::{etag, expected};
use crate::query::{Pairs, Switch, refused};

/// Uploads a file as a new asset: multipart, with the part `file` and optionally `folder`, `tags` (with commas) and `altText`.
#[utoipa::path(post, path = "/assets/upload", tag = "assets", request_body(content_type = "multipart/form-data", content = Value), params(("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, description = "The asset; ETag is its version"), (status = 413, description = "The file is too large"), (status = 415, description = "The type is not accepted, or not the declared one")))]
pub async fn upload(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    attempt: Attempt,
    request: Request,
) -> Result<Response, ApiError> {
    let received = receive(&setup, request, &["folder", "tags", "altText"]).await?;
    let field = |name: &str| received.fields.get(name).map(String::as_str).filter(|text| !text.trim().is_empty());
    let mut issues = Vec::new();
    let details = AssetDetails {
        alt_text: field("altText").map(|text| checked_alt_text(text, &mut issues)),
        tags: checked_tags(field("tags").into_iter().flat_map(|tags| tags.split(',')), &mut issues),
        folder: field("folder").and_then(|text| checked_folder(text, &mut issues)),
    };
    refuse(issues)?;
    let upload = received.upload;
    let fields = || received.fields.iter().flat_map(|(name, text)| [name.as_bytes(), text.as_bytes()]);
    let file = [upload.file_name.as_bytes(), upload.declared_type.as_deref().unwrap_or_default().as_bytes(), &upload.sha256];
    // Not the body as it came, whose boundaries differ from one attempt to the next.
    match attempt.of(&caller, || hash_of_parts(file.into_iter().chain(fields())))? {
        None => add(&setup, &caller, upload, &details).await,
        Some(named) => {
            let its_setup = setup.clone();
            let work = |caller: Caller| async move { add(&its_setup, &caller, upload, &details).await.into_response() };
            Ok(once(&setup, &caller, named, work).await)
        }
    }
}

async fn add(setup: &Setup, caller: &Caller, upload: Upload, details: &AssetDetails) -> Result<Response, ApiError> {
    let outcome = setup.renderer.assets().add(&caller.tenant, upload, details, &caller.actor).await?;
    let made = written(outcome, None)?;
    Ok((StatusCode::CREATED, [(header::ETAG, etag(made.version))], Json(summary(setup, &made))).into_response())
}

/// Lists assets.
#[utoipa::path(get, path = "/assets", tag = "assets",
    params(("limit" = Option<u32>, Query), ("offset" = Option<u64>, Query), ("q" = Option<String>, Query, description = "part of slug, file name or altText"),
        ("mimeType" = Option<String>, Query), ("kind" = Option<String>, Query, description = "image, font or document"), ("tag" = Option<Vec<String>>, Query), ("folder" = Option<String>, Query),
        ("recursive" = Option<bool>, Query), ("legacySvg" = Option<bool>, Query), ("sort" = Option<String>, Query, description = "createdAt, updatedAt, name or sizeBytes"), ("order" = Option<String>, Query), ("include" = Option<String>, Query, description = "usage")),
    responses((status = 200, description = "A page: items, total, limit, offset")))]
pub async fn list(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, ApiError> {
    let pairs = Pairs::read(query.as_deref())?;
    let page = pairs.page()?;
    let filter = AssetFilter { limit: page.limit, offset: page.offset, ..filter(&pairs)? };
    let with_usage = match pairs.text("include") {
        None => false,
        Some("usage") => true,
        Some(other) => return Err(refused("include", other, "usage")),
    };
    let tenant = setup.store.tenant(caller.tenant);
    let found = tenant.assets().list(&filter).await?;
    let mut items: Vec<Value> = found.items.iter().map(|asset| summary(&setup, asset)).collect();
    if with_usage {
        let counts = tenant.assets().usage_counts(&found.items).await?;
        for (item, count) in items.iter_mut().zip(counts) {
            item["usageCount"] = json!(count);
        }
    }
    Ok(page.answer(&items, found.total))
}

/// The folders and tags in use, with how many assets have each.
#[utoipa::path(get, path = "/assets/facets", tag = "assets", responses((status = 200, description = "folders and tags, each with value and count")))]
pub async fn facets(State(setup): State<Setup>, Extension(caller): Extension<Caller>) -> Result<Json<Value>, ApiError> {
    let facets = setup.store.tenant(caller.tenant).assets().facets().await?;
    let listed = |name: &str, facets: &[Facet]| -> Vec<Value> {
        facets.iter().map(|facet| json!({ name: facet.value, "count": facet.count })).collect()
    };
    Ok(Json(json!({ "folders": listed("folder", &facets.folders), "tags": listed("tag", &facets.tags) })))
}

/// One asset, and which templates name it.
#[utoipa::path(get, path = "/assets/{id}/details", tag = "assets", params(("id" = String, Path)), responses((status = 200, description = "The asset with referencedBy; ETag is its version"), (status = 404, description = "Unknown")))]
pub async fn details(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let id = known_id(&id)?;
    let tenant = setup.store.tenant(caller.tenant);
    let asset = tenant.assets().get(id).await?.ok_or_else(unknown)?;
    let usage = tenant.assets().usage(id).await?.unwrap_or_default();
    let mut body = summary(&setup, &asset);
    body["usageCount"] = json!(usage.total);
    body["referencedBy"] = users(&usage.named_by);
    let named = |user: &AssetUser| json!({ "key": user.key, "name": user.name, "currentVersion": user.current_version });
    body["dynamicReferenceTemplates"] = usage.dynamic.iter().map(named).collect();
    body["referenceScan"] = json!({
        "complete": usage.dynamic.is_empty(), "listed": usage.named_by.len(), "total": usage.total,
        "covers": "current versions, versions with a label or a label's move to come, and versions that others ask for by number",
    });
    Ok(([(header::ETAG, etag(asset.version))], Json(body)).into_response())
}

/// What to change about an asset. What is absent stays; null takes away.
#[expect(clippy::option_option, reason = "absent, null and a value are three things to say")]
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PatchBody {
    /// Another slug.
    slug: Option<String>,
    /// Words for readers who do not see it.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    alt_text: Option<Option<String>>,
    /// All tags.
    tags: Option<Vec<String>>,
    /// Where people put it.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    folder: Option<Option<String>>,
}

/// Changes what is said about an asset. Another slug needs `force=true` where templates name the asset by its old one.
#[utoipa::path(patch, path = "/assets/{id}", tag = "assets", params(("id" = String, Path), ("force" = Option<bool>, Query), ("If-Match" = Option<String>, Header)), request_body = PatchBody, responses((status = 200, description = "The asset"), (status = 404, description = "Unknown"), (status = 409, description = "The slug is another asset's, or templates name the old one"), (status = 412, description = "Another version is current")))]
pub async fn update(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    JsonBody(body): JsonBody<PatchBody>,
) -> Result<Response, ApiError> {
    let (id, in_use, expected) = (known_id(&id)?, forced(query.as_deref())?, expected_version(&headers)?);
    let mut issues = Vec::new();
    let slug = body.slug.and_then(|slug| match slug.parse::<AssetSlug>() {
        Ok(slug) => Some(slug),
        Err(error) => {
            issues.push(Issue::new("/slug", error.to_string()));
            None
        }
    });
    let present = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
    let patch = AssetPatch {
        slug: slug.clone(),
        alt_text: body.alt_text.map(|text| present(text).map(|text| checked_alt_text(&text, &mut issues))),
        tags: body.tags.map(|tags| checked_tags(tags.iter().map(String::as_str), &mut issues)),
        folder: body.folder.map(|folder| present(folder).and_then(|folder| checked_folder(&folder, &mut issues))),
    };
    refuse(issues)?;
    let outcome = setup.store.tenant(caller.tenant.clone()).assets().update(id, expected, patch, in_use, &caller.actor).await?;
    setup.renderer.assets().changed(&caller.tenant).await;
    Ok(answer(&setup, &written(outcome, slug.as_ref())?))
}

/// Removes an asset with all its versions; with `force=true` also where templates name it, which then no longer render.
#[utoipa::path(delete, path = "/assets/{id}", tag = "assets", params(("id" = String, Path), ("force" = Option<bool>, Query), ("If-Match" = Option<String>, Header)), responses((status = 204, description = "Gone"), (status = 404, description = "Unknown"), (status = 409, description = "Templates name it: referencedBy lists them"), (status = 412, description = "Another version is current")))]
pub async fn delete(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    let (id, in_use, expected) = (known_id(&id)?, forced(query.as_deref())?, expected_version(&headers)?);
    let outcome = setup.store.tenant(caller.tenant.clone()).assets().delete(id, expected, in_use, &caller.actor).await?;
    setup.renderer.assets().changed(&caller.tenant).await;
    written(outcome, None).map(|()| StatusCode::NO_CONTENT)
}

/// What a font says about itself.
#[utoipa::path(get, path = "/assets/{id}/font-info", tag = "assets", params(("id" = String, Path)), responses((status = 200, description = "family, subfamily, weight, style, format and embeddable"), (status = 404, description = "Unknown"), (status = 422, description = "The asset is no font")))]
pub async fn font_info(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let current = setup.store.tenant(caller.tenant).asset_versions().get_current(known_id(&id)?).await?.ok_or_else(unknown)?;
    let no_font = || ApiError::new(ErrorCode::ValidationFailed, format!("the asset is {} and no font", current.content.mime_type));
    Ok(Json(json!(current.content.font.as_ref().ok_or_else(no_font)?)))
}

/// An id from a path. What is no id names no asset either.
pub(crate) fn known_id(text: &str) -> Result<AssetId, ApiError> {
    uuid::Uuid::try_parse(text).map(AssetId::from).map_err(|_| unknown())
}

pub(crate) fn unknown() -> ApiError {
    ApiError::not_found("there is no such asset")
}

/// The version in `If-Match`, if there is one.
pub(crate) fn expected_version(headers: &HeaderMap) -> Result<Option<u32>, ApiError> {
    expected(headers, "one version in double quotes, such as \"7\"; *, weak tags and lists are not accepted")
}

/// The answer that is an asset.
pub(crate) fn answer(setup: &Setup, asset: &AssetRecord) -> Response {
    ([(header::ETAG, etag(asset.version))], Json(summary(setup, asset))).into_response()
}

/// What was written, or why nothing was.
pub(crate) fn written<T>(outcome: AssetOutcome<T>, slug: Option<&AssetSlug>) -> Result<T, ApiError> {
    Err(match outcome {
        AssetOutcome::Written(what) => return Ok(what),
        AssetOutcome::NotFound => unknown(),
        AssetOutcome::VersionNotFound => ApiError::not_found("the asset has no such version; versions are counted from 1"),
        AssetOutcome::Stale { current } => ApiError::new(
            ErrorCode::PreconditionFailed,
            format!("the current version of the asset is {current}; look at it and send If-Match: \"{current}\""),
        ),
        AssetOutcome::SlugTaken => {
            let slug = slug.map_or("", AssetSlug::as_str);
            ApiError::new(ErrorCode::AssetSlugConflict, format!("another asset has the slug \"{slug}\"; choose another one"))
        }
        AssetOutcome::InUse(usage) => in_use(&usage),
        AssetOutcome::OverQuota(standing) => ApiError::new(
            ErrorCode::QuotaExceeded,
            format!(
                "the tenant keeps {} of the {} bytes it may keep; remove assets, or have the limit raised",
                standing.used, standing.limit
            ),
        )
        .quota(standing),
    })
}

fn in_use(usage: &AssetUsage) -> ApiError {
    let keys: Vec<&str> = usage.named_by.iter().take(5).map(|user| user.key.as_str()).collect();
    let more = usage.total.saturating_sub(keys.len() as u64);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let said = format!("templates name this asset: {}{more}; change them first, or send force=true", keys.join(", "));
    ApiError::new(ErrorCode::AssetInUse, said).referenced_by(users(&usage.named_by))
}

fn users(users: &[AssetUser]) -> Value {
    let user = |user: &AssetUser| {
        json!({
            "key": user.key, "name": user.name, "currentVersion": user.current_version, "via": user.via, "nodeIds": user.node_ids,
        })
    };
    users.iter().map(user).collect()
}

/// An asset as lists and answers show it.
pub(crate) fn summary(setup: &Setup, asset: &AssetRecord) -> Value {
    let file = AssetFile::new(asset.asset_id, asset.content_hash, &asset.mime_type).to_string();
    json!({
        "id": asset.asset_id, "slug": asset.slug, "filename": file, "url": address(setup, &file),
        "originalName": asset.original_name, "kind": asset.kind.as_str(), "mimeType": asset.mime_type, "sizeBytes": asset.size_bytes,
        "contentHash": asset.content_hash.to_string(), "version": asset.version, "svgSanitized": asset.svg_sanitized,
        "altText": asset.alt_text, "tags": asset.tags, "folder": asset.folder, "createdAt": asset.created_at, "createdBy": asset.created_by,
        "updatedAt": asset.updated_at, "updatedBy": asset.updated_by,
    })
}

/// Where a file is delivered: under the operator's address, where there is one, and else on this server.
pub(crate) fn address(setup: &Setup, file: &str) -> String {
    format!("{}{ASSET_PATH}{file}", setup.assets_base_url.as_deref().unwrap_or_default())
}

fn forced(query: Option<&str>) -> Result<AssetInUse, ApiError> {
    let forced = Pairs::read(query)?.switch("force", Switch::Off)?;
    Ok(if forced { AssetInUse::Override } else { AssetInUse::Refuse })
}

fn refuse(issues: Vec<Issue>) -> Result<(), ApiError> {
    if issues.is_empty() { Ok(()) } else { Err(ApiError::invalid(ErrorCode::ValidationFailed, issues)) }
}

fn checked_alt_text(text: &str, issues: &mut Vec<Issue>) -> String {
    if text.chars().count() > ASSET_ALT_TEXT_LIMIT_CHARS || text.contains('\0') {
        issues.push(Issue::new("/altText", format!("has at most {ASSET_ALT_TEXT_LIMIT_CHARS} characters and no NUL")));
    }
    text.to_owned()
}

/// Tags without blanks around them, each once.
fn checked_tags<'a>(given: impl Iterator<Item = &'a str>, issues: &mut Vec<Issue>) -> Vec<String> {
    let mut tags: Vec<String> = Vec::new();
    for tag in given.map(str::trim).filter(|tag| !tag.is_empty()) {
        if tag.chars().count() > ASSET_TAG_LIMIT_CHARS || tag.contains(|character: char| character.is_control() || character == ',') {
            issues.push(Issue::new("/tags", format!("a tag has at most {ASSET_TAG_LIMIT_CHARS} characters, no comma and no controls")));
        } else if !tags.iter().any(|known| known == tag) {
            tags.push(tag.to_owned());
        }
    }
    if tags.len() > ASSET_TAGS_LIMIT {
        issues.push(Issue::new("/tags", format!("an asset has at most {ASSET_TAGS_LIMIT} tags")));
    }
    tags
}

fn checked_folder(text: &str, issues: &mut Vec<Issue>) -> Option<AssetFolder> {
    text.parse().map_err(|error: domain::assets::InvalidAssetFolder| issues.push(Issue::new("/folder", error.to_string()))).ok()
}

fn filter(pairs: &Pairs) -> Result<AssetFilter, ApiError> {
    let usual = AssetFilter::default();
    let kind = match pairs.text("kind") {
        None => None,
        Some(word) => Some(AssetKind::from_word(word).ok_or_else(|| refused("kind", word, "image, font, document"))?),
    };
    let sort = match pairs.text("sort") {
        None | Some("createdAt") => AssetSort::CreatedAt,
        Some("updatedAt") => AssetSort::UpdatedAt,
        Some("name") => AssetSort::Name,
        Some("sizeBytes") => AssetSort::SizeBytes,
        Some(other) => return Err(refused("sort", other, "createdAt, updatedAt, name, sizeBytes")),
    };
    let order = match pairs.text("order") {
        // Times begin with the newest, names and sizes with the smallest.
        None if matches!(sort, AssetSort::Name | AssetSort::SizeBytes) => SortOrder::Ascending,
        None | Some("desc") => SortOrder::Descending,
        Some("asc") => SortOrder::Ascending,
        Some(other) => return Err(refused("order", other, "asc, desc")),
    };
    let folder = match pairs.text("folder") {
        None => None,
        Some(text) => Some(text.parse().map_err(|error: domain::assets::InvalidAssetFolder| refused("folder", text, &error.to_string()))?),
    };
    let legacy = pairs.text("legacySvg").map(|_| pairs.switch("legacySvg", Switch::Off)).transpose()?;
    Ok(AssetFilter {
        q: pairs.filter("q"),
        mime_type: pairs.filter("mimeType"),
        kind,
        tags: pairs.all().iter().filter(|(name, _)| name == "tag").map(|(_, tag)| tag.replace('\0', "\u{FFFD}")).collect(),
        folder,
        subfolders: if pairs.switch("recursive", Switch::Off)? { Subfolders::With } else { Subfolders::Without },
        uncleaned_svg: legacy,
        sort,
        order,
        ..usual
    })
}
