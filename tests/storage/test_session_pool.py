"""The pool of sessions: reused as they are, and no two threads ever trip over the last one."""

from app.settings import Settings
from app.storage.database import FairdropDatabase, connect


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
