"""What a soak sees of a worker: who lives in it, and what waits to be collected."""

import gc

import gevent

from app.bench.soaked import living_greenlets


class Node:
    """Knows itself, once it is told to."""

    def __init__(self) -> None:
        self.me: Node | None = None


def test_greenlets_that_have_ended_do_not_count_and_nothing_is_collected_to_find_that_out() -> None:
    gc.collect()
    gc.disable()
    try:
        waiting = Node()
        waiting.me = waiting
        del waiting
        before = living_greenlets()
        ended, lives = gevent.spawn(lambda: None), gevent.spawn(gevent.sleep, 60)
        ended.join()
        assert living_greenlets() == before + 1
        lives.kill()
        assert living_greenlets() == before
        assert any(type(each) is Node for each in gc.get_objects())
    finally:
        gc.enable()
