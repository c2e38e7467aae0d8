//! The interface described: `/docs` for people, `/docs/json` for programs.

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::SwaggerUi;

use crate::Setup;
use crate::error::ApiError;

pub fn router(description: &OpenApi) -> Router<Setup> {
    let router: Router<Setup> = SwaggerUi::new("/docs").url("/docs/json", description.clone()).into();
    router.layer(map_response(in_the_envelope))
}

/// The pages are served by a library, which refuses in words of its own.
async fn in_the_envelope(response: Response) -> Response {
    if response.status() == StatusCode::NOT_FOUND {
        return ApiError::not_found("there is no such page of the description; it begins at /docs").into_response();
    }
    response
}
