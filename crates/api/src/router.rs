//! The table of contents: every route, under the action it needs.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderValue, Uri, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, options, post};
use domain::{Action, ErrorCode};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::decompression::RequestDecompressionLayer;
use utoipa::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth;
use crate::bodies::{self, Bodies};
use crate::error::ApiError;
use crate::form_fields;
use crate::{
    Docs, Setup, api_keys, asset_content, assets, audit, batch_jobs, batches, bindings, capabilities, clients, cluster, cors,
    data_conversion, datasets, dead_letters, deadlines, diffs, docs, document_links, documents, drafts, early_refusals, editor_tokens,
    health, https, idempotency, inference, job_results, jobs, label_events, label_proofs, labels, loopback, metrics, not_implemented, oidc,
    render_log, render_tokens, renders, requests, samples, schedule_calendars, schedule_data_sources, schedule_dead_letters,
    schedule_executions, schedule_previews, schedule_triggers, schedules, security_headers, system, template_datasets,
    template_dependencies, template_dependents, template_folders, template_meta, template_tests, template_trash, template_versions,
    templates, tenant_export, tenant_purge, tenants, usage, users, webhook_deliveries, webhooks,
};

#[derive(OpenApi)]
#[openapi(
    info(title = "Pulp Engine", description = "Stored templates and JSON in, documents out. Every refusal has the shape of ErrorEnvelope."),
    // Stands in the place of a key, so it is no route of its own.
    paths(crate::inference::infer),
    components(schemas(crate::error::ErrorEnvelope)),
    modifiers(&ApiKeyHeader),
    security((), ("ApiKey" = []))
)]
struct Description;

/// What `/docs` has to send to be let in.
struct ApiKeyHeader;

impl utoipa::Modify for ApiKeyHeader {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        let header = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description("X-Api-Key", "A key of this server")));
        description.components.get_or_insert_default().add_security_scheme("ApiKey", header);
    }
}

#[expect(clippy::too_many_lines, reason = "a table of contents is read as one")]
fn routes(setup: Option<&Setup>) -> OpenApiRouter<Setup> {
    // Without a setup the routes are only described.
    let needs = |action: Action, routes: OpenApiRouter<Setup>| match setup {
        Some(setup) => routes.route_layer(from_fn_with_state((setup.identity.clone(), action), auth::require)),
        None => routes,
    };
    // Carried out once under an `Idempotency-Key`. Renders, batches and uploads see to it themselves, jobs, datasets and schedules in
    // their rows.
    let once = |routes: OpenApiRouter<Setup>| match setup {
        Some(setup) => routes.route_layer(from_fn_with_state(setup.clone(), idempotency::keyed)),
        None => routes,
    };
    let for_renders = |routes: OpenApiRouter<Setup>| match setup {
        Some(setup) => routes.route_layer(from_fn_with_state(setup.clone(), early_refusals::of_renders)),
        None => routes,
    };
    let files = OpenApiRouter::new().routes(routes!(asset_content::get));
    let files = match setup {
        Some(setup) => files.route_layer(from_fn_with_state((setup.identity.clone(), setup.asset_access), asset_content::guard)),
        None => files,
    };
    OpenApiRouter::with_openapi(Description::openapi())
        .merge(
            OpenApiRouter::new()
                .routes(routes!(health::live))
                .routes(routes!(health::ready))
                .routes(routes!(health::serving))
                .route("/readyz", get(health::ready))
                .route("/healthz", get(health::ready))
                .route("/render/pdf", options(render_tokens::preflight))
                .route("/render/html", options(render_tokens::preflight))
                .route("/render/csv", options(render_tokens::preflight))
                .route("/render/xlsx", options(render_tokens::preflight))
                .route("/render/image", options(render_tokens::preflight))
                .routes(routes!(health::auth_status))
                .routes(routes!(editor_tokens::mint))
                .route("/editor-token", post(editor_tokens::mint))
                .routes(routes!(editor_tokens::console_session))
                .routes(routes!(oidc::login))
                .routes(routes!(oidc::callback))
                .routes(routes!(oidc::complete))
                // The link itself is the credential.
                .routes(routes!(document_links::follow))
                .routes(routes!(metrics::metrics)),
        )
        .merge(needs(
            Action::ServerRead,
            OpenApiRouter::new()
                .routes(routes!(capabilities::capabilities))
                .routes(routes!(health::preview_status))
                .routes(routes!(editor_tokens::me)),
        ))
        .merge(needs(
            Action::TemplateRead,
            OpenApiRouter::new()
                .routes(routes!(templates::list))
                .routes(routes!(templates::get))
                .routes(routes!(template_meta::tags))
                .routes(routes!(template_folders::list))
                .routes(routes!(template_versions::list))
                .routes(routes!(template_versions::get))
                .routes(routes!(diffs::diff))
                .routes(routes!(diffs::compatibility))
                .route("/templates/{key}", post(inference::act))
                .routes(routes!(bindings::form_metadata))
                .routes(routes!(bindings::bindings))
                .routes(routes!(template_dependencies::list))
                .routes(routes!(template_dependencies::theme))
                .routes(routes!(template_dependencies::effective))
                .routes(routes!(template_dependents::list))
                .routes(routes!(template_dependents::validate))
                .routes(routes!(drafts::get))
                .routes(routes!(drafts::list))
                .routes(routes!(drafts::review))
                .routes(routes!(labels::list))
                .routes(routes!(labels::get))
                .routes(routes!(label_events::history))
                .routes(routes!(label_proofs::list))
                .routes(routes!(label_proofs::get))
                .routes(routes!(samples::schema))
                .routes(routes!(samples::get))
                .routes(routes!(samples::validate))
                .routes(routes!(template_datasets::list))
                .routes(routes!(template_datasets::get))
                .routes(routes!(renders::validate)),
        ))
        .merge(needs(
            Action::TemplateWrite,
            once(OpenApiRouter::new().routes(routes!(templates::create)))
                .routes(routes!(templates::update))
                .routes(routes!(template_meta::update))
                .routes(routes!(template_folders::create))
                .routes(routes!(template_folders::update, template_folders::delete))
                .routes(routes!(template_versions::set_note))
                .routes(routes!(samples::put, samples::delete))
                .routes(routes!(drafts::put, drafts::delete))
                .routes(routes!(template_datasets::put, template_datasets::delete)),
        ))
        .merge(needs(
            Action::TemplateDelete,
            OpenApiRouter::new().routes(routes!(templates::delete)).routes(routes!(template_trash::undelete)),
        ))
        .merge(needs(Action::TemplateRestore, once(OpenApiRouter::new().routes(routes!(template_versions::restore)))))
        .merge(needs(
            Action::TemplateRelease,
            OpenApiRouter::new()
                .routes(routes!(labels::set, labels::delete))
                .routes(routes!(label_events::schedule))
                .routes(routes!(label_events::cancel))
                .routes(routes!(label_proofs::create))
                .routes(routes!(label_proofs::roll_back)),
        ))
        .merge(needs(
            Action::RenderTokenManage,
            OpenApiRouter::new().routes(routes!(render_tokens::create)).routes(routes!(render_tokens::revoke)),
        ))
        .merge(needs(
            Action::AssetRead,
            OpenApiRouter::new()
                .routes(routes!(assets::list))
                .routes(routes!(assets::facets))
                .routes(routes!(assets::details))
                .routes(routes!(assets::font_info))
                .routes(routes!(form_fields::of_asset))
                .routes(routes!(asset_content::versions)),
        ))
        .merge(needs(
            Action::AssetWrite,
            OpenApiRouter::new()
                .routes(routes!(assets::upload))
                .routes(routes!(asset_content::replace))
                .routes(routes!(assets::update))
                .routes(routes!(assets::delete))
                .routes(routes!(asset_content::restore))
                // A file is counted as it arrives, against a limit of its own.
                .layer(DefaultBodyLimit::disable()),
        ))
        .merge(files)
        .merge(needs(Action::AuditRead, OpenApiRouter::new().routes(routes!(audit::list)).routes(routes!(audit::export))))
        .merge(needs(
            Action::UsageRead,
            OpenApiRouter::new()
                .routes(routes!(usage::summary))
                .routes(routes!(usage::export))
                .routes(routes!(usage::templates))
                .routes(routes!(usage::quota))
                .routes(routes!(usage::tenant_quota))
                .routes(routes!(render_log::list))
                .routes(routes!(render_log::get)),
        ))
        .merge(needs(Action::SystemRead, OpenApiRouter::new().routes(routes!(system::system)).routes(routes!(cluster::info))))
        .merge(needs(Action::AuditPurge, OpenApiRouter::new().routes(routes!(audit::purge))))
        .merge(needs(
            Action::ApiKeyManage,
            OpenApiRouter::new()
                .routes(routes!(api_keys::list, api_keys::create))
                .routes(routes!(api_keys::get, api_keys::update))
                .routes(routes!(api_keys::rotate))
                .routes(routes!(api_keys::revoke)),
        ))
        .merge(needs(
            Action::WebhookManage,
            OpenApiRouter::new()
                .routes(routes!(webhooks::list, webhooks::create))
                .routes(routes!(webhooks::event_types))
                .routes(routes!(webhooks::get, webhooks::update, webhooks::delete))
                .routes(routes!(webhooks::rotate_secret))
                .routes(routes!(webhooks::ping))
                .routes(routes!(webhook_deliveries::list))
                .routes(routes!(webhook_deliveries::get))
                .routes(routes!(webhook_deliveries::redeliver))
                .routes(routes!(dead_letters::list))
                .routes(routes!(dead_letters::get))
                .routes(routes!(dead_letters::replay))
                .routes(routes!(dead_letters::abandon)),
        ))
        .merge(needs(
            Action::ScheduleRead,
            OpenApiRouter::new()
                .routes(routes!(schedules::list))
                .routes(routes!(schedule_previews::of_times))
                .routes(routes!(schedule_previews::of_pattern))
                .routes(routes!(schedule_executions::failures))
                .routes(routes!(schedule_executions::list))
                .routes(routes!(schedule_executions::get))
                .routes(routes!(schedule_executions::items))
                .routes(routes!(schedule_calendars::list))
                .routes(routes!(schedule_calendars::get))
                .routes(routes!(schedules::get))
                .routes(routes!(schedule_previews::of_schedule)),
        ))
        .merge(needs(
            Action::ScheduleManage,
            once(OpenApiRouter::new().routes(routes!(schedule_triggers::trigger)))
                .routes(routes!(schedules::create))
                .routes(routes!(schedules::replace, schedules::update, schedules::delete))
                .routes(routes!(schedules::duplicate))
                .routes(routes!(schedule_triggers::test))
                .routes(routes!(schedule_data_sources::test))
                .routes(routes!(schedule_data_sources::preview))
                .routes(routes!(schedule_dead_letters::list))
                .routes(routes!(schedule_dead_letters::get))
                .routes(routes!(schedule_dead_letters::replay))
                .routes(routes!(schedule_dead_letters::abandon))
                .routes(routes!(schedule_calendars::create))
                .routes(routes!(schedule_calendars::replace, schedule_calendars::update, schedule_calendars::delete))
                .routes(routes!(schedule_calendars::import)),
        ))
        .merge(needs(
            Action::UserManage,
            OpenApiRouter::new()
                .routes(routes!(users::list, users::create))
                .routes(routes!(users::update, users::delete))
                .routes(routes!(users::reload)),
        ))
        .merge(needs(
            Action::TenantManage,
            OpenApiRouter::new()
                .routes(routes!(tenants::list, tenants::create))
                .routes(routes!(tenants::get, tenants::update))
                .routes(routes!(tenant_purge::delete))
                .routes(routes!(tenant_purge::preview))
                .routes(routes!(tenant_export::export))
                .routes(routes!(tenants::archive))
                .routes(routes!(tenants::unarchive))
                .routes(routes!(usage::summary_of_all)),
        ))
        .merge(needs(
            Action::DocumentRender,
            for_renders(
                OpenApiRouter::new()
                    .routes(routes!(renders::pdf))
                    .routes(routes!(renders::html))
                    .routes(routes!(renders::csv))
                    .routes(routes!(renders::xlsx))
                    .routes(routes!(renders::image))
                    .routes(routes!(renders::deprecated))
                    .routes(routes!(renders::convert)),
            )
            .routes(routes!(batches::pdf))
            .routes(routes!(batches::html))
            .routes(routes!(batches::csv))
            .routes(routes!(batches::xlsx))
            .routes(routes!(jobs::submit))
            .routes(routes!(jobs::cancel))
            .routes(routes!(jobs::delete))
            .routes(routes!(batch_jobs::submit))
            .routes(routes!(data_conversion::convert))
            .routes(routes!(datasets::create))
            .routes(routes!(datasets::get, datasets::delete))
            .routes(routes!(form_fields::of_file)),
        ))
        .merge(needs(
            Action::JobRead,
            OpenApiRouter::new()
                .routes(routes!(jobs::list))
                .routes(routes!(jobs::get))
                .routes(routes!(job_results::content))
                .routes(routes!(job_results::package))
                .routes(routes!(batch_jobs::get)),
        ))
        .merge(needs(
            Action::DocumentRead,
            OpenApiRouter::new().routes(routes!(documents::list)).routes(routes!(documents::get)).routes(routes!(documents::content)),
        ))
        .merge(needs(
            Action::DocumentShare,
            OpenApiRouter::new().routes(routes!(document_links::create)).routes(routes!(document_links::revoke)),
        ))
        .merge(needs(Action::DocumentManage, OpenApiRouter::new().routes(routes!(documents::delete))))
        .merge(needs(
            Action::DocumentPreview,
            OpenApiRouter::new().routes(routes!(template_tests::run)).routes(routes!(label_proofs::picture)),
        ))
}

pub(crate) fn router(setup: Setup) -> Router {
    let (documented, description) = routes(Some(&setup)).split_for_parts();
    // Tells what is there only to those who may use something.
    let later = not_implemented::router().route_layer(from_fn_with_state((setup.identity.clone(), Action::ServerRead), auth::require));
    let mut router = documented.merge(later);
    if setup.docs == Docs::On {
        router = router.merge(docs::router(&description));
    }
    // An unknown path tells nothing to a caller without an admin key.
    let unknown =
        Router::new().fallback(unknown_path).layer(from_fn_with_state((setup.identity.clone(), Action::SystemRead), auth::require));
    router
        .fallback_service(unknown)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(CatchPanicLayer::custom(|_| ApiError::new(ErrorCode::InternalError, "something is broken on our side").into_response()))
        // Other encodings are refused where the body is read, with the envelope.
        .layer(RequestDecompressionLayer::new().gzip(true).pass_through_unaccepted(true))
        .layer(from_fn_with_state(Bodies::new(setup.bodies_bytes, setup.body_limit_bytes), bodies::count))
        .layer(from_fn_with_state(setup.identity.without_credential(), loopback::require))
        .layer(from_fn_with_state(setup.https, https::require))
        .layer(from_fn(security_headers::add))
        .layer(from_fn_with_state(setup.cors.clone(), cors::share))
        .layer(from_fn_with_state(setup.request_timeout, deadlines::keep))
        .layer(from_fn_with_state(setup.continue_trace.clone(), requests::identify))
        .layer(from_fn_with_state(setup.trusted_proxies.clone(), clients::identify))
        .with_state(setup)
}

/// The OpenAPI document as pretty JSON.
pub fn openapi_json() -> String {
    let description = routes(None).into_openapi();
    description.to_pretty_json().unwrap_or_default()
}

/// Encodings are named in any case.
pub(crate) fn with_lower_case_encoding(mut request: Request) -> Request {
    if let Some(encoding) = request.headers_mut().get_mut(header::CONTENT_ENCODING)
        && let Ok(lower) = HeaderValue::from_bytes(&encoding.as_bytes().to_ascii_lowercase())
    {
        *encoding = lower;
    }
    request
}

/// Collections are called with and without a slash at the end; both mean the same, and no client follows a redirect.
pub(crate) fn without_trailing_slash(mut request: Request) -> Request {
    let path = request.uri().path();
    if path.len() > 1 && path.ends_with('/') && !path.starts_with("/docs") {
        let trimmed = path.trim_end_matches('/');
        let with_query = request.uri().query().map_or_else(|| trimmed.to_owned(), |query| format!("{trimmed}?{query}"));
        if let Ok(uri) = with_query.parse::<Uri>() {
            *request.uri_mut() = uri;
        }
    }
    request
}

async fn unknown_path() -> Response {
    ApiError::not_found("there is nothing at this path; /docs lists what there is").into_response()
}

pub(crate) async fn method_not_allowed() -> Response {
    ApiError::new(ErrorCode::MethodNotAllowed, "this path does not take this method; /docs lists what it takes").into_response()
}
