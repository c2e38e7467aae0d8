-- The registry of tenants: an archived one takes no writes, a purged one is only a name that is never given again.

ALTER TABLE tenants
    ADD COLUMN status      text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'archived', 'purged')),
    ADD COLUMN updated_at  timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN archived_at timestamptz,
    ADD COLUMN purged_at   timestamptz,
    ADD CONSTRAINT tenants_archived_at CHECK ((status = 'active') = (archived_at IS NULL)),
    ADD CONSTRAINT tenants_purged_at CHECK ((status = 'purged') = (purged_at IS NOT NULL));
