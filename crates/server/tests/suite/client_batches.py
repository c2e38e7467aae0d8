"""Batches with the public client: client_batches.py ADDRESS KEY."""

import base64
import io
import sys
import zipfile

from pulp_engine import PulpEngineClient, PulpEngineError

ADDRESS, KEY = sys.argv[1:]
NOTE = {"key": "note", "name": "Note", "html": "<p>Dear {{name}}</p>"}


def refusal(call, status, code):
    try:
        call()
    except PulpEngineError as error:
        assert (error.status, error.code) == (status, code), (error.status, error.code, error)
        return error
    raise AssertionError(f"not refused with {code}")


with PulpEngineClient(base_url=ADDRESS, api_key=KEY) as client:
    client.templates.create(NOTE)
    items = [{"template": "note", "data": {"name": name}, "reference": f"r-{name}"} for name in ("Ada", "Grace", "Emmy")]
    mixed = [*items[:2], {"template": "nowhere", "data": {}, "reference": "lost"}]

    result = client.batch.pdf(mixed, now="2026-11-21T00:00:00Z", metadata={"run": "7"}, correlation_id="run-7")
    assert (result.total, result.succeeded, result.failed) == (3, 2, 1)
    assert [one.reference for one in result.results] == ["r-Ada", "r-Grace", "lost"]
    assert base64.b64decode(result.results[0].pdf).startswith(b"%PDF-") and result.results[0].filename == "note.pdf"
    assert result.results[0].metadata == {"run": "7"} and result.results[0].template == "note"
    assert result.results[2].error.code == "not_found" and result.results[2].pdf is None

    shared = client.batch.html([{"data": {"name": "<Ada>"}}, {"data": {"name": "Eve"}}], definition=NOTE)
    assert "Dear &lt;Ada&gt;" in shared.results[0].html and shared.results[0].template == "note"

    with client.batch.pdf_stream(mixed) as lines:
        told = list(lines)
    assert told[-1] == {"type": "summary", "total": 3, "succeeded": 2, "failed": 1}, told[-1]
    assert sorted(line["index"] for line in told[:-1]) == [0, 1, 2]
    assert all(line["type"] == "result" for line in told[:-1])

    package = client.batch.package("pdf", mixed, packaging="zip", package_options={"filename": "November"})
    assert (package.total, package.succeeded, package.failed, package.filename) == (3, 2, 1, "November.zip")
    with zipfile.ZipFile(io.BytesIO(package.data)) as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == ["manifest.json", "note-2.pdf", "note.pdf"], archive.namelist()
        assert archive.read("note-2.pdf").startswith(b"%PDF-")
    package = client.batch.package("html", items, packaging="zip")
    assert (package.total, package.failed, package.filename) == (3, 0, "batch.zip")

    package = client.batch.package("pdf", items, packaging="merged-pdf")
    assert (package.total, package.succeeded, package.failed, package.filename) == (3, 3, 0, "batch.pdf")
    assert package.data.startswith(b"%PDF-") and package.content_type == "application/pdf"
    refusal(lambda: client.batch.package("pdf", mixed, packaging="merged-pdf"), 422, "batch_items_failed")
    refusal(lambda: client.batch.package("html", items, packaging="merged-pdf"), 422, "packaging_unsupported")

    refusal(lambda: client.batch.pdf([]), 422, "validation_failed")
    refusal(lambda: client.batch.pdf(items, output={"mode": "link"}), 422, "validation_failed")
    stored = client.batch.pdf(items, output={"store": True, "respondWith": "link"})
    assert all(result.document_id and result.download_url and result.pdf is None for result in stored.results if result.success), stored
    rows = [{"template": "rows", "data": {"name": name}} for name in ("Ada", "Bob")]
    client.templates.create({"key": "rows", "name": "Rows", "html": "<table><tr><td>{{name}}</td></tr></table>"})
    tables = client.batch.csv(rows)
    assert [base64.b64decode(result.csv) for result in tables.results] == [b"Ada\r\n", b"Bob\r\n"], tables
    books = client.batch.xlsx(rows)
    assert all(base64.b64decode(result.xlsx).startswith(b"PK") for result in books.results), books
    refusal(lambda: client.batch.package("csv", items, packaging="zip"), 422, "batch_items_failed")
    for later in (client.batch.docx, client.batch.pptx):
        refusal(lambda: later(items), 501, "not_implemented")

print("the client is content")
