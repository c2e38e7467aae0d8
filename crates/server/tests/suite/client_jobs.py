"""Jobs through the public client: client_jobs.py ADDRESS KEY."""

import io
import sys
import uuid
import zipfile

from pulp_engine import PulpEngineClient, PulpEngineError

ADDRESS, KEY = sys.argv[1:]

DEFINITION = {"key": "greeting", "name": "Greeting", "html": "<h1>Dear {{name}}</h1>"}


def refusal(act, status, code):
    try:
        act()
    except PulpEngineError as error:
        assert (error.status, error.code) == (status, code), repr(error)
        return
    raise AssertionError(f"expected {status} {code}")


with PulpEngineClient(base_url=ADDRESS, api_key=KEY) as client:
    client.templates.create(DEFINITION)
    accepted = client.jobs.submit({"format": "pdf", "template": "greeting", "data": {"name": "Ann"}, "reference": "one", "correlationId": "c-1"})
    assert (accepted.kind, accepted.status, accepted.reference) == ("single", "pending", "one"), accepted
    job = client.jobs.wait_for(accepted.job_id, timeout=60)
    assert (job.status, job.correlation_id, job.cancel_requested) == ("completed", "c-1", False), job
    assert (job.progress.total, job.progress.completed, job.webhook.configured) == (1, 1, False), job
    document = client.jobs.download(job.job_id, 0)
    assert document.content_type == "application/pdf", document
    assert client.jobs.get(job.job_id, include="content").items[0].content, "the document comes with the job"
    page = client.jobs.list(reference="one", status="completed")
    assert (page.total, page.items[0].job_id) == (1, job.job_id), page

    items = [{"template": "greeting", "data": {"name": f"No {n}"}, "reference": str(n)} for n in range(5)]
    batch = client.jobs.submit({"format": "pdf", "items": items, "packaging": "zip"})
    assert batch.kind == "batch", batch
    done = client.jobs.wait_for(batch.job_id, timeout=60)
    assert [item.status for item in done.items] == ["succeeded"] * 5, done
    package = client.jobs.download_package(batch.job_id)
    assert package.content_type == "application/zip", package
    client.jobs.delete(batch.job_id)
    refusal(lambda: client.jobs.get(batch.job_id), 404, "not_found")
    refusal(lambda: client.jobs.cancel(job.job_id), 409, "already_terminal")
    refusal(lambda: client.jobs.get(str(uuid.uuid4())), 404, "not_found")
    status = client.batch.poll_job
    refusal(lambda: status(job.job_id), 404, "not_found")
    legacy = client.jobs.submit({"format": "pdf", "items": items})
    polled = client.batch.wait_for_job(legacy.job_id, poll_interval_s=0.2, timeout_s=60)
    assert (polled.status, polled.item_count, polled.results.succeeded) == ("completed", 5, 5), polled
    assert polled.results.results[0].pdf, "documents come with the older answer"

print("the client is content")
