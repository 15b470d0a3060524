"""Free ports, and when an emulator answers on them."""

import http.client
import random
import socket
import time
from collections.abc import Callable
from pathlib import Path

from emulator.errors import EmulatorDied, EmulatorError
from emulator.process import log_tail

LOOPBACK = "127.0.0.1"
PORT_RANGE = range(20_000, 32_000)
READY_TIMEOUT_SECONDS = 60.0
PROBE_TIMEOUT_SECONDS = 2.0
PROBE_PAUSE_SECONDS = 0.05


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on at the moment. Another program may still take one first; starting then fails.

    They lie below the systems' ephemeral range: a client that reconnects to a killed emulator, or any outgoing connection,
    could otherwise be given the very port and keep the emulator from coming back on it.
    """
    found = []
    for port in random.sample(PORT_RANGE, len(PORT_RANGE)):
        if is_free(port):
            found.append(port)
        if len(found) == count:
            return found
    raise EmulatorError(f"no {count} free ports from {PORT_RANGE.start} to {PORT_RANGE.stop - 1} on {LOOPBACK}")


def is_free(port: int) -> bool:
    """Whether a server could listen on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: a past connection does not count
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def answers(port: int, path: str) -> bool:
    """Whether an HTTP GET of the path is answered with 200."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=PROBE_TIMEOUT_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def accepts(host: str) -> bool:
    """Whether something accepts connections at `name:port`."""
    name, _, port = host.rpartition(":")
    try:
        with socket.create_connection((name.strip("[]"), int(port)), timeout=PROBE_TIMEOUT_SECONDS):
            return True
    except (OSError, ValueError):
        return False


def wait_until_ready(title: str, log_path: Path, is_running: Callable[[], bool], is_ready: Callable[[], bool]) -> None:
    """Returns when it is ready; raises EmulatorDied, with the tail of the log, when it ended or READY_TIMEOUT_SECONDS passed."""
    end = time.monotonic() + READY_TIMEOUT_SECONDS
    while not is_ready():
        if not is_running():
            raise EmulatorDied(f"{title} ended before it was ready; {log_tail(log_path)}")
        if time.monotonic() > end:
            raise EmulatorDied(
                f"{title} did not answer within {READY_TIMEOUT_SECONDS:.0f} seconds; {log_tail(log_path)}"
            )
        time.sleep(PROBE_PAUSE_SECONDS)
