"""Schedules through the public client: client_schedules.py ADDRESS KEY."""

import sys
import time
import uuid

from pulp_engine import PulpEngineClient, PulpEngineError

ADDRESS, KEY = sys.argv[1:]

DEFINITION = {"key": "greeting", "name": "Greeting", "html": "<h1>Dear {{name}}</h1>"}
SCHEDULE = {
    "name": "Daily greeting",
    "cronExpression": "0 8 * * 1-5",
    "timezone": "Europe/Berlin",
    "templateKey": "greeting",
    "format": "pdf",
    "dataSource": {"type": "static", "data": {"name": "Ann"}},
    "deliveryTargets": [{"type": "email", "to": ["ann@example.org"], "subject": "Your greeting"}],
}


def refusal(act, status, code):
    try:
        act()
    except PulpEngineError as error:
        assert (error.status, error.code) == (status, code), repr(error)
        return error
    raise AssertionError(f"expected {status} {code}")


def times(client):
    made = client.schedules.create(SCHEDULE)
    assert (made.name, made.enabled, made.format, made.run_count) == ("Daily greeting", True, "pdf", 0), made
    assert made.next_fire_at and made.delivery_targets[0].to == ["ann@example.org"], made
    assert client.schedules.get(made.id) == made
    fires = client.schedules.preview_fires(made.id, count=3)["fires"]
    assert [fires[0]["fireTime"], len(fires)] == [made.next_fire_at, 3], fires
    assert all("T08:00:00+0" in fire["localTime"] for fire in fires), fires

    off = client.schedules.patch(made.id, {"enabled": False, "maxRuns": 3})
    assert (off.enabled, off.next_fire_at, off.max_runs) == (False, None, 3), off
    replaced = client.schedules.update(made.id, {**SCHEDULE, "name": "Other", "templateVersion": "1.0.0"})
    assert (replaced.name, replaced.max_runs, replaced.template_version) == ("Other", None, "1.0.0"), replaced
    copy = client.schedules.duplicate(made.id, name="Copy")
    assert (copy.name, copy.enabled) == ("Copy", False), copy
    page = client.schedules.list(enabled=True, template_key="greeting")
    assert (page.total, page.items[0].id) == (1, made.id), page
    assert client.schedules.list(template_label="prod").total == 0
    client.schedules.delete(copy.id)
    refusal(lambda: client.schedules.get(copy.id), 404, "not_found")
    refusal(lambda: client.schedules.get(str(uuid.uuid4())), 404, "not_found")
    for wrong, path in [
        ({"cronExpression": "daily"}, "/cronExpression"),
        ({"timezone": "Mars/Olympus"}, "/timezone"),
        ({"calendarId": str(uuid.uuid4())}, "/calendarId"),
        ({"templateKey": "nothing-here"}, "/templateKey"),
        ({"templateLabel": "nothing-here"}, "/templateLabel"),
        ({"format": "docx"}, "/format"),
    ]:
        error = refusal(lambda: client.schedules.create({**SCHEDULE, **wrong}), 422, "validation_failed")
        assert [issue.path for issue in error.issues] == [path], error.issues
    cron = client.schedules.preview_cron("30 2 * * *", timezone="Europe/Berlin", count=2)
    assert len(cron["fires"]) == 2 and cron["skipped"] == [], cron
    return made


def calendars(client, schedule):
    made = client.schedules.calendars.create({"name": "Germany", "holidays": [{"date": "2027-01-01", "name": "New Year"}]})
    source = "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART;VALUE=DATE:20271225\r\nSUMMARY:Christmas\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\n"
    source += "DTSTART:20270102T080000Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    result = client.schedules.calendars.import_ical(made["id"], source)
    assert (result["imported"], result["ignored"]) == (1, 1), result
    known = client.schedules.calendars.get(made["id"])
    assert [day["date"] for day in known["holidays"]] == ["2027-01-01", "2027-12-25"], known
    assert client.schedules.calendars.update(made["id"], {"name": "DE"})["holidays"] == known["holidays"]
    assert client.schedules.calendars.import_ical(made["id"], source, mode="replace")["imported"] == 1
    assert len(client.schedules.calendars.get(made["id"])["holidays"]) == 1
    assert client.schedules.calendars.list().total == 1
    rules = {"cronExpression": "0 8 25 12 *", "timezone": "Europe/Berlin", "calendarId": made["id"], "holidayRule": "next-business-day"}
    preview = client.schedules.preview({**rules, "validFrom": "2027-01-01", "count": 1})
    assert preview["fires"][0]["fireTime"] == "2027-12-27T07:00:00Z", preview
    assert preview["fires"][0]["nominalAt"] == "2027-12-25T07:00:00Z", preview
    assert [skipped["reason"] for skipped in preview["skipped"]] == ["moved"], preview
    assert client.schedules.preview({"scheduleId": schedule.id, "count": 2})["fires"], "of a schedule as it is"
    client.schedules.patch(schedule.id, {"calendarId": made["id"]})
    refusal(lambda: client.schedules.calendars.delete(made["id"]), 409, "conflict")
    client.schedules.patch(schedule.id, {"calendarId": None})
    replaced = client.schedules.calendars.replace(made["id"], {"name": "Empty"})
    assert (replaced["name"], replaced["holidays"]) == ("Empty", []), replaced
    client.schedules.calendars.delete(made["id"])
    refusal(lambda: client.schedules.calendars.get(made["id"]), 404, "not_found")


def executions(client):
    data = {"customers": [{"name": "Ann"}, {"name": "Bob"}]}
    made = client.schedules.create({
        "name": "Bursts", "cronExpression": "0 8 1 1 *", "enabled": False, "templateKey": DEFINITION["key"], "format": "html",
        "dataSource": {"type": "static", "data": data}, "burst": {"itemsPath": "customers", "keyPath": "name"},
        "deliveryTargets": [{"type": "email", "to": ["ada@example.org"]}], "deliveryCondition": {"skipIfEmpty": "nothing"},
    })
    skipped = ended(client, made.id, client.schedules.trigger(made.id))
    assert (skipped.status, skipped.trigger, skipped.skip_reason) == ("skipped", "manual", "skipIfEmpty: nothing is empty"), skipped
    run = client.schedules.trigger(made.id, parameters={"month": "May"}, as_of="2026-05-01T00:00:00Z", ignore_delivery_condition=True)
    failed = ended(client, made.id, run)
    assert failed.status == "failed" and "SMTP_URL" in failed.last_error, failed
    assert (failed.burst_summary.total, failed.burst_summary.succeeded, failed.resolved_parameters) == (2, 2, {"month": "May"}), failed
    assert [result.delivered for result in failed.delivery_results] == [False, False], failed
    items = client.schedules.list_execution_items(made.id, failed.id, status="succeeded")
    assert (items.total, items.items[1].key, items.items[1].recipients) == (2, "Bob", ["ada@example.org"]), items
    assert client.schedules.list_executions(made.id, status="failed").total == 1
    assert client.schedules.recent_failures(since_hours=1).items[0]["id"] == failed.id
    letters = client.admin.schedule_dlq.list({"scheduleId": made.id, "limit": 10})
    assert letters["total"] == 2, letters
    letter = letters["items"][0]["id"]
    assert client.admin.schedule_dlq.get(letter)["errorCode"] == "dispatcher_unavailable"
    assert client.admin.schedule_dlq.replay(letter)["status"] == "pending"
    ended(client, made.id, failed)
    assert client.admin.schedule_dlq.abandon(letters["items"][1]["id"])["status"] == "abandoned"
    refusal(lambda: client.admin.schedule_dlq.replay(letters["items"][1]["id"]), 409, "already_terminal")
    refusal(lambda: client.schedules.test(made.id, ["no address"]), 422, "validation_failed")
    assert ended(client, made.id, client.schedules.get_execution(made.id, client.schedules.test(made.id, ["me@example.org"])["executionId"])).status == "failed"
    preview = client.schedules.preview_burst({"burst": {"itemsPath": "customers"}, "data": data})
    assert (preview.total, preview.filtered, preview.truncated, len(preview.sample)) == (2, 0, 0, 2), preview
    tried = client.schedules.test_data_source({"type": "static", "data": data}, schedule_id=made.id)
    assert (tried["ok"], tried["data"]) == (True, data), tried
    nowhere = client.schedules.patch(made.id, {"deliveryTargets": [], "burst": None, "deliveryCondition": None})
    kept = ended(client, nowhere.id, client.schedules.trigger(nowhere.id))
    assert kept.status == "completed" and kept.document_id, kept
    page = client.documents.list(schedule_id=made.id)
    assert (page.total, page.items[0].id, page.items[0].source, page.items[0].execution_id) == (1, kept.document_id, "scheduled", kept.id), page
    client.schedules.delete(made.id)
    refusal(lambda: client.schedules.trigger(made.id), 404, "not_found")


def ended(client, schedule, execution):
    deadline = time.monotonic() + 60
    while True:
        found = client.schedules.get_execution(schedule, execution.id)
        if found.status not in ("pending", "rendering", "delivering"):
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


with PulpEngineClient(base_url=ADDRESS, api_key=KEY) as client:
    client.templates.create(DEFINITION)
    calendars(client, times(client))
    executions(client)

print("the client is content")
