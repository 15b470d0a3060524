"""How gunicorn runs us. `fairdrop serve` passes the address and the number of workers."""

import os
import resource
import shutil
import tempfile
from itertools import count
from typing import Any

from app.cores import keep_to, own_core
from app.http import AT_THE_END
from app.services import turns
from app.settings import load_settings

worker_class = "app.http.greenlets.FairdropWorker"
MAX_CONNECTIONS = 4_000
"""Clients a worker holds at once; each waiting one is a greenlet of some 20 kB. Of these, app/services/waiting.py lets 3,000 wait
for changes of their orders."""

FILES_BESIDE_CONNECTIONS = 200
MIN_CONNECTIONS = 16
_soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
_needed = MAX_CONNECTIONS + FILES_BESIDE_CONNECTIONS
if _soft != resource.RLIM_INFINITY:
    # Many systems begin with 1,024.
    _allowed = _needed if _hard == resource.RLIM_INFINITY else min(_needed, _hard)
    _soft = max(_soft, _allowed)
    resource.setrlimit(resource.RLIMIT_NOFILE, (_soft, _hard))

worker_connections = MAX_CONNECTIONS
if _soft != resource.RLIM_INFINITY and _soft < _needed:
    # Never more than there are files for: a place is given up by who asks for nothing, a file is not.
    worker_connections = max(MIN_CONNECTIONS, _soft - FILES_BESIDE_CONNECTIONS)

keepalive = 75
"""Seconds an idle connection is kept: longer than a load balancer's, so that it is not the one to be surprised."""

graceful_timeout = 10
timeout = 60

limit_request_line = 4_094
limit_request_fields = 64
limit_request_field_size = 8_190

forwarded_allow_ips = "*"
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""
"""Everybody may set by a header what a proxy may: nothing. By default whoever comes from this machine may set the scheme and the
path, and each request's address is parsed to see who does (7 µs an order). No address of ours depends on the scheme."""

preload_app = False
"""No gRPC channel may exist before the fork."""

_METRICS_DIR = "FAIRDROP_METRICS_DIR"
_own_metrics_dir = None
if not os.environ.get(_METRICS_DIR):
    # The workers inherit it, and add up there what each of them has counted.
    _own_metrics_dir = os.environ[_METRICS_DIR] = tempfile.mkdtemp(prefix="fairdrop-figures-")


def on_starting(_server: Any) -> None:
    """In the parent, before there is a worker: what they are to share."""
    turns.share(load_settings())


def pre_fork(server: Any, worker: Any) -> None:
    """In the parent: the least number that no living worker has, so that whoever takes a dead one's place takes its core, too."""
    taken = {living.number for living in server.WORKERS.values()}
    worker.number = next(number for number in count() if number not in taken)


def post_fork(_server: Any, worker: Any) -> None:
    """In the worker."""
    if load_settings().pin_workers:
        keep_to(own_core(worker.number))


def worker_exit(_server: Any, worker: Any) -> None:
    """When a worker has answered its last request. One that was told to end while it still started has no app."""
    last = getattr(getattr(worker, "wsgi", None), "extensions", {}).get(AT_THE_END)
    if last is not None:
        last()


def on_exit(_server: Any) -> None:
    """When the last worker has ended."""
    if _own_metrics_dir is not None:
        shutil.rmtree(_own_metrics_dir, ignore_errors=True)


loglevel = "warning"
logger_class = "app.http.server_log.ServerLog"
