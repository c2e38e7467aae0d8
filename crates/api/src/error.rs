//! Every refusal a client can meet, with its status; `failures.rs` says which refusal a failure below is.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::issues::IssueNode;
use domain::quotas::QuotaStanding;
use domain::{ErrorCode, Issue};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::requests::current_request_id;

/// What a client is told: a status, a stable code, a sentence and, where there are several things to mend, a list.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    code: ErrorCode,
    message: String,
    issues: Vec<Issue>,
    retry_after_s: Option<u64>,
    quota: Option<Box<QuotaStanding>>,
    compatibility: Option<Box<serde_json::Value>>,
    referenced_by: Option<Box<serde_json::Value>>,
    proof: Option<Box<serde_json::Value>>,
    failures: Option<Box<[serde_json::Value]>>,
    invalid_token: bool,
}

/// The body of every answer that is not a success.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorEnvelope {
    /// The class of the error in words, such as `Not Found`.
    error: &'static str,
    /// The stable machine-readable name.
    code: &'static str,
    /// What went wrong, where, and what would be accepted.
    message: String,
    /// The id under which the log tells more.
    request_id: String,
    /// Each thing that is wrong, with where it is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    issues: Vec<IssueBody>,
    /// Seconds after which a retry makes sense.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
    /// Which limit of the tenant is reached: `scope`, `period`, `dimension`, `limit`, `used`, `remaining` and `resetAt`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    quota: Option<QuotaStanding>,
    /// What a version would refuse that fits another: `base`, `candidate`, `compatible`, `changes` and `truncated`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    compatibility: Option<serde_json::Value>,
    /// Who names the thing that was to go: each with `key`, `name` and `currentVersion`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    referenced_by: Option<serde_json::Value>,
    /// What moving a label would change: `id`, `base`, `version`, `outcome` and `counts` of datasets by their result.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    proof: Option<serde_json::Value>,
    /// Which items of a batch failed: each with `index`, `template`, `reference` and `error`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    failures: Option<Vec<serde_json::Value>>,
}

/// One thing that is wrong with the input.
#[derive(Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct IssueBody {
    /// A JSON Pointer into the input; for an expression the way through the nodes, for a binding its path.
    pub path: String,
    /// What is wrong and what is accepted.
    pub message: String,
    /// The stable name of the kind of problem.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// The id of the node that it is about, where it is about one; `html`, `css` and the like for what is no node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_id: Option<String>,
    /// The type of that node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_type: Option<String>,
    /// The way to that node for people, such as `Section 'Body' > Text 1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_path: Option<String>,
}

impl From<Issue> for IssueBody {
    fn from(issue: Issue) -> Self {
        let IssueNode { node_id, node_type, node_path } = issue.node.map(|node| *node).unwrap_or_default();
        let node_path = Some(node_path).filter(|path| !path.is_empty());
        Self { path: issue.path, message: issue.message, code: issue.code, node_id, node_type, node_path }
    }
}

impl ApiError {
    /// An error with the status that belongs to its code.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let (status, message) = (status_of(code), message.into());
        Self {
            status,
            code,
            message,
            issues: Vec::new(),
            retry_after_s: None,
            quota: None,
            compatibility: None,
            referenced_by: None,
            proof: None,
            failures: None,
            invalid_token: false,
        }
    }

    /// The request cannot be understood.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::BadRequest, message)
    }

    /// There is no such thing for this caller.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::NotFound, message)
    }

    /// The input is well-formed, but these things in it are wrong.
    pub fn invalid(code: ErrorCode, issues: Vec<Issue>) -> Self {
        let message = match issues.as_slice() {
            [only] => format!("{}{}", if only.path.is_empty() { String::new() } else { format!("{}: ", only.path) }, only.message),
            [first, rest @ ..] => format!("{}: {} (and {} more, see issues)", first.path, first.message, rest.len()),
            [] => "the input is not acceptable".to_owned(),
        };
        Self { issues, ..Self::new(code, message) }
    }

    /// The value of one field is not accepted; `path` is a JSON Pointer to it.
    pub fn field(path: &str, message: impl Into<String>) -> Self {
        Self::invalid(ErrorCode::ValidationFailed, vec![Issue::new(path, message.into())])
    }

    /// Attaches the list of what is wrong.
    #[must_use]
    pub fn with_issues(mut self, issues: Vec<Issue>) -> Self {
        self.issues = issues;
        self
    }

    /// The same refusal under a code that says more.
    #[must_use]
    pub fn coded(self, code: ErrorCode) -> Self {
        Self { status: status_of(code), code, ..self }
    }

    /// Tells the client what is not compatible.
    #[must_use]
    pub fn compatibility(self, found: serde_json::Value) -> Self {
        Self { compatibility: Some(Box::new(found)), ..self }
    }

    /// Tells the client which limit is reached.
    #[must_use]
    pub fn quota(mut self, standing: QuotaStanding) -> Self {
        self.quota = Some(Box::new(standing));
        self
    }

    /// Tells the client what a move would change.
    #[must_use]
    pub fn proof(mut self, proof: serde_json::Value) -> Self {
        self.proof = Some(Box::new(proof));
        self
    }

    /// Tells the client which items of its batch failed.
    #[must_use]
    pub fn failures(mut self, failures: Vec<serde_json::Value>) -> Self {
        self.failures = Some(failures.into_boxed_slice());
        self
    }

    /// What is told of it where it is the outcome of one item among several.
    pub(crate) fn of_item(&self) -> serde_json::Value {
        let mut told = serde_json::json!({ "message": clipped(self.message.clone()), "code": self.code.as_str() });
        if !self.issues.is_empty() {
            told["details"] = serde_json::json!({ "issues": listed(self.issues.clone()) });
        }
        told
    }

    /// Tells the client who names the thing: a list of objects.
    #[must_use]
    pub fn referenced_by(mut self, users: serde_json::Value) -> Self {
        self.referenced_by = Some(Box::new(users));
        self
    }

    /// Tells the client when a retry makes sense.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// Tells the client that its token, and not the request, is at fault (RFC 6750): it may get a new one and try again.
    #[must_use]
    pub fn invalid_token(mut self) -> Self {
        self.invalid_token = true;
        self
    }

    /// Its stable name.
    pub(crate) fn code(&self) -> ErrorCode {
        self.code
    }

    /// What the client would be told.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The same refusal for somebody who is told this sentence and nothing else.
    #[must_use]
    pub(crate) fn saying(self, message: &str) -> Self {
        Self { message: message.to_owned(), issues: Vec::new(), ..self }
    }

    /// A failure of ours: the cause goes to the log, the client gets the request id.
    pub fn internal(cause: &dyn std::error::Error) -> Self {
        tracing::error!(error = %chain(cause), "request failed");
        Self::new(ErrorCode::InternalError, "something is broken on our side; the log has the details under this requestId")
    }
}

/// The error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[expect(clippy::too_many_lines, reason = "one list, in which each code stands once")]
fn status_of(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::BadRequest
        | ErrorCode::IdempotencyKeyInvalid
        | ErrorCode::InvalidChangeNote
        | ErrorCode::DatasetNameInvalid
        | ErrorCode::UsageInvalidDate
        | ErrorCode::UsageInvalidWindow
        | ErrorCode::UsageWindowTooWide => StatusCode::BAD_REQUEST,
        ErrorCode::Unauthorized | ErrorCode::ApiKeyExpired | ErrorCode::AccountDeactivated => StatusCode::UNAUTHORIZED,
        ErrorCode::Forbidden
        | ErrorCode::TenantMismatch
        | ErrorCode::TenantPurgeForbidden
        | ErrorCode::SuperAdminOnly
        | ErrorCode::ApiKeyIpNotAllowed
        | ErrorCode::ApiKeyTemplateNotAllowed
        | ErrorCode::RenderTokenConstraint
        | ErrorCode::ConvertUrlNotAllowed => StatusCode::FORBIDDEN,
        ErrorCode::NotFound
        | ErrorCode::TenantUnknown
        | ErrorCode::FolderNotFound
        | ErrorCode::DatasetNotFound
        | ErrorCode::DocumentLinkInvalid
        | ErrorCode::ThemeNotFound
        | ErrorCode::LayoutNotFound
        | ErrorCode::ComponentNotFound => StatusCode::NOT_FOUND,
        ErrorCode::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        ErrorCode::Conflict
        | ErrorCode::AlreadyTerminal
        | ErrorCode::ScheduleGone
        | ErrorCode::ScheduleMutated
        | ErrorCode::WebhookSubscriptionLimitReached
        | ErrorCode::JobNotCompleted
        | ErrorCode::IdempotencyKeyReused
        | ErrorCode::IdempotencyKeyInUse
        | ErrorCode::IdempotencyReplayUnavailable
        | ErrorCode::DraftIdentityRequired
        | ErrorCode::AssetInUse
        | ErrorCode::AssetSlugConflict
        | ErrorCode::QuotaExceeded
        | ErrorCode::TenantArchived
        | ErrorCode::TenantNotArchived
        | ErrorCode::FolderExists
        | ErrorCode::FolderNotEmpty
        | ErrorCode::FolderCycle
        | ErrorCode::TemplateNotInTrash
        | ErrorCode::TemplateInUse
        | ErrorCode::LayoutInUse
        | ErrorCode::LabelInUse
        | ErrorCode::DatasetLimitExceeded
        | ErrorCode::DefaultLabelProtected
        | ErrorCode::LabelEventNotPending
        | ErrorCode::TemplateNotReleased
        | ErrorCode::ApprovalRequired
        | ErrorCode::NothingToRollBack
        | ErrorCode::BreakingContractChange => StatusCode::CONFLICT,
        ErrorCode::TenantPurged | ErrorCode::JobExpired | ErrorCode::DocumentLinkExpired | ErrorCode::RenderArtifactExpired => {
            StatusCode::GONE
        }
        ErrorCode::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
        ErrorCode::PreconditionRequired => StatusCode::PRECONDITION_REQUIRED,
        ErrorCode::PayloadTooLarge
        | ErrorCode::RenderInputTooLarge
        | ErrorCode::DataInputTooLarge
        | ErrorCode::PdfTooLarge
        | ErrorCode::AuditExportTooLarge
        | ErrorCode::UsageExportTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::UnsupportedMediaType | ErrorCode::AssetMimeMismatch => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ErrorCode::ValidationFailed
        | ErrorCode::ScheduleSecretRequired
        | ErrorCode::DataInputInvalid
        | ErrorCode::AsOfBeforeHistory
        | ErrorCode::FolderDepthExceeded
        | ErrorCode::InvalidRenderOptions
        | ErrorCode::InvalidLocale
        | ErrorCode::InvalidTimeZone
        | ErrorCode::UnsupportedRenderOption
        | ErrorCode::TemplateExpressionError
        | ErrorCode::UnresolvedBindings
        | ErrorCode::NoRenderedTables
        | ErrorCode::AmbiguousTable
        | ErrorCode::TemplateBudgetExceeded
        | ErrorCode::AssetBlocked
        | ErrorCode::FontAssetMissing
        | ErrorCode::FontBudgetExceeded
        | ErrorCode::InvalidPdf
        | ErrorCode::PdfEncrypted
        | ErrorCode::TemplateKindMismatch
        | ErrorCode::BatchItemsFailed
        | ErrorCode::PackagingUnsupported
        | ErrorCode::WebhookUrlRejected
        | ErrorCode::DataUrlRejected
        | ErrorCode::BurstInvalid
        | ErrorCode::BurstOverflow
        | ErrorCode::BurstAborted
        | ErrorCode::DataSourceResponseTooLarge
        | ErrorCode::WebhookEventTypeUnknown
        | ErrorCode::TooManyPages => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorCode::RateLimited | ErrorCode::QuotaExhausted | ErrorCode::RenderTokenExhausted => StatusCode::TOO_MANY_REQUESTS,
        // The document took too long or the machine was too busy; who waited in the queue alone is told `render_saturated`.
        ErrorCode::RenderTimeout => StatusCode::GATEWAY_TIMEOUT,
        ErrorCode::RenderSaturated
        | ErrorCode::RenderWorkerUnavailable
        | ErrorCode::ServiceUnavailable
        | ErrorCode::DispatcherUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::EngineCrash | ErrorCode::DataFetchFailed => StatusCode::BAD_GATEWAY,
        ErrorCode::InternalError | ErrorCode::AssetBinaryMissing | ErrorCode::JobItemAbandoned | ErrorCode::JobAbandonedAtStartup => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
        ErrorCode::NotImplemented => StatusCode::NOT_IMPLEMENTED,
    }
}

/// The published class names; clients print them in front of the message.
fn class_of(code: ErrorCode, status: StatusCode) -> &'static str {
    match code {
        ErrorCode::ValidationFailed => "ValidationError",
        ErrorCode::TemplateExpressionError
        | ErrorCode::UnresolvedBindings
        | ErrorCode::NoRenderedTables
        | ErrorCode::AmbiguousTable
        | ErrorCode::TemplateBudgetExceeded
        | ErrorCode::AssetBlocked
        | ErrorCode::AssetBinaryMissing
        | ErrorCode::FontAssetMissing
        | ErrorCode::FontBudgetExceeded
        | ErrorCode::TooManyPages
        | ErrorCode::RenderTimeout
        | ErrorCode::EngineCrash => "RenderError",
        _ => status.canonical_reason().unwrap_or("Error"),
    }
}

/// Things listed in one answer.
const MOST_ISSUES: usize = 100;
/// Characters of one message or path in an answer: names and values of the input are echoed in them.
const MOST_CHARACTERS: usize = 2_000;

fn clipped(mut text: String) -> String {
    if let Some((at, _)) = text.char_indices().nth(MOST_CHARACTERS) {
        text.truncate(at);
        text.push('…');
    }
    text
}

fn listed(issues: Vec<Issue>) -> Vec<IssueBody> {
    let more = issues.len().saturating_sub(MOST_ISSUES);
    let clip = |issue: Issue| IssueBody::from(Issue { path: clipped(issue.path), message: clipped(issue.message), ..issue });
    let mut listed: Vec<IssueBody> = issues.into_iter().take(MOST_ISSUES).map(clip).collect();
    if more > 0 {
        listed.push(IssueBody { message: format!("and {more} more"), ..IssueBody::default() });
    }
    listed
}

/// What clients read that look at no body.
fn quota_headers(quota: &QuotaStanding) -> [(HeaderName, HeaderValue); 4] {
    [
        (HeaderName::from_static("x-quota-scope"), HeaderValue::from_static(quota.scope)),
        (HeaderName::from_static("x-quota-limit"), HeaderValue::from(quota.limit)),
        (HeaderName::from_static("x-quota-remaining"), HeaderValue::from(quota.remaining)),
        (HeaderName::from_static("x-quota-reset"), HeaderValue::from(whole_seconds_up(quota.reset_at))),
    ]
}

/// Unix seconds; never earlier than the moment.
fn whole_seconds_up(moment: Timestamp) -> i64 {
    moment.as_second() + i64::from(moment.subsec_nanosecond() > 0)
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let envelope = ErrorEnvelope {
            error: class_of(self.code, self.status),
            code: self.code.as_str(),
            message: clipped(self.message),
            request_id: current_request_id().to_string(),
            issues: listed(self.issues),
            retry_after: self.retry_after_s,
            quota: self.quota.as_deref().copied(),
            referenced_by: self.referenced_by.map(|users| *users),
            compatibility: self.compatibility.map(|found| *found),
            proof: self.proof.map(|proof| *proof),
            failures: self.failures.map(<[_]>::into_vec),
        };
        let mut response = (self.status, Json(envelope)).into_response();
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(quota) = &self.quota {
            response.headers_mut().extend(quota_headers(quota));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = if self.invalid_token { "Bearer error=\"invalid_token\"" } else { "Bearer" };
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response
    }
}

/// A whole answer for a connection on which there is no request to answer; the connection ends with it.
pub(crate) fn raw_answer(status: StatusCode, message: &str, retry_after_s: Option<u64>) -> Vec<u8> {
    let code = if status == StatusCode::SERVICE_UNAVAILABLE { ErrorCode::ServiceUnavailable } else { ErrorCode::BadRequest };
    let class = status.canonical_reason().unwrap_or("Error");
    let request_id = current_request_id().to_string();
    let mut envelope = serde_json::json!({ "error": class, "code": code.as_str(), "message": message, "requestId": request_id });
    let mut retry = String::new();
    if let Some(seconds) = retry_after_s {
        envelope["retryAfter"] = seconds.into();
        retry = format!("retry-after: {seconds}\r\n");
    }
    let (number, body) = (status.as_u16(), envelope.to_string());
    let length = body.len();
    format!(
        "HTTP/1.1 {number} {class}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{retry}x-request-id: {request_id}\r\nconnection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use proptest::prelude::*;

    use super::*;

    /// The most bytes that an answer of this kind may have: every issue with the longest path, message and node, escaped.
    const LARGEST: usize = (MOST_ISSUES + 2) * 4 * (MOST_CHARACTERS + 1) * 6;

    fn any_issue() -> impl Strategy<Value = Issue> {
        let code = prop_oneof![Just(None), Just(Some("INVALID_TEMPLATE"))];
        (any::<String>(), any::<String>(), code).prop_map(|(path, message, code)| Issue { code, ..Issue::new(path, message) })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, max_shrink_time: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_a_refusal_says_it_is_one_bounded_envelope(
            code in prop::sample::select(ErrorCode::ALL),
            message in any::<String>(),
            repeat in 1_usize..2_000,
            issues in prop::collection::vec(any_issue(), 0..150),
            retry_after in prop::option::of(any::<u64>()),
        ) {
            let mut error = ApiError::new(code, message.repeat(repeat)).with_issues(issues);
            if let Some(seconds) = retry_after {
                error = error.retry_after(seconds);
            }
            let response = error.into_response();
            prop_assert!(response.status().is_client_error() || response.status().is_server_error());
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let body = runtime.block_on(to_bytes(response.into_body(), LARGEST)).unwrap();
            let envelope: serde_json::Value = serde_json::from_slice(&body).unwrap();
            prop_assert_eq!(envelope["code"].as_str(), Some(code.as_str()));
            prop_assert!(envelope["message"].as_str().unwrap().chars().count() <= MOST_CHARACTERS + 1);
            prop_assert!(uuid::Uuid::parse_str(envelope["requestId"].as_str().unwrap()).is_ok());
            prop_assert!(envelope["issues"].as_array().is_none_or(|issues| issues.len() <= MOST_ISSUES + 1));
        }
    }
}
