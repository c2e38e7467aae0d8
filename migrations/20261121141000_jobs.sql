-- Jobs: documents that nobody waits for. A job is a row that people ask about; each of its documents is an item, the row that
-- replicas take under a lease (the columns and the rules are those of duties).
--
-- Where finished bytes are is said by their hash; they are there before the row says so.

CREATE TABLE jobs (
    job_id           uuid PRIMARY KEY,
    tenant_id        text COLLATE "C" NOT NULL REFERENCES tenants,
    kind             text NOT NULL CHECK (kind IN ('single', 'batch')),
    format           text NOT NULL CHECK (char_length(format) BETWEEN 1 AND 16),
    status           text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'processing', 'completed', 'failed', 'cancelled')),
    total            integer NOT NULL CHECK (total >= 1),
    succeeded        integer NOT NULL DEFAULT 0 CHECK (succeeded >= 0),
    failed           integer NOT NULL DEFAULT 0 CHECK (failed >= 0),
    cancel_requested boolean NOT NULL DEFAULT false,
    failure_code     text CHECK (char_length(failure_code) BETWEEN 1 AND 64),
    -- The caller's own name for it, and words to find its renders by.
    reference        text COLLATE "C" CHECK (char_length(reference) BETWEEN 1 AND 255),
    metadata         jsonb CHECK (jsonb_typeof(metadata) = 'object'),
    correlation_id   text CHECK (char_length(correlation_id) <= 200),
    packaging        text CHECK (packaging IN ('zip', 'merged-pdf')),
    -- The definition that all items share, where it came with the request; gone once the job has ended.
    definition       json,
    -- The stored templates of the items, each once, and whether one of them is none: what a limited credential is asked for.
    templates        text[] COLLATE "C" NOT NULL DEFAULT '{}',
    inline           boolean NOT NULL,
    -- Who asked, as the log of renders and the callback name it.
    actor            text NOT NULL CHECK (char_length(actor) BETWEEN 1 AND 255),
    actor_scope      text CHECK (char_length(actor_scope) <= 64),
    request_id       uuid,
    -- A caller that lost the answer asks again with the same key and gets the same job.
    idempotency_key  text COLLATE "C" CHECK (char_length(idempotency_key) BETWEEN 1 AND 255),
    request_sha256   bytea CHECK (octet_length(request_sha256) = 32),
    -- Where its end is told, and how far that has come.
    callback_url     text CHECK (char_length(callback_url) BETWEEN 1 AND 2048),
    callback_secret  text CHECK (char_length(callback_secret) BETWEEN 1 AND 512),
    callback_attempts integer NOT NULL DEFAULT 0 CHECK (callback_attempts >= 0),
    callback_delivered_at timestamptz,
    created_at       timestamptz NOT NULL,
    started_at       timestamptz,
    completed_at     timestamptz,
    expires_at       timestamptz NOT NULL,
    -- Its items are gone; the row stays a while and says so.
    emptied          boolean NOT NULL DEFAULT false,
    CHECK (succeeded + failed <= total),
    CHECK ((status IN ('completed', 'failed', 'cancelled')) = (completed_at IS NOT NULL)),
    CHECK (status <> 'completed' OR (succeeded + failed = total AND succeeded > 0)),
    CHECK (status <> 'failed' OR (failed = total AND failure_code IS NOT NULL)),
    CHECK ((status = 'cancelled') = cancel_requested),
    CHECK (status <> 'pending' OR (started_at IS NULL AND succeeded + failed = 0)),
    CHECK ((callback_url IS NULL) = (callback_secret IS NULL)),
    CHECK ((idempotency_key IS NULL) = (request_sha256 IS NULL))
-- Every item that ends changes its job's row: leave room for that within the page.
) WITH (fillfactor = 70);

-- The list, newest first; the id makes the order total.
CREATE INDEX jobs_created ON jobs (tenant_id, created_at, job_id);
CREATE INDEX jobs_reference ON jobs (tenant_id, reference, created_at) WHERE reference IS NOT NULL;
CREATE UNIQUE INDEX jobs_idempotency_key ON jobs (tenant_id, actor, idempotency_key) WHERE idempotency_key IS NOT NULL;
-- What is to go.
CREATE INDEX jobs_expired ON jobs (emptied, expires_at) WHERE completed_at IS NOT NULL;

CREATE TABLE job_items (
    job_id       uuid NOT NULL REFERENCES jobs ON DELETE CASCADE,
    item_index   integer NOT NULL CHECK (item_index >= 0),
    tenant_id    text COLLATE "C" NOT NULL,
    kind         text NOT NULL CHECK (kind IN ('single', 'batch')),
    status       text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'succeeded', 'failed', 'cancelled')),
    -- What was asked for, word for word; gone once the item has ended.
    request      json,
    template     text COLLATE "C" NOT NULL CHECK (char_length(template) BETWEEN 1 AND 255),
    reference    text CHECK (char_length(reference) BETWEEN 1 AND 255),
    metadata     jsonb CHECK (jsonb_typeof(metadata) = 'object'),
    -- Lower ones first; among equals by turn, which is given out at submission so that tenants take turns.
    priority     smallint NOT NULL DEFAULT 100,
    turn         bigint NOT NULL,
    lease_owner  text CHECK (char_length(lease_owner) <= 128),
    lease_token  uuid,
    lease_until  timestamptz,
    attempt      integer NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    next_run_at  timestamptz NOT NULL DEFAULT now(),
    -- What the last attempt met, for the case that there is no other.
    last_code    text CHECK (char_length(last_code) BETWEEN 1 AND 64),
    ended_at     timestamptz,
    sha256       bytea CHECK (octet_length(sha256) = 32),
    size_bytes   bigint CHECK (size_bytes >= 0),
    content_type text CHECK (char_length(content_type) BETWEEN 1 AND 100),
    filename     text CHECK (char_length(filename) BETWEEN 1 AND 300),
    disposition  text CHECK (disposition IN ('inline', 'attachment')),
    pages        integer CHECK (pages >= 0),
    warnings     integer CHECK (warnings >= 0),
    template_version text CHECK (char_length(template_version) <= 32),
    usage_id     uuid,
    -- The stored document, where the output was to be kept as one.
    document_id  uuid,
    error_code   text CHECK (char_length(error_code) BETWEEN 1 AND 64),
    error_message text CHECK (char_length(error_message) <= 4000),
    PRIMARY KEY (job_id, item_index),
    CHECK ((lease_token IS NULL) = (lease_until IS NULL) AND (lease_token IS NULL) = (lease_owner IS NULL)),
    CHECK (status = 'pending' OR lease_token IS NULL),
    CHECK ((status = 'pending') = (ended_at IS NULL)),
    CHECK ((status = 'pending') = (request IS NOT NULL)),
    CHECK ((status = 'succeeded') = (sha256 IS NOT NULL)),
    CHECK ((sha256 IS NULL) = (size_bytes IS NULL) AND (sha256 IS NULL) = (content_type IS NULL) AND (sha256 IS NULL) = (filename IS NULL)),
    CHECK ((status = 'failed') = (error_code IS NOT NULL))
-- Leases change often and are in no index: with room in the page that is done in place.
) WITH (fillfactor = 70);

-- Who is next. It has what is open and nothing else, so that what was done behind does not make it slower.
CREATE INDEX job_items_next ON job_items (priority, turn) WHERE status = 'pending';
-- The last turn of a tenant, and how much it has open.
CREATE INDEX job_items_open ON job_items (tenant_id, kind, turn) WHERE status = 'pending';
-- Whether bytes are still somebody's.
CREATE INDEX job_items_content ON job_items (tenant_id, sha256) WHERE sha256 IS NOT NULL;

-- A queue is looked at from its beginning, where what is done lies: it is swept early and without rests.
ALTER TABLE job_items SET (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0);
ALTER TABLE jobs SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);

-- What has ended stays as it ended.
CREATE FUNCTION jobs_refuse_change_of_the_end() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a job that has ended does not change how' USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER jobs_end BEFORE UPDATE OF status ON jobs
    FOR EACH ROW WHEN (OLD.completed_at IS NOT NULL AND NEW.status <> OLD.status) EXECUTE FUNCTION jobs_refuse_change_of_the_end();
CREATE TRIGGER job_items_end BEFORE UPDATE OF status ON job_items
    FOR EACH ROW WHEN (OLD.status <> 'pending' AND NEW.status <> OLD.status) EXECUTE FUNCTION jobs_refuse_change_of_the_end();
