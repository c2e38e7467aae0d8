//! A file with data becomes the JSON that a render would have, for whoever wants to see it first.

use axum::Json;
use axum::extract::{Extension, State};
use document::data_input::DataInput;
use domain::ErrorCode;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::Setup;
use crate::auth::Caller;
use crate::body::AnyJson;
use crate::error::ApiError;
use crate::failures::document_refusal;

/// A file with data, for the description of the interface; [`document::data_input`] reads it and says more about what is wrong.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes; the request is read field by field")]
pub struct DataInputBody {
    /// `csv`, `xlsx` or `xml`.
    format: String,
    /// The file: text in UTF-8, or base64. Of `xlsx` it is always base64.
    content: String,
    /// `base64`, where `content` is that.
    encoding: Option<String>,
    /// Of CSV: `,`, `;`, a tab, `|`, or `auto`, which is what it is without it.
    delimiter: Option<String>,
    /// Of CSV and XLSX: whether the first row names the columns; true without it.
    header: Option<bool>,
    /// Of CSV and XLSX: the property that holds the rows; `rows` without it.
    array_key: Option<String>,
    /// Of CSV and XML: `text` (without it too), or `infer`: what is written as a number, `true` or `false` becomes one.
    types: Option<String>,
    /// Of XLSX: the name of the sheet, or its number counted from 1; the first without it.
    sheet: Option<Value>,
    /// Of XLSX: the number of the row that names the columns; the first with something in it without it.
    header_row: Option<u32>,
    /// Of XLSX: the cells that are read, such as `A1:F20`.
    range: Option<String>,
    /// Of XML: what the names of attributes begin with; `@` without it.
    attribute_prefix: Option<String>,
    /// Of XML: the property that holds the text of an element with attributes; `#text` without it.
    text_key: Option<String>,
    /// Of XML: names of elements that are lists also where there is only one.
    arrays: Option<Vec<String>>,
}

/// The data of a file.
#[derive(Serialize, ToSchema)]
pub struct ConvertedBody {
    /// What a render with this `dataInput` has for data.
    #[schema(value_type = Object)]
    data: Value,
    /// What was read.
    stats: Stats,
}

/// What was read of a file.
#[derive(Serialize, ToSchema)]
pub struct Stats {
    /// Rows below the names of the columns; of XML the elements right below the root.
    rows: usize,
    /// What was read otherwise than it may have been meant, with where it is.
    warnings: Vec<String>,
}

/// Makes data of a CSV, XLSX or XML file. Nothing is stored.
#[utoipa::path(post, path = "/data/convert", tag = "data", request_body = DataInputBody, responses((status = 200, description = "The data", body = ConvertedBody), (status = 413, description = "The file is larger than is read"), (status = 422, description = "The file, or an option, is not acceptable"), (status = 503, description = "Saturated; see Retry-After")))]
pub async fn convert(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    AnyJson(body): AnyJson,
) -> Result<Json<ConvertedBody>, ApiError> {
    if caller.render_token.is_some() {
        return Err(ApiError::new(ErrorCode::RenderTokenConstraint, "a render token is for documents; a file is converted with a key"));
    }
    let input = DataInput::from_json(body, "").map_err(|error| document_refusal(&error))?;
    let converted = setup.renderer.convert_data(input).await?;
    Ok(Json(ConvertedBody { data: converted.data, stats: Stats { rows: converted.rows, warnings: converted.warnings } }))
}
