"""Uses a server through the public client the way its users do: client.py ADDRESS KEY."""

import sys
import time
import uuid

from pulp_engine import PulpEngineClient, PulpEngineError

ADDRESS, KEY = sys.argv[1:]

DEFINITION = {
    "key": "greeting",
    "name": "Greeting",
    "version": "1.0.0",
    "inputSchema": {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"type": "string"}, "count": {"type": "integer"}},
    },
    "document": {
        "id": "root",
        "type": "document",
        "children": [{"id": "hello", "type": "text", "content": "Hello {{name}}"}],
    },
}


def refusal(act, status, code):
    """The error of an act that must be refused, with everything that the client reads from it."""
    try:
        act()
    except PulpEngineError as error:
        assert (error.status, error.code) == (status, code), repr(error)
        assert uuid.UUID(error.request_id), repr(error)
        return error
    raise AssertionError(f"expected {status} {code}")


with PulpEngineClient(base_url=ADDRESS, api_key=KEY) as client:
    assert client.health.liveness().status == "ok"
    assert client.health.readiness().status == "ok"
    assert isinstance(client.health.capabilities(), dict)

    created = client.templates.create(DEFINITION, change_note="first – with an umlaut: ü")
    assert (created.key, created.current_version) == ("greeting", "1.0.0"), created
    refusal(lambda: client.templates.create(DEFINITION), 409, "conflict")

    pdf = client.render.pdf("greeting", {"name": "Ada"})
    assert pdf.data.startswith(b"%PDF-") and pdf.content_type == "application/pdf", pdf.content_type
    assert pdf.resolved_version == "1.0.0", pdf.resolved_version
    again = [client.render.pdf("greeting", {"name": "Ada"}, now="2026-11-21T00:00:00Z").data for _ in range(2)]
    assert again[0] == again[1], "the same request gave other bytes"
    html = client.render.html("greeting", {"name": "<Ada>"})
    assert "Hello &lt;Ada&gt;" in html and "<html" in html.lower(), html
    # More than 64 KiB: the client compresses the request.
    large = client.render.html("greeting", {"name": "x" * 100_000})
    assert "x" * 100_000 in large

    changed = {**DEFINITION, "name": "Salutation"}
    updated = client.templates.update("greeting", "1.0.0", changed, change_note="renamed")
    assert (updated.name, updated.current_version) == ("Salutation", "1.0.1"), updated
    stale = refusal(lambda: client.templates.update("greeting", "1.0.0", changed), 412, "precondition_failed")
    assert "1.0.1" in str(stale), stale
    notes = [version.change_note for version in client.templates.versions("greeting").items]
    assert sorted(notes) == ["first – with an umlaut: ü", "renamed"], notes
    assert client.templates.get_version("greeting", "1.0.0").name == "Greeting"
    restored = client.templates.restore("greeting", "1.0.0", "1.0.1")
    assert (restored.name, restored.current_version) == ("Greeting", "1.0.2"), restored
    assert client.render.pdf("greeting", {"name": "Ada"}, version="1.0.1").resolved_version == "1.0.1"
    assert "greeting" in [item.key for item in client.templates.list().items]
    assert client.templates.schema("greeting")["required"] == ["name"]
    assert "name" in client.templates.sample("greeting")

    assert client.templates.validate("greeting", {"name": "Ada"}).valid
    invalid = client.templates.validate("greeting", {"name": 1})
    assert not invalid.valid and invalid.issues[0].path == "/name", invalid
    wrong = refusal(lambda: client.render.pdf("greeting", {"count": "many"}), 422, "validation_failed")
    assert {issue.path for issue in wrong.issues} >= {"/count"}, wrong.issues
    refusal(lambda: client.render.pdf("nowhere", {}), 404, "not_found")

    misspelt = {**DEFINITION, "key": "misspelt"}
    misspelt["document"] = {
        "id": "root",
        "type": "document",
        "children": [{"id": "bad", "type": "text", "content": "Hello {{shout name}}"}],
    }
    dry = client.render.dry_run(definition=misspelt, data={"name": "Ada"})
    assert dry.dry_run and not dry.valid and dry.validation.valid, dry
    location = dry.expressions.errors[0].location
    assert (location.node_id, location.line) == ("bad", 1), dry.expressions.errors
    assert client.render.dry_run("greeting", {"name": "Ada"}).valid

    client.render.html("greeting", {"name": "Ada"}, metadata={"order": "4711"})
    deadline = time.monotonic() + 10
    while not (found := list(client.renders.iterate({"meta": ["order:4711"], "limit": 1}))):
        assert time.monotonic() < deadline, "the render is not in the log"
    assert (len(found), found[0]["template"], found[0]["outcome"]) == (1, "greeting", "succeeded"), found
    assert client.renders.get(found[0]["id"])["metadata"] == {"order": "4711"}
    rollup = client.usage.rollup({"groupBy": "template", "stats": "percentiles"})
    assert rollup["totals"]["renders"] >= 5 and rollup["items"][0]["template"] == "greeting", rollup
    assert client.usage.export_csv({"groupBy": "actor"}).startswith("actor,renders,"), "no CSV"
    assert "greeting" in [item["template"] for item in client.usage.templates({"sort": "p95"})["items"]]
    assert client.usage.get_quota() == client.tenant.get_quota()
    refusal(lambda: client.usage.rollup({"from": "2020-01-01"}), 400, "usage_window_too_wide")
    refusal(lambda: client.usage.admin_rollup({}), 403, "super_admin_only")
    refusal(lambda: client.schedules.list(), 501, "not_implemented")
    client.templates.delete("greeting", "1.0.2")
    refusal(lambda: client.templates.get("greeting"), 404, "not_found")

with PulpEngineClient(base_url=ADDRESS, api_key="not-a-key-of-this-server") as stranger:
    refusal(lambda: stranger.templates.list(), 401, "unauthorized")

print("the client is content")
