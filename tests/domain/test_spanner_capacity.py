"""What a rate of orders needs of Spanner: arithmetic that must not be off by a factor."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.spanner_capacity import (
    MULTI_REGION_SSD,
    REGIONAL_SSD,
    NodeFigures,
    OrderCost,
    capacity,
    processing_units,
)

EASY = NodeFigures("easy", reads_per_second=1_000, writes_per_second=100, cpu_share=0.5, storage_bytes=1e12)


def test_six_million_in_ten_minutes_by_hand() -> None:
    need = capacity(OrderCost(rows_written=4, bytes_written=900, rows_read=2, cpu_us=300), 6_000_000, 600)
    assert need.orders_per_second == 10_000
    assert (need.writes_per_second, need.reads_per_second) == (40_000, 20_000)
    assert need.node_load == pytest.approx(40_000 / 3_500 + 20_000 / 22_500)
    assert need.nodes == pytest.approx(need.node_load / 0.65)
    assert need.processing_units == 19_000
    assert need.api_cores == 5
    assert need.stored_bytes == 5.4e9


def test_a_row_larger_than_a_kilobyte_counts_by_its_bytes() -> None:
    need = capacity(OrderCost(1, 10_240, 0, 0), 10, 1, EASY)
    assert need.writes_per_second == 100


def test_what_does_not_fit_by_its_size_needs_nodes_too() -> None:
    assert capacity(OrderCost(1, 1e9, 0, 0), 1_000_000, 1e9, EASY).nodes == pytest.approx(1_000)


@pytest.mark.parametrize(
    ("nodes", "units"), [(0, 100), (0.05, 100), (0.1, 100), (0.11, 200), (1, 1_000), (1.01, 2_000), (18.9, 19_000)]
)
def test_an_instance_comes_in_steps(nodes: float, units: int) -> None:
    assert processing_units(nodes) == units


@given(st.integers(1, 10**8), st.floats(1, 1e5), st.floats(1, 20), st.floats(0, 20))
def test_twice_the_rate_is_twice_the_load_and_several_regions_need_more(
    orders: int, seconds: float, rows: float, reads: float
) -> None:
    cost = OrderCost(rows, 500, reads, 200)
    once, twice = capacity(cost, orders, seconds), capacity(cost, orders, seconds / 2)
    assert twice.node_load == pytest.approx(2 * once.node_load)
    assert capacity(cost, orders, seconds, MULTI_REGION_SSD).nodes >= once.nodes
    assert once.processing_units >= once.nodes * 1_000 - 1e-6
    assert REGIONAL_SSD.writes_per_second * once.nodes * REGIONAL_SSD.cpu_share >= once.writes_per_second * 0.999


def test_a_plan_of_nothing_in_no_time_is_none() -> None:
    for orders, seconds in ((-1, 1.0), (1, 0.0)):
        with pytest.raises(ValueError, match="time"):
            capacity(OrderCost(1, 1, 1, 1), orders, seconds)
