"""Every call of the public client about templates and assets is made in client.py, or is one that this version does not have
and says so: client_later.py ADDRESS KEY."""

import pathlib
import re
import sys

from pulp_engine import PulpEngineClient, PulpEngineError

ADDRESS, KEY = sys.argv[1:]
MADE = (pathlib.Path(__file__).parent / "client.py").read_text()

# The words under which client.py knows the parts of the client.
PARTS = {
    "templates": lambda client: client.templates,
    "draft": lambda client: client.templates.draft,
    "labels": lambda client: client.templates.labels,
    "folders": lambda client: client.folders,
    "assets": lambda client: client.assets,
    "comments": lambda client: client.comments,
    "promotion_requests": lambda client: client.promotion_requests,
    "pdf_transform": lambda client: client.pdf_transform,
}
DEFINITION = {"key": "k", "name": "K", "html": "x"}
FILE = (b"PK\3\4", "letter.docx")

# What to send so that the client itself has no objection.
ARGUMENTS = {
    "templates.import_definition": lambda call: call("k", {"x": 1}),
    "templates.create_office": lambda call: call(*FILE, {"key": "k", "name": "K"}),
    "templates.replace_office_source": lambda call: call("k", "1.0.0", *FILE, {}),
    "templates.download_office_source": lambda call: call("k"),
    "templates.office_tags": lambda call: call("k"),
    "templates.lint_office": lambda call: call(*FILE),
    "templates.fork": lambda call: call("k"),
    "templates.upgrade": lambda call: call("k", {}, "1.0.0"),
    "templates.generate": lambda call: call("a letter"),
    "templates.edit": lambda call: call(DEFINITION, "shorter"),
    "templates.generate_sample": lambda call: call({"type": "object"}),
    "templates.import_document": lambda call: call(*FILE),
    "templates.get_i18n": lambda call: call("k"),
    "templates.put_i18n": lambda call: call("k", "1.0.0", {}),
    "templates.get_presence": lambda call: call("k"),
    "templates.heartbeat_presence": lambda call: call("k", "s", "viewing"),
    "templates.leave_presence": lambda call: call("k", "s"),
    "templates.acquire_lock": lambda call: call("k", "s"),
    "templates.release_lock": lambda call: call("k", session_id="s"),
    "templates.resolve_parameters": lambda call: call("k"),
    "templates.thumbnail": lambda call: call("k"),
    "templates.get_effective": lambda call: call("k"),
    "templates.get_theme": lambda call: call("k"),
    "templates.dependencies": lambda call: call("k"),
    "templates.dependents": lambda call: call("k"),
    "templates.validate_dependents": lambda call: call("k"),
    "comments.list": lambda call: call("k"),
    "comments.create": lambda call: call("k", "1.0.0", "well"),
    "comments.update": lambda call: call("k", "c", {"body": "well"}),
    "comments.delete": lambda call: call("k", "c"),
    "promotion_requests.list": lambda call: call("k"),
    "promotion_requests.inbox": lambda call: call(),
    "promotion_requests.create": lambda call: call("k", "prod", "1.0.0"),
    "promotion_requests.approve": lambda call: call("k", "p"),
    "promotion_requests.reject": lambda call: call("k", "p", "no"),
    "promotion_requests.cancel": lambda call: call("k", "p"),
    "pdf_transform.merge": lambda call: call([{"data": "eA=="}]),
    "pdf_transform.watermark": lambda call: call("eA==", {"type": "text", "content": "x"}),
    "pdf_transform.insert": lambda call: call("eA==", "eA==", {"at": "start"}),
    "pdf_transform.process": lambda call: call([{"data": "eA=="}], []),
    "pdf_transform.process_files": lambda call: call([__file__], []),
    "pdf_transform.protect": lambda call: call("eA==", user_password="x"),
    "pdf_transform.fill_form": lambda call: call("eA==", {}),
    "pdf_transform.attach": lambda call: call("eA==", []),
    "pdf_transform.factur_x": lambda call: call("eA==", "<x/>"),
    "pdf_transform.sign": lambda call: call("eA==", {"certificateId": "c"}),
}

missing = []
with PulpEngineClient(base_url=ADDRESS, api_key=KEY) as client:
    for part, of in PARTS.items():
        resource = of(client)
        for name in sorted(name for name in dir(resource) if not name.startswith("_") and callable(getattr(resource, name))):
            if re.search(rf"\b{part}\.{name}\(", MADE):
                continue
            call = f"{part}.{name}"
            assert call in ARGUMENTS, f"client.py makes no call of {call}, and it is not listed here as missing"
            try:
                ARGUMENTS[call](getattr(resource, name))
            except PulpEngineError as error:
                assert (error.status, error.code) == (501, "not_implemented"), f"{call}: {error!r}"
                missing.append(call)
            else:
                raise AssertionError(f"{call} works: call it in client.py")

print("missing:", ", ".join(missing))
