"""The recording client: plays a plan of calls, each client in a thread, and writes down every call before it is sent and when
it ends.

A plan is JSON: `sale`, `urls`, `tokens` by customer, and `clients`, each a list of steps. A step has `op` (place, cancel, show),
`customer`, `key`, and perhaps `units`, `method`, `url` (which of the addresses), `at_ms` (not before so long after the start),
`hang_up` (send, and do not wait), `tries` (the same again, after an answer that decides nothing).
"""

import http.client
import json
import random
import threading
import time
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import urlsplit

from history_records import NOT_SENT

TIMEOUT_SECONDS = 15.0
PAUSE_SECONDS = 0.25
"""Before a call whose outcome is unknown is made again."""

PRICED = "tok_visa"


class Recorder:
    """The file of one process. Thread-safe; a line is in the file before the call that it is of goes out."""

    def __init__(self, path: Path, process: str) -> None:
        self._file: TextIO = path.open("w", buffering=1)
        self._process = process
        self._lock = threading.Lock()
        self._count = 0

    def begin(self, client: str, **call: Any) -> str:
        """Note that a call goes out; its number."""
        with self._lock:
            self._count += 1
            number = f"{self._process}.{self._count}"
            line = {"number": number, "client": f"{self._process}.{client}", **call, "sent_ns": time.monotonic_ns()}
            self._file.write(json.dumps(line) + "\n")
            return number

    def end(self, number: str, **answer: Any) -> None:
        """Note how it ended."""
        with self._lock:
            self._file.write(json.dumps({"number": number, **answer}) + "\n")

    def close(self) -> None:
        """All lines are in the file."""
        self._file.close()


class Client(threading.Thread):
    """One client's steps, one after the other."""

    def __init__(self, name: str, plan: dict[str, Any], steps: list[dict[str, Any]], recorder: Recorder) -> None:
        super().__init__(name=name, daemon=True)
        self._plan = plan
        self._steps = steps
        self._recorder = recorder
        self._orders: dict[tuple[str, str], str] = {}

    def run(self) -> None:
        for step in self._steps:
            wait_ns = self._plan["start_ns"] + step.get("at_ms", 0) * 1_000_000 - time.monotonic_ns()
            time.sleep(max(0, wait_ns) / 1e9)
            for attempt in range(step.get("tries", 1)):
                if attempt:
                    time.sleep(PAUSE_SECONDS)
                if self._call(step, attempt):
                    break

    def _call(self, step: dict[str, Any], attempt: int) -> bool:
        """Make a step's call; whether its answer decides, or there is nothing to ask."""
        customer, key, op = step["customer"], step["key"], step["op"]
        order_id = None if op == "place" else self._orders.get((customer, key))
        if op != "place" and order_id is None:
            return True
        units, method = step.get("units", 1), step.get("method")
        urls = self._plan["urls"]
        address = urlsplit(urls[(step.get("url", 0) + attempt) % len(urls)])
        connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=TIMEOUT_SECONDS)
        what = {"op": op, "customer": customer, "key": key, "units": units, "method": method, "order_id": order_id}
        number = self._recorder.begin(self.name, **what)
        try:
            connection.connect()
        except OSError as error:
            self._recorder.end(number, error=f"{NOT_SENT}: {type(error).__name__}")
            return False
        try:
            self._send(connection, op, customer, key, order_id, units, method)
            if step.get("hang_up") and not attempt:
                self._recorder.end(number, error="hung up")
                return step.get("tries", 1) == 1
            response = connection.getresponse()
            text = response.read()
            answered_ns = time.monotonic_ns()
            body = json.loads(text)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._recorder.end(number, error=type(error).__name__)
            return False
        finally:
            connection.close()
        if response.status in (200, 201):
            self._orders[customer, key] = body["order_id"]
        self._recorder.end(number, answered_ns=answered_ns, status=response.status, body=body)
        return response.status < 500 and response.status != 429

    def _send(
        self,
        connection: http.client.HTTPConnection,
        op: str,
        customer: str,
        key: str,
        order_id: str | None,
        units: int,
        method: str | None,
    ) -> None:
        path = f"/v1/sales/{self._plan['sale']}/orders"
        headers = {"Authorization": f"Bearer {self._plan['tokens'][customer]}"}
        if op == "place":
            headers |= {"Idempotency-Key": key, "Content-Type": "application/json"}
            body = {"units": units} | ({"payment_method": method} if method else {})
            connection.request("POST", path, json.dumps(body), headers)
        elif op == "cancel":
            connection.request("POST", f"{path}/{order_id}/cancel", headers=headers)
        else:
            connection.request("GET", f"{path}/{order_id}", headers=headers)


def play(plan: dict[str, Any], process: str, path: Path) -> None:
    """Play all clients of a plan; returns when the last of them is done."""
    recorder = Recorder(path, process)
    plan = {"start_ns": time.monotonic_ns(), **plan}
    clients = [Client(str(number), plan, steps, recorder) for number, steps in enumerate(plan["clients"])]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    recorder.close()


def crowd(customers: list[str], seed: int, seconds: float, clients: int) -> list[list[dict[str, Any]]]:
    """Clients of a live sale: each customer asks at a moment of its own, some of them again, with another body, or not at all
    patiently; some cancel, and look.
    """
    dice = random.Random(seed)
    steps: list[list[dict[str, Any]]] = [[] for _ in range(clients)]
    for place, customer in enumerate(customers):
        at_ms = int(1000 * seconds * place / len(customers))
        own = steps[place % clients]
        order = {
            "op": "place",
            "customer": customer,
            "key": "one",
            "units": dice.choice([1, 1, 1, 2]),
            "method": PRICED,
        }
        own.append({**order, "at_ms": at_ms, "tries": 20, "hang_up": dice.random() < 0.1})
        if dice.random() < 0.15:
            own.append({**order, "tries": 5})
        if dice.random() < 0.1:
            own.append({**order, "units": 3})
        if dice.random() < 0.15:
            own.append({**order, "key": "two", "units": 1, "tries": 5})
        if dice.random() < 0.3:
            own.append({"op": "show", "customer": customer, "key": "one"})
        if dice.random() < 0.15:
            own += [{"op": "cancel", "customer": customer, "key": "one", "tries": 5}] * dice.choice([1, 2])
            own.append({"op": "show", "customer": customer, "key": "one"})
    return steps
