-- Drafts: what a person is writing and has not saved as a version. One for each person and template; none of them is
-- ever rendered by a key or a label.
CREATE TABLE template_drafts (
    tenant_id   text COLLATE "C" NOT NULL,
    template_id uuid NOT NULL,
    -- The id of a user. No foreign key: work that is not finished outlives the account of who began it.
    owner       text COLLATE "C" NOT NULL CHECK (char_length(owner) BETWEEN 1 AND 255),
    -- The version it was begun from.
    base_major  integer NOT NULL CHECK (base_major >= 0),
    base_minor  integer NOT NULL CHECK (base_minor >= 0),
    base_patch  integer NOT NULL CHECK (base_patch >= 0),
    -- json and not jsonb, as for versions. It need not be a valid definition.
    definition  json NOT NULL,
    -- 1 for the first save, one more for each other.
    revision    bigint NOT NULL DEFAULT 1 CHECK (revision >= 1),
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    -- The last save that the audit log tells of; an editor saves every few seconds.
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (template_id, owner),
    FOREIGN KEY (tenant_id, template_id) REFERENCES templates (tenant_id, template_id) ON DELETE CASCADE
);

-- For the purge and the export of a tenant.
CREATE INDEX template_drafts_of_tenant ON template_drafts (tenant_id, template_id, owner);
