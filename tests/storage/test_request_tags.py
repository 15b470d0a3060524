"""Every read, query and commit says what it is for: Spanner's statistics have it by its tag."""

from typing import Any

import pytest
from google.cloud.spanner_v1 import KeySet, SpannerClient
from google.cloud.spanner_v1.transaction import Transaction

from app.storage.database import FairdropDatabase, snapshot, transact

CALLS = ("streaming_read", "execute_streaming_sql", "commit")


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, str]]:
    """Call, request tag and transaction tag of whatever goes to Spanner meanwhile."""
    seen: list[tuple[str, str, str]] = []
    for name in CALLS:
        original = getattr(SpannerClient, name)

        def call(self: Any, *args: Any, _name: str = name, _original: Any = original, **kwargs: Any) -> Any:
            options = (kwargs.get("request") or args[0]).request_options
            seen.append((_name, options.request_tag, options.transaction_tag))
            return _original(self, *args, **kwargs)

        monkeypatch.setattr(SpannerClient, name, call)
    return seen


def test_a_read_is_named_by_its_table_or_index(database: FairdropDatabase, sent: list[tuple[str, str, str]]) -> None:
    none = KeySet(keys=[["none"]])
    with snapshot(database) as reads:
        assert list(reads.read("Sales", ("SaleId",), none)) == []
        assert list(reads.read("Orders", ("OrderId",), KeySet(all_=True), index="OrdersByDueAt")) == []
    assert sent == [("streaming_read", "read=Sales", ""), ("streaming_read", "read=OrdersByDueAt", "")]


def test_a_query_is_named_query_unless_it_has_a_tag(
    database: FairdropDatabase, sent: list[tuple[str, str, str]]
) -> None:
    with snapshot(database) as reads:
        list(reads.execute_sql("SELECT 1"))
        list(reads.execute_sql("SELECT 1", request_options={"request_tag": "audit"}))
    assert [tag for _, tag, _ in sent] == ["query", "audit"]


def test_a_transaction_s_reads_and_commit_carry_its_tag_as_well(
    database: FairdropDatabase, sent: list[tuple[str, str, str]]
) -> None:
    def work(transaction: Transaction) -> None:
        list(transaction.read("Sales", ("SaleId",), KeySet(keys=[["none"]])))
        transaction.delete("Restocks", KeySet(keys=[["none", "none"]]))

    transact(database, "place", work)
    assert ("streaming_read", "read=Sales", "place") in sent
    assert ("commit", "", "place") in sent
