"""The book of the gateway's simulator, read over HTTP: a JSON line an authorization, streamed."""

from collections.abc import Iterator
from dataclasses import dataclass

import orjson
import urllib3
from urllib3.exceptions import HTTPError

from app.domain.audit.accounts import BookEntry

CONNECT_SECONDS = 5.0
READ_SECONDS = 60.0
"""Between two pieces of the book: the simulator reads it in pages, and may be busy."""

_OK = 200
_TYPES = (str, str, str, int, str, int, int)


@dataclass
class BookUnreadable(Exception):
    """The simulator does not answer, or what answers is no simulator."""

    detail: str

    def __str__(self) -> str:
        return self.detail


def read_book(url: str) -> Iterator[BookEntry]:
    """Every authorization there is, streamed. Not of one moment: the book may go on while it is read. Raises BookUnreadable."""
    http = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS))
    try:
        response = http.request("GET", f"{url.rstrip('/')}/book", preload_content=False)
        if response.status != _OK:
            raise BookUnreadable(f"the gateway at {url} has no book: it answers {response.status}")
        for line in response:
            yield _entry(line, url)
    except (HTTPError, OSError) as error:
        raise BookUnreadable(f"the gateway at {url} does not answer ({type(error).__name__})") from error
    finally:
        http.clear()


def _entry(line: bytes, url: str) -> BookEntry:
    try:
        said = orjson.loads(line)
        entry = BookEntry._make(said[name] for name in BookEntry._fields)
    except (ValueError, KeyError, TypeError) as error:
        raise BookUnreadable(f"what {url}/book gives is not a gateway's book: {error!r}") from error
    if not all(isinstance(value, kind) for value, kind in zip(entry, _TYPES, strict=True)):
        raise BookUnreadable(f"what {url}/book gives is not a gateway's book: {line[:80]!r}")
    return entry
