-- What was rendered: one row for each render, and the sums per tenant and month that quotas are judged by.
--
-- Nothing here refers to the tenants' table: what a tenant used may be kept after the tenant is gone, and a row must
-- never be refused for the state of another table. Rows are written in groups in the background, some 100 ms late.

CREATE TABLE render_usage (
    tenant_id        text COLLATE "C" NOT NULL,
    -- When the render ended.
    rendered_at      timestamptz NOT NULL,
    -- A UUID of version 7 that says the same millisecond as rendered_at: it alone leads to the right partition.
    usage_id         uuid NOT NULL,
    actor            text CHECK (char_length(actor) <= 255),
    credential_scope text CHECK (char_length(credential_scope) <= 64),
    request_id       uuid,
    -- The process that rendered.
    instance_id      text NOT NULL CHECK (char_length(instance_id) BETWEEN 1 AND 128),
    -- None for a definition that came with the request.
    template_key     text COLLATE "C" CHECK (char_length(template_key) <= 128),
    template_version text COLLATE "C" CHECK (char_length(template_version) <= 32),
    label            text CHECK (char_length(label) <= 128),
    format           text NOT NULL CHECK (char_length(format) <= 16),
    mode             text NOT NULL CHECK (mode IN ('single', 'batch', 'async', 'scheduled')),
    -- "succeeded", "cancelled" or the error code.
    outcome          text COLLATE "C" NOT NULL CHECK (char_length(outcome) BETWEEN 1 AND 64),
    -- From the admission to the end, the wait for a tab included.
    duration_ms      integer NOT NULL CHECK (duration_ms >= 0),
    pages            integer NOT NULL CHECK (pages >= 0),
    size_bytes       bigint NOT NULL CHECK (size_bytes >= 0),
    -- SHA-256 of the data as compact JSON in the order it came in, and of the document.
    data_sha256      bytea CHECK (octet_length(data_sha256) = 32),
    output_sha256    bytea CHECK (octet_length(output_sha256) = 32),
    -- What the caller gave to find the render by: names and texts.
    metadata         jsonb CHECK (jsonb_typeof(metadata) = 'object'),
    correlation_id   text CHECK (char_length(correlation_id) <= 200),
    PRIMARY KEY (tenant_id, rendered_at, usage_id)
) PARTITION BY RANGE (rendered_at);

-- Partitions are calendar months in UTC called render_usage_2026_11; this one takes what falls into none of them.
CREATE TABLE render_usage_default PARTITION OF render_usage DEFAULT;

CREATE INDEX render_usage_template ON render_usage (tenant_id, template_key, rendered_at) WHERE template_key IS NOT NULL;
-- Most renders have no metadata and are not in it.
CREATE INDEX render_usage_metadata ON render_usage USING gin (metadata jsonb_path_ops) WHERE metadata IS NOT NULL;
-- For questions about all tenants and for retention; it takes next to nothing.
CREATE INDEX render_usage_time ON render_usage USING brin (rendered_at);

CREATE TABLE usage_periods (
    tenant_id    text COLLATE "C" NOT NULL,
    -- The first moment of the month in UTC.
    period_start timestamptz NOT NULL,
    -- Renders that ended in a document; the other sums are over all.
    renders      bigint NOT NULL DEFAULT 0 CHECK (renders >= 0),
    render_ms    bigint NOT NULL DEFAULT 0 CHECK (render_ms >= 0),
    pages        bigint NOT NULL DEFAULT 0 CHECK (pages >= 0),
    size_bytes   bigint NOT NULL DEFAULT 0 CHECK (size_bytes >= 0),
    PRIMARY KEY (tenant_id, period_start)
-- Every flush changes the rows of its tenants: leave room for that within the page.
) WITH (fillfactor = 50);

-- The limits of the tenant; what is absent is not limited.
ALTER TABLE tenants ADD COLUMN quotas jsonb CHECK (jsonb_typeof(quotas) = 'object');
