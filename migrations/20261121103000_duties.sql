-- What is done without anybody asking: each duty is one row, and whichever replica takes its lease carries it out.
--
-- The lease is the same in every table whose rows are worked on: an owner for people, a token that each later statement
-- has to show, and a time of the database's clock after which anybody may take over. Free is: due, and not leased or
-- leased until a moment that has passed.

CREATE TABLE duties (
    duty            text COLLATE "C" PRIMARY KEY CHECK (char_length(duty) BETWEEN 1 AND 64),
    -- The process that is at it.
    lease_owner     text CHECK (char_length(lease_owner) <= 128),
    lease_token     uuid,
    lease_until     timestamptz,
    -- Times it was taken since it last succeeded; a replica that gave it back does not count.
    attempt         integer NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    next_run_at     timestamptz NOT NULL DEFAULT now(),
    -- When the last run that was finished ended, and how.
    last_run_at     timestamptz,
    last_outcome    text CHECK (last_outcome IN ('succeeded', 'failed', 'timed_out')),
    last_success_at timestamptz,
    CHECK ((lease_token IS NULL) = (lease_until IS NULL) AND (lease_token IS NULL) = (lease_owner IS NULL)),
    CHECK ((last_run_at IS NULL) = (last_outcome IS NULL))
);
