-- Schedules: documents that come by the clock. A schedule says when and what; each time it is due, one transaction writes one
-- execution, which has all that it needs to be carried out, so that what happens to the schedule afterwards does not change it.
-- Executions and deliveries are rows that replicas take under a lease (the columns and the rules are those of duties).

CREATE TABLE schedule_calendars (
    calendar_id uuid PRIMARY KEY,
    tenant_id   text COLLATE "C" NOT NULL REFERENCES tenants,
    name        text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 128),
    description text CHECK (char_length(description) <= 1000),
    -- For people: days are days of the schedule's own zone.
    timezone    text CHECK (char_length(timezone) BETWEEN 1 AND 64),
    -- [{"date": "2026-12-25", "name": "…"}], by date, each date once.
    holidays    jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(holidays) = 'array' AND jsonb_array_length(holidays) <= 5000),
    revision    integer NOT NULL DEFAULT 1 CHECK (revision >= 1),
    created_at  timestamptz NOT NULL,
    created_by  text NOT NULL CHECK (char_length(created_by) <= 255),
    updated_at  timestamptz NOT NULL,
    UNIQUE (tenant_id, name)
);

CREATE TABLE schedules (
    schedule_id      uuid PRIMARY KEY,
    tenant_id        text COLLATE "C" NOT NULL REFERENCES tenants,
    name             text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
    enabled          boolean NOT NULL,
    cron_expression  text NOT NULL CHECK (char_length(cron_expression) BETWEEN 1 AND 200),
    timezone         text NOT NULL CHECK (char_length(timezone) BETWEEN 1 AND 64),
    template_key     text COLLATE "C" NOT NULL CHECK (char_length(template_key) BETWEEN 1 AND 128),
    template_label   text COLLATE "C" CHECK (char_length(template_label) BETWEEN 1 AND 128),
    template_version text COLLATE "C" CHECK (char_length(template_version) BETWEEN 1 AND 32),
    -- What is made and where it goes, as it was sent, without what nobody may read again.
    definition       json NOT NULL CHECK (json_typeof(definition) = 'object' AND octet_length(definition::text) <= 1048576),
    -- That: needed as it is to deliver. Never shown, in no export.
    secrets          jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(secrets) = 'object'),
    calendar_id      uuid REFERENCES schedule_calendars,
    holiday_rule     text NOT NULL DEFAULT 'skip' CHECK (holiday_rule IN ('skip', 'next-business-day', 'previous-business-day')),
    -- Counted from the first of the month, or from the last when negative.
    business_day_of_month integer CHECK (business_day_of_month BETWEEN -23 AND 23 AND business_day_of_month <> 0),
    -- Dates such as 2026-12-31, in order.
    skip_dates       text[] COLLATE "C" NOT NULL DEFAULT '{}' CHECK (cardinality(skip_dates) <= 1000),
    valid_from       timestamptz,
    valid_until      timestamptz,
    max_runs         integer CHECK (max_runs >= 1),
    -- Executions by the clock since it was made.
    run_count        integer NOT NULL DEFAULT 0 CHECK (run_count >= 0),
    -- What becomes of times that passed while nobody looked.
    misfire          text NOT NULL DEFAULT 'fire-once' CHECK (misfire IN ('fire-once', 'skip', 'catch-up')),
    misfire_limit    integer CHECK (misfire_limit BETWEEN 1 AND 100),
    revision         integer NOT NULL DEFAULT 1 CHECK (revision >= 1),
    -- When it is due. None: not again, or switched off.
    next_run_at      timestamptz,
    last_fired_at    timestamptz,
    created_at       timestamptz NOT NULL,
    created_by       text NOT NULL CHECK (char_length(created_by) <= 255),
    updated_at       timestamptz NOT NULL,
    CHECK (template_label IS NULL OR template_version IS NULL),
    CHECK (enabled OR next_run_at IS NULL),
    CHECK ((misfire = 'catch-up') = (misfire_limit IS NOT NULL))
-- Every tick changes some columns: leave room for that within the page.
) WITH (fillfactor = 70);

-- What is due, in the order of time. It has what will ever be due and nothing else.
CREATE INDEX schedules_due ON schedules (next_run_at) WHERE next_run_at IS NOT NULL;
-- The list, newest first; the id makes the order total.
CREATE INDEX schedules_created ON schedules (tenant_id, created_at, schedule_id);
CREATE INDEX schedules_template ON schedules (tenant_id, template_key);
CREATE INDEX schedules_calendar ON schedules (calendar_id) WHERE calendar_id IS NOT NULL;

CREATE TABLE schedule_executions (
    execution_id uuid PRIMARY KEY,
    tenant_id    text COLLATE "C" NOT NULL REFERENCES tenants,
    -- History outlives its schedule.
    schedule_id  uuid NOT NULL,
    schedule_revision integer NOT NULL CHECK (schedule_revision >= 1),
    template_key text COLLATE "C" NOT NULL CHECK (char_length(template_key) BETWEEN 1 AND 128),
    -- The moment it was due, and the moment the pattern names, which a holiday may have moved it away from.
    fire_time    timestamptz NOT NULL,
    nominal_at   timestamptz,
    business_day_index integer,
    -- Times before this one that passed while nobody looked and got no execution of their own.
    missed_runs  integer NOT NULL DEFAULT 0 CHECK (missed_runs >= 0),
    trigger      text NOT NULL CHECK (trigger IN ('cron', 'manual')),
    -- Whoever asked for it, where the clock did not.
    actor        text CHECK (char_length(actor) BETWEEN 1 AND 255),
    status       text NOT NULL DEFAULT 'pending'
                 CHECK (status IN ('pending', 'rendering', 'delivering', 'completed', 'failed', 'skipped', 'cancelled')),
    -- The schedule as it was, and what it needs of its secrets; gone once nothing needs them any more.
    snapshot     json CHECK (json_typeof(snapshot) = 'object'),
    snapshot_secrets jsonb CHECK (jsonb_typeof(snapshot_secrets) = 'object'),
    -- What was asked for with it, and what came of the dates in it.
    parameters   json CHECK (json_typeof(parameters) = 'object'),
    resolved_parameters json CHECK (json_typeof(resolved_parameters) = 'object'),
    as_of        timestamptz,
    ignore_delivery_condition boolean NOT NULL DEFAULT false,
    -- A person's try: it goes to these addresses and nowhere else.
    test_recipients text[] CHECK (cardinality(test_recipients) BETWEEN 1 AND 20),
    skip_reason  text CHECK (char_length(skip_reason) BETWEEN 1 AND 500),
    -- Its documents; written in the transaction that makes the job.
    job_id       uuid,
    total        integer CHECK (total >= 0),
    filtered     integer CHECK (filtered >= 0),
    truncated    integer CHECK (truncated >= 0),
    succeeded    integer NOT NULL DEFAULT 0 CHECK (succeeded >= 0),
    failed       integer NOT NULL DEFAULT 0 CHECK (failed >= 0),
    render_duration_ms bigint CHECK (render_duration_ms >= 0),
    error_code   text CHECK (char_length(error_code) BETWEEN 1 AND 64),
    error_message text CHECK (char_length(error_message) <= 4000),
    -- Who last took it, and when.
    claimed_by   text CHECK (char_length(claimed_by) <= 128),
    claimed_at   timestamptz,
    lease_owner  text CHECK (char_length(lease_owner) <= 128),
    lease_token  uuid,
    lease_until  timestamptz,
    attempt      integer NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    next_run_at  timestamptz NOT NULL DEFAULT now(),
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    ended_at     timestamptz,
    CHECK ((lease_token IS NULL) = (lease_until IS NULL) AND (lease_token IS NULL) = (lease_owner IS NULL)),
    CHECK (status IN ('pending', 'rendering', 'delivering') OR lease_token IS NULL),
    CHECK ((status IN ('pending', 'rendering', 'delivering')) = (ended_at IS NULL)),
    CHECK (status <> 'pending' OR snapshot IS NOT NULL),
    CHECK ((status = 'skipped') = (skip_reason IS NOT NULL)),
    CHECK (status <> 'failed' OR error_code IS NOT NULL)
) WITH (fillfactor = 70);

-- However many replicas see that a schedule is due, and however often: one execution.
CREATE UNIQUE INDEX schedule_executions_tick ON schedule_executions (schedule_id, fire_time) WHERE trigger = 'cron';
-- What somebody has to take up, one tenant after the other: what is to be begun, and what waits for its job. It has nothing else.
CREATE INDEX schedule_executions_due ON schedule_executions (tenant_id, next_run_at) WHERE status IN ('pending', 'rendering');
-- The job that ended is whose?
CREATE INDEX schedule_executions_job ON schedule_executions (job_id) WHERE status = 'rendering';
-- The history of a schedule, newest first, and what went wrong lately.
CREATE INDEX schedule_executions_log ON schedule_executions (schedule_id, fire_time DESC, execution_id DESC);
CREATE INDEX schedule_executions_failed ON schedule_executions (tenant_id, ended_at) WHERE status = 'failed';
-- What is to go.
CREATE INDEX schedule_executions_ended ON schedule_executions (ended_at) WHERE ended_at IS NOT NULL;
-- What a purge takes away.
CREATE INDEX schedule_executions_tenant ON schedule_executions (tenant_id);

CREATE TABLE schedule_execution_items (
    execution_id uuid NOT NULL REFERENCES schedule_executions ON DELETE CASCADE,
    item_index   integer NOT NULL CHECK (item_index >= 0),
    tenant_id    text COLLATE "C" NOT NULL,
    status       text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'succeeded', 'failed')),
    -- What the array's element calls itself.
    key          text CHECK (char_length(key) <= 255),
    -- Which documents of the job go where, under which words; gone once nobody will deliver it again.
    plan         json CHECK (json_typeof(plan) = 'object'),
    recipients   text[] NOT NULL DEFAULT '{}' CHECK (cardinality(recipients) <= 150),
    render_duration_ms bigint CHECK (render_duration_ms >= 0),
    document_id  uuid,
    error_code   text CHECK (char_length(error_code) BETWEEN 1 AND 64),
    error_message text CHECK (char_length(error_message) <= 4000),
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    PRIMARY KEY (execution_id, item_index),
    CHECK ((status = 'failed') = (error_code IS NOT NULL))
) WITH (fillfactor = 70);

CREATE INDEX schedule_execution_items_tenant ON schedule_execution_items (tenant_id);

CREATE TABLE schedule_deliveries (
    -- The same however often it is tried: whoever gets it twice can tell.
    delivery_id  uuid PRIMARY KEY,
    tenant_id    text COLLATE "C" NOT NULL REFERENCES tenants,
    execution_id uuid NOT NULL REFERENCES schedule_executions ON DELETE CASCADE,
    schedule_id  uuid NOT NULL,
    item_index   integer NOT NULL CHECK (item_index >= 0),
    target_index integer NOT NULL CHECK (target_index >= 0),
    target_type  text NOT NULL CHECK (char_length(target_type) BETWEEN 1 AND 32),
    -- What is away together: host and port, a bucket, a mail server.
    target       text COLLATE "C" NOT NULL CHECK (char_length(target) BETWEEN 1 AND 300),
    status       text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'delivered', 'failed', 'abandoned')),
    lease_owner  text CHECK (char_length(lease_owner) <= 128),
    lease_token  uuid,
    lease_until  timestamptz,
    -- Since it last began to be tried: a replay begins anew.
    attempt      integer NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    attempts_total integer NOT NULL DEFAULT 0 CHECK (attempts_total >= 0),
    next_run_at  timestamptz NOT NULL DEFAULT now(),
    give_up_at   timestamptz NOT NULL,
    last_code    text CHECK (char_length(last_code) BETWEEN 1 AND 64),
    last_error   text CHECK (char_length(last_error) <= 500),
    last_attempt_at timestamptz,
    last_took_ms integer CHECK (last_took_ms >= 0),
    -- It failed for good once, and was replayed.
    resolved     boolean NOT NULL DEFAULT false,
    created_at   timestamptz NOT NULL,
    ended_at     timestamptz,
    ended_by     text CHECK (char_length(ended_by) <= 255),
    UNIQUE (execution_id, item_index, target_index),
    CHECK ((lease_token IS NULL) = (lease_until IS NULL) AND (lease_token IS NULL) = (lease_owner IS NULL)),
    CHECK (status = 'pending' OR lease_token IS NULL),
    CHECK ((status = 'pending') = (ended_at IS NULL))
) WITH (fillfactor = 70);

CREATE INDEX schedule_deliveries_due ON schedule_deliveries (tenant_id, next_run_at) WHERE status = 'pending';
CREATE INDEX schedule_deliveries_dead ON schedule_deliveries (tenant_id, ended_at, delivery_id) WHERE status IN ('failed', 'abandoned');
-- What is open of an execution.
CREATE INDEX schedule_deliveries_open ON schedule_deliveries (execution_id) WHERE status = 'pending';
CREATE INDEX schedule_deliveries_tenant ON schedule_deliveries (tenant_id);

ALTER TABLE schedules SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE schedule_executions SET (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE schedule_deliveries SET (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 5000, autovacuum_vacuum_cost_delay = 0);

-- What has ended stays as it ended; only what failed for lack of a delivery ends otherwise, when that was replayed.
CREATE FUNCTION schedule_executions_refuse_change_of_the_end() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'an execution that has ended does not change how' USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER schedule_executions_end BEFORE UPDATE OF status ON schedule_executions
    FOR EACH ROW WHEN (OLD.ended_at IS NOT NULL AND NEW.status <> OLD.status AND NOT (OLD.status = 'failed' AND NEW.status IN ('delivering', 'completed')))
    EXECUTE FUNCTION schedule_executions_refuse_change_of_the_end();

CREATE FUNCTION schedule_deliveries_refuse_change_of_the_end() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a delivery that has ended so does not change how' USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER schedule_deliveries_end BEFORE UPDATE OF status ON schedule_deliveries
    FOR EACH ROW WHEN (OLD.status IN ('delivered', 'abandoned') AND NEW.status <> OLD.status)
    EXECUTE FUNCTION schedule_deliveries_refuse_change_of_the_end();

-- The documents of an execution are made in the queue of jobs.
ALTER TABLE jobs DROP CONSTRAINT jobs_kind_check, ADD CONSTRAINT jobs_kind_check CHECK (kind IN ('single', 'batch', 'schedule'));
ALTER TABLE job_items DROP CONSTRAINT job_items_kind_check, ADD CONSTRAINT job_items_kind_check CHECK (kind IN ('single', 'batch', 'schedule'));

-- A schedule as its executions keep it.
CREATE FUNCTION schedule_snapshot(s schedules) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT json_build_object('name', s.name, 'timezone', s.timezone, 'templateKey', s.template_key, 'templateLabel', s.template_label,
                             'templateVersion', s.template_version, 'createdBy', s.created_by, 'definition', s.definition)
$$;
