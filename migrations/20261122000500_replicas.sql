-- Replicas: the processes that serve this database, each with a row that it touches every few seconds. A row that is not touched any
-- more is a process that died or cannot reach the database; one that stops takes its row away. Nothing that is authoritative hangs
-- on it: leases end by themselves.

CREATE TABLE replicas (
    -- New with each start of a process.
    instance_id    text COLLATE "C" PRIMARY KEY CHECK (char_length(instance_id) BETWEEN 1 AND 128),
    version        text NOT NULL CHECK (char_length(version) BETWEEN 1 AND 64),
    -- The newest migration that its release knows.
    schema_version bigint NOT NULL,
    started_at     timestamptz NOT NULL,
    seen_at        timestamptz NOT NULL,
    -- What it says of itself: what it has under way, and how it stands with what it needs.
    standing       jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(standing) = 'object' AND octet_length(standing::text) <= 16384)
-- Touched often, and in no other index: with room in the page that is done in place.
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
