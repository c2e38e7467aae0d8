//! The interface described: `/docs` for people, `/docs/json` for programs, `/docs/template.schema.json` for editors of templates.

use std::sync::LazyLock;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::SwaggerUi;

use crate::Setup;
use crate::error::ApiError;

pub fn router(description: &OpenApi) -> Router<Setup> {
    let router: Router<Setup> = SwaggerUi::new("/docs").url("/docs/json", description.clone()).into();
    router.route("/docs/template.schema.json", get(template_schema)).layer(map_response(in_the_envelope))
}

/// The JSON Schema of template definitions. No credential: it says what docs/template-format.md says.
async fn template_schema() -> impl IntoResponse {
    static SCHEMA: LazyLock<String> = LazyLock::new(|| document::template_schema().to_string());
    ([(header::CONTENT_TYPE, "application/schema+json")], SCHEMA.as_str())
}

/// The pages are served by a library, which refuses in words of its own.
async fn in_the_envelope(response: Response) -> Response {
    if response.status() == StatusCode::NOT_FOUND {
        return ApiError::not_found("there is no such page of the description; it begins at /docs").into_response();
    }
    response
}
