"""The pool of sessions: reused as they are, and no two threads ever trip over the last one."""

import time

import pytest

from app.settings import Settings
from app.storage.database import SESSION_IDLE_SECONDS, FairdropDatabase, connect


class SnatchedAway(list[object]):
    """Seems to have a session, which another thread has taken by the time it is asked for."""

    def __bool__(self) -> bool:
        return True


def test_a_session_that_another_thread_takes_first_is_made_anew(settings: Settings, database: FairdropDatabase) -> None:
    pool = connect(settings)._pool
    pool._idle = SnatchedAway()
    session = pool.get()
    assert session.exists()
    session.delete()
    assert database.epoch == 0


def test_a_session_is_used_again_also_when_the_servers_clock_was_put_forward(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = connect(settings)._pool
    session = pool.get()
    pool.put(session)
    wall = time.time
    monkeypatch.setattr(time, "time", lambda: wall() + 3_600)
    assert pool.get() is session
    pool.put(session)
    monkeypatch.setattr(pool, "_idle", [(time.monotonic() - SESSION_IDLE_SECONDS, session)])
    assert pool.get() is not session
