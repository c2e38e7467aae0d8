//! Published operations that this version does not have yet: they say so, instead of not being found.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use domain::ErrorCode;

use crate::Setup;
use crate::error::ApiError;

/// Published paths and beginnings of paths (those with a wildcard).
const PATHS: &[&str] = &[
    "/admin/{*rest}",
    "/batch",
    "/capabilities/format-support",
    "/catalogue/{*rest}",
    "/connections",
    "/connections/{*rest}",
    "/esign/{*rest}",
    "/nodes/{*rest}",
    "/portal/{*rest}",
    "/promotion-requests",
    "/render/batch/async/docx",
    "/render/batch/docx",
    "/render/batch/pptx",
    "/render/docx",
    "/render/einvoice",
    "/render/email",
    "/render/pdf/{*rest}",
    "/render/pptx",
    "/render/preview/csv",
    "/render/preview/docx",
    "/render/preview/html",
    "/render/preview/pdf",
    "/render/preview/pptx",
    "/render/preview/xlsx",
    "/templates/office/lint",
    "/templates/{key}/comments",
    "/templates/{key}/comments/{id}",
    "/templates/{key}/fork",
    "/templates/{key}/i18n",
    "/templates/{key}/office",
    "/templates/{key}/office/{*rest}",
    "/templates/{key}/portal",
    "/templates/{key}/presence/{id}",
    "/templates/{key}/lock",
    "/templates/{key}/parameters/resolve",
    "/templates/{key}/presence",
    "/templates/{key}/promotion-requests",
    "/templates/{key}/promotion-requests/{*rest}",
    "/templates/{key}/thumbnail",
    "/templates/{key}/upgrade",
    "/tenant/{*rest}",
    "/usage/{*rest}",
];

pub fn router() -> Router<Setup> {
    PATHS.iter().fold(Router::new(), |router, path| router.route(path, any(not_implemented)))
}

pub(crate) async fn not_implemented() -> Response {
    ApiError::new(ErrorCode::NotImplemented, "this operation is not available in this version; /capabilities lists what is").into_response()
}
