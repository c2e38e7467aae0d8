-- Stored documents: finished files that are kept for a while. The bytes are under their hash and are there before the row is.

CREATE TABLE documents (
    document_id      uuid PRIMARY KEY,
    tenant_id        text COLLATE "C" NOT NULL REFERENCES tenants,
    format           text NOT NULL CHECK (char_length(format) BETWEEN 1 AND 16),
    content_type     text NOT NULL CHECK (char_length(content_type) BETWEEN 1 AND 100),
    filename         text NOT NULL CHECK (char_length(filename) BETWEEN 1 AND 200),
    disposition      text NOT NULL CHECK (disposition IN ('inline', 'attachment')),
    sha256           bytea NOT NULL CHECK (octet_length(sha256) = 32),
    size_bytes       bigint NOT NULL CHECK (size_bytes >= 0),
    pages            integer CHECK (pages >= 1),
    source           text NOT NULL CHECK (source IN ('single', 'batch', 'async-batch', 'scheduled', 'portal')),
    -- None for a definition that came with the request. Templates may go before their documents do.
    template_key     text COLLATE "C" CHECK (char_length(template_key) <= 128),
    template_version text COLLATE "C" CHECK (char_length(template_version) <= 32),
    label            text CHECK (char_length(label) <= 128),
    -- Which item of which job it is: an item is stored once, however often it is tried. Jobs go before their documents do.
    job_id           uuid,
    item_index       integer CHECK (item_index >= 0),
    usage_id         uuid,
    request_id       uuid,
    actor            text COLLATE "C" NOT NULL CHECK (char_length(actor) BETWEEN 1 AND 255),
    -- What the caller gave to find it by: names and texts.
    metadata         jsonb CHECK (jsonb_typeof(metadata) = 'object'),
    created_at       timestamptz NOT NULL,
    expires_at       timestamptz NOT NULL CHECK (expires_at > created_at),
    -- How often it was fetched, and how often it may be.
    download_count   integer NOT NULL DEFAULT 0 CHECK (download_count >= 0),
    max_downloads    integer CHECK (max_downloads BETWEEN 1 AND 1000),
    last_downloaded_at timestamptz,
    -- Links say which count they were made under; those of another one are void.
    link_version     integer NOT NULL DEFAULT 1 CHECK (link_version >= 1),
    CHECK (max_downloads IS NULL OR download_count <= max_downloads),
    CHECK ((job_id IS NULL) = (item_index IS NULL))
-- Fetching changes columns that no index has: with room in the page that is done in place.
) WITH (fillfactor = 90);

-- The list, newest first; the id makes the order total.
CREATE INDEX documents_created ON documents (tenant_id, created_at, document_id);
CREATE INDEX documents_template ON documents (tenant_id, template_key, created_at, document_id);
CREATE INDEX documents_metadata ON documents USING gin (metadata jsonb_path_ops) WHERE metadata IS NOT NULL;
CREATE UNIQUE INDEX documents_job_item ON documents (job_id, item_index) WHERE job_id IS NOT NULL;
-- What is to go, and whether bytes are still somebody's.
CREATE INDEX documents_expired ON documents (tenant_id, expires_at);
CREATE INDEX documents_content ON documents (tenant_id, sha256);
