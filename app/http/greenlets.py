"""Requests as greenlets of a gunicorn worker, with Spanner's client in plain threads beside them.

gRPC can be taught to wait in greenlets, but then each step of a call waits for a full round of the event loop: under load a
read took 90 ms that took 10 ms in a plain thread. So `threading`, `time` and `queue` stay as they are, and only what a
request itself may block on (sockets) is made cooperative.
"""

from collections import deque
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from types import FrameType
from typing import Any, ParamSpec, TypeVar

import gevent
from gevent import monkey
from gevent import socket as gevent_socket
from gevent.hub import Waiter as HubWaiter
from gunicorn.workers.ggevent import GeventWorker

from app.http import GATE, ON_EXIT, protocol_errors
from app.http.connections import Connection, Lobby, drain
from app.http.porter import Porter
from app.services.concurrency import Waiter
from app.services.turns import NO_TURNS, Turn

Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")


WAKE_SLICE = 128
"""So many requests are woken, and build their answers, before the next look at the sockets. With all of them at once a crowd that
is too large has its refusals after 400 ms, against 180, and the lane runs dry: places are free, and nobody is let in. With 32 it
has them after 80 ms, but of a crowd that is not too large a tenth fewer orders are taken, for each look has its price."""

_NO_LIMIT: AbstractContextManager[None] = nullcontext()


class FairdropWorker(GeventWorker):  # type: ignore[misc]  # gunicorn is untyped
    """A gevent worker that leaves threads alone, and waits for nobody without a limit."""

    def init_process(self) -> None:
        """Begin with nobody connected."""
        # The server asks for its settings a few dozen times a request, and each time looks them up as if they could have changed.
        self.cfg.__dict__.update({name: setting.get() for name, setting in self.cfg.settings.items()})
        self.lobby = Lobby(self.cfg.worker_connections)
        self._porter: Porter | None = None
        super().init_process()

    def run(self) -> None:
        """Serve until told to end."""
        if not self.cfg.is_ssl:
            gate = getattr(self.wsgi, "extensions", {}).get(GATE)
            self._porter = Porter(gevent.get_hub(), gate, self.lobby, protocol_errors.overloaded)
        super().run()

    def patch(self) -> None:
        """Make sockets cooperative, and nothing that Spanner's threads use."""
        monkey.patch_all(thread=False, time=False, queue=False, sys=False)
        # As gunicorn's own patch() does: the listening sockets were made before, and become cooperative ones.
        self.sockets: list[Any] = [
            gevent_socket.socket(listener.FAMILY, gevent_socket.SOCK_STREAM, fileno=listener.sock.detach())
            for listener in self.sockets
        ]

    def handle(self, listener: Any, client: Any, address: Any) -> None:
        """Serve a connection to its end."""
        self.lobby.enter()
        connection = Connection(client, self.lobby, self.cfg.keepalive)
        if self._porter is not None:
            connection.receive_first_by(self._porter.door(client, connection.renew))
        try:
            super().handle(listener, connection, address)
        finally:
            self.lobby.leave(connection)

    def timeout_ctx(self) -> AbstractContextManager[None]:
        """Not the server's one limit for waiting and reading: the connection has one for each."""
        return _NO_LIMIT

    def handle_request(self, listener_name: Any, request: Any, connection: Connection, address: Any) -> None:
        """Answer one request; raises StopIteration when the connection ends with it."""
        connection.begin_answer()
        try:
            super().handle_request(listener_name, request, connection, address)
        finally:
            is_sent = connection.end_answer()
            # Also of a connection that ends here: closed over unread bytes, it would take our answer back.
            if not (is_sent and drain(connection, request.body)):
                connection.linger()
                raise StopIteration
        connection.await_request(is_begun=bool(request.unreader.buf.getbuffer().nbytes))

    def handle_error(self, _request: Any, client: Connection, _address: Any, error: BaseException) -> None:
        """Refuse what is no request, as the app would."""
        protocol_errors.refuse(client, error, self.log)
        client.linger()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """On SIGTERM, let go of those who wait for what may take longer than we have, and of those who ask for nothing."""
        super().handle_exit(sig, frame)
        # Not in the signal handler: it interrupts a greenlet that may hold the very lock which this takes.
        if hasattr(self, "lobby"):
            gevent.spawn(self.lobby.close)
        # A worker that is told to end while it still starts has no app yet.
        on_exit = getattr(getattr(self, "wsgi", None), "extensions", {}).get(ON_EXIT)
        if on_exit is not None:
            gevent.spawn(on_exit)


class _HubWaiter:
    """One switch to the hub and one timer: half of what gevent's Event with its Timeout costs (measured: 30 µs an order)."""

    __slots__ = ("_hub", "_waiter")

    def __init__(self, hub: Any) -> None:
        self._hub = hub
        self._waiter = HubWaiter(hub)

    def wait(self, seconds: float) -> bool:
        timer = self._hub.loop.timer(max(0.0, seconds))
        timer.start(self._waiter.switch, False)
        try:
            came: bool = self._waiter.get()
            return came
        finally:
            timer.close()

    def come(self) -> None:
        """Only from the hub's own thread. Too early, it is kept for the wait; too late, it is lost on nobody."""
        self._waiter.switch(True)


class Greenlets:
    """Requests are greenlets of the thread that made this object."""

    def __init__(self, turn: Turn = NO_TURNS) -> None:
        """Take the hub of this thread."""
        self.turn = turn
        self._hub: Any = gevent.get_hub()
        self._to_wake: deque[Waiter] = deque()
        self._after_a_look = self._hub.loop.timer(0.0)

    def waiter(self) -> Waiter:
        """A place in the hub."""
        return _HubWaiter(self._hub)

    def wake(self, waiters: Iterable[Waiter]) -> None:
        """Wake them from the hub's own thread, in their order, with a look at the sockets after each WAKE_SLICE."""
        more = list(waiters)
        if more:  # many a look has news for nobody, and the hub may sleep on
            self._to_wake.extend(more)
            self._hub.loop.run_callback_threadsafe(self._begin_to_wake)

    def _begin_to_wake(self) -> None:
        if not self._after_a_look.active:
            self._wake_some()

    def _wake_some(self) -> None:
        for _ in range(min(WAKE_SLICE, len(self._to_wake))):
            waiter = self._to_wake.popleft()
            if isinstance(waiter, _HubWaiter):
                waiter.come()
        if self._to_wake:
            self._after_a_look.start(self._wake_some)

    def run(self, work: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        """Do it in a thread of the hub's pool, while other greenlets go on."""
        result, error = self._hub.threadpool.apply(_outcome, (work, args, kwargs))
        if error is not None:
            raise error
        return result  # type: ignore[no-any-return]  # gevent is untyped


def _outcome(
    work: Callable[..., Result], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Result | None, Exception | None]:
    """What came of it. An error that leaves a thread of the pool is printed with its traceback, though a request answers for it:
    whoever asks for what does not exist would fill our log.
    """
    try:
        return work(*args, **kwargs), None
    except Exception as error:  # raised again in the greenlet
        return None, error
