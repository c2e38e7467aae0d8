-- What a release must know at least to work on these tables: the number of a migration. Older releases than that do not start on them,
-- others do. A migration that takes away or narrows what earlier ones made replaces this with the number of the migration after which
-- no release used it any more.
CREATE OR REPLACE FUNCTION schema_floor() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 20261122100000::bigint';
