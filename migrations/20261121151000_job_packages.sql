-- What the package of a job is like: its name, and of a merged PDF its title and what its outline has.
ALTER TABLE jobs ADD COLUMN package_options jsonb CHECK (package_options IS NULL OR jsonb_typeof(package_options) = 'object' AND packaging IS NOT NULL);
