"""Ids, the filter of order ids, timestamps and currencies."""

import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.currency import CURRENCIES
from app.domain.ids import ORDER_NAMESPACE, OUTBOX_SHARD_COUNT, fingerprint, order_id, outbox_shard, restock_id
from app.domain.membership import OrderIdFilter
from app.domain.timestamps import rfc3339

NAMES = st.text(st.sampled_from("ab:1\n "), max_size=6)


def test_an_order_id_is_a_version_5_uuid_that_stays_the_same_for_ever() -> None:
    name = order_id("burger", "ann", "key-1")
    assert uuid.UUID(name).version == 5
    # Stored rows depend on it: a retry of an order of last year must still meet it.
    assert name == "568dafe1-ea99-524a-b669-1b1bcd39e324"
    assert restock_id("burger", "key-1") == "caca809f-9197-52a4-8fb7-8f46dfd5d5ea"


@given(NAMES, NAMES, NAMES, NAMES)
def test_no_customer_and_key_can_spell_another_pair_s_order(one: str, key: str, other: str, other_key: str) -> None:
    same = (one, key) == (other, other_key)
    assert (order_id("burger", one, key) == order_id("burger", other, other_key)) == same


def test_the_same_key_names_another_order_in_another_sale() -> None:
    assert order_id("burger", "ann", "key") != order_id("phone", "ann", "key")


@given(st.integers(1, 1000), st.none() | st.text(max_size=5), st.integers(1, 1000), st.none() | st.text(max_size=5))
def test_the_fingerprint_differs_exactly_when_the_body_does(
    units: int, method: str | None, other_units: int, other_method: str | None
) -> None:
    same = (units, method) == (other_units, other_method)
    assert (fingerprint(units, method) == fingerprint(other_units, other_method)) == same
    assert len(fingerprint(units, method)) == 64


def test_no_payment_method_is_not_the_method_called_none() -> None:
    assert fingerprint(1, None) != fingerprint(1, "None")


def test_outbox_shards_share_the_stock_shards_of_a_sale_among_them() -> None:
    used = {outbox_shard("burger", shard_id) for shard_id in range(512)}
    assert used == set(range(OUTBOX_SHARD_COUNT))
    assert outbox_shard("burger", 3) == outbox_shard("burger", 3)


def filled(expected: int, added: int) -> tuple[OrderIdFilter, list[str]]:
    known = OrderIdFilter(expected)
    ids = [order_id("burger", f"customer-{index}", "key") for index in range(added)]
    for one in ids:
        known.add(one)
    return known, ids


def test_the_filter_never_denies_an_order_that_was_added() -> None:
    for expected, added in ((0, 500), (10, 5_000), (4_096, 4_096)):
        known, ids = filled(expected, added)
        assert all(known.may_contain(one) for one in ids)


@given(st.lists(st.uuids(version=5), max_size=50))
def test_the_filter_never_denies_any_id_that_was_added(ids: list[uuid.UUID]) -> None:
    known = OrderIdFilter(len(ids))
    for one in ids:
        known.add(str(one))
    assert all(known.may_contain(str(one)) for one in ids)


def test_a_full_filter_raises_a_false_alarm_for_about_one_stranger_in_four_hundred() -> None:
    known, _ = filled(4_096, 4_096)
    strangers = [order_id("burger", f"stranger-{index}", "key") for index in range(40_000)]
    alarms = sum(known.may_contain(one) for one in strangers)
    assert 50 <= alarms <= 150  # 0.25 % of them is 100; five standard deviations each way


def test_an_empty_filter_contains_nothing() -> None:
    assert not OrderIdFilter(100).may_contain(order_id("burger", "ann", "key"))


MOMENTS = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45))])).filter(
    lambda moment: 1 < moment.year < 9999
)


@given(MOMENTS)
def test_a_timestamp_s_text_is_the_same_moment_in_utc(moment: datetime) -> None:
    text = rfc3339(moment)
    assert datetime.fromisoformat(text) == moment
    assert text.endswith("Z")


@given(MOMENTS, MOMENTS)
def test_timestamps_sort_as_texts_as_they_do_as_moments(one: datetime, other: datetime) -> None:
    assert len(rfc3339(one)) == len("2026-11-24T12:00:00.000000Z")
    assert (rfc3339(one) < rfc3339(other)) == (one < other)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="without a zone"):
        rfc3339(datetime(2026, 11, 24, 12))  # the very thing refused


def test_currencies_are_the_active_codes_of_iso_4217() -> None:
    assert {"EUR", "USD", "JPY", "KWD", "CHF", "ZWG"} <= CURRENCIES
    # Withdrawn, funds, metals and test codes are not money that a buyer pays with.
    assert not CURRENCIES & {"DEM", "HRK", "CHE", "XAU", "XTS", "XXX"}
    assert all(len(code) == 3 and code.isascii() and code.isupper() for code in CURRENCIES)


@given(st.text(min_size=1, max_size=128), st.text(min_size=1, max_size=40))
def test_an_order_id_is_the_uuid5_of_sale_customer_and_key(customer_id: str, key: str) -> None:
    name = f"iphone\n{len(customer_id)}:{customer_id}\n{key}"
    assert order_id("iphone", customer_id, key) == str(uuid.uuid5(ORDER_NAMESPACE, name))
