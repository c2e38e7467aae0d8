//! Render tokens: how often each may still be used, and whether it was withdrawn. The tokens themselves are signed, not kept.

use domain::audit::AuditKind;
use domain::ids::RenderTokenId;
use domain::render_tokens::RenderToken;
use domain::{Actor, AuditEvent};
use jiff::{SignedDuration, Timestamp};
use jiff_sqlx::ToSqlx as _;
use uuid::Uuid;

use crate::connect::{Store, speak};
use crate::error::StoreError;
use crate::tenants::TenantStore;
use crate::write::{Needs, Write};

/// Rows of expired tokens that one insert sweeps away: more than it adds, so they never pile up.
const SWEPT_ROWS: i64 = 20;
/// How long the row of an expired token stays: longer than clocks differ, so that its last requests are counted.
const KEPT_AFTER_EXPIRY: SignedDuration = SignedDuration::from_hours(1);

/// A token as its row has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RenderTokenRecord {
    /// Names it.
    pub id: RenderTokenId,
    /// The keys of the templates it reaches.
    pub templates: Vec<String>,
    /// The formats it allows.
    pub formats: Vec<String>,
    /// How many renders in all.
    pub max_renders: u32,
    /// How many of them are taken.
    pub used: u32,
    /// The first moment at which it is not valid.
    pub expires_at: Timestamp,
    /// Since when it is withdrawn.
    pub revoked_at: Option<Timestamp>,
    /// Who made it.
    pub issued_by: String,
    /// Whom it was made for, in its maker's words.
    pub subject: Option<String>,
    /// The pages it works on; everywhere when there are none.
    pub allowed_origins: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Whether a token may be used once more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum TakeOutcome {
    /// Yes; that use is counted.
    Taken {
        /// How many uses are left after it.
        left: u32,
    },
    /// All its uses are taken.
    Exhausted,
    /// It was withdrawn.
    Revoked,
    /// Its life is over.
    Expired,
    /// It has no row: of another tenant or installation, or its row is gone.
    Unknown,
}

/// The render tokens of one tenant.
pub struct RenderTokens<'a>(&'a TenantStore);

impl TenantStore {
    /// The tokens for browsers.
    pub fn render_tokens(&self) -> RenderTokens<'_> {
        RenderTokens(self)
    }
}

impl Store {
    /// Forgets up to `max_rows` tokens of all tenants that expired a while ago; says how many. For those of tenants that make no
    /// new ones: call it until it forgets fewer. Nothing they could do is lost, so no audit event goes with it.
    pub async fn forget_expired_render_tokens(&self, max_rows: u32) -> Result<u64, StoreError> {
        speak!(self, "render_tokens.forget", {
            let mut connection = self.acquire().await?;
            let forgotten = sqlx::query!(
                "DELETE FROM render_tokens WHERE token_id IN (
                     SELECT token_id FROM render_tokens WHERE expires_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
                swept_before(self) as _,
                i64::from(max_rows)
            )
            .execute(&mut *connection)
            .await?;
            Ok(forgotten.rows_affected())
        })
        .await
    }
}

/// Tokens that expired before may be forgotten.
fn swept_before(store: &Store) -> jiff_sqlx::Timestamp {
    store.now().to_jiff().checked_sub(KEPT_AFTER_EXPIRY).unwrap_or(Timestamp::MIN).to_sqlx()
}

impl RenderTokens<'_> {
    /// The token of that id.
    pub async fn get(&self, id: RenderTokenId) -> Result<Option<RenderTokenRecord>, StoreError> {
        speak!(self.0.store, "render_tokens.get", {
            let mut connection = self.0.store.acquire().await?;
            let row = sqlx::query_as!(
                RenderTokenRow,
                "SELECT token_id, templates, formats, max_renders, used, expires_at, revoked_at, issued_by, subject, allowed_origins,
                        created_at
                 FROM render_tokens WHERE tenant_id = $1 AND token_id = $2",
                self.0.tenant.as_str(),
                id.as_uuid()
            )
            .fetch_optional(&mut *connection)
            .await?;
            Ok(row.map(RenderTokenRecord::from))
        })
        .await
    }

    /// Begins to count the uses of a token; call it before the token is handed out. The token must be of this tenant, or it
    /// is refused as one of no tenant.
    pub async fn insert(&self, token: &RenderToken, actor: &Actor) -> Result<(), StoreError> {
        if token.tenant != self.0.tenant {
            return Err(StoreError::NoSuchTenant);
        }
        speak!(self.0.store, "render_tokens.insert", {
            let templates: Vec<String> = token.templates.iter().map(ToString::to_string).collect();
            let formats: Vec<String> = token.formats.iter().map(ToString::to_string).collect();
            let origins: Vec<String> = token.allowed_origins.iter().map(ToString::to_string).collect();
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            sqlx::query!(
                "WITH swept AS (
                     DELETE FROM render_tokens WHERE token_id IN (
                         SELECT token_id FROM render_tokens WHERE tenant_id = $2 AND expires_at < $11
                         ORDER BY expires_at LIMIT $12 FOR UPDATE SKIP LOCKED))
                 INSERT INTO render_tokens (token_id, tenant_id, templates, formats, max_renders, expires_at, issued_by, subject,
                                            allowed_origins, created_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                token.id.as_uuid(),
                self.0.tenant.as_str(),
                &templates,
                &formats,
                i32::try_from(token.max_renders.get()).unwrap_or(i32::MAX),
                token.expires_at.to_sqlx() as _,
                token.issued_by,
                token.subject,
                &origins,
                self.0.store.now() as _,
                swept_before(&self.0.store) as _,
                SWEPT_ROWS
            )
            .execute(&mut *write)
            .await?;
            let event = AuditEvent::new(AuditKind::RenderTokenCreated, token.id)
                .with("templates", templates)
                .with("formats", formats)
                .with("maxRenders", token.max_renders.get())
                .with("expiresAt", token.expires_at.to_string())
                .with("allowedOrigins", origins)
                .with("subject", token.subject.as_deref());
            write.commit(event).await
        })
        .await
    }

    /// Withdraws a token; says whether there is such a token. Withdrawing it again changes nothing. It only takes away, so it
    /// also happens to those of an archived tenant.
    pub async fn revoke(&self, id: RenderTokenId, actor: &Actor) -> Result<bool, StoreError> {
        speak!(self.0.store, "render_tokens.revoke", {
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin_on(&mut connection, self.0, actor, Needs::AnyTenant).await?;
            let revoked = sqlx::query_scalar!(
                r#"WITH held AS (SELECT token_id, revoked_at FROM render_tokens WHERE tenant_id = $1 AND token_id = $2 FOR UPDATE),
                        revoked AS (UPDATE render_tokens t SET revoked_at = $3 FROM held
                                    WHERE t.token_id = held.token_id AND held.revoked_at IS NULL RETURNING t.token_id)
                   SELECT EXISTS (SELECT 1 FROM revoked) AS "revoked!" FROM held"#,
                self.0.tenant.as_str(),
                id.as_uuid(),
                self.0.store.now() as _
            )
            .fetch_optional(&mut *write)
            .await?;
            if revoked == Some(true) {
                write.announce("render_token", &id.to_string()).await?;
                write.commit(AuditEvent::new(AuditKind::RenderTokenRevoked, id)).await?;
            }
            Ok(revoked.is_some())
        })
        .await
    }

    /// Takes one use, if the token has one left; two requests never take the same one. A use is usage and no change by a
    /// person, so no audit event goes with it: the render that follows has its row in the usage log.
    pub async fn take_one(&self, id: RenderTokenId) -> Result<TakeOutcome, StoreError> {
        speak!(self.0.store, "render_tokens.take_one", {
            let now = self.0.store.now();
            let mut connection = self.0.store.acquire().await?;
            // The lock first: what was waited for is then seen as it became, and the answer fits what was done.
            let row = sqlx::query!(
                r#"WITH held AS (SELECT token_id, max_renders, used, expires_at, revoked_at FROM render_tokens
                                 WHERE tenant_id = $1 AND token_id = $2 FOR UPDATE),
                        taken AS (UPDATE render_tokens t SET used = held.used + 1 FROM held
                                  WHERE t.token_id = held.token_id AND held.used < held.max_renders AND held.revoked_at IS NULL
                                    AND held.expires_at > $3
                                  RETURNING t.max_renders - t.used AS remaining)
                   SELECT (SELECT remaining FROM taken) AS remaining, revoked_at IS NOT NULL AS "revoked!", expires_at <= $3 AS "expired!"
                   FROM held"#,
                self.0.tenant.as_str(),
                id.as_uuid(),
                now as _
            )
            .fetch_optional(&mut *connection)
            .await?;
            Ok(match row {
                None => TakeOutcome::Unknown,
                Some(row) => match row.remaining {
                    Some(left) => TakeOutcome::Taken { left: u32::try_from(left).unwrap_or(0) },
                    None if row.revoked => TakeOutcome::Revoked,
                    None if row.expired => TakeOutcome::Expired,
                    None => TakeOutcome::Exhausted,
                },
            })
        })
        .await
    }

    /// Gives a use back that led to no document; says whether one was taken. Unaudited as [`RenderTokens::take_one`].
    pub async fn give_back(&self, id: RenderTokenId) -> Result<bool, StoreError> {
        speak!(self.0.store, "render_tokens.give_back", {
            let mut connection = self.0.store.acquire().await?;
            let given = sqlx::query!(
                "UPDATE render_tokens SET used = used - 1 WHERE tenant_id = $1 AND token_id = $2 AND used > 0",
                self.0.tenant.as_str(),
                id.as_uuid()
            )
            .execute(&mut *connection)
            .await?;
            Ok(given.rows_affected() == 1)
        })
        .await
    }
}

struct RenderTokenRow {
    token_id: Uuid,
    templates: Vec<String>,
    formats: Vec<String>,
    max_renders: i32,
    used: i32,
    expires_at: jiff_sqlx::Timestamp,
    revoked_at: Option<jiff_sqlx::Timestamp>,
    issued_by: String,
    subject: Option<String>,
    allowed_origins: Vec<String>,
    created_at: jiff_sqlx::Timestamp,
}

impl From<RenderTokenRow> for RenderTokenRecord {
    fn from(row: RenderTokenRow) -> Self {
        // Never negative, by a CHECK.
        let count = |number: i32| u32::try_from(number).unwrap_or(0);
        Self {
            id: row.token_id.into(),
            templates: row.templates,
            formats: row.formats,
            max_renders: count(row.max_renders),
            used: count(row.used),
            expires_at: row.expires_at.to_jiff(),
            revoked_at: row.revoked_at.map(jiff_sqlx::Timestamp::to_jiff),
            issued_by: row.issued_by,
            subject: row.subject,
            allowed_origins: row.allowed_origins,
            created_at: row.created_at.to_jiff(),
        }
    }
}
