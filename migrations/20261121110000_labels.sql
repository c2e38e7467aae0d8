-- Labels: movable names of a template's versions, with their whole history and the moves that are still to come.
--
-- Whoever changes something about the labels of a template locks the template's row first. What a foreign key could not
-- say without getting in the way of a batched removal (a control is a label of the same template, a label that somebody
-- needs stays) is looked at under that lock.

CREATE TABLE template_labels (
    template_id   uuid NOT NULL,
    tenant_id     text COLLATE "C" NOT NULL,
    label         text COLLATE "C" NOT NULL CHECK (label ~ '^[a-z][a-z0-9._-]{0,63}$'),
    major         integer NOT NULL,
    minor         integer NOT NULL,
    patch         integer NOT NULL,
    -- So many of a hundred bucket keys get this label's version, the others that of the control.
    traffic_split smallint CHECK (traffic_split BETWEEN 0 AND 100),
    control_label text COLLATE "C" CHECK (control_label <> label),
    -- Counts the moves of the label for as long as it exists.
    revision      bigint NOT NULL DEFAULT 1 CHECK (revision > 0),
    moved_at      timestamptz NOT NULL,
    moved_by      text NOT NULL CHECK (char_length(moved_by) <= 255),
    PRIMARY KEY (template_id, label),
    FOREIGN KEY (tenant_id, template_id) REFERENCES templates (tenant_id, template_id) ON DELETE CASCADE,
    FOREIGN KEY (template_id, major, minor, patch) REFERENCES template_versions (template_id, major, minor, patch),
    CHECK ((traffic_split IS NULL) = (control_label IS NULL))
);

-- Which templates have a label; also what a purge of the tenant goes by.
CREATE INDEX template_labels_of_tenant ON template_labels (tenant_id, label);

-- One row for each act: done, still to come, called off, or come to nothing.
CREATE TABLE template_label_events (
    event_id       uuid PRIMARY KEY,
    template_id    uuid NOT NULL,
    tenant_id      text COLLATE "C" NOT NULL,
    label          text COLLATE "C" NOT NULL CHECK (label ~ '^[a-z][a-z0-9._-]{0,63}$'),
    state          text NOT NULL CHECK (state IN ('pending', 'applied', 'cancelled', 'failed')),
    -- The version that the label has afterwards; none where the label was removed. No foreign key: a version that is gone
    -- makes the move fail and tells so, and the past stays told.
    major          integer CHECK (major >= 0),
    minor          integer CHECK (minor >= 0),
    patch          integer CHECK (patch >= 0),
    -- The version it had before; none where it was new.
    previous_major integer,
    previous_minor integer,
    previous_patch integer,
    traffic_split  smallint CHECK (traffic_split BETWEEN 0 AND 100),
    control_label  text COLLATE "C",
    -- When it was to happen; for what happened at once, that moment.
    effective_at   timestamptz NOT NULL,
    created_at     timestamptz NOT NULL,
    created_by     text NOT NULL CHECK (char_length(created_by) <= 255),
    -- When it happened, was called off or failed. For what was applied never before the one in front of it.
    settled_at     timestamptz,
    settled_by     text CHECK (char_length(settled_by) <= 255),
    -- Why it failed.
    reason         text CHECK (char_length(reason) <= 1000),
    -- The order in which they were entered, and for what was applied the order in which that happened.
    place          bigint GENERATED ALWAYS AS IDENTITY,
    applied_place  bigint,
    FOREIGN KEY (tenant_id, template_id) REFERENCES templates (tenant_id, template_id) ON DELETE CASCADE,
    CHECK ((major IS NULL) = (minor IS NULL) AND (major IS NULL) = (patch IS NULL)),
    CHECK ((state = 'pending') = (settled_at IS NULL)),
    CHECK ((state = 'applied') = (applied_place IS NOT NULL)),
    CHECK (state <> 'pending' OR major IS NOT NULL)
);

-- The history of a label, newest first.
CREATE INDEX template_label_events_history ON template_label_events (template_id, label, place DESC);
-- What a label was at a moment.
CREATE UNIQUE INDEX template_label_events_applied ON template_label_events (template_id, label, applied_place) WHERE state = 'applied';
-- What is due; also what asks whether a label has a move to come.
CREATE INDEX template_label_events_due ON template_label_events (effective_at, place) WHERE state = 'pending';
CREATE INDEX template_label_events_of_tenant ON template_label_events (tenant_id, place);
