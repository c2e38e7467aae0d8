-- Tenants, their templates and the immutable versions of those.
--
-- Rules for every migration: forward only; the previous release must be able to go on working with
-- the result (add first, remove a release later); nothing that keeps a big table locked for long.
--
-- Keys and ids compare byte by byte (COLLATE "C"): their order is the same on every server, and no index
-- on them breaks when an operating system brings new sorting rules.

CREATE TABLE tenants (
    tenant_id  text COLLATE "C" PRIMARY KEY CHECK (tenant_id ~ '^[a-z0-9][a-z0-9_-]{0,63}$'),
    name       text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 255),
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Owns everything while multi-tenancy is off.
INSERT INTO tenants (tenant_id, name) VALUES ('default', 'Default');

CREATE TABLE templates (
    template_id   uuid PRIMARY KEY,
    tenant_id     text COLLATE "C" NOT NULL REFERENCES tenants,
    template_key  text COLLATE "C" NOT NULL CHECK (template_key ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$'),
    name          text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 255),
    description   text CHECK (char_length(description) <= 4000),
    kind          text NOT NULL DEFAULT 'document'
                  CHECK (kind IN ('document', 'theme', 'component', 'layout', 'office')),
    tags          text[] NOT NULL DEFAULT '{}' CHECK (cardinality(tags) <= 50 AND array_position(tags, NULL) IS NULL),
    owner         text CHECK (char_length(owner) BETWEEN 1 AND 255),
    -- Three numbers and no text, because 1.0.10 comes after 1.0.9.
    current_major integer NOT NULL CHECK (current_major >= 0),
    current_minor integer NOT NULL CHECK (current_minor >= 0),
    current_patch integer NOT NULL CHECK (current_patch >= 0),
    -- Example data for previews. It is no part of any version: changing it changes no document.
    sample        json,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    -- A deleted template lies in the trash: no read sees it, and its key is free for another one.
    deleted_at    timestamptz,
    deleted_by    text CHECK (char_length(deleted_by) BETWEEN 1 AND 255),
    -- Lets a version name tenant and template together, so that the two cannot disagree.
    UNIQUE (tenant_id, template_id),
    CHECK (deleted_at IS NOT NULL OR deleted_by IS NULL)
);

CREATE TABLE template_versions (
    template_id  uuid NOT NULL,
    tenant_id    text COLLATE "C" NOT NULL,
    major        integer NOT NULL CHECK (major >= 0),
    minor        integer NOT NULL CHECK (minor >= 0),
    patch        integer NOT NULL CHECK (patch >= 0),
    -- What the template was called in this version; a restore brings it back.
    name         text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 255),
    description  text CHECK (char_length(description) <= 4000),
    kind         text NOT NULL CHECK (kind IN ('document', 'theme', 'component', 'layout', 'office')),
    -- json and not jsonb: jsonb sorts the properties of an object, and "each" over an object shows them in the
    -- order their author gave them. The text is kept byte for byte, so that content_hash can be checked.
    definition   json NOT NULL,
    -- SHA-256 of the text in "definition".
    content_hash bytea NOT NULL CHECK (octet_length(content_hash) = 32),
    created_at   timestamptz NOT NULL,
    created_by   text CHECK (char_length(created_by) BETWEEN 1 AND 255),
    change_note  text CHECK (char_length(change_note) <= 2000),
    PRIMARY KEY (template_id, major, minor, patch),
    FOREIGN KEY (tenant_id, template_id) REFERENCES templates (tenant_id, template_id) ON DELETE CASCADE
);

-- A template and its first version are inserted in one transaction and each needs the other.
ALTER TABLE templates
    ADD CONSTRAINT templates_current_version_exists
    FOREIGN KEY (template_id, current_major, current_minor, current_patch)
    REFERENCES template_versions (template_id, major, minor, patch)
    DEFERRABLE INITIALLY DEFERRED;

-- One index for three questions: is the key free, which row has it, and the list by key. The name rides along so
-- that counting the matches of a search reads the index alone (no extension such as pg_trgm is needed).
CREATE UNIQUE INDEX templates_live_key ON templates (tenant_id, template_key) INCLUDE (name) WHERE deleted_at IS NULL;
-- The other orders of the list; the key makes each of them total, so that pages neither repeat nor skip a row.
CREATE INDEX templates_live_name ON templates (tenant_id, lower(name) COLLATE "C", template_key) WHERE deleted_at IS NULL;
CREATE INDEX templates_live_created ON templates (tenant_id, created_at, template_key) WHERE deleted_at IS NULL;
CREATE INDEX templates_live_updated ON templates (tenant_id, updated_at, template_key) WHERE deleted_at IS NULL;
-- The trash, newest first.
CREATE INDEX templates_deleted ON templates (tenant_id, deleted_at) WHERE deleted_at IS NOT NULL;

-- A version that could be edited would make every document printed from it unrepeatable.
CREATE FUNCTION template_versions_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a template version is immutable; save a new one' USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER template_versions_immutable
    BEFORE UPDATE OF template_id, tenant_id, major, minor, patch, name, description, kind, definition, content_hash,
                     created_at, created_by
    ON template_versions
    FOR EACH ROW EXECUTE FUNCTION template_versions_refuse_change();
