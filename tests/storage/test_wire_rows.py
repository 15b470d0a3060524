"""Values on the wire: what we write by hand is what the protobuf library would write."""

from collections.abc import Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from google.cloud.spanner_v1.types import Mutation
from google.protobuf.struct_pb2 import ListValue, NullValue
from google.protobuf.struct_pb2 import Value as ValueMessage
from hypothesis import example, given
from hypothesis import strategies as st

from app.storage.rows import MAX_SHORT_BYTES, NULL, PrefixKeys, insert, moment, number, text, update


def by_the_library(values: Sequence[str | None]) -> ListValue:
    return ListValue(
        values=[
            ValueMessage(null_value=NullValue.NULL_VALUE) if value is None else ValueMessage(string_value=value)
            for value in values
        ]
    )


@given(st.lists(st.none() | st.text() | st.text(min_size=100, max_size=300)))
@example(["", "x" * MAX_SHORT_BYTES, "x" * (MAX_SHORT_BYTES + 1), "x" * 127, "x" * 128, "é" * 63, None])
@example(["x" * 16_383, "x" * 16_384, "x" * 2_097_152])
def test_a_row_is_written_as_the_library_writes_it(values: list[str | None]) -> None:
    written = b"".join(map(text, values))
    assert written == by_the_library(values).SerializeToString()
    assert ListValue.FromString(written) == by_the_library(values)


@given(st.integers(-(2**63), 2**63 - 1))
def test_numbers_travel_as_decimal_text(value: int) -> None:
    assert number(value) == text(str(value))


def test_a_time_is_a_text_and_no_time_is_null() -> None:
    assert moment(datetime(2026, 11, 27, 12, tzinfo=UTC)) == text("2026-11-27T12:00:00.000000Z")
    assert moment(None) == NULL


def test_a_text_that_has_no_utf_8_is_not_written() -> None:
    with pytest.raises(UnicodeEncodeError):
        text("\ud800")


@pytest.mark.parametrize("write", [insert, update])
def test_rows_are_buffered_as_one_mutation(write: Any) -> None:
    transaction: Any = SimpleNamespace(_mutations=[])
    write(transaction, "T", ("A", "B"), [(text("a"), number(1)), (text(None), number(2))])
    [mutation] = transaction._mutations
    operation = getattr(Mutation.pb(mutation), write.__name__)
    assert (operation.table, list(operation.columns)) == ("T", ["A", "B"])
    assert list(operation.values) == [by_the_library(["a", "1"]), by_the_library([None, "2"])]


def test_prefixes_are_ranges_from_and_to_themselves() -> None:
    keys = PrefixKeys([(text("a"), text("s")), (text("b"), text("s"))])._to_pb()._pb
    assert [(r.start_closed, r.end_closed) for r in keys.ranges] == [
        (by_the_library([customer, "s"]), by_the_library([customer, "s"])) for customer in "ab"
    ]
