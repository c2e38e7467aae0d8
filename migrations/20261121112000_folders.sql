-- Folders of templates, and what lists of templates need so that their last page costs no more than their first.

CREATE TABLE template_folders (
    folder_id   uuid PRIMARY KEY,
    tenant_id   text COLLATE "C" NOT NULL REFERENCES tenants,
    -- None for a folder at the top.
    parent_id   uuid,
    name        text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 128 AND strpos(name, '/') = 0),
    -- The name in lower case: names that differ in nothing else are the same to people, and to clients that look for a path.
    folded_name text COLLATE "C" NOT NULL,
    -- The names from the top down, each behind a slash; kept in step with the parents under the lock of the tenant's folders.
    path        text NOT NULL,
    folded_path text COLLATE "C" NOT NULL,
    depth       integer NOT NULL CHECK (depth BETWEEN 1 AND 10),
    created_at  timestamptz NOT NULL,
    created_by  text CHECK (char_length(created_by) BETWEEN 1 AND 255),
    updated_at  timestamptz NOT NULL,
    UNIQUE (tenant_id, folder_id),
    FOREIGN KEY (tenant_id, parent_id) REFERENCES template_folders (tenant_id, folder_id),
    CHECK ((depth = 1) = (parent_id IS NULL))
);

-- The nil id stands for the top, since two nulls are never equal. The lookup of children uses it too.
CREATE UNIQUE INDEX template_folders_siblings
    ON template_folders (tenant_id, COALESCE(parent_id, '00000000-0000-0000-0000-000000000000'), folded_name);
-- For the reference of a child to its parent.
CREATE INDEX template_folders_parent ON template_folders (tenant_id, parent_id);
-- A hash, because a path can be longer than an entry of the other kind of index.
CREATE INDEX template_folders_path ON template_folders USING hash (folded_path);

ALTER TABLE templates ADD COLUMN folder_id uuid;
ALTER TABLE templates ADD CONSTRAINT templates_folder_exists
    FOREIGN KEY (tenant_id, folder_id) REFERENCES template_folders (tenant_id, folder_id);
-- Of the templates in the trash too: a folder that goes lets go of them.
CREATE INDEX templates_folder ON templates (tenant_id, folder_id, template_key);

-- Tags are kept as they are compared: without space around, in lower case, each once.
UPDATE templates SET tags = ARRAY(
    SELECT lower(btrim(regexp_replace(tag, '\s+', ' ', 'g'))) FROM unnest(tags) WITH ORDINALITY AS given (tag, place)
    WHERE btrim(tag) <> '' GROUP BY 1 ORDER BY min(place))
WHERE tags <> '{}';
CREATE INDEX templates_live_tags ON templates USING gin (tags) WHERE deleted_at IS NULL;

-- The orders of the list, each with the id and the name riding along: a page far from the beginning is found, and the matches
-- of a search are counted, in the index alone.
DROP INDEX templates_live_key;
CREATE UNIQUE INDEX templates_live_key ON templates (tenant_id, template_key) INCLUDE (template_id, name) WHERE deleted_at IS NULL;
DROP INDEX templates_live_name;
CREATE INDEX templates_live_name ON templates (tenant_id, lower(name) COLLATE "C", template_key) INCLUDE (template_id, name)
    WHERE deleted_at IS NULL;
DROP INDEX templates_live_created;
CREATE INDEX templates_live_created ON templates (tenant_id, created_at, template_key) INCLUDE (template_id, name)
    WHERE deleted_at IS NULL;
DROP INDEX templates_live_updated;
CREATE INDEX templates_live_updated ON templates (tenant_id, updated_at, template_key) INCLUDE (template_id, name)
    WHERE deleted_at IS NULL;
-- The trash in the order in which it filled, and by key, where one key can lie there several times.
DROP INDEX templates_deleted;
CREATE INDEX templates_deleted ON templates (tenant_id, deleted_at, template_key, template_id) INCLUDE (name)
    WHERE deleted_at IS NOT NULL;
CREATE INDEX templates_deleted_key ON templates (tenant_id, template_key, deleted_at, template_id) INCLUDE (name)
    WHERE deleted_at IS NOT NULL;
