//! A schema made from a sample, and the other published acts whose paths read like the key of a template.

use axum::Json;
use axum::extract::{FromRequest as _, Request, State};
use axum::response::{IntoResponse, Response};
use document::inference::{RequiredWhen, Sample};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::Setup;
use crate::body::{JsonBody, Path};
use crate::error::ApiError;
use crate::not_implemented::not_implemented;
use crate::router::method_not_allowed;

/// Published acts that this version does not have yet.
const LATER: &[&str] = &["edit", "generate", "generate-sample", "import", "office"];

/// What to make a schema from.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InferBody {
    /// Data as a render takes it.
    #[schema(value_type = Object)]
    sample: Sample,
    /// `present` (without it too): what every object at its place has in the sample is required; `never`: nothing is.
    #[serde(default)]
    required_when: Option<String>,
}

/// Makes a schema that the sample fits. Nothing is stored.
#[utoipa::path(post, path = "/templates/infer-schema", tag = "templates", request_body = InferBody, responses((status = 200, description = "schema"), (status = 422, description = "Not acceptable")))]
pub async fn infer(State(setup): State<Setup>, JsonBody(body): JsonBody<InferBody>) -> Result<Json<Value>, ApiError> {
    let required = match body.required_when.as_deref() {
        None | Some("present") => RequiredWhen::Present,
        Some("never") => RequiredWhen::Never,
        Some(_) => return Err(ApiError::field("/requiredWhen", "accepted: present, never")),
    };
    let schema = setup.renderer.infer_schema(body.sample, required).await?;
    Ok(Json(json!({ "schema": schema })))
}

/// What is posted to the place of a key. The words can be keys all the same: nothing else is posted there.
pub async fn act(State(setup): State<Setup>, Path(key): Path<String>, request: Request) -> Response {
    match key.as_str() {
        "infer-schema" => match JsonBody::from_request(request, &setup).await {
            Ok(body) => infer(State(setup), body).await.into_response(),
            Err(refused) => refused.into_response(),
        },
        key if LATER.contains(&key) => not_implemented().await,
        _ => method_not_allowed().await,
    }
}
