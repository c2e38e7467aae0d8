"""Renders from uploaded data and from an address through the public client: client_datasets.py ADDRESS KEY FOLDER_OF_CERTIFICATES."""

import http.server
import json
import ssl
import sys
import threading

from pulp_engine import PulpEngineClient, PulpEngineError

ADDRESS, KEY, CERTIFICATES = sys.argv[1:]

DEFINITION = {"key": "page", "name": "Page", "html": "<p>Hello {{name}}, {{region}}</p>"}


def refusal(act, status, code):
    """The refusal that an act meets."""
    try:
        act()
    except PulpEngineError as error:
        assert (error.status, error.code) == (status, code), (error.status, error.code, error)
        return error
    raise AssertionError(f"{code} was expected")


class Source(http.server.BaseHTTPRequestHandler):
    """Gives data to whoever knows the word."""

    def do_GET(self):
        known = self.headers.get("Authorization") == "Bearer of-the-tests"
        body = json.dumps({"name": "Grace", "region": self.headers.get("X-Region")}).encode()
        self.send_response(200 if known else 401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass


source = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Source)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(f"{CERTIFICATES}/certificate.pem", f"{CERTIFICATES}/key.pem")
source.socket = context.wrap_socket(source.socket, server_side=True)
threading.Thread(target=source.serve_forever, daemon=True).start()
URL = f"https://127.0.0.1:{source.server_address[1]}/customers/7"

with PulpEngineClient(base_url=ADDRESS, api_key=KEY) as client:
    client.templates.create(DEFINITION)
    made = client.datasets.create({"name": "Ada", "region": "eu"}, ttl_seconds=600)
    assert made["id"].startswith("ds_") and made["sizeBytes"] > 0 and made["expiresAt"], made
    known = client.datasets.get(made["id"])
    assert known == {**made, "data": {"name": "Ada", "region": "eu"}}, known
    assert "Hello Ada, eu" in client.render.html("page", data_ref=made["id"])
    assert client.render.pdf("page", data_ref=made["id"]).data[:4] == b"%PDF"
    assert client.render.dry_run("page", data_ref=made["id"]).valid

    # Large enough to be sent as gzip.
    large = client.datasets.create({"name": "Big", "region": "x" * 100_000})
    assert large["sizeBytes"] > 100_000, large
    assert "Hello Big, xxx" in client.render.html("page", data_ref=large["id"])

    headers = {"Authorization": "Bearer of-the-tests", "X-Region": "us"}
    assert "Hello Grace, us" in client.render.html("page", data_url=URL, data_headers=headers)
    error = refusal(lambda: client.render.html("page", data_url=URL), 502, "data_fetch_failed")
    assert "401" in str(error) and "Grace" not in str(error), error
    refusal(lambda: client.render.html("page", data_url="https://10.0.0.1/"), 422, "data_url_rejected")

    client.datasets.delete(made["id"])
    refusal(lambda: client.datasets.get(made["id"]), 404, "dataset_not_found")
    refusal(lambda: client.render.html("page", data_ref=made["id"]), 404, "dataset_not_found")

print("the client is content")
