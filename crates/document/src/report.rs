//! The answer of a dry run, and its parts that errors share. The shapes are part of the wire contract.

use domain::Issue;
use domain::issues::IssueNode;
use serde::Serialize;

/// What a render would meet, without rendering.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DryRun {
    /// Always true; tells the answer from a document.
    pub dry_run: bool,
    /// No validation error and no expression error.
    pub valid: bool,
    /// The data against `inputSchema`.
    pub validation: Validation,
    /// The expressions of the whole tree.
    pub expressions: Expressions,
    /// Mappings that set a value.
    pub field_mappings_applied: usize,
    /// Always 0: definitions have no data sources of their own.
    pub data_sources_resolved: usize,
    /// Always empty.
    pub data_sources: Vec<serde_json::Value>,
    /// What would be rendered as nothing.
    pub warnings: Warnings,
    /// What the page set-up or the images would be warned about.
    pub format_warnings: Vec<Warning>,
}

/// Whether the data fits, and where not.
#[derive(Clone, Debug, Serialize)]
pub struct Validation {
    /// No errors.
    pub valid: bool,
    /// JSON pointers into the mapped data.
    pub errors: Vec<Issue>,
}

/// Whether the expressions can be evaluated, and which not.
#[derive(Clone, Debug, Serialize)]
pub struct Expressions {
    /// No errors.
    pub valid: bool,
    /// In the order of the document.
    pub errors: Vec<ExpressionProblem>,
}

/// One expression that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExpressionProblem {
    /// What was found and what would be accepted.
    pub message: String,
    /// Where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// Near names, where the error is about a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<Suggestion>,
}

/// The place of an expression.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Location {
    /// The node's id; `html`, `css` and the like for what is no node.
    pub node_id: String,
    /// The node's type.
    pub node_type: String,
    /// The readable path, such as `Section 'Body' > Text 1`.
    pub node_path: String,
    /// The property that holds the expression.
    pub property: String,
    /// Line within the property, from 1.
    pub line: usize,
    /// Column within the line in characters, from 1.
    pub column: usize,
}

/// A name that does not exist and those that do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Suggestion {
    /// As written.
    pub variable: String,
    /// Near spellings, the nearest first.
    pub suggestions: Vec<String>,
}

impl ExpressionProblem {
    /// The message with its place in front.
    pub fn whole_message(&self) -> String {
        match &self.location {
            Some(at) => format!("{} ({}, line {}, column {}): {}", at.node_path, at.property, at.line, at.column, self.message),
            None => self.message.clone(),
        }
    }

    /// The problem as error envelopes list it, about the node that holds the expression.
    pub fn as_issue(&self) -> Issue {
        let path = self.location.as_ref().map(|at| at.node_path.clone()).unwrap_or_default();
        let issue = Issue::new(path, self.whole_message()).with_code("template_expression_error");
        match &self.location {
            Some(at) => issue.about(IssueNode::new(Some(&at.node_id), Some(&at.node_type), at.node_path.clone())),
            None => issue,
        }
    }
}

/// What would be missing in the document.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Warnings {
    /// Bindings without a value.
    pub unresolved_bindings: Vec<UnresolvedBinding>,
    /// Always empty: what the schema does not declare is not reported yet.
    pub undeclared_fields: Vec<String>,
    /// There are more than the list holds.
    pub truncated: bool,
}

/// A binding that was rendered as nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UnresolvedBinding {
    /// As written.
    pub path: String,
    /// Why there is nothing.
    pub reason: Reason,
    /// How much it matters.
    pub severity: Severity,
    /// The node's id.
    pub node_id: String,
    /// The node's type.
    pub node_type: String,
    /// The readable path of the node.
    pub node_path: String,
    /// How often, for bindings inside loops.
    pub occurrences: usize,
    /// Line of the first, from 1.
    pub line: usize,
    /// Column of the first in characters, from 1.
    pub column: usize,
    /// Near names that exist.
    pub suggestions: Vec<String>,
}

impl UnresolvedBinding {
    pub(crate) fn as_issue(&self) -> Issue {
        let hint = self.suggestions.first().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        let message = format!("{} (line {}, column {}): `{}` has no value{hint}", self.node_path, self.line, self.column, self.path);
        let node = IssueNode::new(Some(&self.node_id), Some(&self.node_type), self.node_path.clone());
        Issue::new(self.path.clone(), message).with_code(self.reason.as_str()).about(node)
    }
}

/// Why a binding has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// No such property in the data.
    Missing,
    /// The property is null.
    Null,
    /// A table or repeater has nothing to go over.
    MissingCollection,
}

impl Reason {
    fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Null => "null",
            Self::MissingCollection => "missing_collection",
        }
    }
}

/// How much a missing value matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Probably a mistake.
    Warning,
    /// Probably meant: an explicit null.
    Info,
}

/// Warnings of one document that are listed.
const MAX_WARNINGS: usize = 100;

/// Adds a warning; the first that is too many becomes a last entry that says so.
pub(crate) fn warn(warnings: &mut Vec<Warning>, code: &'static str, message: impl FnOnce() -> String) {
    match warnings.len().cmp(&MAX_WARNINGS) {
        std::cmp::Ordering::Less => warnings.push(Warning { code, message: domain::issues::clipped_message(message()) }),
        std::cmp::Ordering::Equal => {
            warnings.push(Warning { code: "more_warnings", message: "there are more warnings, which are not listed".into() });
        }
        std::cmp::Ordering::Greater => {}
    }
}

/// Something that was left out or changed while the document was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// A stable name of the kind.
    pub code: &'static str,
    /// What was left out, and why.
    pub message: String,
}
