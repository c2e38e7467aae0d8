-- Who changed what: one row for each change, written in the change's own transaction, chained per tenant.
--
-- Rows are immutable but for two acts that leave a trace of themselves in the same chain: removing the oldest ones
-- (by age, or because somebody asked for it) and blanking those of one actor.

CREATE TABLE audit_events (
    tenant_id     text COLLATE "C" NOT NULL,
    -- The place in the tenant's chain, from 1 without a gap.
    seq           bigint NOT NULL CHECK (seq > 0),
    event_id      uuid NOT NULL,
    -- Never before the row in front of it, whatever the clocks of two replicas say.
    occurred_at   timestamptz NOT NULL,
    event         text NOT NULL,
    operation     text NOT NULL,
    resource_type text NOT NULL,
    resource_id   text NOT NULL CHECK (char_length(resource_id) <= 512),
    actor         text NOT NULL CHECK (char_length(actor) <= 255),
    scope         text,
    request_id    uuid,
    -- The process that wrote the row.
    instance_id   text NOT NULL CHECK (char_length(instance_id) BETWEEN 1 AND 128),
    -- json and not jsonb: the text is part of what is hashed.
    details       json NOT NULL,
    -- SHA-256 of all of the above, and of the link before together with that.
    content_hash  bytea NOT NULL CHECK (octet_length(content_hash) = 32),
    chain_hash    bytea NOT NULL CHECK (octet_length(chain_hash) = 32),
    -- The row of the chain that says why this one was blanked; only its hashes still tell what it said.
    blanked_by    bigint,
    PRIMARY KEY (tenant_id, seq, occurred_at)
) PARTITION BY RANGE (occurred_at);

-- What falls into no month that was made ahead.
CREATE TABLE audit_events_default PARTITION OF audit_events DEFAULT;

CREATE INDEX audit_events_time ON audit_events (tenant_id, occurred_at DESC, seq DESC);
CREATE INDEX audit_events_resource ON audit_events (tenant_id, resource_type, resource_id, seq DESC);
CREATE INDEX audit_events_actor ON audit_events (tenant_id, actor, seq DESC);

-- The end of each tenant's chain, and where what is kept of it begins.
CREATE TABLE audit_chains (
    tenant_id    text COLLATE "C" PRIMARY KEY,
    last_seq     bigint NOT NULL DEFAULT 0 CHECK (last_seq >= 0),
    last_hash    bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex') CHECK (octet_length(last_hash) = 32),
    last_at      timestamptz NOT NULL DEFAULT 'epoch',
    -- The newest row that was removed, and its link: the row after it continues from here.
    removed_seq  bigint NOT NULL DEFAULT 0 CHECK (removed_seq BETWEEN 0 AND last_seq),
    removed_hash bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex') CHECK (octet_length(removed_hash) = 32)
);

INSERT INTO audit_chains (tenant_id) SELECT tenant_id FROM tenants;

-- An audit row changes only by being blanked.
CREATE FUNCTION audit_events_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.blanked_by IS NOT NULL AND OLD.blanked_by IS NULL
       AND (NEW.tenant_id, NEW.seq, NEW.event_id, NEW.occurred_at, NEW.content_hash, NEW.chain_hash)
         = (OLD.tenant_id, OLD.seq, OLD.event_id, OLD.occurred_at, OLD.content_hash, OLD.chain_hash) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'an audit event is immutable' USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER audit_events_immutable BEFORE UPDATE ON audit_events FOR EACH ROW EXECUTE FUNCTION audit_events_refuse_change();
