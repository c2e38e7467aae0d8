-- Telling others: subscriptions to events, and every message that is to arrive somewhere else. A message is a row that replicas
-- take under a lease (the columns and the rules are those of duties); it is written in the transaction of what it tells of.

CREATE TABLE webhooks (
    webhook_id      uuid PRIMARY KEY,
    tenant_id       text COLLATE "C" NOT NULL REFERENCES tenants,
    url             text NOT NULL CHECK (char_length(url) BETWEEN 1 AND 2048),
    -- Host and port: what is away together.
    target          text COLLATE "C" NOT NULL CHECK (char_length(target) BETWEEN 1 AND 300),
    -- Names of events, beginnings of names such as label.*, or * for all.
    events          text[] COLLATE "C" NOT NULL
                    CHECK (cardinality(events) BETWEEN 1 AND 50 AND array_position(events, NULL) IS NULL),
    -- Events about these templates alone; not set means about everything.
    template_keys   text[] COLLATE "C" CHECK (cardinality(template_keys) BETWEEN 1 AND 100 AND array_position(template_keys, NULL) IS NULL),
    description     text CHECK (char_length(description) <= 1000),
    enabled         boolean NOT NULL,
    -- Messages are signed with it, so it has to be here as it is. It is shown once, and is in no export.
    secret          text NOT NULL CHECK (char_length(secret) BETWEEN 16 AND 255),
    -- The one before signs as well until then.
    previous_secret text CHECK (char_length(previous_secret) BETWEEN 16 AND 255),
    previous_until  timestamptz,
    -- Set by the server when nothing arrived for long.
    paused_at       timestamptz,
    pause_reason    text CHECK (char_length(pause_reason) <= 500),
    -- Attempts that failed since one last succeeded.
    failures        integer NOT NULL DEFAULT 0 CHECK (failures >= 0),
    failing_since   timestamptz,
    last_success_at timestamptz,
    last_failure_at timestamptz,
    created_at      timestamptz NOT NULL,
    created_by      text NOT NULL CHECK (char_length(created_by) <= 255),
    updated_at      timestamptz NOT NULL,
    CHECK ((previous_secret IS NULL) = (previous_until IS NULL)),
    CHECK ((paused_at IS NULL) = (pause_reason IS NULL)),
    CHECK ((failures = 0) = (failing_since IS NULL))
-- Every attempt changes the counts alone: with room in its page, that touches no index.
) WITH (fillfactor = 70);

CREATE INDEX webhooks_created ON webhooks (tenant_id, created_at, webhook_id);

CREATE TABLE webhook_deliveries (
    delivery_id  uuid PRIMARY KEY,
    tenant_id    text COLLATE "C" NOT NULL REFERENCES tenants,
    -- An event for a subscription, or the end of a job for whoever asked for it.
    kind         text NOT NULL CHECK (kind IN ('event', 'callback')),
    webhook_id   uuid REFERENCES webhooks ON DELETE CASCADE,
    -- The job may be gone while this is still here.
    job_id       uuid,
    -- The same for all subscriptions that one event goes to.
    event_id     uuid NOT NULL,
    event_type   text COLLATE "C" NOT NULL CHECK (char_length(event_type) BETWEEN 1 AND 64),
    -- The delivery that this one repeats because somebody asked.
    repeats      uuid,
    url          text NOT NULL CHECK (char_length(url) BETWEEN 1 AND 2048),
    target       text COLLATE "C" NOT NULL CHECK (char_length(target) BETWEEN 1 AND 300),
    -- What callbacks are signed with, until they have arrived or nobody tries any more. Events are signed with their subscription's.
    secret       text CHECK (char_length(secret) BETWEEN 1 AND 512),
    -- Byte for byte what is sent and signed.
    body         text NOT NULL CHECK (octet_length(body) <= 1048576),
    status       text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'delivered', 'failed', 'abandoned')),
    lease_owner  text CHECK (char_length(lease_owner) <= 128),
    lease_token  uuid,
    lease_until  timestamptz,
    -- Since it last began to be tried: a replay begins anew.
    attempt      integer NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    attempts_total integer NOT NULL DEFAULT 0 CHECK (attempts_total >= 0),
    next_run_at  timestamptz NOT NULL DEFAULT now(),
    give_up_at   timestamptz NOT NULL,
    -- What the last attempt met.
    last_status  integer CHECK (last_status BETWEEN 100 AND 999),
    last_error   text CHECK (char_length(last_error) <= 500),
    last_attempt_at timestamptz,
    last_took_ms integer CHECK (last_took_ms >= 0),
    created_at   timestamptz NOT NULL,
    ended_at     timestamptz,
    ended_by     text CHECK (char_length(ended_by) <= 255),
    CHECK ((kind = 'event') = (webhook_id IS NOT NULL) AND (kind = 'callback') = (job_id IS NOT NULL)),
    CHECK (kind = 'callback' OR secret IS NULL),
    CHECK ((lease_token IS NULL) = (lease_until IS NULL) AND (lease_token IS NULL) = (lease_owner IS NULL)),
    CHECK (status = 'pending' OR lease_token IS NULL),
    CHECK ((status = 'pending') = (ended_at IS NULL))
) WITH (fillfactor = 70);

-- What is due, one tenant after the other. It has what is open and nothing else.
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (tenant_id, next_run_at) WHERE status = 'pending';
-- The log of a subscription, newest first, and how much it has open.
CREATE INDEX webhook_deliveries_log ON webhook_deliveries (webhook_id, created_at, delivery_id) WHERE webhook_id IS NOT NULL;
CREATE INDEX webhook_deliveries_open ON webhook_deliveries (webhook_id) WHERE status = 'pending' AND webhook_id IS NOT NULL;
-- Callbacks that did not arrive.
CREATE INDEX webhook_deliveries_dead ON webhook_deliveries (tenant_id, ended_at, delivery_id)
    WHERE kind = 'callback' AND status IN ('failed', 'abandoned');
CREATE INDEX webhook_deliveries_ended ON webhook_deliveries (ended_at) WHERE ended_at IS NOT NULL;

ALTER TABLE webhook_deliveries SET (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 5000);

-- What was delivered stays delivered, and what was abandoned does not come back.
CREATE FUNCTION webhook_deliveries_refuse_change_of_the_end() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a delivery that has ended so does not change how' USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER webhook_deliveries_end BEFORE UPDATE OF status ON webhook_deliveries
    FOR EACH ROW WHEN (OLD.status IN ('delivered', 'abandoned') AND NEW.status <> OLD.status)
    EXECUTE FUNCTION webhook_deliveries_refuse_change_of_the_end();
