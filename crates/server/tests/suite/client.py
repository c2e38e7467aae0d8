"""Uses a server through the public client the way its users do: client.py ADDRESS KEY."""

import base64
import struct
import sys
import time
import uuid
import zlib

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


def chunk(kind, data):
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def pdf_of(*objects):
    """A PDF of these objects, of which the first is the catalog."""
    written, places = b"%PDF-1.7\n", []
    for number, text in enumerate(objects, 1):
        places.append(len(written))
        written += f"{number} 0 obj\n{text}\nendobj\n".encode()
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    head = f"xref\n0 {len(places) + 1}\n0000000000 65535 f \n{table}trailer\n<</Size {len(places) + 1} /Root 1 0 R>>"
    return written + f"{head}\nstartxref\n{len(written)}\n%%EOF\n".encode()


# A page with two fields to fill in.
FORM = pdf_of(
    "<</Type/Catalog /Pages 2 0 R /AcroForm <</Fields [4 0 R 5 0 R]>>>>",
    "<</Type/Pages /Kids [3 0 R] /Count 1>>",
    "<</Type/Page /Parent 2 0 R /MediaBox [0 0 99 99] /Annots [4 0 R]>>",
    "<</T(name) /FT/Tx /V(Ada) /Ff 2 /MaxLen 40 /Subtype/Widget /Rect [10 10 90 30]>>",
    "<</T(agree) /FT/Btn>>",
)

# One grey pixel.
PNG = (
    b"\x89PNG\r\n\x1a\n"
    + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    + chunk(b"IDAT", zlib.compress(b"\0\x77"))
    + chunk(b"IEND", b"")
)


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
    listed = {"key": "listed", "name": "Listed", "html": "<table id=names><tr><td>{{name}}</td></tr></table>"}
    table = client.render.csv(definition=listed, data={"name": "Ada"}, table_id="names", csv_options={"bom": True})
    assert (table.data, table.content_type) == (b"\xef\xbb\xbfAda\r\n", "text/csv; charset=utf-8"), table
    refusal(lambda: client.render.csv("greeting", {"name": "Ada"}), 422, "no_rendered_tables")
    workbook = client.render.xlsx(definition=listed, data={"name": "Ada"}, xlsx_options={"layout": "data", "cellTyping": "text"})
    assert workbook.data.startswith(b"PK") and workbook.content_type.endswith("spreadsheetml.sheet"), workbook
    picture = client.render.image("greeting", {"name": "Ada"}, image={"format": "webp", "width": 200})
    assert picture.data.startswith(b"RIFF") and picture.content_type == "image/webp", picture.content_type
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
    changes = client.templates.diff("greeting", before_version="1.0.0", after_version="1.0.1")
    assert [(change.path, change.before, change.after) for change in changes.metadata_changes] == [("name", "Greeting", "Salutation")]
    assert (changes.template_key, changes.summary.properties_changed, changes.document_changes) == ("greeting", 1, []), changes
    refusal(lambda: client.templates.diff("greeting", before_version="8.0.0"), 404, "not_found")
    assert client.templates.compatibility("greeting", base="version:1.0.0")["compatible"]
    assert client.templates.infer_schema({"name": "Ada"})["properties"] == {"name": {"type": "string"}}
    form = client.templates.form_metadata("greeting", version="1.0.0")
    assert form["inputSchema"]["required"] == ["name"] and form["version"] == "1.0.0", form
    bound = client.templates.bindings("greeting")["bindings"]
    assert [(used["path"], used["nodeId"], used["declared"]) for used in bound] == [("name", "hello", True)], bound
    # What templates are made with, and who is made with them.
    client.templates.create({"kind": "theme", "key": "brand", "name": "Brand", "theme": {"variables": {"ink": "#123456"}}})
    client.templates.create({"kind": "component", "key": "sign-off", "name": "Sign-off", "html": "<p>Yours</p>"})
    parts = {"theme": {"key": "brand", "version": "1.0.0"}, "components": {"bye": "sign-off"}}
    client.templates.create({"key": "reply", "name": "Reply", "html": "<p>Dear</p>{{> bye}}", **parts})
    used = client.templates.dependencies("reply", version="1.0.0")
    assert [(part["key"], part["via"], part["version"]) for part in used["templates"]] == [
        ("brand", "theme", "1.0.0"),
        ("sign-off", "component", "1.0.0"),
    ], used
    users = client.templates.dependents("sign-off", transitive=True, limit=10, offset=0)
    assert ([user["key"] for user in users["items"]], users["total"], users["scanned"], users["truncated"]) == (["reply"], 1, 1, False), users
    for key in ["reply", "brand"]:
        theme = client.templates.get_theme(key)
        assert (theme.key, theme.version, theme.theme["variables"]) == ("brand", "1.0.0", {"ink": "#123456"}), theme
    refusal(lambda: client.templates.get_theme("greeting"), 404, "theme_not_found")
    whole = client.templates.get_effective("reply", version="1.0.0")
    assert "Yours" in str(whole["definition"]) and [part["key"] for part in whole["parts"]] == ["brand", "sign-off"], whole
    tried = client.templates.validate_dependents("sign-off", limit=5)
    assert (tried["valid"], [(item["key"], item["valid"]) for item in tried["items"]]) == (True, [("reply", True)]), tried
    wrong = {"kind": "layout", "key": "sign-off", "name": "Sign-off", "html": "<slot name='main'></slot>"}
    tried = client.templates.validate_dependents("sign-off", definition=wrong)
    assert not tried["valid"] and tried["items"][0]["issues"], tried
    kept = refusal(lambda: client.templates.delete("sign-off", "1.0.0"), 409, "template_in_use")
    assert [user["key"] for user in kept.referenced_by] == ["reply"], kept.referenced_by
    refusal(lambda: client.templates.draft.get("greeting"), 409, "draft_identity_required")
    client.admin.create_user(id="ada", display_name="Ada", key="adas-own-key-of-the-tests", role="author")
    with PulpEngineClient(base_url=ADDRESS, api_key="adas-own-key-of-the-tests") as ada:
        assert ada.templates.draft.get("greeting") is None
        draft = ada.templates.draft.put("greeting", base_version="1.0.0", definition={**DEFINITION, "html": "{{#if"})
        assert (draft.owner, draft.base_version, draft.definition["html"]) == ("ada", "1.0.0", "{{#if"), draft
        assert ada.templates.draft.get("greeting") == draft == client.templates.draft.review("greeting", "ada")
        assert [item["owner"] for item in client.templates.draft.list("greeting")["items"]] == ["ada"]
        ada.templates.draft.delete("greeting")
        assert client.templates.draft.review("greeting", "ada") is None
    assert client.render.pdf("greeting", {"name": "Ada"}, version="1.0.1").resolved_version == "1.0.1"
    assert "greeting" in [item.key for item in client.templates.list().items]
    assert client.templates.schema("greeting")["required"] == ["name"]
    assert "name" in client.templates.sample("greeting")
    client.templates.put_sample("greeting", {"name": "Grace"})
    assert client.templates.sample("greeting") == {"name": "Grace"} == client.templates.form_metadata("greeting")["sample"]
    client.templates.delete_sample("greeting")
    assert client.templates.sample("greeting") != {"name": "Grace"}

    kept = client.templates.put_dataset(
        "greeting", "ada", {"name": "Ada"}, expected_revision=0, title="Ada", tags=["Short"], is_default=True,
        assertions={"pages": 1, "contains": ["Hello Ada"]},
    )
    assert (kept["name"], kept["revision"], kept["data"]) == ("ada", 1, {"name": "Ada"}), kept
    again = client.templates.put_dataset("greeting", "ada", {"name": "Ada L"}, expected_revision=1, title=None)
    assert (again["revision"], again["title"], again["tags"]) == (2, None, ["short"]), again
    refusal(lambda: client.templates.put_dataset("greeting", "ada", {}, expected_revision=1), 412, "precondition_failed")
    client.templates.put_dataset("greeting", "nameless", {}, expect_invalid=True)
    refusal(lambda: client.templates.put_dataset("greeting", "no name", {}), 400, "dataset_name_invalid")
    wrong = refusal(lambda: client.templates.put_dataset("greeting", "x", {}, assertions={"pages": "one"}), 422, "validation_failed")
    assert wrong.issues[0].path == "/assertions/pages", wrong.issues
    listed = client.templates.list_datasets("greeting", tag="short")
    assert [(item["name"], "data" in item) for item in listed["items"]] == [("ada", False)] and listed["total"] == 1, listed
    assert client.templates.get_dataset("greeting", "ada")["data"] == {"name": "Ada L"}
    ran = client.templates.run_tests("greeting")
    assert ran["passed"] and [result["dataset"] for result in ran["results"]] == ["ada", "nameless"], ran
    client.templates.put_dataset("greeting", "ada", {"name": "Bob"}, assertions={"contains": ["Hello Ada"], "pages": {"min": 2}})
    ran = client.templates.run_tests("greeting", datasets=["ada"], version="1.0.0")
    assert not ran["passed"] and ran["failed"] == 1, ran
    assert [failure["path"] for failure in ran["results"][0]["failures"]] == ["/assertions/pages", "/assertions/contains/0"], ran
    refusal(lambda: client.templates.run_tests("greeting", datasets=["nobody"]), 404, "dataset_not_found")
    client.templates.delete_dataset("greeting", "nameless")
    refusal(lambda: client.templates.get_dataset("greeting", "nameless"), 404, "dataset_not_found")

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
    refusal(lambda: client.catalogue.list(), 501, "not_implemented")

    assets = client.assets
    logo = assets.upload(PNG, "Logo.png", content_type="image/png", folder="brand", tags=["logo", "grey"], alt_text="A dot")
    assert (logo.slug, logo.mime_type, logo.version, logo.tags, logo.folder) == ("logo", "image/png", 1, ["logo", "grey"], "brand"), logo
    refusal(lambda: assets.upload(PNG, "logo.jpg", content_type="image/jpeg"), 415, "asset_mime_mismatch")
    refusal(lambda: assets.upload(b"MZ", "logo.exe"), 415, "unsupported_media_type")
    page = assets.list(kind="image", tag=["grey"], folder="brand", recursive=True, sort="sizeBytes", order="asc", include="usage")
    assert [(item.id, item.usage_count) for item in page.items] == [(logo.id, 0)], page
    assert (assets.list(legacy_svg=True).total, assets.list(q="LOGO", mime_type="image/png").total) == (0, 1)
    client.templates.create({"key": "branded", "name": "Branded", "html": "<img src='asset:logo'>"})
    assert "data:image/png;base64," in client.render.html("branded", {})
    details = assets.get(logo.id)
    assert [(user.key, user.via) for user in details.referenced_by] == [("branded", ["html"])], details
    refusal(lambda: assets.delete(logo.id), 409, "asset_in_use")
    refusal(lambda: assets.update(logo.id, {"slug": "mark"}), 409, "asset_in_use")
    assert assets.update(logo.id, {"altText": None, "tags": ["mark"]}).tags == ["mark"]
    svg = b"<svg xmlns='http://www.w3.org/2000/svg' width='4' height='4'><rect width='4' height='4'/></svg>"
    refusal(lambda: assets.replace(logo.id, svg, "l.svg", content_type="image/svg+xml", if_match_version=9), 412, "precondition_failed")
    replaced = assets.replace(logo.id, svg, "l.svg", content_type="image/svg+xml", if_match_version=1)
    assert (replaced.version, replaced.svg_sanitized, replaced.content_hash != logo.content_hash) == (2, True, True), replaced
    assert [version.version for version in assets.list_versions(logo.id).items] == [2, 1]
    assert assets.restore_version(logo.id, 1).content_hash == logo.content_hash
    with open("/usr/share/fonts/truetype/liberation/LiberationSans-Italic.ttf", "rb") as file:
        font = assets.upload(file.read(), "brand.ttf", content_type="font/ttf")
    info = assets.font_info(font.id)
    assert (info.family, info.style, info.weight, info.embeddable) == ("Liberation Sans", "italic", 400, True), info
    assert assets.update(font.id, {"slug": "house-font"}).slug == "house-font"
    refusal(lambda: assets.update(font.id, {"slug": "logo"}), 409, "asset_slug_conflict")
    assert assets.facets().tags == [{"tag": "mark", "count": 1}], assets.facets()
    refusal(lambda: assets.form_fields(logo.id), 422, "validation_failed")
    contract = assets.upload(FORM, "contract.pdf", content_type="application/pdf")
    fields = assets.form_fields(contract.id, limit=1)
    assert (fields.total, fields.limit, fields.offset, fields.xfa) == (2, 1, 0, "none"), fields
    field = fields.items[0]
    assert (field.name, field.type, field.value, field.required, field.max_length) == ("name", "text", "Ada", True, 40), field
    assert field.widgets == [{"page": 1, "rect": [10, 10, 90, 30]}], field
    pdf_form = client.pdf_transform.list_form_fields(base64.b64encode(FORM).decode(), offset=1)
    assert [(field.name, field.type, field.value) for field in pdf_form.items] == [("agree", "checkbox", False)], pdf_form
    refusal(lambda: client.pdf_transform.list_form_fields("bm8gUERG"), 422, "invalid_pdf")
    assets.delete(logo.id, force=True)
    refusal(lambda: assets.get(logo.id), 404, "not_found")
    refusal(lambda: client.render.html("branded", {}), 422, "asset_blocked")

    labels = client.templates.labels
    assert labels.list("greeting") == []
    moved = labels.set("greeting", "prod", "1.0.0")
    assert (moved["label"], moved["version"]) == ("prod", "1.0.0"), moved
    labels.set("greeting", "prod", "1.0.1", require_compatible=True)
    assert [(item["label"], item["version"]) for item in labels.list("greeting")] == [("prod", "1.0.1")]
    assert (labels.get("greeting", "prod").name, client.templates.get("greeting").name) == ("Salutation", "Greeting")
    assert client.render.pdf("greeting", {"name": "Ada"}, label="prod").resolved_version == "1.0.1"
    assert client.render.pdf("greeting", {"name": "Ada"}, label="@latest").resolved_version == "1.0.2"
    assert client.templates.schema("greeting", label="prod")["required"] == ["name"]
    assert client.templates.validate("greeting", {"name": "Ada"}, label="prod").valid
    first = labels.history("greeting", "prod", filters={"limit": 1, "offset": 1})
    assert (first["total"], first["items"][0]["version"]) == (2, "1.0.0"), first
    then = first["items"][0]["settledAt"]
    assert labels.get("greeting", "prod", as_of=then).name == "Greeting"
    assert client.render.pdf("greeting", {"name": "Ada"}, label="prod", as_of=then).resolved_version == "1.0.0"
    refusal(lambda: labels.get("greeting", "prod", as_of="2020-01-01T00:00:00Z"), 422, "as_of_before_history")
    missing = refusal(lambda: labels.set("greeting", "prod", "9.9.9"), 404, "not_found")
    assert "9.9.9" in str(missing), missing
    refusal(lambda: labels.set("greeting", "beta", "1.0.2", traffic_split=10, control_label="prod"), 422, "validation_failed")
    local = {"version": "1.0.2", "effectiveLocal": "2027-06-01T08:00:00", "timeZone": "Europe/Berlin"}
    planned = labels.schedule("greeting", "prod", local)
    assert (planned["status"], planned["effectiveAt"]) == ("pending", "2027-06-01T06:00:00Z"), planned
    refusal(lambda: labels.delete("greeting", "prod"), 409, "label_in_use")
    assert labels.history("greeting", "prod", filters={"status": "pending"})["items"][0]["id"] == planned["id"]
    assert labels.cancel_schedule("greeting", "prod", planned["id"])["status"] == "cancelled"
    refusal(lambda: labels.cancel_schedule("greeting", "prod", planned["id"]), 409, "label_event_not_pending")
    assert "greeting" in [item.key for item in client.templates.list(label="prod").items]
    labels.delete("greeting", "prod")
    refusal(lambda: client.render.pdf("greeting", {"name": "Ada"}, label="prod"), 404, "not_found")

    invoices = client.folders.ensure_path("/Finance/Invoices")
    assert (invoices.path, invoices.template_count) == ("/Finance/Invoices", 0), invoices
    assert client.folders.ensure_path("/finance/INVOICES").id == invoices.id
    assert [folder.path for folder in client.folders.list(limit=1, offset=1).items] == ["/Finance/Invoices"]
    finance = next(folder for folder in client.folders.list_all(limit=1) if folder.path == "/Finance")
    refusal(lambda: client.folders.create("FINANCE"), 409, "folder_exists")
    refusal(lambda: client.folders.update(finance.id, {"parent_id": invoices.id}), 409, "folder_cycle")
    refusal(lambda: client.folders.create("a/b"), 422, "validation_failed")
    kept = client.templates.update_meta("greeting", {"folder_id": invoices.id, "tags": ["Letters", " letters "], "owner": "ann"})
    assert (kept.folder_id, kept.folder_path, kept.tags, kept.owner) == (invoices.id, "/Finance/Invoices", ["letters"], "ann"), kept
    refusal(lambda: client.templates.update_meta("greeting", {"folder_id": str(uuid.uuid4())}), 404, "folder_not_found")
    assert client.templates.tags(q="lett").items == [{"tag": "letters", "count": 1}]
    keys = lambda **filters: [item.key for item in client.templates.list_all(**filters)]
    assert keys(folder_id=finance.id) == [] and keys(folder_id=finance.id, recursive=True) == ["greeting"]
    assert keys(folder_path="/finance/invoices", tags=["LETTERS"], owner="ann", sort="updatedAt", order="desc") == ["greeting"]
    assert "greeting" not in keys(folder_path="/") and "greeting" in keys(folder_path="/", recursive=True)
    refusal(lambda: client.folders.delete(invoices.id), 409, "folder_not_empty")
    assert client.folders.update(invoices.id, {"name": "Bills", "parent_id": None}).path == "/Bills"
    assert client.templates.update_meta("greeting", {"folder_id": None, "tags": None}).folder_path is None
    client.folders.delete(invoices.id)
    refusal(lambda: client.folders.delete(invoices.id), 404, "folder_not_found")

    renamed = client.templates.rename("greeting", "Welcome", "said first")
    assert (renamed.name, renamed.description, renamed.current_version) == ("Welcome", "said first", "1.0.3"), renamed
    assert client.templates.set_version_note("greeting", "1.0.3", "why").change_note == "why"
    assert client.templates.set_version_note("greeting", "1.0.3", None).change_note is None
    refusal(lambda: client.templates.purge("greeting"), 409, "template_not_in_trash")
    refusal(lambda: client.templates.undelete("greeting"), 409, "template_not_in_trash")
    client.templates.delete("greeting", "1.0.3")
    refusal(lambda: client.templates.get("greeting"), 404, "not_found")
    trashed = client.templates.list(state="deleted").items
    assert [(item.key, item.deleted_by is not None, item.deleted_at is not None) for item in trashed] == [("greeting", True, True)], trashed
    back = client.templates.undelete("greeting")
    assert (back.current_version, back.deleted_at, back.owner) == ("1.0.3", None, "ann"), back
    assert client.render.html("greeting", {"name": "Ada"})
    client.templates.delete("greeting", "1.0.3")
    client.templates.create(DEFINITION)
    refusal(lambda: client.templates.undelete("greeting"), 409, "conflict")
    client.templates.purge("greeting")
    assert client.templates.list(state="deleted").total == 0 and client.templates.get("greeting").current_version == "1.0.0"
    client.templates.delete("greeting", "1.0.0")
    client.templates.purge("greeting")
    refusal(lambda: client.templates.undelete("greeting"), 404, "not_found")
    refusal(lambda: client.templates.get("greeting"), 404, "not_found")

with PulpEngineClient(base_url=ADDRESS, api_key="not-a-key-of-this-server") as stranger:
    refusal(lambda: stranger.templates.list(), 401, "unauthorized")

print("the client is content")
