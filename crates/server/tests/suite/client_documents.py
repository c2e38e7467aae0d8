"""Keeps documents through the public client and fetches them again: client_documents.py ADDRESS KEY."""

import hashlib
import sys
import urllib.error
import urllib.request

from pulp_engine import PulpEngineClient, PulpEngineError

ADDRESS, KEY = sys.argv[1:]

DEFINITION = {"key": "page", "name": "Page", "html": "<h1>Hello {{name}}</h1>"}


def refusal(act, status, code):
    """The refusal that an act meets."""
    try:
        act()
    except PulpEngineError as error:
        assert (error.status, error.code) == (status, code), (error.status, error.code, error)
        return error
    raise AssertionError(f"{code} was expected")


def followed(url):
    """What somebody without a credential gets."""
    with urllib.request.urlopen(url) as answer:
        return answer.read()


with PulpEngineClient(base_url=ADDRESS, api_key=KEY) as client:
    client.templates.create(DEFINITION)
    kept = client.render.pdf(
        "page", {"name": "Ada"}, output={"store": True, "filename": "Ada", "metadata": {"order": "7"}, "maxDownloads": 3}
    )
    assert kept.data[:4] == b"%PDF" and kept.document_id, kept

    page = client.documents.list(template_key="page", metadata={"order": "7"}, source="single", format="pdf", limit=10)
    assert (page.total, page.items[0].id) == (1, kept.document_id), page
    assert client.documents.list(metadata={"order": "8"}).total == 0
    assert client.documents.list(schedule_id="none", created_from="2026-01-01", created_to="2099-01-01").total == 0

    known = client.documents.get(kept.document_id)
    assert (known.template_key, known.template_version, known.page_count) == ("page", "1.0.0", 1), known
    assert (known.filename, known.max_downloads, known.metadata) == ("Ada.pdf", 3, {"order": "7"}), known

    fetched = client.documents.download(kept.document_id)
    assert (fetched.data, fetched.filename, fetched.content_type) == (kept.data, "Ada.pdf", "application/pdf"), fetched

    link = client.documents.create_link(kept.document_id, ttl_seconds=60, disposition="inline")
    assert followed(link.url) == kept.data
    assert client.documents.revoke_links(kept.document_id) == 2
    try:
        followed(link.url)
        raise AssertionError("a revoked link leads nowhere")
    except urllib.error.HTTPError as error:
        assert error.code == 404, error
    assert followed(client.documents.create_link(kept.document_id).url) == kept.data
    refusal(lambda: client.documents.download(kept.document_id), 410, "document_link_expired")

    client.documents.delete(kept.document_id)
    refusal(lambda: client.documents.get(kept.document_id), 404, "not_found")

    stored = client.render.pdf("page", {"name": "Bob"}, output={"store": True, "respondWith": "link", "linkTtlSeconds": 60})
    assert (stored.format, stored.page_count) == ("pdf", 1), stored
    content = followed(stored.download_url)
    assert len(content) == stored.size_bytes and hashlib.sha256(content).hexdigest() == stored.sha256, stored
    html = client.render.html("page", {"name": "Eve"}, output={"store": True, "respondWith": "link"})
    assert b"Hello Eve" in followed(html.download_url), html
    refusal(lambda: client.render.pdf("page", {}, output={"store": True, "ttlSeconds": 400 * 86400}), 422, "validation_failed")

print("the client is content")
