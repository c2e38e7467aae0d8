-- Datasets: JSON that was uploaded to be rendered from a while later, often by many renders. The bytes are under their hash and are
-- there before the row is.

CREATE TABLE datasets (
    dataset_id      uuid PRIMARY KEY,
    tenant_id       text COLLATE "C" NOT NULL REFERENCES tenants,
    sha256          bytea NOT NULL CHECK (octet_length(sha256) = 32),
    size_bytes      bigint NOT NULL CHECK (size_bytes >= 1),
    actor           text COLLATE "C" NOT NULL CHECK (char_length(actor) BETWEEN 1 AND 255),
    -- The same upload under the same key is the same dataset.
    idempotency_key text CHECK (char_length(idempotency_key) BETWEEN 1 AND 255),
    -- How long it was to live: a part of what was asked for under the key.
    ttl_seconds     integer NOT NULL CHECK (ttl_seconds >= 1),
    created_at      timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL CHECK (expires_at > created_at)
);

-- What is to go, how much a tenant has, and whether bytes are still somebody's.
CREATE INDEX datasets_expired ON datasets (tenant_id, expires_at);
CREATE INDEX datasets_content ON datasets (tenant_id, sha256);
CREATE UNIQUE INDEX datasets_idempotency_key ON datasets (tenant_id, actor, idempotency_key) WHERE idempotency_key IS NOT NULL;

-- The datasets that the documents of a job are made from: they stay for as long as the job is open.
ALTER TABLE jobs ADD COLUMN datasets uuid[] NOT NULL DEFAULT '{}';
CREATE INDEX jobs_datasets ON jobs USING gin (datasets) WHERE datasets <> '{}' AND status IN ('pending', 'processing');
