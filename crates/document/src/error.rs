//! Why a definition or a document was refused.

use domain::{ErrorCode, Issue};

use crate::report::{ExpressionProblem, UnresolvedBinding};

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// The definition is wrong; every problem that was found, with JSON pointers into the definition.
    #[error("the template definition is not valid: {}", first(.0))]
    Definition(Vec<Issue>),
    /// The data does not fit the template's `inputSchema`; JSON pointers into the mapped data.
    #[error("the data does not fit the template's inputSchema: {}", first(.0))]
    Data(Vec<Issue>),
    /// A render option's expression or value cannot be used.
    #[error("the render options cannot be used: {}", first(.0))]
    Options(Vec<Issue>),
    /// The sample is too large to make a schema from; JSON pointers into the request.
    #[error("no schema is made from the sample: it {}", first(.0))]
    Sample(Vec<Issue>),
    /// The file with data, or how it is to be read, is wrong; JSON pointers into the request.
    #[error("the data cannot be read: {}", first(.0))]
    DataInput(Vec<Issue>),
    /// The file with data is larger than is read.
    #[error("the data is too large: it {}", first(.0))]
    DataInputTooLarge(Vec<Issue>),
    /// An expression failed while the document was written.
    #[error("{}", .0.whole_message())]
    Expression(Box<ExpressionProblem>),
    /// The template used up its steps, its output, its nesting or its time.
    #[error("{}", .0.whole_message())]
    Budget(Box<ExpressionProblem>),
    /// The deadline passed or the caller gave up while the template was evaluated.
    #[error("{}", .0.whole_message())]
    Stopped(Box<ExpressionProblem>),
    /// The document became larger than a render accepts.
    #[error("the document's {what} passed the limit of {limit}")]
    TooLarge {
        /// What was counted, such as `HTML (bytes)`.
        what: &'static str,
        /// The limit in that unit.
        limit: u64,
    },
    /// An image is refused.
    #[error("{at}: {reason}")]
    AssetBlocked {
        /// The node's breadcrumb, or `HTML`.
        at: String,
        /// What was found and what would be accepted.
        reason: String,
    },
    /// A font of the template's list is no asset, or no font.
    #[error("{at}: {reason}")]
    FontMissing {
        /// Where the template names it.
        at: String,
        /// What was found.
        reason: String,
    },
    /// The fonts of the document are too large together.
    #[error("{at}: {reason}")]
    FontBudget {
        /// Where the one is named that is too much.
        at: String,
        /// How large they are and how large they may be.
        reason: String,
    },
    /// The document names assets of which nothing was said: say what they mean and write it again.
    #[error("{} assets have to be found first", .0.len())]
    AssetsNeeded(Vec<domain::assets::AssetName>),
    /// Tables are wanted and the document has none.
    #[error("the document has no table; accepted: nodes of the types \"table\" and \"pivotTable\", or <table> in an HTML template")]
    NoTables,
    /// One table is wanted and there are several.
    #[error("the document has {count} tables; name one of {} in tableId, or ask for all", quoted(.known))]
    AmbiguousTable {
        /// How many there are to choose from.
        count: usize,
        /// The first of their ids.
        known: Vec<String>,
    },
    /// No table of the document has the id that is asked for.
    #[error("there is no table \"{id}\"; the document has {}", quoted(.known))]
    UnknownTable {
        /// As it was asked for.
        id: String,
        /// The first ids that there are.
        known: Vec<String>,
    },
    /// A table cannot be written in the format that is asked for.
    #[error("the table \"{at}\": {reason}")]
    TableUnfit {
        /// Its id.
        at: String,
        /// What was found and what would be accepted.
        reason: String,
    },
    /// Strict bindings were asked for and these have no value.
    #[error("{} bindings have no value, the first is `{}`", .0.len(), .0.first().map_or("", |binding| binding.path.as_str()))]
    UnresolvedBindings(Vec<UnresolvedBinding>),
}

fn quoted(ids: &[String]) -> String {
    ids.iter().map(|id| format!("\"{id}\"")).collect::<Vec<_>>().join(", ")
}

fn first(issues: &[Issue]) -> &str {
    issues.first().map_or("", |issue| issue.message.as_str())
}

impl DocumentError {
    /// Stopped outside of any expression.
    pub(crate) fn stopped(message: &str) -> Self {
        Self::Stopped(Box::new(ExpressionProblem { message: message.to_owned(), location: None, suggestion: None }))
    }

    /// The published code of this refusal.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Definition(_) | Self::Data(_) | Self::Sample(_) | Self::UnknownTable { .. } | Self::TableUnfit { .. } => {
                ErrorCode::ValidationFailed
            }
            Self::DataInput(_) => ErrorCode::DataInputInvalid,
            Self::DataInputTooLarge(_) => ErrorCode::DataInputTooLarge,
            Self::Options(_) => ErrorCode::InvalidRenderOptions,
            Self::Expression(_) => ErrorCode::TemplateExpressionError,
            Self::Budget(_) => ErrorCode::TemplateBudgetExceeded,
            Self::Stopped(_) => ErrorCode::RenderTimeout,
            Self::TooLarge { .. } => ErrorCode::RenderInputTooLarge,
            Self::AssetBlocked { .. } | Self::AssetsNeeded(_) => ErrorCode::AssetBlocked,
            Self::FontMissing { .. } => ErrorCode::FontAssetMissing,
            Self::FontBudget { .. } => ErrorCode::FontBudgetExceeded,
            Self::UnresolvedBindings(_) => ErrorCode::UnresolvedBindings,
            Self::NoTables => ErrorCode::NoRenderedTables,
            Self::AmbiguousTable { .. } => ErrorCode::AmbiguousTable,
        }
    }

    /// The problems as the error envelope lists them; empty where the message says all.
    pub fn issues(&self) -> Vec<Issue> {
        match self {
            Self::Definition(issues)
            | Self::Data(issues)
            | Self::Options(issues)
            | Self::Sample(issues)
            | Self::DataInput(issues)
            | Self::DataInputTooLarge(issues) => issues.clone(),
            Self::Expression(problem) | Self::Budget(problem) | Self::Stopped(problem) => vec![problem.as_issue()],
            Self::AssetBlocked { at, reason } | Self::FontMissing { at, reason } | Self::FontBudget { at, reason } => {
                vec![Issue::new(at.clone(), reason.clone()).with_code(self.code().as_str())]
            }
            Self::UnresolvedBindings(bindings) => bindings.iter().map(UnresolvedBinding::as_issue).collect(),
            Self::UnknownTable { .. } => vec![Issue::new("/tableId", self.to_string())],
            Self::TooLarge { .. } | Self::AssetsNeeded(_) | Self::NoTables | Self::AmbiguousTable { .. } | Self::TableUnfit { .. } => {
                Vec::new()
            }
        }
    }
}
