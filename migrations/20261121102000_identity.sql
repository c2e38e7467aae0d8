-- Who comes in: API keys, people, tokens for browsers, and codes that work once.
--
-- No key is kept: only HMAC-SHA256 of it under the installation's pepper, and its last four characters.

-- Secrets that the installation made for itself. A pepper that lies here protects against whoever sees the hashes and not
-- this table; an operator who wants more configures one from outside, and then only its fingerprint is here.
CREATE TABLE installation_secrets (
    name       text COLLATE "C" PRIMARY KEY CHECK (char_length(name) BETWEEN 1 AND 64),
    secret     bytea NOT NULL CHECK (octet_length(secret) = 32),
    created_at timestamptz NOT NULL
);

CREATE TABLE api_keys (
    api_key_id        uuid PRIMARY KEY,
    tenant_id         text COLLATE "C" NOT NULL REFERENCES tenants,
    name              text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
    scope             text NOT NULL CHECK (scope IN ('admin', 'editor', 'render', 'preview')),
    -- The public part of the key. Unique over all tenants, because whoever shows a key has not said whose it is.
    lookup            text COLLATE "C" NOT NULL UNIQUE CHECK (lookup ~ '^[0-9A-Za-z]{22}$'),
    secret_mac        bytea NOT NULL CHECK (octet_length(secret_mac) = 32),
    hint              text NOT NULL CHECK (char_length(hint) = 4),
    -- The key before the last rotation works until then.
    previous_mac      bytea CHECK (octet_length(previous_mac) = 32),
    previous_until    timestamptz,
    expires_at        timestamptz,
    -- Keys of templates and beginnings of keys; empty means all.
    allowed_templates text[] NOT NULL DEFAULT '{}'
                      CHECK (cardinality(allowed_templates) <= 100 AND array_position(allowed_templates, NULL) IS NULL),
    -- Addresses and networks; empty means all.
    allowed_ips       text[] NOT NULL DEFAULT '{}' CHECK (cardinality(allowed_ips) <= 256 AND array_position(allowed_ips, NULL) IS NULL),
    revoked_at        timestamptz,
    created_at        timestamptz NOT NULL,
    created_by        text NOT NULL CHECK (char_length(created_by) <= 255),
    updated_at        timestamptz NOT NULL,
    -- To the minute, and some time late: it is written in the background.
    last_used_at      timestamptz,
    CHECK ((previous_mac IS NULL) = (previous_until IS NULL))
);

CREATE INDEX api_keys_created ON api_keys (tenant_id, created_at, api_key_id);

CREATE TABLE users (
    -- Unique over all tenants: tokens and the audit log name people by it alone.
    user_id            text COLLATE "C" PRIMARY KEY CHECK (char_length(user_id) BETWEEN 1 AND 128),
    tenant_id          text COLLATE "C" NOT NULL REFERENCES tenants,
    display_name       text NOT NULL CHECK (char_length(display_name) BETWEEN 1 AND 200),
    role               text NOT NULL
                       CHECK (role IN ('viewer', 'author', 'editor', 'publisher', 'scheduler', 'auditor', 'admin', 'none')),
    auth_method        text NOT NULL CHECK (auth_method IN ('key', 'oidc')),
    -- People choose their keys as free text, so a key is found by its hash.
    key_mac            bytea UNIQUE CHECK (octet_length(key_mac) = 32),
    key_hint           text CHECK (char_length(key_hint) = 4),
    email              text CHECK (char_length(email) <= 254),
    groups             text[] NOT NULL DEFAULT '{}' CHECK (cardinality(groups) <= 200 AND array_position(groups, NULL) IS NULL),
    user_name          text CHECK (char_length(user_name) <= 255),
    external_id        text CHECK (char_length(external_id) <= 255),
    -- Nobody comes in while it is set.
    deactivated_at     timestamptz,
    -- Editor tokens issued before are refused.
    token_issued_after timestamptz,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    CHECK ((auth_method = 'key') = (key_mac IS NOT NULL)),
    CHECK ((key_mac IS NULL) = (key_hint IS NULL))
);

CREATE INDEX users_tenant ON users (tenant_id, user_id);

-- The tokens themselves are signed and not kept; here is what changes while they live.
CREATE TABLE render_tokens (
    token_id        uuid PRIMARY KEY,
    tenant_id       text COLLATE "C" NOT NULL REFERENCES tenants,
    templates       text[] NOT NULL CHECK (cardinality(templates) BETWEEN 1 AND 50),
    formats         text[] NOT NULL CHECK (cardinality(formats) >= 1),
    max_renders     integer NOT NULL CHECK (max_renders > 0),
    used            integer NOT NULL DEFAULT 0 CHECK (used BETWEEN 0 AND max_renders),
    expires_at      timestamptz NOT NULL,
    revoked_at      timestamptz,
    issued_by       text NOT NULL CHECK (char_length(issued_by) <= 255),
    subject         text CHECK (char_length(subject) <= 255),
    allowed_origins text[] NOT NULL DEFAULT '{}',
    created_at      timestamptz NOT NULL
-- A render changes the count alone: with room in its page, that touches no index.
) WITH (fillfactor = 70);

CREATE INDEX render_tokens_expiry ON render_tokens (tenant_id, expires_at);

-- Codes of the way back from the identity provider; the first use on any replica wins. They belong to no tenant yet.
CREATE TABLE used_codes (
    code_id    text COLLATE "C" PRIMARY KEY CHECK (char_length(code_id) BETWEEN 1 AND 128),
    expires_at timestamptz NOT NULL
);

CREATE INDEX used_codes_expiry ON used_codes (expires_at);
