//! On whose behalf something is done.

use std::sync::Arc;

use crate::idempotency_keys::KeyClaim;
use crate::ids::RequestId;
use crate::invisible::is_invisible;
use crate::scopes::Scope;

/// Who changes something, as the audit log keeps it. The name is attribution, never authority.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Actor {
    /// A user id, a free label, or the credential: `apikey:<id>`, `apikey:json:<id>`, `env:admin`; up to [`Actor::NAME_CHARS`].
    pub name: Box<str>,
    /// The scope or role of the credential; none where the server acts by itself.
    pub scope: Option<Scope>,
    /// The request it happened in; none where no request asked for it.
    pub request_id: Option<RequestId>,
    /// The key under which the request is carried out: its changes are refused once that is somebody else's. None where it has none.
    pub claim: Option<Arc<KeyClaim>>,
}

impl Actor {
    /// The longest name, in characters; longer ones are cut.
    pub const NAME_CHARS: usize = 255;

    /// Somebody with a credential.
    pub fn new(name: &str, scope: Scope, request_id: RequestId) -> Self {
        Self { name: printable(name), scope: Some(scope), request_id: Some(request_id), claim: None }
    }

    /// The server itself: `system:<duty>`.
    pub fn system(duty: &str) -> Self {
        Self { name: printable(&format!("system:{duty}")), scope: None, request_id: None, claim: None }
    }
}

/// Control characters could forge lines of the log and cannot all be stored; what nobody sees makes two names look the same.
fn printable(name: &str) -> Box<str> {
    name.chars().map(|character| if is_invisible(character) { '\u{FFFD}' } else { character }).take(Actor::NAME_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_printable_line_of_bounded_length() {
        let actor = Actor::new(&format!("eve\n\0{}", "x".repeat(1000)), Scope::Admin, RequestId::generate());
        assert!(actor.name.starts_with("eve\u{FFFD}\u{FFFD}x"));
        assert_eq!(actor.name.chars().count(), Actor::NAME_CHARS);
    }
}
