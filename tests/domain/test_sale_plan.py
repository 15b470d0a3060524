"""A sale's plan: by hand where a factor would be lost, and by properties where the direction must hold."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import InvalidValue
from app.domain.planning.plan import Figures, plan
from app.domain.planning.prices import PRICES
from app.domain.planning.rows import placing, settling
from app.domain.planning.shape import PRESETS, Arrival, Place, SaleShape
from app.domain.sale import Policy, default_shard_count
from app.services.group_commit import CROWD_BATCH, CROWD_INTERVAL_SECONDS, CROWD_REQUESTS
from app.settings import Settings
from app.simulation import group_commit as simulated

SHAPES = st.builds(
    SaleShape,
    name=st.just("any"),
    stock=st.integers(1, 10**7),
    crowd=st.integers(1, 10**8),
    window_seconds=st.floats(10, 7_200),
    arrival=st.sampled_from(Arrival),
    burst_seconds=st.floats(0.5, 600),
    is_free=st.booleans(),
    declined_share=st.floats(0, 0.9),
    policy=st.sampled_from(Policy),
    place=st.sampled_from(Place),
)


def test_a_free_sale_by_hand() -> None:
    shape = SaleShape("hand", 1_000, 1_000, 100, Arrival.EVEN, is_free=True, requests_per_customer=1)
    made = plan(shape, Figures(order_us=600, interval_ms=50))
    assert (made.orders, made.orders_per_second, made.requests_per_second) == (1_000, 10, 10)
    assert (made.api_cores, made.api_instances, made.batch_orders) == (1, 1, 1)
    writes = 10 * 4 + 10 * 2
    assert made.nodes_by_writes == pytest.approx(writes / 3_500 / 0.65)
    assert made.nodes_by_reads == pytest.approx(10 * 2 / 22_500 / 0.65)
    assert made.processing_units == 100
    assert made.costs["spanner"] == pytest.approx(0.09)
    assert made.messages == 1_000
    assert made.sell_out_seconds == pytest.approx(100 + made.order_ms / 1_000)


def test_a_declined_card_is_asked_and_its_unit_promoted() -> None:
    shape = SaleShape("paid", stock=70, crowd=1_000, declined_share=0.3)
    assert (shape.orders, shape.authorizations, shape.sold) == (140, 100, 70)
    assert settling(shape).rows_written == 70 * 10 + 30 * (9 + 6)
    # 70 held, 70 waiting, and a shard and its ledger row a commit.
    assert placing(shape, 2).rows_written == 70 * 5 + 70 * 6 + 2 * 2


def test_cards_that_are_nearly_all_declined_leave_stock_unsold() -> None:
    shape = SaleShape("poor", stock=100, crowd=150, declined_share=0.9)
    assert (shape.authorizations, shape.sold) == (150, 15)


def test_a_lottery_records_everybody() -> None:
    assert SaleShape("draw", 10, 5_000, policy=Policy.LOTTERY).orders == 5_000


def test_a_crowd_smaller_than_the_stock_never_buys_it_all() -> None:
    assert plan(SaleShape("slow", stock=100, crowd=50)).sell_out_seconds is None


@pytest.mark.parametrize("name", PRESETS)
def test_the_three_sales_use_the_service_s_own_shard_count(name: str) -> None:
    made = plan(PRESETS[name])
    assert made.shards == default_shard_count(PRESETS[name].stock, PRESETS[name].crowd)


def test_a_hundred_million_need_more_instances_than_there_are_and_the_last_waits_longer() -> None:
    made = plan(PRESETS["phones"])
    assert made.bottleneck.name == "API instances"
    assert made.bottleneck.share > 1
    assert made.answer_seconds > PRESETS["phones"].arrival_seconds


def test_six_million_burgers_are_limited_by_spanner() -> None:
    assert plan(PRESETS["burgers"]).bottleneck.name == "Spanner nodes"


@given(SHAPES, st.floats(1, 10))
def test_more_crowd_never_needs_less(shape: SaleShape, factor: float) -> None:
    more = plan(replace(shape, crowd=min(int(shape.crowd * factor) + 1, 10**9)))
    less = plan(shape)
    slack = 1 + 1e-9
    assert more.nodes * slack >= less.nodes
    assert more.processing_units >= less.processing_units
    assert more.api_cores >= less.api_cores
    assert more.shards >= less.shards
    assert more.orders >= less.orders


@given(SHAPES)
def test_more_commits_or_slower_ones_never_help(shape: SaleShape) -> None:
    quick, slow = plan(shape), plan(shape, Figures(regional_commit_ms=100, multi_region_commit_ms=300))
    assert slow.order_ms >= quick.order_ms
    assert slow.api_instances == quick.api_instances


@given(SHAPES)
def test_several_regions_never_cost_less_or_answer_sooner(shape: SaleShape) -> None:
    one, several = plan(replace(shape, place=Place.REGIONAL)), plan(replace(shape, place=Place.MULTI_REGION))
    assert several.costs["spanner"] >= one.costs["spanner"]
    assert several.lone_order_ms >= one.lone_order_ms


@given(SHAPES)
def test_a_plan_is_consistent(shape: SaleShape) -> None:
    made = plan(shape)
    assert 0 <= shape.sold <= min(shape.stock, shape.crowd)
    assert shape.sold <= shape.authorizations <= shape.orders or shape.is_free
    assert made.processing_units >= made.nodes * 1_000 - 1e-6
    assert made.api_instances * Figures().cores_per_instance >= made.api_cores
    assert made.cost == pytest.approx(sum(made.costs.values()))
    assert all(dollars >= 0 for dollars in made.costs.values())
    assert made.bottleneck.share == max(need.share for need in made.needs)
    assert 1 <= made.batch_orders <= Figures().batch_limit


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "../x"),
        ("stock", 0),
        ("crowd", 0),
        ("declined_share", 1.0),
        ("burst_seconds", 0),
        ("window_seconds", 0),
    ],
)
def test_a_shape_of_which_no_plan_can_be_made_names_the_field(field: str, value: float | str) -> None:
    with pytest.raises(InvalidValue) as refused:
        replace(PRESETS["iphone"], **{field: value})
    assert refused.value.field == field


def test_every_price_says_where_it_was_read() -> None:
    assert all(price.dollars > 0 and price.source.startswith("cloud.google.com/") for price in PRICES.values())


def test_the_plan_reckons_with_the_bounds_that_the_service_has() -> None:
    figures = Figures()
    assert figures.interval_ms == 1_000 * CROWD_INTERVAL_SECONDS
    assert figures.crowd_orders == simulated.CROWD_REQUESTS == CROWD_REQUESTS
    assert figures.crowd_batch == simulated.CROWD_BATCH == CROWD_BATCH
    assert figures.batch_limit == Settings.model_fields["batch_limit"].default
