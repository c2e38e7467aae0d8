//! Idempotency keys: which request has a caller's key, who is carrying it out, and what it was answered. Written past `write`:
//! what the request changes is in the audit log by itself. All times are the database's, so that the clocks of replicas do not matter.

use std::time::Duration;

use domain::idempotency_keys::KeyClaim;
use domain::ids::{DocumentId, LeaseToken, RequestId};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::connect::{Store, speak};
use crate::error::StoreError;
use crate::tenants::TenantStore;

/// The largest body of an answer that is stored, in bytes (a CHECK of the table).
pub const STORED_ANSWER_BYTES: usize = 256 * 1024;

/// A request under a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyedRequest {
    /// SHA-256 of who calls and what the credential is limited to.
    pub credential: [u8; 32],
    /// The caller's key, 1–255 characters.
    pub key: String,
    /// SHA-256 of what is asked for.
    pub request_sha256: [u8; 32],
}

/// What a request was answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredAnswer {
    /// The status, 200–499.
    pub status: u16,
    /// The headers, as JSON: pairs of name and value.
    pub headers: String,
    /// The body.
    pub body: AnswerBody,
}

/// The body of a stored answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AnswerBody {
    /// These bytes, up to [`STORED_ANSWER_BYTES`].
    Bytes(Vec<u8>),
    /// Those of a stored document.
    Document(DocumentId),
    /// It was too large, or was lost with the server that made it.
    NotKept,
}

/// How asking for a key ended.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub enum KeyOutcome {
    /// Whoever asked is the first, and carries the request out.
    Claimed(KeyClaim),
    /// Somebody is carrying it out.
    InUse,
    /// It was answered.
    Answered(StoredAnswer),
    /// Something else was asked for under the key.
    Reused,
}

/// The idempotency keys of one tenant.
pub struct IdempotencyKeys<'a>(pub(crate) &'a TenantStore);

impl TenantStore {
    /// Keys of callers that try again.
    pub fn idempotency_keys(&self) -> IdempotencyKeys<'_> {
        IdempotencyKeys(self)
    }
}

impl IdempotencyKeys<'_> {
    /// Takes a key for `lease_for`, unless it is taken: then what it led to. The key of somebody who died is taken over by the same
    /// request, unless the audit log has something that theirs changed: what was done is not done again. `request_id` names the
    /// asking request there.
    pub async fn claim(
        &self,
        request: &KeyedRequest,
        request_id: Option<RequestId>,
        lease_for: Duration,
    ) -> Result<KeyOutcome, StoreError> {
        speak!(self.0.store, "idempotency_keys.claim", {
            let token = LeaseToken::generate().as_uuid();
            let mut connection = self.0.store.acquire().await?;
            let claimed = sqlx::query!(
                r#"WITH before AS (
                       SELECT request_id, created_at FROM idempotency_keys
                       WHERE tenant_id = $1 AND credential = $2 AND idempotency_key = $3 AND answer_status IS NULL AND expires_at > now())
                   INSERT INTO idempotency_keys AS known (tenant_id, credential, idempotency_key, request_sha256, claim_id, claimed_until,
                                                          request_id, created_at, expires_at)
                   VALUES ($1, $2, $3, $4, $5, now() + make_interval(secs => $6), $7, now(), now() + interval '24 hours')
                   ON CONFLICT (tenant_id, credential, idempotency_key) DO UPDATE
                   SET request_sha256 = EXCLUDED.request_sha256, claim_id = EXCLUDED.claim_id, claimed_until = EXCLUDED.claimed_until,
                       answer_status = NULL, answer_headers = NULL, answer_body = NULL, document_id = NULL,
                       request_id = CASE WHEN known.expires_at <= now() THEN EXCLUDED.request_id ELSE known.request_id END,
                       created_at = CASE WHEN known.expires_at <= now() THEN EXCLUDED.created_at ELSE known.created_at END,
                       expires_at = EXCLUDED.expires_at
                   WHERE known.expires_at <= now()
                      OR (known.answer_status IS NULL AND known.claimed_until <= now() AND known.request_sha256 = EXCLUDED.request_sha256)
                   RETURNING (SELECT request_id FROM before) AS "request_before?", (SELECT created_at FROM before) AS "claimed_before?""#,
                self.0.tenant.as_str(),
                request.credential.as_slice(),
                request.key,
                request.request_sha256.as_slice(),
                token,
                lease_for.as_secs_f64(),
                request_id.map(RequestId::as_uuid)
            )
            .fetch_optional(&mut *connection)
            .await?;
            let Some(claimed) = claimed else { return self.found(&mut connection, request).await };
            let KeyedRequest { credential, key, .. } = request.clone();
            let claim = KeyClaim { tenant: self.0.tenant.clone(), credential, key, token };
            let Some(claimed_before) = claimed.claimed_before else { return Ok(KeyOutcome::Claimed(claim)) };
            // A statement of its own: what was committed while the one above waited for the key is seen only by the next.
            if let Some(request_before) = claimed.request_before
                && self.has_changed_something(&mut connection, request_before, claimed_before).await?
            {
                let lost = StoredAnswer { status: 200, headers: "[]".to_owned(), body: AnswerBody::NotKept };
                drop(connection);
                self.answer(&claim, &lost).await?;
                return Ok(KeyOutcome::Answered(lost));
            }
            // Not before: whoever dies up to here leaves the next one the same question.
            self.inherit(&mut connection, &claim, request_id).await?;
            Ok(KeyOutcome::Claimed(claim))
        })
        .await
    }

    /// What a key that is taken led to.
    async fn found(&self, connection: &mut PgConnection, request: &KeyedRequest) -> Result<KeyOutcome, StoreError> {
        let found = sqlx::query!(
            r#"SELECT request_sha256, answer_status, answer_headers::text AS answer_headers, answer_body, document_id
               FROM idempotency_keys
               WHERE tenant_id = $1 AND credential = $2 AND idempotency_key = $3 AND expires_at > now()"#,
            self.0.tenant.as_str(),
            request.credential.as_slice(),
            request.key
        )
        .fetch_optional(connection)
        .await?;
        // It was let go of in this very moment: whoever asks again gets it.
        let Some(found) = found else { return Ok(KeyOutcome::InUse) };
        if found.request_sha256 != request.request_sha256 {
            return Ok(KeyOutcome::Reused);
        }
        let Some(status) = found.answer_status else { return Ok(KeyOutcome::InUse) };
        let status =
            u16::try_from(status).map_err(|_| StoreError::inconsistent("idempotency_keys", "answer_status is negative".to_owned()))?;
        let body = match (found.answer_body, found.document_id) {
            (Some(body), _) => AnswerBody::Bytes(body),
            (None, Some(document)) => AnswerBody::Document(document.into()),
            (None, None) => AnswerBody::NotKept,
        };
        Ok(KeyOutcome::Answered(StoredAnswer { status, headers: found.answer_headers.unwrap_or_default(), body }))
    }

    /// Whether the audit log has something of a request. The log has the times of the replica that wrote it, which may lag a little.
    async fn has_changed_something(
        &self,
        connection: &mut PgConnection,
        request_id: Uuid,
        since: jiff_sqlx::Timestamp,
    ) -> Result<bool, StoreError> {
        let found = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM audit_events WHERE tenant_id = $1 AND occurred_at >= $2::timestamptz - interval '1 minute'
                                                         AND request_id = $3) AS "found!""#,
            self.0.tenant.as_str(),
            since as _,
            request_id
        );
        Ok(found.fetch_one(connection).await?)
    }

    /// From now on the audit log is asked about the request of whoever took over.
    async fn inherit(&self, connection: &mut PgConnection, claim: &KeyClaim, request_id: Option<RequestId>) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE idempotency_keys SET request_id = $5, created_at = now(), expires_at = now() + interval '24 hours'
             WHERE tenant_id = $1 AND credential = $2 AND idempotency_key = $3 AND claim_id = $4",
            self.0.tenant.as_str(),
            claim.credential.as_slice(),
            claim.key,
            claim.token,
            request_id.map(RequestId::as_uuid)
        )
        .execute(connection)
        .await?;
        Ok(())
    }

    /// Keeps the key for `lease_for` from now on; false when it is somebody else's by now. Do it at a third of that time.
    pub async fn renew(&self, claim: &KeyClaim, lease_for: Duration) -> Result<bool, StoreError> {
        speak!(self.0.store, "idempotency_keys.renew", {
            let mut connection = self.0.store.acquire().await?;
            let renewed = sqlx::query!(
                "UPDATE idempotency_keys SET claimed_until = now() + make_interval(secs => $5)
                 WHERE tenant_id = $1 AND credential = $2 AND idempotency_key = $3 AND claim_id = $4 AND answer_status IS NULL",
                self.0.tenant.as_str(),
                claim.credential.as_slice(),
                claim.key,
                claim.token,
                lease_for.as_secs_f64()
            );
            Ok(renewed.execute(&mut *connection).await?.rows_affected() == 1)
        })
        .await
    }

    /// Keeps what the request was answered, for a day from when it was claimed; false when the key is somebody else's by now.
    pub async fn answer(&self, claim: &KeyClaim, answer: &StoredAnswer) -> Result<bool, StoreError> {
        speak!(self.0.store, "idempotency_keys.answer", {
            let (body, document) = match &answer.body {
                AnswerBody::Bytes(bytes) => (Some(bytes.as_slice()), None),
                AnswerBody::Document(id) => (None, Some(id.as_uuid())),
                AnswerBody::NotKept => (None, None),
            };
            let mut connection = self.0.store.acquire().await?;
            let kept = sqlx::query!(
                "UPDATE idempotency_keys SET answer_status = $5, answer_headers = $6::text::json, answer_body = $7, document_id = $8
                 WHERE tenant_id = $1 AND credential = $2 AND idempotency_key = $3 AND claim_id = $4 AND answer_status IS NULL",
                self.0.tenant.as_str(),
                claim.credential.as_slice(),
                claim.key,
                claim.token,
                i16::try_from(answer.status).unwrap_or(i16::MAX),
                answer.headers,
                body,
                document
            );
            Ok(kept.execute(&mut *connection).await?.rows_affected() == 1)
        })
        .await
    }

    /// Ends the claim of a request that failed in the middle: the same request can be carried out at once, unless something was
    /// changed. False when the key is somebody else's by now.
    pub async fn give_up(&self, claim: &KeyClaim) -> Result<bool, StoreError> {
        speak!(self.0.store, "idempotency_keys.give_up", {
            let mut connection = self.0.store.acquire().await?;
            let given_up = sqlx::query!(
                "UPDATE idempotency_keys SET claimed_until = now()
                 WHERE tenant_id = $1 AND credential = $2 AND idempotency_key = $3 AND claim_id = $4 AND answer_status IS NULL",
                self.0.tenant.as_str(),
                claim.credential.as_slice(),
                claim.key,
                claim.token
            );
            Ok(given_up.execute(&mut *connection).await?.rows_affected() == 1)
        })
        .await
    }

    /// Lets go of the key of a request that was refused for the moment, as if nobody had had it; false when it is somebody else's by now.
    pub async fn release(&self, claim: &KeyClaim) -> Result<bool, StoreError> {
        speak!(self.0.store, "idempotency_keys.release", {
            let mut connection = self.0.store.acquire().await?;
            let released = sqlx::query!(
                "DELETE FROM idempotency_keys
                 WHERE tenant_id = $1 AND credential = $2 AND idempotency_key = $3 AND claim_id = $4 AND answer_status IS NULL",
                self.0.tenant.as_str(),
                claim.credential.as_slice(),
                claim.key,
                claim.token
            );
            Ok(released.execute(&mut *connection).await?.rows_affected() == 1)
        })
        .await
    }
}

/// Keeps a key as it is until the transaction ends, and refuses to go on when it is somebody else's. Whoever would take it over
/// waits: either this commits before, and its event is found, or it never commits.
pub(crate) async fn hold(transaction: &mut PgConnection, claim: &KeyClaim) -> Result<(), StoreError> {
    let held = sqlx::query_scalar!(
        "SELECT claim_id FROM idempotency_keys WHERE tenant_id = $1 AND credential = $2 AND idempotency_key = $3 FOR SHARE",
        claim.tenant.as_str(),
        claim.credential.as_slice(),
        claim.key
    );
    if held.fetch_optional(transaction).await? == Some(claim.token) { Ok(()) } else { Err(StoreError::TakenOver) }
}

impl Store {
    /// Forgets up to `max_rows` keys whose day is over; says how many. Call it until it forgets fewer.
    pub async fn forget_expired_idempotency_keys(&self, max_rows: u32) -> Result<u64, StoreError> {
        speak!(self, "idempotency_keys.forget", {
            let mut connection = self.acquire().await?;
            let forgotten = sqlx::query!(
                "DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY (
                     SELECT ctid FROM idempotency_keys WHERE expires_at <= now() ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED))",
                i64::from(max_rows)
            )
            .execute(&mut *connection)
            .await?;
            Ok(forgotten.rows_affected())
        })
        .await
    }
}
