-- Which templates each version of a template is made with: its theme, its layout, its components.
--
-- A reference names a key and not a row, as a definition does: a key that is used anew is meant from then on. Versions that
-- were saved before have none, because nothing could be named then.
--
-- Whoever makes a version count that names a template, and whoever takes that template away, both hold the end of the tenant's
-- audit chain when they look at each other's rows. So of the two the second one sees the first.

CREATE TABLE template_references (
    template_id uuid NOT NULL,
    tenant_id   text COLLATE "C" NOT NULL,
    major       integer NOT NULL,
    minor       integer NOT NULL,
    patch       integer NOT NULL,
    -- The order of the definition, from 0.
    place       integer NOT NULL CHECK (place >= 0),
    target_key  text COLLATE "C" NOT NULL CHECK (char_length(target_key) BETWEEN 1 AND 128),
    via         text NOT NULL CHECK (via IN ('theme', 'layout', 'component')),
    -- The label or the version that is asked for; none of them asks for what renders when nothing is said.
    pin_label   text COLLATE "C",
    pin_major   integer,
    pin_minor   integer,
    pin_patch   integer,
    -- A JSON Pointer into the definition.
    pointer     text NOT NULL,
    node_id     text,
    PRIMARY KEY (template_id, major, minor, patch, place),
    FOREIGN KEY (template_id, major, minor, patch) REFERENCES template_versions (template_id, major, minor, patch) ON DELETE CASCADE,
    CHECK ((pin_major IS NULL) = (pin_minor IS NULL) AND (pin_major IS NULL) = (pin_patch IS NULL)),
    CHECK (pin_label IS NULL OR pin_major IS NULL)
);

-- Who uses a template; also what a purge of the tenant goes by.
CREATE INDEX template_references_of_target ON template_references (tenant_id, target_key);

-- The moves to come of one template.
CREATE INDEX template_label_events_pending ON template_label_events (template_id) WHERE state = 'pending';

-- The versions that render without being asked for by number: the current ones, those with a label, and those that a label is
-- going to lead to. Of templates in the trash too; whoever asks looks at that.
CREATE VIEW template_versions_that_render AS
    SELECT template_id, current_major AS major, current_minor AS minor, current_patch AS patch FROM templates
    UNION ALL
    SELECT template_id, major, minor, patch FROM template_labels
    UNION ALL
    SELECT template_id, major, minor, patch FROM template_label_events WHERE state = 'pending';

-- The versions whose parts and assets are in use: those, and the old ones of parts that one of those asks for by number.
CREATE VIEW template_versions_in_use AS
    SELECT template_id, major, minor, patch FROM template_versions_that_render
    UNION ALL
    SELECT part.template_id, r.pin_major, r.pin_minor, r.pin_patch
    FROM templates part
    JOIN template_references r ON r.tenant_id = part.tenant_id AND r.target_key = part.template_key
    JOIN templates t ON t.template_id = r.template_id AND t.deleted_at IS NULL
    WHERE r.pin_major IS NOT NULL
      AND EXISTS (SELECT FROM template_versions_that_render u WHERE u.template_id = r.template_id
                  AND (u.major, u.minor, u.patch) = (r.major, r.minor, r.patch));
