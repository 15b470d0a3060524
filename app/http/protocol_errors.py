"""What the web server itself refuses: a problem like any other, and nothing of what was sent in the log.

Nothing of the app is imported before it is needed: a worker is loaded before it forks.
"""

from typing import TYPE_CHECKING, Any

from gunicorn import SERVER
from gunicorn.http import errors

from app.http.connections import TooSlow

if TYPE_CHECKING:
    from flask import Flask

_STATUSES: tuple[tuple[type[Exception], int], ...] = (
    (TooSlow, 408),
    (errors.LimitRequestLine, 414),
    (errors.LimitRequestHeaders, 431),
    (errors.ExpectationFailed, 417),
    (errors.UnsupportedTransferCoding, 501),
    (errors.ConfigurationProblem, 500),
    (errors.InvalidResponseHeader, 500),
    (errors.InvalidResponseHeaderName, 500),
    (errors.ParseException, 400),
    (errors.NoMoreData, 400),
)
"""The first that fits counts."""


def status_of(error: BaseException) -> int:
    """The status of an answer to a request that the server cannot read; 500 when that is not the client's fault."""
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)


def refuse(client: Any, error: BaseException, log: Any) -> None:
    """Answer on a connection whose request never came to the app, and which ends with that."""
    from app.http.problems import protocol_problem  # noqa: PLC0415  # see above

    status = status_of(error)
    if status == 500:  # noqa: PLR2004  # the one that is for us to look at
        log.error("the web server failed", exc_info=error)
    else:
        # Not what it says: that may repeat a header, and so a token.
        log.warning("refused what is no request: %s", type(error).__name__)
    response = protocol_problem(status)
    head = [f"HTTP/1.1 {response.status}", "Connection: close"]
    head += [f"{name}: {value}" for name, value in response.headers]
    try:
        client.sendall("\r\n".join([*head, "", ""]).encode("latin-1") + response.get_data())
    except OSError:
        log.debug("the client did not wait for its refusal")


def overloaded() -> bytes:
    """The answer to an order that is one too many, as the server would send the app's, without its date."""
    from app.domain.errors import Overloaded  # noqa: PLC0415  # see above
    from app.http.problems import error_response  # noqa: PLC0415

    response = error_response(Overloaded(retry_after_seconds=1))
    head = [f"HTTP/1.1 {response.status}", f"Server: {SERVER}", "Connection: keep-alive"]
    head += [f"{name}: {value}" for name, value in response.headers]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + response.get_data()


def install(app: "Flask") -> None:
    """Let the app answer for bodies that turn out unreadable while it reads them."""
    from app.http.problems import protocol_problem  # noqa: PLC0415  # see above

    for kind in (errors.ParseException, errors.NoMoreData):
        app.register_error_handler(kind, lambda error: protocol_problem(status_of(error)))
