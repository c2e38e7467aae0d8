//! The fields of forms in PDFs: of assets, and of files that come with the request.

use axum::Json;
use axum::extract::{Extension, RawQuery, State};
use domain::ErrorCode;
use render::{FormField, FormFieldKind, FormFieldValue, FormFields, Xfa};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Setup;
use crate::assets::{known_id, unknown};
use crate::auth::Caller;
use crate::body::{JsonBody, Path};
use crate::error::ApiError;
use crate::query::{PageQuery, Pairs};

/// Lists the fields of the form in an asset that is a PDF, in the order of the form.
#[utoipa::path(get, path = "/assets/{id}/form-fields", tag = "assets", params(("id" = String, Path), ("limit" = Option<u32>, Query), ("offset" = Option<u64>, Query)),
    responses((status = 200, description = "A page with xfa (none, hybrid or xfa-only); a PDF without a form has no items"), (status = 404, description = "Unknown"), (status = 413, description = "The PDF, or what is in it, is too large"), (status = 422, description = "The asset is no PDF, or one that is broken or encrypted")))]
pub async fn of_asset(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, ApiError> {
    let (id, page) = (known_id(&id)?, Pairs::read(query.as_deref())?.page()?);
    let current = setup.store.tenant(caller.tenant.clone()).asset_versions().get_current(id).await?.ok_or_else(unknown)?;
    if current.content.mime_type != "application/pdf" {
        let said = format!("the asset is {} and no PDF", current.content.mime_type);
        return Err(ApiError::new(ErrorCode::ValidationFailed, said));
    }
    let (limit, offset) = part(page);
    let found = setup.renderer.assets().form_fields(&caller.tenant, &current, limit, offset).await?;
    Ok(Json(answer(page, &found)))
}

/// A PDF to be read.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FormBody {
    /// Its bytes in base64.
    pdf: String,
}

/// Lists the fields of the form in a PDF that comes with the request.
#[utoipa::path(post, path = "/render/pdf/form-fields", tag = "render", params(("limit" = Option<u32>, Query), ("offset" = Option<u64>, Query)), request_body = FormBody,
    responses((status = 200, description = "A page with xfa (none, hybrid or xfa-only); a PDF without a form has no items"), (status = 413, description = "The PDF, or what is in it, is too large"), (status = 422, description = "The file is no PDF, or one that is broken or encrypted")))]
pub async fn of_file(
    State(setup): State<Setup>,
    RawQuery(query): RawQuery,
    JsonBody(body): JsonBody<FormBody>,
) -> Result<Json<Value>, ApiError> {
    let page = Pairs::read(query.as_deref())?.page()?;
    let (limit, offset) = part(page);
    let found = setup.renderer.assets().form_fields_of(body.pdf, limit, offset).await?;
    Ok(Json(answer(page, &found)))
}

fn part(page: PageQuery) -> (usize, usize) {
    (usize::try_from(page.limit).unwrap_or(usize::MAX), usize::try_from(page.offset).unwrap_or(usize::MAX))
}

fn answer(page: PageQuery, found: &FormFields) -> Value {
    let items: Vec<Value> = found.items.iter().map(field).collect();
    let xfa = match found.xfa {
        Xfa::None => "none",
        Xfa::Hybrid => "hybrid",
        Xfa::Only => "xfa-only",
    };
    json!({ "items": items, "total": found.total, "limit": page.limit, "offset": page.offset, "xfa": xfa })
}

fn field(field: &FormField) -> Value {
    let kind = match field.kind {
        FormFieldKind::Text => "text",
        FormFieldKind::Checkbox => "checkbox",
        FormFieldKind::Radio => "radio",
        FormFieldKind::Dropdown => "dropdown",
        FormFieldKind::OptionList => "optionList",
        FormFieldKind::Signature => "signature",
        FormFieldKind::Button => "button",
    };
    let value = match &field.value {
        FormFieldValue::Empty => Value::Null,
        FormFieldValue::Text(text) => json!(text),
        FormFieldValue::Flag(flag) => json!(flag),
        FormFieldValue::Choices(choices) => json!(choices),
    };
    let widgets: Vec<Value> = field.widgets.iter().map(|widget| json!({ "page": widget.page, "rect": widget.rect })).collect();
    let mut shown = json!({
        "name": field.name, "type": kind, "value": value, "readOnly": field.read_only, "required": field.required, "widgets": widgets,
    });
    // What does not belong to a kind of field is absent.
    let some = [
        ("options", field.options.as_ref().map(|options| json!(options))),
        ("multiline", field.multiline.map(Value::from)),
        ("maxLength", field.max_length.map(Value::from)),
    ];
    for (name, value) in some {
        if let Some(value) = value {
            shown[name] = value;
        }
    }
    shown
}
