//! Where the data of a document comes from, and the one place where it becomes data.
//!
//! Every door (a render, a dry run, an item of a batch or of a job) has it done here at its beginning, so that an item of a
//! job renders exactly as the request would have.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use document::data_input::{Converted, DataInput, Patience};
use domain::data_urls::DataUrl;
use domain::datasets::DatasetId;
use domain::render_tokens::fix_data;
use domain::usage::RenderMode;
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::error::RenderError;
use crate::request::RenderRequest;
use crate::run::Renderer;

/// A file that takes longer than this is given up; the largest that is read takes a tenth of it.
const CONVERSION: Duration = Duration::from_secs(20);

/// What the data of a document is made of.
#[derive(Clone, Debug)]
pub enum DataSource {
    /// It came with the request.
    Given(Value),
    /// A file that came with the request, read when its time comes.
    Input(Arc<DataInput>),
    /// A dataset that was uploaded before.
    Reference {
        /// Which one.
        id: DatasetId,
        /// Through which door it is wanted: for a job it is there until the job ends.
        mode: RenderMode,
    },
    /// What an address answers when the time comes.
    Url(Arc<DataUrl>),
}

impl Default for DataSource {
    /// No data.
    fn default() -> Self {
        Self::Given(Value::Object(Map::new()))
    }
}

impl From<Value> for DataSource {
    fn from(data: Value) -> Self {
        Self::Given(data)
    }
}

impl From<DataInput> for DataSource {
    fn from(input: DataInput) -> Self {
        Self::Input(Arc::new(input))
    }
}

impl Renderer {
    /// Takes the data out of the request, made from whatever it was to come from; what is fixed stands in it.
    pub(crate) async fn resolve_data(&self, request: &mut RenderRequest, deadline: Instant) -> Result<Value, RenderError> {
        let mut data = match std::mem::take(&mut request.data) {
            // What is fixed was put in its place before.
            DataSource::Given(data) => return Ok(data),
            DataSource::Input(input) => self.convert_within(input, deadline).await?.data,
            DataSource::Reference { id, mode } => {
                let reading = self.datasets().json(&request.tenant, id, mode);
                let json = tokio::time::timeout_at(deadline, reading).await.map_err(|_| self.late())??;
                match self.read_json(json, deadline).await? {
                    Ok(data @ Value::Object(_)) => data,
                    Ok(other) => return Err(RenderError::DataUnfit { field: "dataRef", is: kind_of(&other) }),
                    // It was read when it was uploaded.
                    Err(_) => return Err(RenderError::DatasetBytesMissing { id }),
                }
            }
            DataSource::Url(from) => {
                let urls = self.0.data_urls.as_ref().ok_or(RenderError::DataUrlsOff)?;
                let got = urls.get(&from, deadline).await?;
                match self.read_json(got.body.into(), deadline).await? {
                    Ok(data @ Value::Object(_)) => data,
                    Ok(other) => return Err(RenderError::DataUnfit { field: "dataUrl", is: kind_of(&other) }),
                    Err(_) => {
                        let said = got.content_type.unwrap_or_else(|| "nothing".to_owned()).chars().take(100).collect::<String>();
                        return Err(RenderError::DataFetchFailed(format!("it answered with what is no JSON; it calls that {said}")));
                    }
                }
            }
        };
        if let (Some(fixed), Value::Object(data)) = (&request.fixed_data, &mut data) {
            fix_data(data, fixed);
        }
        Ok(data)
    }

    /// Reads a file with data. As for checks, there are so many places; who finds none is [`RenderError::Saturated`].
    pub async fn convert_data(&self, input: DataInput) -> Result<Converted, RenderError> {
        let _admitted = self.admit_check()?;
        self.convert_within(Arc::new(input), self.deadline(Instant::now())).await
    }

    /// Reads JSON off the request threads.
    async fn read_json(&self, json: Bytes, deadline: Instant) -> Result<serde_json::Result<Value>, RenderError> {
        self.compute(deadline, move |_, _| Ok(serde_json::from_slice(&json))).await
    }

    /// A few at a time: the largest take some hundred megabytes.
    async fn convert_within(&self, input: Arc<DataInput>, deadline: Instant) -> Result<Converted, RenderError> {
        let started = Instant::now();
        let converted = self
            .compute_in(self.conversions(), deadline, move |limits, cancelled| {
                let soon = std::time::Instant::now() + CONVERSION;
                let deadline = limits.budget.deadline.map_or(soon, |deadline| deadline.min(soon));
                input.convert(&limits.data_input, Patience { cancelled, deadline: Some(deadline) })
            })
            .await;
        metrics::histogram!("pulp_data_conversion_seconds").record(started.elapsed().as_secs_f64());
        converted
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Array(_) => "an array",
        Value::String(_) => "a text",
        Value::Number(_) => "a number",
        Value::Bool(_) => "true or false",
        _ => "null",
    }
}
