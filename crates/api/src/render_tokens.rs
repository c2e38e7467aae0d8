//! Tokens that a web page may hold: so many renders of a few templates, for a while.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::formats::Format;
use domain::ids::RenderTokenId;
use domain::labels::{LATEST, LabelName};
use domain::origins::Origin;
use domain::render_tokens::{Constraint, FormMetadata, RenderAsk, RenderToken};
use domain::signed_tokens::in_milliseconds;
use domain::templates::{TemplateKey, TemplateVersion};
use domain::{Action, ErrorCode};
use jiff::SignedDuration;
use render::{DataSource, RenderRequest, Source, Which};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use store::{TakeOutcome, TenantStore};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Setup;
use crate::auth::Caller;
use crate::body::{JsonBody, Path};
use crate::cors;
use crate::error::ApiError;
use crate::render_body::Wanted;
use crate::router;

/// Renders of a token when nothing is said.
const RENDERS: u32 = 100;

/// A render token to be made.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewRenderToken {
    /// The keys of the templates, 1 to 50.
    #[schema(value_type = Vec<String>)]
    templates: Vec<TemplateKey>,
    /// The label whose version is rendered, whatever the page says; excludes `version`. `@latest` is the current version.
    #[serde(default)]
    label: Option<String>,
    /// The version that is rendered, whatever the page says.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    version: Option<TemplateVersion>,
    /// `pdf` when absent.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    formats: Option<Vec<Format>>,
    /// Renders in all; 100 when absent.
    #[serde(default)]
    max_renders: Option<u32>,
    /// How long the token is valid: 30 to 2,592,000 seconds; an hour when absent.
    #[serde(default)]
    ttl_seconds: Option<u32>,
    /// The pages it works on, such as `https://shop.example`; absent: everywhere, also outside a browser.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    allowed_origins: Vec<Origin>,
    /// Data that the page cannot change. Whoever has the token can read it.
    #[serde(default)]
    #[schema(value_type = Object)]
    fixed_data: Option<Map<String, Value>>,
    /// Whether the form of a template may be asked for.
    #[serde(default)]
    allow_form_metadata: bool,
    /// Whom the token is for, in your own words.
    #[serde(default)]
    subject: Option<String>,
}

/// Makes a render token; the answer is the only place where it is shown. A page sends it as `Authorization: Bearer`.
#[utoipa::path(post, path = "/render-tokens", tag = "render tokens", request_body = NewRenderToken, responses((status = 201, description = "token, tokenId, expiresAt and its limits")))]
pub async fn create(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    JsonBody(body): JsonBody<NewRenderToken>,
) -> Result<Response, ApiError> {
    if let Some(label) = body.label.as_deref().filter(|label| *label != LATEST) {
        label.parse::<LabelName>().map_err(|error| ApiError::field("/label", error.to_string()))?;
    }
    if !caller.may(Action::DocumentRender) {
        return Err(ApiError::new(ErrorCode::Forbidden, "a token renders, and this credential does not"));
    }
    body.templates.iter().try_for_each(|key| caller.reaches(key))?;
    let issued_at = setup.clock.now();
    let ttl_seconds = within("/ttlSeconds", body.ttl_seconds.unwrap_or(RenderToken::DEFAULT_TTL_SECONDS), RenderToken::TTL_SECONDS)?;
    let max_renders = within("/maxRenders", body.max_renders.unwrap_or(RENDERS), 1..=RenderToken::MAX_RENDERS)?;
    let token = RenderToken {
        id: RenderTokenId::generate(),
        tenant: caller.tenant.clone(),
        templates: body.templates,
        formats: body.formats.unwrap_or_else(|| vec![Format::Pdf]),
        label: body.label,
        version: body.version,
        max_renders: NonZeroU32::new(max_renders).unwrap_or(NonZeroU32::MIN),
        issued_at: in_milliseconds(issued_at),
        expires_at: in_milliseconds(issued_at) + SignedDuration::from_secs(i64::from(ttl_seconds)),
        allowed_origins: body.allowed_origins,
        fixed_data: body.fixed_data,
        form_metadata: if body.allow_form_metadata { FormMetadata::Allowed } else { FormMetadata::Refused },
        subject: body.subject,
        issued_by: caller.actor.name.to_string(),
    };
    let text = token.mint(&setup.identity.editor_tokens().secrets.current).map_err(|refusal| ApiError::field("", refusal.to_string()))?;
    setup.store.tenant(caller.tenant).render_tokens().insert(&token, &caller.actor).await?;
    let body = json!({
        "token": text, "tokenId": token.id, "expiresAt": token.expires_at.to_string(), "maxRenders": token.max_renders,
        "templates": token.templates, "formats": token.formats, "label": token.label, "version": token.version,
    });
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// Withdraws a render token.
#[utoipa::path(delete, path = "/render-tokens/{id}", tag = "render tokens", params(("id" = String, Path)), responses((status = 204, description = "It works no more")))]
pub async fn revoke(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let unknown = || ApiError::not_found("there is no such render token");
    let id = Uuid::parse_str(&id).map(RenderTokenId::from).map_err(|_| unknown())?;
    let tenant = setup.store.tenant(caller.tenant.clone());
    let token = tenant.render_tokens().get(id).await?.ok_or_else(unknown)?;
    token.templates.iter().filter_map(|key| key.parse().ok()).try_for_each(|key| caller.reaches(&key))?;
    let known = tenant.render_tokens().revoke(id, &caller.actor).await?;
    setup.identity.changed(&caller.tenant);
    if known { Ok(StatusCode::NO_CONTENT) } else { Err(unknown()) }
}

/// What a browser is told before a page sends a token: which page it is for stands in the token, which comes later.
pub async fn preflight(headers: HeaderMap) -> Response {
    let asked = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).and_then(|asked| asked.to_str().ok()).unwrap_or_default();
    let known = |name: &str| name.is_empty() || OF_PAGES.iter().any(|known| known.eq_ignore_ascii_case(name));
    if asked.split(',').all(|name| known(name.trim())) {
        cors::preflight_for_tokens(OF_PAGES_TEXT)
    } else {
        // A page with another credential is not one of a token.
        router::method_not_allowed().await
    }
}

/// What a page with a token sends.
const OF_PAGES: [&str; 4] = ["authorization", "content-type", "x-correlation-id", "x-request-id"];
const OF_PAGES_TEXT: &str = "Authorization, Content-Type, X-Correlation-Id, X-Request-Id";

/// A render token and the page that sent it.
#[derive(Clone, Debug)]
pub struct RenderTokenUse {
    token: Arc<RenderToken>,
    origin: Option<String>,
}

impl RenderTokenUse {
    pub(crate) fn new(token: RenderToken, origin: Option<String>) -> Self {
        Self { token: Arc::new(token), origin }
    }

    /// Whether the page it came from may read the answer: the token names it, or names none.
    pub(crate) fn is_from_its_page(&self) -> bool {
        let allowed = &self.token.allowed_origins;
        self.origin.as_ref().is_some_and(|origin| allowed.is_empty() || allowed.iter().any(|allowed| allowed.is(origin)))
    }
}

/// One use of a token, taken before its render.
pub(crate) struct Taken {
    tenant: TenantStore,
    id: RenderTokenId,
    form_metadata: FormMetadata,
}

impl Taken {
    /// The use led to no document: it is given back, unless the refused document cost as much as one, and the page is told
    /// no more than it may know. A request that is broken off keeps its use: nobody knows how far it came.
    pub(crate) async fn refused(self, refusal: ApiError) -> ApiError {
        let code = refusal.code();
        // What is wrong with the choice of a page or a table is known when the document is there.
        let is_choice = ["/image/", "/tableId"].iter().any(|path| refusal.message().starts_with(path));
        if !(costs_a_document(code) || is_choice)
            && let Err(error) = self.tenant.render_tokens().give_back(self.id).await
        {
            tracing::warn!(%error, token = %self.id, "a use of a render token was not given back");
        }
        if !is_about_the_template(code, self.form_metadata) {
            return refusal;
        }
        tracing::info!(token = %self.id, code = code.as_str(), message = refusal.message(), "a render with a render token was refused");
        refusal.saying("this template cannot be rendered with this data; its owner finds more in the log, under this requestId")
    }
}

/// Refusals that come after most of the work. Pages that anybody can open must not have them for nothing.
fn costs_a_document(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::TemplateBudgetExceeded
            | ErrorCode::TooManyPages
            | ErrorCode::PdfTooLarge
            | ErrorCode::RenderTimeout
            | ErrorCode::EngineCrash
            | ErrorCode::InternalError
            | ErrorCode::RenderInputTooLarge
            | ErrorCode::NoRenderedTables
            | ErrorCode::AmbiguousTable
    )
}

/// Refusals that quote the template: its expressions and, for a token that does not allow the form to be read, its schema.
fn is_about_the_template(code: ErrorCode, form_metadata: FormMetadata) -> bool {
    match code {
        ErrorCode::TemplateExpressionError
        | ErrorCode::UnresolvedBindings
        | ErrorCode::TemplateBudgetExceeded
        | ErrorCode::AmbiguousTable
        | ErrorCode::AssetBlocked => true,
        ErrorCode::ValidationFailed => form_metadata == FormMetadata::Refused,
        _ => false,
    }
}

/// Narrows a render to what the caller's render token allows, and takes one of its uses. Without a token nothing happens.
pub(crate) async fn take(setup: &Setup, caller: &Caller, request: &mut RenderRequest, wanted: Wanted) -> Result<Option<Taken>, ApiError> {
    let Some(RenderTokenUse { token, origin }) = &caller.render_token else { return Ok(None) };
    narrow(token, origin.as_deref(), request, wanted).map_err(|why| {
        tracing::info!(token = %token.id, %why, "a render token does not allow this");
        ApiError::new(ErrorCode::RenderTokenConstraint, why.to_string())
    })?;
    let tenant = setup.store.tenant(caller.tenant.clone());
    let outcome = tenant.render_tokens().take_one(token.id).await?;
    match outcome {
        TakeOutcome::Taken { left } => {
            tracing::debug!(token = %token.id, left, "one use of a render token");
            Ok(Some(Taken { tenant, id: token.id, form_metadata: token.form_metadata }))
        }
        TakeOutcome::Exhausted => Err(ApiError::new(
            ErrorCode::RenderTokenExhausted,
            format!("this token was for {} renders, and all were made", token.max_renders),
        )),
        TakeOutcome::Revoked | TakeOutcome::Expired | TakeOutcome::Unknown => {
            tracing::info!(token = %token.id, ?outcome, "refused a render token");
            Err(ApiError::new(ErrorCode::Unauthorized, "this token is not valid here").invalid_token())
        }
    }
}

fn narrow(token: &RenderToken, origin: Option<&str>, request: &mut RenderRequest, wanted: Wanted) -> Result<(), Refused> {
    let Source::Stored { key, which, .. } = &mut request.source else { return Err(Refused::Inline) };
    let (label, version) = match which {
        Which::Default => (None, None),
        Which::Current => (Some(LATEST), None),
        Which::Version(version) => (None, Some(*version)),
        // What a label was is not what the token's maker handed out.
        Which::Label { as_of: Some(_), .. } => return Err(Refused::Past),
        Which::Label { label, as_of: None } => (Some(label.as_str()), None),
    };
    let format = match request.format {
        render::Format::Pdf => Format::Pdf,
        render::Format::Html => Format::Html,
        render::Format::Csv => Format::Csv,
        render::Format::Xlsx => Format::Xlsx,
        render::Format::Image => Format::Image,
    };
    token.permits(RenderAsk { template: key, format: Some(format), origin, label, version })?;
    if wanted == Wanted::DryRun {
        return Err(Refused::DryRun);
    }
    if request.output.is_some() {
        return Err(Refused::Output);
    }
    let asked = label.is_some() || version.is_some();
    *which = match (token.version, token.label.as_deref()) {
        (Some(version), _) => Which::Version(version),
        (None, Some(LATEST)) => Which::Current,
        (None, Some(label)) => Which::Label { label: label.parse().map_err(|_| Refused::Label)?, as_of: None },
        // A page that could choose would bring back what was withdrawn from the template since.
        (None, None) if asked => return Err(Refused::Version),
        (None, None) => Which::Default,
    };
    if matches!(request.data, DataSource::Url(_)) {
        return Err(Refused::DataUrl);
    }
    // What comes from elsewhere gets it when it is there.
    if let DataSource::Given(data) = &mut request.data {
        *data = token.with_fixed_data(std::mem::take(data))?;
    }
    request.fixed_data.clone_from(&token.fixed_data);
    Ok(())
}

/// Why a token does not allow a render.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("the token is for stored templates; name one in template")]
    Inline,
    #[error("the token is for the current version of the template; leave version and label out of the request")]
    Version,
    #[error("the token fixes what is no label")]
    Label,
    #[error("the token is for what its label leads to now; leave asOf out of the request")]
    Past,
    #[error("the token is for documents; a dry run describes the template, and needs a key")]
    DryRun,
    #[error("the token is for data that comes with the request; leave dataUrl and dataHeaders out of it")]
    DataUrl,
    #[error("the token is for documents that nobody keeps; leave output out of the request")]
    Output,
    #[error(transparent)]
    Constraint(#[from] Constraint),
}

fn within(path: &str, given: u32, accepted: RangeInclusive<u32>) -> Result<u32, ApiError> {
    if accepted.contains(&given) {
        return Ok(given);
    }
    Err(ApiError::field(path, format!("is {given}; accepted: a whole number from {} to {}", accepted.start(), accepted.end())))
}
