"""A line against its arrival: pairs are counted right, and who was overtaken is told by how much."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from app.domain.fairness import Arrival, inversions, measure_line


def line_of(*orders: tuple[int, int, str | None]) -> list[Arrival]:
    """Orders in queue order, (received_at, shard, writer) each; arrival places as the storage gives them."""
    times = [received_at for received_at, _, _ in orders]
    by_arrival = sorted(range(len(times)), key=times.__getitem__)
    arrival = {index: place for place, index in enumerate(by_arrival, start=1)}
    return [
        Arrival(place, arrival[place - 1], shard, writer, received_at)
        for place, (received_at, shard, writer) in enumerate(orders, start=1)
    ]


@given(st.lists(st.integers(-5, 5) | st.integers(-(2**60), 2**60), max_size=80))
def test_inversions_are_what_counting_every_pair_gives(values: list[int]) -> None:
    assert inversions(values) == sum(first > second for first, second in combinations(values, 2))


@given(st.integers(2, 300), st.lists(st.integers(0, 10_000), max_size=20))
def test_a_line_with_few_swaps_is_counted_right(length: int, swaps: list[int]) -> None:
    values = list(range(length))
    for swap in swaps:
        i = swap % (length - 1)
        values[i], values[i + 1] = values[i + 1], values[i]
    assert inversions(values) == sum(first > second for first, second in combinations(values, 2))


def test_a_line_that_is_the_wrong_way_round_has_every_pair_inverted() -> None:
    assert inversions(range(1_000, 0, -1)) == 1_000 * 999 // 2


def test_counting_leaves_the_callers_line_as_it_was() -> None:
    values = [3, 1, 2]
    assert inversions(values) == 2
    assert values == [3, 1, 2]


def test_orders_that_arrived_in_one_microsecond_are_in_order() -> None:
    figures = measure_line(line_of((7, 0, "a"), (7, 1, "b"), (7, 0, "a")))
    assert (figures.whole.inverted_pairs, figures.whole.overtaken_orders) == (0, 0)
    assert (figures.whole.places_back, figures.whole.places_forward) == (0, 0)


def test_who_was_overtaken_is_told_by_how_many_places_and_by_how_late_a_comer() -> None:
    figures = measure_line(line_of((9_000, 0, "a"), (8_000, 0, "a"), (2_000, 1, "b"), (9_500, 1, "b")))
    assert (figures.whole.orders, figures.whole.pairs) == (4, 6)
    assert figures.whole.inverted_pairs == 3
    assert figures.whole.inverted_share == 0.5
    assert (figures.whole.places_back, figures.whole.places_forward) == (2, 2)
    assert (figures.whole.overtaken_orders, figures.whole.overtaken_ms) == (2, 7.0)


def test_a_shards_and_a_processs_pairs_are_those_of_which_it_has_both() -> None:
    figures = measure_line(line_of((3, 0, "a"), (2, 1, "b"), (1, 0, "b"), (4, 1, None)))
    assert figures.whole.inverted_pairs == 3
    assert {shard: part.inverted_pairs for shard, part in figures.by_shard.items()} == {0: 1, 1: 0}
    assert {writer: part.inverted_pairs for writer, part in figures.by_writer.items()} == {"a": 0, "b": 1, None: 0}
    assert figures.inverted_within_writers == 1


def test_nobody_in_line_is_no_share_of_anything() -> None:
    figures = measure_line([])
    assert (figures.whole.orders, figures.whole.pairs, figures.whole.inverted_share) == (0, 0, 0.0)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 3), st.sampled_from(["a", "b", None])), max_size=60))
def test_the_parts_never_have_more_than_the_whole(orders: list[tuple[int, int, str | None]]) -> None:
    figures = measure_line(line_of(*orders))
    for parts in (list(figures.by_shard.values()), list(figures.by_writer.values())):
        assert sum(part.orders for part in parts) == figures.whole.orders
        assert sum(part.inverted_pairs for part in parts) <= figures.whole.inverted_pairs
        assert max((part.overtaken_ms for part in parts), default=0) == figures.whole.overtaken_ms
        assert max((part.places_back for part in parts), default=0) == figures.whole.places_back
