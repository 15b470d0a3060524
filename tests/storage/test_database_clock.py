"""The database's time as a process knows it: right within moments, whatever the server's own clocks do."""

from datetime import UTC, datetime, timedelta

from app.storage.clock import SPAN, DatabaseClock

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Server:
    """A server whose monotonic clock runs at a rate of its own, and a database that knows the time."""

    def __init__(self, rate: float = 1.0) -> None:
        self.rate = rate
        self.now = NOON
        self.stood_still = timedelta(0)
        self.clock = DatabaseClock(lambda: (self.now - NOON - self.stood_still).total_seconds() * self.rate)

    def hear(self, after: timedelta, late: timedelta = timedelta(0)) -> None:
        """A timestamp arrives, so long after it was given out."""
        self.now += after
        self.clock.observe(self.now - late)

    @property
    def error(self) -> timedelta:
        """By how much the estimate is ahead."""
        return self.clock.estimate - self.now


def test_the_freshest_of_the_last_timestamps_counts() -> None:
    server = Server()
    server.hear(MINUTE / 60, late=timedelta(milliseconds=40))
    server.hear(MINUTE / 60, late=timedelta(milliseconds=2))
    server.hear(MINUTE / 60, late=timedelta(seconds=3))
    assert server.error == timedelta(milliseconds=-2)


def test_a_server_whose_clock_runs_fast_does_not_run_further_and_further_ahead() -> None:
    server = Server(rate=1.0001)
    worst = timedelta(0)
    for _ in range(24 * 60 * 12):
        server.hear(MINUTE / 12, late=timedelta(milliseconds=1))
        worst = max(worst, server.error)
    assert worst <= 2 * SPAN * 0.0001
    assert server.clock.estimate >= server.clock.proven


def test_after_a_long_silence_the_first_timestamp_sets_the_clock_right() -> None:
    server = Server(rate=1.001)
    server.hear(MINUTE)
    server.now += 600 * MINUTE
    assert server.error > timedelta(seconds=30)
    server.hear(MINUTE)
    assert abs(server.error) < timedelta(milliseconds=1)


def test_a_server_whose_clock_stood_still_is_set_right_by_the_next_timestamp() -> None:
    server = Server()
    server.hear(MINUTE)
    server.stood_still = 30 * MINUTE
    server.hear(30 * MINUTE)
    assert server.error == timedelta(0)


def test_the_estimate_is_never_before_what_the_database_has_given_out() -> None:
    server = Server()
    server.hear(MINUTE)
    server.stood_still = 60 * MINUTE
    assert server.clock.estimate == server.clock.proven == server.now
