//! Schedules, their calendars, and the ticks that make executions of them.

use store::TenantStore;

use crate::fixture::Fixture;

/// A schedule that has run: a row in every table about schedules.
pub async fn put_history(fixture: &Fixture, tenant: &TenantStore) {
    let tenant = tenant.tenant_id();
    for sql in [
        "INSERT INTO schedule_calendars (calendar_id, tenant_id, name, created_at, created_by, updated_at)
         VALUES (gen_random_uuid(), 'TENANT', 'Feasts of customer 4711', now(), 'anna', now())",
        r#"INSERT INTO schedules (schedule_id, tenant_id, name, enabled, cron_expression, timezone, template_key, definition, secrets,
                                  calendar_id, next_run_at, created_at, created_by, updated_at)
           SELECT gen_random_uuid(), tenant_id, 'Letters', true, '0 8 * * *', 'UTC', 'letter', '{"format": "pdf"}',
                  '{"targets": {"0": {"secret": "hunter2-of-the-target"}}}', calendar_id, '2999-01-01', now(), 'anna', now()
           FROM schedule_calendars WHERE tenant_id = 'TENANT'"#,
        r#"INSERT INTO schedule_executions (execution_id, tenant_id, schedule_id, schedule_revision, template_key, fire_time, trigger, snapshot,
                                            snapshot_secrets, created_at, updated_at)
           SELECT gen_random_uuid(), tenant_id, schedule_id, revision, template_key, now(), 'cron', '{}', secrets, now(), now()
           FROM schedules WHERE tenant_id = 'TENANT'"#,
        "INSERT INTO schedule_execution_items (execution_id, item_index, tenant_id, key, created_at, updated_at)
         SELECT execution_id, 0, tenant_id, 'anna', now(), now() FROM schedule_executions WHERE tenant_id = 'TENANT'",
        "INSERT INTO schedule_deliveries (delivery_id, tenant_id, execution_id, schedule_id, item_index, target_index, target_type, target,
                                          give_up_at, created_at)
         SELECT gen_random_uuid(), tenant_id, execution_id, schedule_id, 0, 0, 'email', 'mail.test:587', now(), now()
         FROM schedule_executions WHERE tenant_id = 'TENANT'",
    ] {
        fixture.database.query(&sql.replace("TENANT", tenant.as_str())).await;
    }
}
