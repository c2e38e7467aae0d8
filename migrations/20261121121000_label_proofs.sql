-- Proofs: what moving a label would change, with pictures of the pages that would look different, and moves that rest on them.

CREATE TABLE label_proofs (
    proof_id    uuid PRIMARY KEY,
    template_id uuid NOT NULL,
    tenant_id   text COLLATE "C" NOT NULL,
    label       text COLLATE "C" NOT NULL CHECK (label ~ '^[a-z][a-z0-9._-]{0,63}$'),
    -- From the version that the label led to, to the one that it is to lead to. The past stays told: no foreign keys.
    base_major  integer NOT NULL,
    base_minor  integer NOT NULL,
    base_patch  integer NOT NULL,
    major       integer NOT NULL,
    minor       integer NOT NULL,
    patch       integer NOT NULL,
    outcome     text NOT NULL CHECK (outcome IN ('unchanged', 'incomplete', 'changed', 'failed', 'breaking')),
    -- What was found, dataset by dataset and page by page, as it is shown.
    findings    json NOT NULL,
    took_ms     bigint NOT NULL CHECK (took_ms >= 0),
    created_at  timestamptz NOT NULL,
    created_by  text NOT NULL CHECK (char_length(created_by) <= 255),
    place       bigint GENERATED ALWAYS AS IDENTITY,
    FOREIGN KEY (tenant_id, template_id) REFERENCES templates (tenant_id, template_id) ON DELETE CASCADE
);

-- The proofs of a label, newest first.
CREATE INDEX label_proofs_of_label ON label_proofs (template_id, label, place DESC);
-- What is too old, and what a purge of the tenant goes by.
CREATE INDEX label_proofs_by_age ON label_proofs (tenant_id, created_at);

CREATE TABLE label_proof_pictures (
    proof_id   uuid NOT NULL REFERENCES label_proofs ON DELETE CASCADE,
    tenant_id  text COLLATE "C" NOT NULL,
    -- From 1, as the findings name it.
    number     integer NOT NULL CHECK (number > 0),
    -- The bytes are stored under their SHA-256.
    sha256     bytea NOT NULL CHECK (octet_length(sha256) = 32),
    size_bytes bigint NOT NULL CHECK (size_bytes > 0),
    PRIMARY KEY (proof_id, number)
);

-- Whether stored bytes are still somebody's.
CREATE INDEX label_proof_pictures_by_hash ON label_proof_pictures (tenant_id, sha256);

-- What a move rests on. The version that a planned one was proven from has to be the label's when its time comes.
ALTER TABLE template_label_events
    ADD COLUMN act text NOT NULL DEFAULT 'move' CHECK (act IN ('move', 'rollback')),
    ADD COLUMN note text CHECK (char_length(note) <= 1000),
    ADD COLUMN proof_id uuid,
    ADD COLUMN proven_major integer,
    ADD COLUMN proven_minor integer,
    ADD COLUMN proven_patch integer;
