//! Schedules, their calendars, and the ticks that make executions of them.

use std::time::{Duration, Instant};

use domain::calendars::Holidays;
use domain::ids::ScheduleId;
use domain::schedules::ScheduleInput;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use store::{
    CalendarOutcome, ConnectOptions, NewCalendar, NewSchedule, ScheduleFilter, ScheduleRecord, ScheduleRemoved, ScheduleWritten, Store,
    TenantStore,
};

use crate::fixture::{Fixture, NOBODY};

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
        r"INSERT INTO schedule_executions (execution_id, tenant_id, schedule_id, schedule_revision, template_key, fire_time, trigger, snapshot,
                                            snapshot_secrets, created_at, updated_at)
           SELECT gen_random_uuid(), tenant_id, schedule_id, revision, template_key, now(), 'cron', '{}', secrets, now(), now()
           FROM schedules WHERE tenant_id = 'TENANT'",
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

fn input(cron: &str, more: &Value) -> ScheduleInput {
    let mut whole = json!({
        "name": "Letters", "cronExpression": cron, "timezone": "Europe/Berlin", "templateKey": "letter", "format": "pdf",
        "dataSource": {"type": "static", "data": {"a": 1}}, "deliveryTargets": [],
    });
    whole.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    ScheduleInput::from_json(&whole).unwrap()
}

fn new<'a>(input: &'a ScheduleInput, secrets: &'a Map<String, Value>) -> NewSchedule<'a> {
    NewSchedule { id: None, input, secrets }
}

fn written(outcome: ScheduleWritten) -> ScheduleRecord {
    match outcome {
        ScheduleWritten::Written(record) => *record,
        other => panic!("not written: {other:?}"),
    }
}

async fn insert(tenant: &TenantStore, input: &ScheduleInput) -> ScheduleRecord {
    written(tenant.schedules().insert(new(input, &Map::new()), &NOBODY).await.unwrap())
}

async fn update(tenant: &TenantStore, id: ScheduleId, input: &ScheduleInput) -> ScheduleRecord {
    written(tenant.schedules().update(id, None, new(input, &Map::new()), &NOBODY).await.unwrap())
}

/// As if nobody had looked for so long: the database's clock cannot be turned, but what is due can.
async fn was_due(fixture: &Fixture, id: ScheduleId, ago: &str) -> Timestamp {
    let sql = format!(
        "UPDATE schedules SET next_run_at = date_trunc('minute', now() - interval '{ago}') WHERE schedule_id = '{id}'
         RETURNING to_char(next_run_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
    );
    fixture.database.query(&sql).await.lines().next().unwrap().parse().unwrap()
}

async fn history(fixture: &Fixture, id: ScheduleId) -> Vec<String> {
    let sql = format!(
        "SELECT status || ' ' || missed_runs || ' ' || COALESCE(skip_reason, '') FROM schedule_executions
         WHERE schedule_id = '{id}' ORDER BY fire_time"
    );
    fixture.database.query(&sql).await.lines().map(|line| line.trim().to_owned()).collect()
}

#[tokio::test]
async fn a_schedule_is_due_when_its_times_say_and_not_when_it_is_off() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let daily = input("0 8 * * *", &json!({}));
    let made = insert(tenant, &daily).await;
    let now = fixture.store.schedule_clock().await.unwrap();
    let plan = tenant.schedules().plan(&daily.timing).await.unwrap().unwrap();
    assert_eq!((made.next_run_at, made.revision), (plan.next_after(now).map(|fire| fire.at), 1));
    let renamed = ScheduleInput { name: "Other".to_owned(), ..daily.clone() };
    let same = update(tenant, made.id, &renamed).await;
    assert_eq!((same.next_run_at, same.revision, same.input.name.as_str()), (made.next_run_at, 2, "Other"));
    let off = update(tenant, made.id, &ScheduleInput { enabled: false, ..daily.clone() }).await;
    assert_eq!(off.next_run_at, None);
    let on = update(tenant, made.id, &input("0 9 * * *", &json!({}))).await;
    assert_ne!((on.next_run_at, on.next_run_at), (None, made.next_run_at));
    assert_eq!(tenant.schedules().get(made.id).await.unwrap().unwrap(), on);

    let stale = tenant.schedules().update(made.id, Some(1), new(&daily, &Map::new()), &NOBODY).await.unwrap();
    assert_eq!(stale, ScheduleWritten::Stale { current: 4 });
    let elsewhere = input("0 8 * * *", &json!({"calendarId": "0193e2a0-0000-7000-8000-000000000000"}));
    assert_eq!(tenant.schedules().insert(new(&elsewhere, &Map::new()), &NOBODY).await.unwrap(), ScheduleWritten::NoCalendar);
    assert_eq!(tenant.schedules().delete(made.id, Some(1), &NOBODY).await.unwrap(), ScheduleRemoved::Stale { current: 4 });
    assert_eq!(tenant.schedules().delete(made.id, Some(4), &NOBODY).await.unwrap(), ScheduleRemoved::Removed);
    assert_eq!(tenant.schedules().delete(made.id, None, &NOBODY).await.unwrap(), ScheduleRemoved::NotFound);
    let log = tenant.audit().list(&store::AuditFilter::default(), 10, 0).await.unwrap();
    let events: Vec<&str> = log.items.iter().rev().map(|row| row.event.as_str()).filter(|event| event.starts_with("schedule")).collect();
    assert_eq!(events, ["schedule.created", "schedule.updated", "schedule.updated", "schedule.updated", "schedule.deleted"]);
}

#[tokio::test]
async fn a_copy_is_off_and_keeps_the_secrets_which_no_list_shows() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let secrets = json!({"/deliveryTargets/0/secret": "hunter2-of-the-target"}).as_object().unwrap().clone();
    let labelled = input("0 8 * * *", &json!({"templateLabel": "prod"}));
    let made = written(tenant.schedules().insert(new(&labelled, &secrets), &NOBODY).await.unwrap());
    let copy = written(tenant.schedules().duplicate(made.id, "Copy", &NOBODY).await.unwrap());
    assert_eq!((copy.input.name.as_str(), copy.input.enabled, copy.next_run_at), ("Copy", false, None));
    assert_eq!(tenant.schedules().get_whole(copy.id).await.unwrap().unwrap().1, secrets);
    let by = |filter: ScheduleFilter| async move { tenant.schedules().list(&filter, 10, 0).await.unwrap() };
    let all = by(ScheduleFilter::default()).await;
    assert_eq!(all.items.iter().map(|record| record.id).collect::<Vec<_>>(), [copy.id, made.id]);
    assert!(!format!("{all:?}").contains("hunter2"));
    let on = by(ScheduleFilter { enabled: Some(true), template_label: Some("prod".to_owned()), ..ScheduleFilter::default() }).await;
    assert_eq!((on.total, on.items[0].id), (1, made.id));
    let others = ScheduleFilter { templates: Some(vec!["invoice-*".parse().unwrap()]), ..ScheduleFilter::default() };
    assert_eq!(by(others).await.total, 0);
    let other = fixture.store.tenant("other".parse().unwrap());
    assert_eq!(other.schedules().get(made.id).await.unwrap(), None);
}

#[tokio::test]
async fn a_calendar_moves_the_schedules_that_follow_it_and_is_not_removed_under_them() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let none = Holidays::new();
    let calendar = |holidays| NewCalendar { name: "Germany", description: None, timezone: None, holidays };
    let calendars = tenant.schedule_calendars();
    let CalendarOutcome::Written(made) = calendars.insert(calendar(&none), &NOBODY).await.unwrap() else { panic!() };
    assert_eq!(calendars.insert(calendar(&none), &NOBODY).await.unwrap(), CalendarOutcome::NameTaken);
    let following = insert(tenant, &input("0 8 * * *", &json!({"calendarId": made.id}))).await;
    let first = following.next_run_at.unwrap().to_zoned(jiff::tz::TimeZone::get("Europe/Berlin").unwrap()).date();
    let holidays = Holidays::from([(first, "Holiday".to_owned())]);
    let CalendarOutcome::Written(changed) = calendars.update(made.id, Some(1), calendar(&holidays), &NOBODY).await.unwrap() else {
        panic!()
    };
    assert_eq!((changed.revision, &changed.holidays), (2, &holidays));
    let moved = tenant.schedules().get(following.id).await.unwrap().unwrap();
    assert!(moved.next_run_at > following.next_run_at, "{moved:?}");
    assert_eq!(moved.revision, 1, "nobody changed the schedule");
    assert_eq!(calendars.update(made.id, Some(1), calendar(&none), &NOBODY).await.unwrap(), CalendarOutcome::Stale { current: 2 });
    assert_eq!(calendars.delete(made.id, None, &NOBODY).await.unwrap(), CalendarOutcome::InUse(1));
    assert_eq!(calendars.list(10, 0).await.unwrap().items, [*changed]);
    let _ = tenant.schedules().delete(following.id, None, &NOBODY).await.unwrap();
    assert!(matches!(calendars.delete(made.id, None, &NOBODY).await.unwrap(), CalendarOutcome::Written(_)));
}

#[tokio::test]
async fn what_was_missed_is_in_the_history_as_each_policy_has_it() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let mut made = Vec::new();
    for more in [json!({}), json!({"misfire": "skip"}), json!({"misfire": "catch-up", "misfireLimit": 2}), json!({"maxRuns": 1})] {
        let schedule = insert(tenant, &input("* * * * *", &more)).await;
        was_due(&fixture, schedule.id, "5 minutes").await;
        made.push(schedule.id);
    }
    let tick = fixture.store.schedule_ticks().run(10).await.unwrap();
    assert_eq!((tick.schedules, tick.invalid), (4, 0));
    assert!(tick.late_by >= Duration::from_mins(5));
    let [once, skip, catch_up, other] = [made[0], made[1], made[2], made[3]];
    // The last minute is only late; the five before it, or six where one began meanwhile, were missed.
    let skip = history(&fixture, skip).await;
    let [row] = &skip[..] else { panic!("{skip:?}") };
    let missed: u32 = row.strip_prefix("pending ").unwrap().parse().unwrap();
    assert!((5..=6).contains(&missed), "{skip:?}");
    let once = history(&fixture, once).await;
    assert_eq!(once, [format!("pending {}", missed - 1), "pending 0".to_owned()]);
    assert_eq!(history(&fixture, catch_up).await.len(), once.len() + 1);
    assert_eq!(history(&fixture, other).await.len(), 1);
    let ended = tenant.schedules().get(made[3]).await.unwrap().unwrap();
    assert_eq!((ended.next_run_at, ended.run_count), (None, 1));
    assert!(tenant.schedules().get(made[0]).await.unwrap().unwrap().last_fired_at.is_some());
    let again = fixture.store.schedule_ticks().run(10).await.unwrap();
    assert_eq!(again.executions, 0);
    assert!(again.next_in.is_some_and(|next| next <= Duration::from_mins(1)));
}

#[tokio::test]
async fn an_execution_is_what_its_schedule_was_and_goes_when_its_schedule_does() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let made = insert(tenant, &input("* * * * *", &json!({}))).await;
    was_due(&fixture, made.id, "30 seconds").await;
    fixture.store.schedule_ticks().run(10).await.unwrap();
    update(tenant, made.id, &input("* * * * *", &json!({"name": "Other", "enabled": false}))).await;
    let snapshot = fixture.database.query("SELECT snapshot ->> 'name' || schedule_revision FROM schedule_executions LIMIT 1").await;
    assert_eq!(snapshot.trim(), "Letters1");
    assert_eq!(fixture.store.schedule_ticks().run(10).await.unwrap().next_in, None, "it is off");
    let _ = tenant.schedules().delete(made.id, None, &NOBODY).await.unwrap();
    assert!(history(&fixture, made.id).await.iter().all(|row| row.starts_with("cancelled")));
}

#[tokio::test]
async fn schedules_of_an_archived_tenant_go_on_without_executions() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let made = insert(tenant, &input("* * * * *", &json!({}))).await;
    was_due(&fixture, made.id, "3 minutes").await;
    let _ = fixture.store.tenants().set_status(tenant.tenant_id(), domain::tenants::TenantStatus::Archived, &NOBODY).await.unwrap();
    let tick = fixture.store.schedule_ticks().run(10).await.unwrap();
    assert_eq!((tick.schedules, tick.executions), (1, 0));
    assert!(tenant.schedules().get(made.id).await.unwrap().unwrap().next_run_at.is_some_and(|next| next > made.created_at));
}

#[tokio::test]
async fn a_schedule_that_nobody_can_reckon_with_holds_up_no_other() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let [odd, good] = [insert(tenant, &input("* * * * *", &json!({}))).await.id, insert(tenant, &input("* * * * *", &json!({}))).await.id];
    for id in [odd, good] {
        was_due(&fixture, id, "30 seconds").await;
    }
    fixture.database.query(&format!("UPDATE schedules SET timezone = 'Mars/Olympus' WHERE schedule_id = '{odd}'")).await;
    let tick = fixture.store.schedule_ticks().run(10).await.unwrap();
    assert_eq!((tick.schedules, tick.invalid), (2, 1));
    assert_eq!(history(&fixture, odd).await, ["failed 0"]);
    assert!(history(&fixture, good).await.iter().all(|row| row == "pending 0"));
    assert_eq!(fixture.store.schedule_ticks().run(10).await.unwrap().schedules, 0, "it is tried again later");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn four_replicas_that_tick_at_once_make_each_execution_once_and_none_is_left_out_whatever_their_clocks_say() {
    const SCHEDULES: u32 = 60;
    let fixture = Fixture::new().await;
    let every_second = input("* * * * * *", &json!({}));
    let mut plans = Vec::new();
    for _ in 0..SCHEDULES {
        let made = insert(&fixture.tenant, &every_second).await;
        let first = fixture.tenant.schedules().get(made.id).await.unwrap().unwrap().next_run_at.unwrap();
        plans.push((made.id, first));
    }
    let replica = |hours: i64| {
        let url = fixture.database.url().to_owned();
        let clock = domain::Clock::from_source(move || domain::Clock::system().now() + jiff::SignedDuration::from_hours(hours));
        tokio::spawn(async move {
            let store = Store::connect(ConnectOptions { clock, ..ConnectOptions::new(&url) }).await.unwrap();
            let (began, mut made) = (Instant::now(), 0);
            while began.elapsed() < Duration::from_secs(5) {
                made += store.schedule_ticks().run(7).await.unwrap().executions;
            }
            made
        })
    };
    let mut made = 0;
    for ticking in [replica(0), replica(1), replica(-1), replica(0)] {
        made += ticking.await.unwrap();
    }
    // Whatever was due when they stopped.
    while fixture
        .store
        .schedule_ticks()
        .run(500)
        .await
        .map(|tick| {
            made += tick.executions;
            tick.schedules
        })
        .unwrap()
        > 0
    {}
    let plan = fixture.tenant.schedules().plan(&every_second.timing).await.unwrap().unwrap();
    let mut total = 0;
    for (id, first) in plans {
        let sql =
            format!("SELECT extract(epoch FROM fire_time)::bigint FROM schedule_executions WHERE schedule_id = '{id}' ORDER BY fire_time");
        let fired: Vec<i64> = fixture.database.query(&sql).await.lines().map(|line| line.trim().parse().unwrap()).collect();
        assert!(fired.len() >= 5, "{fired:?}");
        let shown: Vec<i64> =
            plan.preview(first - jiff::SignedDuration::from_secs(1), fired.len()).fires.iter().map(|fire| fire.at.as_second()).collect();
        assert_eq!(fired, shown, "what came is what a preview showed, each once");
        total += fired.len();
    }
    assert_eq!(u32::try_from(total).unwrap(), made);
}

const DUE: &str = "
    SELECT s.schedule_id FROM schedules s JOIN tenants t USING (tenant_id)
    WHERE s.next_run_at <= now() ORDER BY s.next_run_at LIMIT 500 FOR NO KEY UPDATE OF s SKIP LOCKED";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: prints what a tick costs with a thousand and a hundred thousand schedules and a million old executions"]
async fn a_tick_costs_the_same_however_many_schedules_and_old_executions_there_are() {
    let mut costs = Vec::new();
    for (schedules, executions) in [(1_000, 0), (100_000, 0), (100_000, 1_000_000)] {
        let fixture = Fixture::new().await;
        fixture
            .database
            .query(&format!(
                "INSERT INTO schedules (schedule_id, tenant_id, name, enabled, cron_expression, timezone, template_key, definition, next_run_at,
                                        created_at, created_by, updated_at)
                 SELECT gen_random_uuid(), 'default', 'Letters', true, '0 8 * * *', 'Europe/Berlin', 'letter',
                        '{{\"format\": \"pdf\", \"dataSource\": {{\"type\": \"template\"}}, \"deliveryTargets\": []}}',
                        now() + n * interval '1 second' + interval '1 day', now(), 'x', now()
                 FROM generate_series(1, {schedules}) n"
            ))
            .await;
        for _ in 0..executions / 50_000 {
            let old = "INSERT INTO schedule_executions (execution_id, tenant_id, schedule_id, schedule_revision, template_key, fire_time, trigger, status,
                                                  created_at, updated_at, ended_at)
                 SELECT gen_random_uuid(), 'default', gen_random_uuid(), 1, 'letter', now() - n * interval '1 second', 'cron', 'completed', now(),
                        now(), now()
                 FROM generate_series(1, 50000) n";
            fixture.database.query(old).await;
        }
        fixture.database.query("VACUUM ANALYZE schedules, schedule_executions").await;
        let mut idle = Vec::new();
        for _ in 0..200 {
            let began = Instant::now();
            assert_eq!(fixture.store.schedule_ticks().run(500).await.unwrap().schedules, 0);
            idle.push(began.elapsed());
        }
        let mut ticks = Vec::new();
        for round in (2..=40).step_by(2) {
            // Some come due, at another moment each time.
            fixture
                .database
                .query(&format!(
                    "UPDATE schedules
                     SET next_run_at = date_trunc('second', now()) - interval '{round} second', timezone = 'UTC',
                         cron_expression = to_char((now() - interval '{round} second') AT TIME ZONE 'UTC', 'FMSS FMMI FMHH24') || ' * * *'
                     WHERE schedule_id IN (SELECT schedule_id FROM schedules ORDER BY random() LIMIT 500)",
                ))
                .await;
            let began = Instant::now();
            let tick = fixture.store.schedule_ticks().run(500).await.unwrap();
            ticks.push(began.elapsed());
            assert_eq!((tick.schedules, tick.executions), (500, 500));
        }
        idle.sort();
        ticks.sort();
        let (idle, tick) = (idle[idle.len() / 2], ticks[ticks.len() / 2]);
        println!(
            "{schedules} schedules, {executions} old executions: a look takes {idle:?}, a tick of 500 {tick:?} (median of {}): {:.0} schedules per second",
            ticks.len(),
            500.0 / tick.as_secs_f64()
        );
        let plan = fixture.database.query(&format!("EXPLAIN {DUE}")).await;
        println!("{plan}");
        assert!(schedules < 100_000 || plan.contains("schedules_due"), "{plan}");
        costs.push((idle, tick));
    }
    assert!(costs[2].1 < costs[0].1 * 3, "a tick became slower: {costs:?}");
}
