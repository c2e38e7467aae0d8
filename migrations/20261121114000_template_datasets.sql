-- Named example data of a template, shared by everybody who works on it: shown in previews, run as tests, rendered
-- with the old and the new version before a protected label moves. They belong to no version.
CREATE TABLE template_datasets (
    tenant_id      text COLLATE "C" NOT NULL,
    template_id    uuid NOT NULL,
    dataset_name   text COLLATE "C" NOT NULL CHECK (dataset_name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'),
    -- 1 for the first save, one more for each other.
    revision       integer NOT NULL CHECK (revision >= 1),
    title          text CHECK (char_length(title) BETWEEN 1 AND 255),
    description    text CHECK (char_length(description) <= 4000),
    tags           text[] NOT NULL DEFAULT '{}' CHECK (cardinality(tags) <= 50 AND array_position(tags, NULL) IS NULL),
    -- Whether the schema of the template has to refuse the data.
    expect_invalid boolean NOT NULL DEFAULT false,
    is_default     boolean NOT NULL DEFAULT false,
    -- What a document made of it has to show.
    assertions     json,
    -- json and not jsonb, as for definitions: the order of properties is shown by "each".
    data           json NOT NULL,
    created_at     timestamptz NOT NULL,
    created_by     text NOT NULL CHECK (char_length(created_by) BETWEEN 1 AND 255),
    updated_at     timestamptz NOT NULL,
    updated_by     text NOT NULL CHECK (char_length(updated_by) BETWEEN 1 AND 255),
    PRIMARY KEY (template_id, dataset_name),
    FOREIGN KEY (tenant_id, template_id) REFERENCES templates (tenant_id, template_id) ON DELETE CASCADE
);

CREATE INDEX template_datasets_of_tenant ON template_datasets (tenant_id);
-- A template has one default at most.
CREATE UNIQUE INDEX template_datasets_default ON template_datasets (template_id) WHERE is_default;
