-- A person's id is unique in their tenant, so that no tenant can take, or find out about, the ids of another one.

ALTER TABLE users DROP CONSTRAINT users_pkey, DROP CONSTRAINT users_key_mac_key;
ALTER TABLE users ADD CONSTRAINT users_pkey PRIMARY KEY (tenant_id, user_id);
-- Made after the other one, and so asked after it: who sends the same person twice hears that the id is taken.
ALTER TABLE users ADD CONSTRAINT users_key_mac_key UNIQUE (key_mac);
DROP INDEX users_tenant;

-- Whom the identity provider vouches for has not said which tenant they mean, and stays in one.
CREATE UNIQUE INDEX users_of_provider ON users (user_id) WHERE auth_method = 'oidc';
