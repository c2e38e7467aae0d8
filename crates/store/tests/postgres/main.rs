//! The store against a real Postgres. One program, so that all of it shares one server.
#![cfg(test)]

mod api_keys;
mod archives;
mod assets;
mod audit;
mod changes;
mod cluster;
mod datasets;
mod documents;
mod drafts;
mod fixture;
mod idempotency_keys;
mod jobs;
mod lists;
mod migrations;
mod outages;
mod partitions;
mod plans;
mod render_tokens;
mod schedules;
mod template_datasets;
mod template_folders;
mod template_references;
mod template_scale;
mod template_trash;
mod templates;
mod tenant_export;
mod tenant_purge;
mod tenants;
mod usage;
mod usage_questions;
mod users;
mod versions;
mod webhooks;
mod writers;
