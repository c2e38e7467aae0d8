//! The right to carry out a request that may be sent again: who has the caller's key.

use uuid::Uuid;

use crate::TenantId;

/// What a request holds while it is carried out under an `Idempotency-Key`. Whatever it changes, it changes only as long as the key
/// is still its own: a server that slept while another one took over wakes up without it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyClaim {
    /// Whose key it is.
    pub tenant: TenantId,
    /// SHA-256 of who calls and what the credential is limited to.
    pub credential: [u8; 32],
    /// The caller's key, 1–255 characters.
    pub key: String,
    /// Names this claim; whoever takes over has another one.
    pub token: Uuid,
}
