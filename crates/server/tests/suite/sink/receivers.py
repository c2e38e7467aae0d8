"""Receivers for the tests of deliveries: a mail server that speaks TLS, and one of HTTPS. Both append what they take to a file, one
JSON object a line. What an address or a path is called decides how it behaves.

    receivers.py FOLDER_WITH_CERTIFICATE FILE    prints "ready SMTP_PORT HTTPS_PORT"
"""

import asyncio
import email
import email.policy
import json
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiosmtpd.smtp import SMTP

folder, path = sys.argv[1], sys.argv[2]
lock = threading.Lock()
seen: dict[str, int] = {}


def note(**what):
    with lock, open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(what) + "\n")


def times(name: str) -> int:
    with lock:
        seen[name] = seen.get(name, 0) + 1
        return seen[name]


def tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{folder}/certificate.pem", f"{folder}/key.pem")
    return context


class Mailbox:
    async def handle_RCPT(self, server, session, envelope, address, options):
        name = address.split("@")[0]
        if name == "grey" and times(f"grey {envelope.mail_from}") == 1:
            note(refused=address, code=451)
            return "451 4.7.1 Greylisted, try again later"
        if name == "full":
            note(refused=address, code=452)
            return "452 4.2.2 Mailbox full"
        if name == "nobody":
            note(refused=address, code=550)
            return "550 5.1.1 No such user here"
        if name == "hang":
            note(refused=address, code=0)
            await asyncio.sleep(600)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        parts = [part for part in message.walk() if not part.is_multipart()]
        note(
            smtp=True,
            tls=session.ssl is not None,
            to=envelope.rcpt_tos,
            sender=envelope.mail_from,
            headers={name.lower(): str(value) for name, value in message.items()},
            texts={part.get_content_type(): part.get_content() for part in parts if part.get_content_disposition() != "attachment" and part.get_content_maintype() == "text"},
            attachments=[
                {"name": part.get_filename(), "type": part.get_content_type(), "size": len(part.get_payload(decode=True)), "head": part.get_payload(decode=True)[:8].decode("latin-1")}
                for part in parts
                if part.get_content_disposition() == "attachment"
            ],
        )
        return "250 OK"


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = json.dumps([{"name": "Ada", "asked": self.path, "as": self.headers.get("authorization")}]).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        status = 200
        if self.path.startswith("/broken"):
            status = 500
        elif self.path.startswith("/gone"):
            status = 404
        elif self.path.startswith("/flaky") and times(self.path) == 1:
            status = 503
        note(https=True, path=self.path, status=status, headers={name.lower(): value for name, value in self.headers.items()}, body=body.decode("utf-8"))
        self.send_response(status)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


loop = asyncio.new_event_loop()
mail = loop.run_until_complete(
    loop.create_server(lambda: SMTP(Mailbox(), tls_context=tls(), require_starttls=True, hostname="localhost", loop=loop), "127.0.0.1", 0)
)
threading.Thread(target=loop.run_forever, daemon=True).start()
server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
server.daemon_threads = True
server.socket = tls().wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
print("ready", mail.sockets[0].getsockname()[1], server.server_address[1], flush=True)
# Whoever started it closes this when it is done.
sys.stdin.read()
