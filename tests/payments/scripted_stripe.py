"""A stand-in for Stripe's HTTP interface whose answers a test scripts; it keeps idempotency keys as Stripe does.

Shapes are those of Stripe's API reference. What a real implementation does with them is tested against localstripe.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Seen:
    """A request as it came in."""

    method: str
    path: str
    fields: dict[str, str]
    key: str | None
    authorization: str


@dataclass(frozen=True)
class Reply:
    """What to answer; `replayed` as Stripe marks an answer that it kept under the key. None of a status: hang up."""

    status: int | None
    body: dict[str, Any] = field(default_factory=dict)
    replayed: bool = False


Script = Callable[[Seen], Reply]


def intent(status: str, name: str = "pi_1", **changes: Any) -> Reply:
    """A PaymentIntent."""
    body = {"id": name, "object": "payment_intent", "status": status, "last_payment_error": None, **changes}
    return Reply(200, {"cancellation_reason": None, **body})


def fault(status: int, kind: str, code: str | None = None, replayed: bool = False, **more: Any) -> Reply:
    """An error object."""
    return Reply(status, {"error": {"type": kind, "code": code, "message": "said by the script", **more}}, replayed)


class ScriptedStripe:
    """The server's address, and what it has seen."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.seen: list[Seen] = []

    @property
    def calls(self) -> list[tuple[str, str | None]]:
        """(what was asked, key) of each request."""
        return [(f"{one.method} {one.path}", one.key) for one in self.seen]


@contextmanager
def scripted_stripe(script: Script) -> Iterator[ScriptedStripe]:
    """Serve the script on a free port for the length of a block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            fields = {name: values[0] for name, values in parse_qs(body or parts.query).items()}
            seen = Seen(
                self.command,
                parts.path,
                fields,
                self.headers.get("Idempotency-Key"),
                self.headers.get("Authorization", ""),
            )
            server.seen.append(seen)
            reply = script(seen)
            if reply.status is None:
                self.close_connection = True
                return
            payload = json.dumps(reply.body).encode()
            self.send_response(reply.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.send_header("Request-Id", "req_1")
            if reply.replayed:
                self.send_header("Idempotent-Replayed", "true")
            self.end_headers()
            self.wfile.write(payload)

        do_GET = do_POST = answer  # noqa: N815  # http.server's names

        def log_message(self, *_: object) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server = ScriptedStripe(listening.server_port)
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        listening.shutdown()
        thread.join()
        listening.server_close()
