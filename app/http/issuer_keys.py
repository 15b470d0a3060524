"""The issuer's published keys, fetched once for all who need them at the same moment."""

import threading
from typing import Any

import jwt

from app.services.concurrency import Concurrency, Waiter

KEYS_KEPT_SECONDS = 540
"""For so long the fetched keys are not fetched again. With what known_headers.py remembers of them, a key that the issuer no
longer publishes is trusted for ten minutes at the most."""

UNKNOWN_KEY_SECONDS = 30
"""A key id that nobody knows sends us to the issuer at most so often: made-up ones must not become a flood on it."""

ISSUER_TIMEOUT_SECONDS = 5

FETCH_SECONDS = 3.0 * ISSUER_TIMEOUT_SECONDS
"""The time-out is one of each step: finding the address, connecting, reading."""


class _Fetch:
    """A fetch under way, who waits for it, and what came of it."""

    def __init__(self) -> None:
        self.waiters: list[Waiter] = []
        self.keys: Any = None
        self.error: Exception | None = None


class IssuerKeys(jwt.PyJWKClient):
    """The library's client, whose own lock is one of threads: greenlets of one thread pass it, and a crowd at a cold cache would
    all go to the issuer.
    """

    def __init__(self, url: str, concurrency: Concurrency) -> None:
        """No call is made yet."""
        # Not cache_keys: it would trust a key for as long as the process lives.
        super().__init__(
            url, lifespan=KEYS_KEPT_SECONDS, timeout=ISSUER_TIMEOUT_SECONDS, cooldown_duration=UNKNOWN_KEY_SECONDS
        )
        self._concurrency = concurrency
        self._fetch_lock = threading.Lock()
        self._under_way: _Fetch | None = None

    def fetch_data(self) -> Any:
        """The published keys; whoever asks while somebody fetches them gets what he gets, the failure too."""
        with self._fetch_lock:
            fetch, waiter = self._under_way, None
            if fetch is None:
                fetch = self._under_way = _Fetch()
            else:
                waiter = self._concurrency.waiter()
                fetch.waiters.append(waiter)
        if waiter is None:
            return self._lead(fetch)
        if not waiter.wait(FETCH_SECONDS) or (fetch.keys is None and fetch.error is None):
            raise jwt.PyJWKClientConnectionError("the issuer does not answer")
        if fetch.error is not None:
            raise fetch.error
        return fetch.keys

    def _lead(self, fetch: _Fetch) -> Any:
        try:
            fetch.keys = super().fetch_data()
        except Exception as error:
            fetch.error = error
            raise
        finally:
            with self._fetch_lock:
                self._under_way = None
            self._concurrency.wake(fetch.waiters)
        return fetch.keys
