//! The data of a schedule's documents, from wherever the schedule says.

use std::time::Duration;

use base64_simd::STANDARD;
use document::data_input::DataInput;
use document::words::{self, When};
use domain::ErrorCode;
use domain::data_urls::DataUrl;
use domain::schedule_sources::{DataSource, UrlSource};
use domain::template_datasets::DatasetName;
use domain::templates::TemplateKey;
use serde_json::{Map, Value, json};
use store::TenantStore;
use tokio::time::Instant;

use crate::blame::Blame;
use crate::error::RenderError;
use crate::run::Renderer;

/// For everything together: the data, the list, the words.
pub(crate) const PREPARED_WITHIN: Duration = Duration::from_secs(75);
/// The name of a list that has none of its own.
const ITEMS: &str = "items";

/// Why a schedule cannot be carried out now.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    /// As it would be for any document.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// The schedule, its template or its data are at fault: it meets the same every time.
    #[error("{message}")]
    Refused {
        /// The code that clients know it by.
        code: ErrorCode,
        /// What is wrong and what would be accepted.
        message: String,
    },
}

impl ScheduleError {
    pub(crate) fn refused(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::Refused { code, message: message.into() }
    }

    /// The code that clients know it by.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Render(error) => error.code(),
            Self::Refused { code, .. } => *code,
        }
    }

    /// What was at fault.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Render(error) => error.blame(),
            Self::Refused { .. } => Blame::Request,
        }
    }
}

impl Renderer {
    /// The data that a schedule's documents are made of. Texts in a URL source may name `parameters`, and are filled in at `when`.
    pub async fn schedule_data(
        &self,
        store: &TenantStore,
        template: &TemplateKey,
        source: &DataSource,
        parameters: &Map<String, Value>,
        when: &When,
    ) -> Result<Value, ScheduleError> {
        let deadline = Instant::now() + PREPARED_WITHIN;
        match source {
            DataSource::Static { data } => Ok(data.clone()),
            DataSource::Input { input, array_key } => {
                let input = DataInput::from_json(input.clone(), "/dataSource/dataInput").map_err(RenderError::from)?;
                Ok(as_object(self.convert_data(input).await?.data, array_key.as_deref()))
            }
            DataSource::Template { dataset } => template_data(store, template, dataset.as_deref()).await,
            DataSource::Url(url) => self.url_data(url, parameters, when, deadline).await,
        }
    }

    async fn url_data(
        &self,
        source: &UrlSource,
        parameters: &Map<String, Value>,
        when: &When,
        deadline: Instant,
    ) -> Result<Value, ScheduleError> {
        let data = json!({ "parameters": parameters });
        let filled = |field: &str, text: &str| {
            words::line(text, &data, when)
                .map_err(|error| ScheduleError::refused(ErrorCode::TemplateExpressionError, format!("dataSource.{field}: {error}")))
        };
        let mut url = filled("url", &source.url)?;
        for (name, value) in &source.query {
            let separator = if url.contains('?') { '&' } else { '?' };
            url = format!("{url}{separator}{}={}", encoded(name), encoded(&filled("query", value)?));
        }
        let headers: Map<String, Value> = source.headers.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        let from = DataUrl::from_json(&url.into(), Some(&headers.into()))
            .map_err(|issue| ScheduleError::refused(ErrorCode::DataUrlRejected, format!("{}: {}", issue.path, issue.message)))?;
        let body = source.body.as_ref().map(|body| filled_in(body, &data, when)).transpose()?.map(|body| body.to_string().into_bytes());
        let body = if source.posts { Some(body.unwrap_or_default()) } else { None };
        let urls = self.0.data_urls.as_ref().ok_or(RenderError::DataUrlsOff)?;
        let got = urls.ask(&from, body.as_deref(), Duration::from_millis(source.timeout_ms), deadline).await?;
        if source.format == "json" {
            let read: Value = serde_json::from_slice(&got.body).map_err(|error| {
                RenderError::DataFetchFailed(format!("it answered with what is no JSON (line {}, column {})", error.line(), error.column()))
            })?;
            return Ok(as_object(read, source.array_key.as_deref()));
        }
        let mut input = source.format_options.clone().unwrap_or_default();
        input.insert("format".to_owned(), source.format.into());
        input.insert("content".to_owned(), STANDARD.encode_to_string(&got.body).into());
        input.insert("encoding".to_owned(), "base64".into());
        let input = DataInput::from_json(Value::Object(input), "/dataSource/formatOptions").map_err(RenderError::from)?;
        Ok(as_object(self.convert_data(input).await?.data, source.array_key.as_deref()))
    }
}

async fn template_data(store: &TenantStore, template: &TemplateKey, dataset: Option<&str>) -> Result<Value, ScheduleError> {
    let found = match dataset {
        None => store.samples().get(template).await.map_err(RenderError::from)?,
        Some(name) => match name.parse::<DatasetName>() {
            Ok(name) => store.template_datasets().get(template, &name).await.map_err(RenderError::from)?.map(|record| record.data),
            Err(_) => None,
        },
    };
    found.ok_or_else(|| {
        let what = dataset.map_or_else(|| "no example data".to_owned(), |name| format!("no dataset \"{name}\""));
        ScheduleError::refused(ErrorCode::DatasetNotFound, format!("the template {template} has {what}"))
    })
}

/// A document's data is an object: a list, or anything else, is one of its fields.
fn as_object(data: Value, array_key: Option<&str>) -> Value {
    match (data, array_key) {
        (Value::Object(data), _) => Value::Object(data),
        (other, key) => json!({ key.unwrap_or(ITEMS): other }),
    }
}

/// Texts anywhere in it, with their expressions filled in.
fn filled_in(value: &Value, data: &Value, when: &When) -> Result<Value, ScheduleError> {
    Ok(match value {
        Value::String(text) => words::plain(text, data, when)
            .map_err(|error| ScheduleError::refused(ErrorCode::TemplateExpressionError, format!("dataSource.body: {error}")))?
            .into(),
        Value::Array(list) => list.iter().map(|value| filled_in(value, data, when)).collect::<Result<Vec<_>, _>>()?.into(),
        Value::Object(fields) => {
            let filled = fields.iter().map(|(name, value)| Ok((name.clone(), filled_in(value, data, when)?)));
            Value::Object(filled.collect::<Result<_, ScheduleError>>()?)
        }
        other => other.clone(),
    })
}

fn hex_of(byte: u8) -> String {
    format!("{byte:02X}")
}

/// For a query: everything but letters, digits and `-._~` is written as `%XX`.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push_str(&hex_of(byte));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_object_becomes_a_field_and_a_query_cannot_be_broken_out_of() {
        assert_eq!(as_object(json!([1]), Some("rows")), json!({"rows": [1]}));
        assert_eq!(as_object(json!([1]), None), json!({"items": [1]}));
        assert_eq!(as_object(json!({"a": 1}), Some("rows")), json!({"a": 1}));
        assert_eq!(encoded("a b&c=ü"), "a%20b%26c%3D%C3%BC");
        let filled = filled_in(&json!({"from": "{{parameters.day}}", "n": [1, "x"]}), &json!({"parameters": {"day": "2026-11-01"}}));
        assert_eq!(filled.unwrap(), json!({"from": "2026-11-01", "n": [1, "x"]}));
    }
}
