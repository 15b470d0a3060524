"""An issuer as a production setting would have one: it publishes its keys over HTTP, and can change, break or stop them."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
ISSUER = "https://issuer.example"


def new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Issuer:
    """Keys by their id, and the address where they are published. `broken` is sent in place of the keys when it is set."""

    def __init__(self) -> None:
        self.keys: dict[str, Key] = {}
        self.published: set[str] = set()
        self.broken: bytes | None = None
        self.status = 200
        self.fetches = 0
        self.url = ""

    def publish(self, key_id: str, key: Key) -> None:
        """Add a key."""
        self.keys[key_id] = key
        self.published.add(key_id)

    def token(self, key_id: str, subject: str = "somebody", audience: str = "fairdrop") -> str:
        """A token signed with a key, published or not."""
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": audience, "sub": subject, "iat": now, "exp": now + 600}
        algorithm = "RS256" if isinstance(self.keys[key_id], rsa.RSAPrivateKey) else "ES256"
        return jwt.encode(claims, self.keys[key_id], algorithm, headers={"kid": key_id})

    def document(self) -> bytes:
        """What is published."""
        if self.broken is not None:
            return self.broken
        return json.dumps({"keys": [self._jwk(key_id) for key_id in sorted(self.published)]}).encode()

    def _jwk(self, key_id: str) -> dict[str, Any]:
        key = self.keys[key_id]
        if isinstance(key, rsa.RSAPrivateKey):
            return {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": key_id, "use": "sig", "alg": "RS256"}
        return {**ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": key_id, "use": "sig", "alg": "ES256"}


@contextmanager
def issuing() -> Iterator[Issuer]:
    """An issuer on a free port for the length of a block."""
    issuer = Issuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.fetches += 1
            body = issuer.document()
            self.send_response(issuer.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    issuer.url = f"http://127.0.0.1:{server.server_port}/keys"
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
