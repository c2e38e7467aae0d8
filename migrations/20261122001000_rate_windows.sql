-- Rate limits: how many requests of the running window are given out to replicas, for each credential and tenant that has a limit. It
-- is no loss when a crash empties the table (every limit then begins a new window), so it is not logged.

CREATE UNLOGGED TABLE rate_windows (
    -- SHA-256 of whose window it is.
    subject    bytea PRIMARY KEY CHECK (octet_length(subject) = 32),
    -- When the window ends; the next request begins another one.
    ends_at    timestamptz NOT NULL,
    -- Requests that replicas may let through, or have let through.
    granted    bigint NOT NULL CHECK (granted >= 0),
    -- How many of them the last replica got that asked.
    last_block bigint NOT NULL CHECK (last_block >= 0)
) WITH (fillfactor = 50);

-- What is to go.
CREATE INDEX rate_windows_ended ON rate_windows (ends_at);

-- A limit of its own for a key.
ALTER TABLE api_keys ADD COLUMN requests_per_minute integer CHECK (requests_per_minute BETWEEN 0 AND 10000000);
