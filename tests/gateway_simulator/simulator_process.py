"""`fairdrop gateway` as a process on a free port, started, killed and read by tests."""

import json
import sys
from pathlib import Path

import urllib3

from app.local.children import Child, free_port, wait_for_http


class Simulator:
    """One simulator, whose book outlives its processes."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self._child: Child | None = None
        self._http = urllib3.PoolManager(retries=False)

    def start(self, **options: float) -> "Simulator":
        """Start it, or start it again over the same book; `decline_rate=0.1` is `--decline-rate 0.1`."""
        command = [sys.executable, "-m", "app.cli", "gateway", "--port", str(self.port)]
        command += ["--book", str(self._folder / "book.sqlite")]
        for name, value in options.items():
            command += [f"--{name.replace('_', '-')}", str(value)]
        self._child = Child("the gateway simulator", command, {}, self._folder / "gateway.log")
        wait_for_http(self.url + "/healthz", self._child)
        return self

    def kill(self) -> None:
        """kill -9, at once."""
        assert self._child is not None
        self._child.kill()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        return self._child.stop() if self._child is not None else 0

    def book(self) -> dict[str, dict[str, object]]:
        """Every authorization, by order id; fails when an order has two."""
        lines = self._http.request("GET", self.url + "/book").data.splitlines()
        entries = [json.loads(line) for line in lines]
        by_order = {entry["order_id"]: entry for entry in entries}
        assert len(by_order) == len(entries)
        return by_order

    def behave(self, **behaviour: float) -> int:
        """Tell it how to behave from now on; the status."""
        return self._http.request("PUT", self.url + "/behaviour", body=json.dumps(behaviour)).status

    def post(self, path: str, body: object, key: str | None = "key-1") -> tuple[int, dict[str, object]]:
        """One request; the status and the body."""
        headers = {} if key is None else {"Idempotency-Key": key}
        answer = self._http.request("POST", self.url + path, body=json.dumps(body), headers=headers)
        return answer.status, json.loads(answer.data)
