//! The real binary, from outside: its settings, its first minutes, its end, and a client that nobody here wrote.
#![cfg(test)]

#[path = "suite/assets.rs"]
mod assets;
#[path = "suite/authorization.rs"]
mod authorization;
#[path = "suite/backup.rs"]
mod backup;
#[path = "suite/backup_faults.rs"]
mod backup_faults;
#[path = "suite/backup_runbook.rs"]
mod backup_runbook;
#[path = "suite/backup_scale.rs"]
mod backup_scale;
#[path = "suite/bad_input.rs"]
mod bad_input;
#[path = "suite/batches.rs"]
mod batches;
#[path = "suite/client.rs"]
mod client;
#[path = "suite/commands.rs"]
mod commands;
#[path = "suite/conditions.rs"]
mod conditions;
#[path = "suite/data_input.rs"]
mod data_input;
#[path = "suite/data_urls.rs"]
mod data_urls;
#[path = "suite/datasets.rs"]
mod datasets;
#[path = "suite/deaths.rs"]
mod deaths;
#[path = "suite/documents.rs"]
mod documents;
#[path = "suite/drafts.rs"]
mod drafts;
#[path = "suite/draining.rs"]
mod draining;
#[path = "suite/duties.rs"]
mod duties;
#[path = "suite/examples.rs"]
mod examples;
#[path = "suite/excess.rs"]
mod excess;
#[path = "suite/first_minutes.rs"]
mod first_minutes;
#[path = "suite/floods.rs"]
mod floods;
#[path = "suite/formats.rs"]
mod formats;
#[path = "suite/goodput.rs"]
mod goodput;
#[path = "suite/guesses.rs"]
mod guesses;
#[path = "suite/hardening.rs"]
mod hardening;
#[path = "suite/heavy_reads.rs"]
mod heavy_reads;
#[path = "suite/idempotency.rs"]
mod idempotency;
#[path = "suite/isolation.rs"]
mod isolation;
#[path = "suite/job_deaths.rs"]
mod job_deaths;
#[path = "suite/job_outages.rs"]
mod job_outages;
#[path = "suite/job_poison.rs"]
mod job_poison;
#[path = "suite/job_storage.rs"]
mod job_storage;
#[path = "suite/jobs.rs"]
mod jobs;
#[path = "suite/keys.rs"]
mod keys;
#[path = "suite/label_proofs.rs"]
mod label_proofs;
#[path = "suite/labels.rs"]
mod labels;
#[path = "suite/manners.rs"]
mod manners;
#[path = "suite/observability.rs"]
mod observability;
#[path = "suite/oidc.rs"]
mod oidc;
#[path = "suite/operations.rs"]
mod operations;
#[path = "suite/page_furniture.rs"]
mod page_furniture;
#[path = "suite/part_lifecycle.rs"]
mod part_lifecycle;
#[path = "suite/parts.rs"]
mod parts;
#[path = "suite/poolers.rs"]
mod poolers;
#[path = "suite/print_production.rs"]
mod print_production;
#[path = "suite/rate_limits.rs"]
mod rate_limits;
#[path = "suite/render_containers.rs"]
mod render_containers;
#[path = "suite/render_tokens.rs"]
mod render_tokens;
#[path = "suite/render_workers.rs"]
mod render_workers;
#[path = "suite/replicas.rs"]
mod replicas;
#[path = "suite/replicas_idempotency.rs"]
mod replicas_idempotency;
#[path = "suite/replicas_key_rotation.rs"]
mod replicas_key_rotation;
#[path = "suite/replicas_notices.rs"]
mod replicas_notices;
#[path = "suite/replicas_outage.rs"]
mod replicas_outage;
#[path = "suite/replicas_propagation.rs"]
mod replicas_propagation;
#[path = "suite/replicas_round_trips.rs"]
mod replicas_round_trips;
#[path = "suite/replicas_running.rs"]
mod replicas_running;
#[path = "suite/replicas_scale.rs"]
mod replicas_scale;
#[path = "suite/running.rs"]
mod running;
#[path = "suite/schedule_deliveries.rs"]
mod schedule_deliveries;
#[path = "suite/schedules.rs"]
mod schedules;
#[path = "suite/schedules_under_fire.rs"]
mod schedules_under_fire;
#[path = "suite/slow_bodies.rs"]
mod slow_bodies;
#[path = "suite/slow_clients.rs"]
mod slow_clients;
#[path = "suite/stored_files.rs"]
mod stored_files;
#[path = "suite/template_places.rs"]
mod template_places;
#[path = "suite/template_tests.rs"]
mod template_tests;
#[path = "suite/throttles.rs"]
mod throttles;
#[path = "suite/traces.rs"]
mod traces;
#[path = "suite/trust.rs"]
mod trust;
#[path = "suite/usage.rs"]
mod usage;
#[path = "suite/watermarks.rs"]
mod watermarks;
#[path = "suite/webhooks.rs"]
mod webhooks;
#[path = "suite/wire.rs"]
mod wire;

testkit::openid_provider_process!();
