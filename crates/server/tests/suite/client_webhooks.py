"""Messages to others through the public client, which verifies them itself: client_webhooks.py ADDRESS KEY SINK_FOLDER.

The receiver is an HTTPS server of this process. What it does with a message says the path that the message goes to.
"""

import json
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from pulp_engine import PulpEngineClient, PulpEngineError
from pulp_engine.webhooks import verify_webhook, verify_webhook_signature

ADDRESS, KEY, FOLDER = sys.argv[1:]
PATIENCE_S = 60
HUGE_BYTES = 100 * 1024 * 1024


class Sink(BaseHTTPRequestHandler):
    """Keeps every message by its path."""

    protocol_version = "HTTP/1.1"
    seen = {}
    arrived = threading.Condition()
    released = threading.Event()
    mended = set()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with Sink.arrived:
            kept = Sink.seen.setdefault(self.path, [])
            kept.append((self.headers, body))
            first = len(kept) == 1
            Sink.arrived.notify_all()
        what = self.path.split("/")[1]
        if what == "dead" and self.path not in Sink.mended:
            self.answer(500)
        elif what == "once" and first:
            self.answer(503)
        elif what == "gone":
            self.answer(410)
        elif what == "redirect":
            self.answer(302, [("Location", "/ok/redirected?secret=1")])
        elif what == "close":
            self.close_connection = True
            self.connection.close()
        elif what == "hang":
            Sink.released.wait(PATIENCE_S)
            self.answer(200)
        elif what == "huge":
            self.send_response(500)
            self.send_header("Content-Length", str(HUGE_BYTES))
            self.end_headers()
            try:
                for _ in range(HUGE_BYTES // 65536):
                    self.wfile.write(b"x" * 65536)
                Sink.mended.add(self.path)
            except OSError:
                pass
        else:
            self.answer(200)

    def answer(self, status, headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def wait_for(what, condition):
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {PATIENCE_S} s: {what}; seen {[(path, len(kept)) for path, kept in Sink.seen.items()]}")


def messages(path, count=1):
    """That many messages, once they have arrived."""
    return wait_for(f"{count} messages at {path}", lambda: Sink.seen.get(path, [])[: count or None] if len(Sink.seen.get(path, [])) >= count else None)


def refusal(act, status, code):
    try:
        act()
    except PulpEngineError as error:
        assert (error.status, error.code) == (status, code), repr(error)
        return
    raise AssertionError(f"expected {status} {code}")


def listen():
    """A receiver on a port of its own; what is away there is away alone."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{FOLDER}/certificate.pem", f"{FOLDER}/key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"https://127.0.0.1:{server.server_port}"


SINK = listen()


def definition(key):
    return {"key": key, "name": key, "html": "<h1>Dear {{name}}</h1>"}


with PulpEngineClient(base_url=ADDRESS, api_key=KEY) as client:
    hooks = client.webhooks
    types = {item["type"] for item in hooks.event_types()["items"]}
    assert {"template.created", "label.moved", "asset.deleted", "job.completed", "document.created", "webhook.ping"} <= types, types

    # What is not called, and what is not known.
    for url in ["http://example.org/", "https://10.0.0.1/", "https://169.254.169.254/latest", "https://me:pw@example.org/", "https://localhost/", "ftp://x/"]:
        refusal(lambda url=url: hooks.create(url, ["*"]), 422, "webhook_url_rejected")
    refusal(lambda: hooks.create(f"{SINK}/ok", ["nothing.*"]), 422, "webhook_event_type_unknown")
    refusal(lambda: hooks.create(f"{SINK}/ok", []), 422, "validation_failed")

    # An event arrives, signed, with what happened.
    made = hooks.create(f"{SINK}/ok/all", ["template.*", "label.*", "job.*"], description="all of it")
    secret = made["secret"]
    assert made["status"] == "active" and len(secret) > 30, made
    only = hooks.create(f"{SINK}/ok/only", ["*"], template_keys=["second"], secret="a-secret-of-my-own-choice")
    assert all("secret" not in shown for shown in [hooks.get(made["id"]), *hooks.list()["items"]]), "it is shown once"
    client.templates.create(definition("first"))
    headers, body = messages("/ok/all")[0]
    event = verify_webhook(secret=secret, headers=headers, raw_body=body)
    assert event["type"] == "template.created" and event["apiVersion"] == "1" and event["id"].startswith("evt_"), event
    assert event["data"]["templateKey"] == "first" and event["data"]["version"] == "1.0.0", event
    assert not verify_webhook_signature("another-secret-than-this", headers=headers, body=body)
    client.templates.create(definition("second"))
    headers, body = messages("/ok/only")[0]
    event = verify_webhook(secret="a-secret-of-my-own-choice", headers=headers, raw_body=body)
    assert event["data"]["templateKey"] == "second", event
    assert hooks.list_deliveries(only["id"])["total"] == 1, "what is about another template is not for it"

    # Its log, and the same event once more.
    log = wait_for("the log", lambda: hooks.list_deliveries(made["id"], status="delivered", event_type="template.created") if hooks.list_deliveries(made["id"], status="delivered")["total"] == 2 else None)
    delivery = log["items"][-1]
    assert (delivery["responseStatus"], delivery["attempts"], delivery["lastError"]) == (200, 1, None), delivery
    whole = hooks.get_delivery(made["id"], delivery["id"])
    assert whole["payload"]["data"]["templateKey"] == "first", whole
    again = hooks.redeliver(made["id"], delivery["id"])
    assert again["redeliveryOf"] == delivery["id"] and again["id"] != delivery["id"], again
    sent = messages("/ok/all", 3)
    assert sent[2][1] == sent[0][1] and sent[2][0]["X-PulpEngine-Delivery-Id"] == again["id"], "the same bytes"

    # Ping, and two secrets while one is exchanged for another.
    rotated = hooks.rotate_secret(made["id"], previous_secret_ttl_seconds=3600)
    assert rotated["secret"] != secret and rotated["previousSecretExpiresAt"], rotated
    ping = hooks.ping(made["id"])
    headers, body = messages("/ok/all", 4)[3]
    for one in (secret, rotated["secret"]):
        assert verify_webhook(secret=one, headers=headers, raw_body=body)["type"] == "webhook.ping", headers
    assert headers["X-PulpEngine-Signature"].count("sha256=") == 2 and headers["X-PulpEngine-Delivery-Id"] == ping["deliveryId"], headers
    third = hooks.rotate_secret(made["id"], previous_secret_ttl_seconds=0)["secret"]
    hooks.ping(made["id"])
    headers, body = messages("/ok/all", 5)[4]
    assert verify_webhook(secret=third, headers=headers, raw_body=body) and not verify_webhook_signature(secret, headers=headers, body=body)

    # One that is off gets nothing but a ping; on again, it gets what comes then.
    assert hooks.update(made["id"], {"enabled": False})["status"] == "disabled"
    client.labels.set("first", "prod", "1.0.0")
    hooks.ping(made["id"])
    assert json.loads(messages("/ok/all", 6)[5][1])["type"] == "webhook.ping"
    assert hooks.update(made["id"], {"enabled": True, "events": ["label.moved"]})["events"] == ["label.moved"]
    client.labels.set("first", "test", "1.0.0")
    moved = json.loads(messages("/ok/all", 7)[6][1])
    assert (moved["type"], moved["data"]["label"]) == ("label.moved", "test"), moved

    # Receivers that do not do what they should. Each message is tried twice here.
    bad = {name: hooks.create(f"{listen()}/{name}/x", ["asset.*"]) for name in ["once", "dead", "gone", "redirect", "close", "hang", "huge"]}
    for hook in bad.values():
        hooks.ping(hook["id"])
    fine = hooks.create(f"{SINK}/ok/beside", ["asset.*"])
    began = time.monotonic()
    hooks.ping(fine["id"])
    messages("/ok/beside")
    assert time.monotonic() - began < 12, "one that hangs holds up nobody"
    ended = {}
    for name, hook in bad.items():
        ended[name] = wait_for(f"the end of {name}", lambda hook=hook: next((d for d in hooks.list_deliveries(hook["id"])["items"] if d["status"] in ("delivered", "failed")), None))
    Sink.released.set()
    statuses = {name: (d["status"], d["attempts"], d["responseStatus"]) for name, d in ended.items()}
    assert statuses == {
        "once": ("delivered", 2, 200),
        "dead": ("failed", 2, 500),
        "gone": ("failed", 1, 410),
        "redirect": ("failed", 2, 302),
        "close": ("failed", 2, None),
        "hang": ("failed", 2, None),
        "huge": ("failed", 2, 500),
    }, statuses
    assert "redirects are not followed" in ended["redirect"]["lastError"] and "secret" not in ended["redirect"]["lastError"], ended["redirect"]
    assert "15 s" in ended["hang"]["lastError"], ended["hang"]
    assert "/huge/x" not in Sink.mended, "a hundred megabytes are not read"
    assert "/ok/redirected?secret=1" not in Sink.seen and "/ok/redirected" not in Sink.seen, "nobody goes where a redirect leads"
    (first_headers, first_body), (second_headers, second_body) = messages("/once/x", 2)
    assert first_body == second_body and first_headers["X-PulpEngine-Delivery-Id"] == second_headers["X-PulpEngine-Delivery-Id"], "one message"
    assert hooks.get(bad["dead"]["id"])["consecutiveFailures"] == 2
    hooks.delete(bad["dead"]["id"])
    refusal(lambda: hooks.get(bad["dead"]["id"]), 404, "not_found")

    # The end of a job is told to whoever asked, signed with what came with the job.
    def submit(path, sink=SINK):
        body = {"format": "html", "template": "first", "data": {"name": "Ann"}, "webhookUrl": f"{sink}{path}", "webhookSecret": "the-secret-of-this-job", "correlationId": "c-7"}
        return client.jobs.submit(body).job_id

    refusal(lambda: client.jobs.submit({"format": "html", "template": "first", "data": {"name": "A"}, "webhookUrl": "https://192.168.1.1/", "webhookSecret": "the-secret-of-this-job"}), 422, "webhook_url_rejected")
    job = submit("/ok/job")
    headers, body = messages("/ok/job")[0]
    told = verify_webhook(secret="the-secret-of-this-job", headers=headers, raw_body=body)
    assert (told["jobId"], told["status"], told["correlationId"]) == (job, "completed", "c-7"), told
    assert told["deliveryId"] == headers["X-PulpEngine-Delivery-Id"], told
    state = wait_for("the job knows", lambda: client.jobs.get(job).webhook.delivered and client.jobs.get(job))
    assert (state.webhook.configured, state.webhook.attempts) == (True, 1), state

    # One that does not arrive is a dead letter: replayed under the same id, or abandoned for good.
    dead = client.admin.batch_dlq
    jobs = [submit("/dead/one", listen()), submit("/dead/two", listen())]
    letters = wait_for("two dead letters", lambda: dead.list() if dead.list()["total"] == 2 else None)["items"]
    by_job = {letter["jobId"]: letter for letter in letters}
    assert set(by_job) == set(jobs) and all((letter["status"], letter["attempts"]) == ("failed", 2) for letter in letters), letters
    one, two = (by_job[job] for job in jobs)
    assert dead.get(one["id"])["payload"]["jobId"] == jobs[0]
    assert (client.jobs.get(jobs[0]).webhook.delivered, client.jobs.get(jobs[0]).webhook.attempts) == (False, 2)
    Sink.mended.add("/dead/one")
    assert dead.replay(one["id"])["status"] == "pending"
    replayed = messages("/dead/one", 3)[2]
    assert verify_webhook(secret="the-secret-of-this-job", headers=replayed[0], raw_body=replayed[1])["jobId"] == jobs[0]
    assert replayed[0]["X-PulpEngine-Delivery-Id"] == one["id"]
    wait_for("the replayed one is delivered", lambda: dead.get(one["id"])["status"] == "delivered")
    assert client.jobs.get(jobs[0]).webhook.delivered
    assert dead.abandon(two["id"])["status"] == "abandoned"
    refusal(lambda: dead.replay(two["id"]), 409, "already_terminal")
    refusal(lambda: dead.abandon(one["id"]), 409, "already_terminal")
    assert [letter["status"] for letter in dead.list()["items"]] == ["abandoned"]

print("the client is content")
