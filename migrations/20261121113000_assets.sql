-- Assets: pictures, fonts and other files, each with its immutable versions, and which template version names which of them.
--
-- The bytes are elsewhere, under a key made of the tenant and their SHA-256. They are there before the row is, so a row
-- without bytes is a loss and bytes without a row are only litter.

CREATE TABLE assets (
    asset_id        uuid PRIMARY KEY,
    tenant_id       text COLLATE "C" NOT NULL REFERENCES tenants,
    slug            text COLLATE "C" NOT NULL CHECK (slug ~ '^[a-z0-9][a-z0-9._-]{0,127}$'),
    alt_text        text CHECK (char_length(alt_text) <= 1000),
    tags            text[] NOT NULL DEFAULT '{}' CHECK (cardinality(tags) <= 50 AND array_position(tags, NULL) IS NULL),
    -- Names with slashes between them; none at the top.
    folder          text COLLATE "C" CHECK (char_length(folder) BETWEEN 1 AND 700),
    current_version integer NOT NULL CHECK (current_version >= 1),
    -- What the current version is, said again here so that lists read one table.
    kind            text NOT NULL CHECK (kind IN ('image', 'font', 'document')),
    original_name   text NOT NULL CHECK (char_length(original_name) BETWEEN 1 AND 255),
    mime_type       text NOT NULL CHECK (char_length(mime_type) BETWEEN 1 AND 100),
    size_bytes      bigint NOT NULL CHECK (size_bytes >= 0),
    content_hash    bytea NOT NULL CHECK (octet_length(content_hash) = 32),
    svg_sanitized   boolean NOT NULL,
    created_at      timestamptz NOT NULL,
    created_by      text CHECK (char_length(created_by) BETWEEN 1 AND 255),
    updated_at      timestamptz NOT NULL,
    updated_by      text CHECK (char_length(updated_by) BETWEEN 1 AND 255),
    -- Lets a version name tenant and asset together, so that the two cannot disagree.
    UNIQUE (tenant_id, asset_id),
    CONSTRAINT assets_slug UNIQUE (tenant_id, slug)
);

CREATE TABLE asset_versions (
    asset_id      uuid NOT NULL,
    tenant_id     text COLLATE "C" NOT NULL,
    version       integer NOT NULL CHECK (version >= 1),
    kind          text NOT NULL CHECK (kind IN ('image', 'font', 'document')),
    original_name text NOT NULL CHECK (char_length(original_name) BETWEEN 1 AND 255),
    mime_type     text NOT NULL CHECK (char_length(mime_type) BETWEEN 1 AND 100),
    size_bytes    bigint NOT NULL CHECK (size_bytes >= 0),
    -- SHA-256 of the bytes as they are kept, which is after an SVG was cleaned.
    content_hash  bytea NOT NULL CHECK (octet_length(content_hash) = 32),
    -- Pixels of a picture; none of a vector without a size of its own, and of a font.
    width         integer CHECK (width >= 0),
    height        integer CHECK (height >= 0),
    -- What a font says about itself.
    font          json,
    svg_sanitized boolean NOT NULL,
    created_at    timestamptz NOT NULL,
    created_by    text CHECK (char_length(created_by) BETWEEN 1 AND 255),
    PRIMARY KEY (asset_id, version),
    FOREIGN KEY (tenant_id, asset_id) REFERENCES assets (tenant_id, asset_id) ON DELETE CASCADE,
    CHECK ((width IS NULL) = (height IS NULL)),
    CHECK ((kind = 'font') = (font IS NOT NULL))
);

-- An asset and its first version are inserted in one transaction and each needs the other.
ALTER TABLE assets
    ADD CONSTRAINT assets_current_version_exists
    FOREIGN KEY (asset_id, current_version) REFERENCES asset_versions (asset_id, version) DEFERRABLE INITIALLY DEFERRED;

-- Whether bytes are still somebody's, and what a tenant keeps: each content once.
CREATE INDEX asset_versions_content ON asset_versions (tenant_id, content_hash) INCLUDE (size_bytes);

-- The orders of the list. The id makes each total, so that pages neither repeat nor skip a row, and is all that is read
-- of the rows in front of a page.
CREATE INDEX assets_created ON assets (tenant_id, created_at, asset_id);
CREATE INDEX assets_updated ON assets (tenant_id, updated_at, asset_id);
CREATE INDEX assets_name ON assets (tenant_id, lower(original_name) COLLATE "C", asset_id);
CREATE INDEX assets_size ON assets (tenant_id, size_bytes, asset_id);
CREATE INDEX assets_folder ON assets (tenant_id, folder);

CREATE FUNCTION asset_versions_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a version of an asset is immutable; add a new one' USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER asset_versions_immutable BEFORE UPDATE ON asset_versions
    FOR EACH ROW EXECUTE FUNCTION asset_versions_refuse_change();

-- What each version of a template names, written with the version. That nothing is in the way of naming an asset that is not
-- there (yet) is on purpose: the document says so when it is rendered.
CREATE TABLE template_asset_references (
    template_id uuid NOT NULL,
    tenant_id   text COLLATE "C" NOT NULL,
    major       integer NOT NULL,
    minor       integer NOT NULL,
    patch       integer NOT NULL,
    -- A slug or an id; '*' where data decides.
    asset_name  text COLLATE "C" NOT NULL CHECK (char_length(asset_name) BETWEEN 1 AND 128),
    via         text[] NOT NULL DEFAULT '{}',
    node_ids    text[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (template_id, major, minor, patch, asset_name),
    FOREIGN KEY (template_id, major, minor, patch) REFERENCES template_versions (template_id, major, minor, patch) ON DELETE CASCADE
);

CREATE INDEX template_asset_references_of_name ON template_asset_references (tenant_id, asset_name);
