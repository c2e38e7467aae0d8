-- Idempotency keys: what a request under a caller's key led to, so that the same request is carried out once, however often and to
-- however many servers it is sent. Jobs, datasets and schedules have the key in or behind their own row instead.

CREATE TABLE idempotency_keys (
    tenant_id       text COLLATE "C" NOT NULL REFERENCES tenants,
    -- SHA-256 of who called and what the credential is limited to: keys of two callers have nothing to do with each other.
    credential      bytea NOT NULL CHECK (octet_length(credential) = 32),
    idempotency_key text COLLATE "C" NOT NULL CHECK (char_length(idempotency_key) BETWEEN 1 AND 255),
    -- SHA-256 of what was asked for: path, query, conditions and body.
    request_sha256  bytea NOT NULL CHECK (octet_length(request_sha256) = 32),
    -- Who carries it out, and until when nobody else does.
    claim_id        uuid NOT NULL,
    claimed_until   timestamptz NOT NULL,
    -- What the audit log calls it: says whether something was changed by somebody who died before the answer was here.
    request_id      uuid,
    -- The answer; without a body and without a document it cannot be given again.
    answer_status   smallint CHECK (answer_status BETWEEN 200 AND 499),
    answer_headers  json,
    answer_body     bytea CHECK (octet_length(answer_body) <= 262144),
    document_id     uuid,
    created_at      timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL CHECK (expires_at > created_at),
    PRIMARY KEY (tenant_id, credential, idempotency_key),
    CHECK (answer_status IS NOT NULL OR (answer_headers IS NULL AND answer_body IS NULL AND document_id IS NULL)),
    CHECK (answer_body IS NULL OR document_id IS NULL)
);

-- What is to go.
CREATE INDEX idempotency_keys_expired ON idempotency_keys (expires_at);
