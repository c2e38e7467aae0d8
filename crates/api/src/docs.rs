//! The interface described: `/docs` for people, `/docs/json` for programs.

use axum::Router;
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::SwaggerUi;

use crate::Setup;

pub fn router(description: &OpenApi) -> Router<Setup> {
    SwaggerUi::new("/docs").url("/docs/json", description.clone()).into()
}
