-- What a tenant keeps is summed up for limits of storage: the sizes of its results are read from the index alone.
DROP INDEX job_items_content;
CREATE INDEX job_items_content ON job_items (tenant_id, sha256) INCLUDE (size_bytes) WHERE sha256 IS NOT NULL;
