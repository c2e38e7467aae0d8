//! What was at fault when there was no document, and so whether another attempt is worth it.

use domain::ErrorCode;

use crate::error::RenderError;

/// What was at fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Blame {
    /// The template, the data, a limit: every further attempt meets the same.
    Request,
    /// The attempt, perhaps: a crash, a deadline. Another one may succeed; many say that it is the document after all.
    Attempt,
    /// Something is away or everything is taken: it says nothing about the document.
    Moment,
    /// The tenant was archived: its documents wait until it is active again, and those of others do not.
    Tenant,
}

impl RenderError {
    /// What was at fault.
    pub fn blame(&self) -> Blame {
        match self.code() {
            ErrorCode::ServiceUnavailable | ErrorCode::RenderSaturated | ErrorCode::RenderWorkerUnavailable => Blame::Moment,
            ErrorCode::TenantArchived => Blame::Tenant,
            ErrorCode::EngineCrash | ErrorCode::DataFetchFailed | ErrorCode::RenderTimeout | ErrorCode::InternalError => Blame::Attempt,
            _ => Blame::Request,
        }
    }
}
