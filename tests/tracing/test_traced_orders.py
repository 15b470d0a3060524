"""An order's span: what it says of the sale, and of what is none."""

from datetime import UTC, datetime

import pytest
from sale_samples import put_up
from tracing_samples import MemoryTraces

from app.domain.errors import SaleNotFound
from app.services.placement import WAIT_SPAN, Placement
from app.settings import Settings
from app.storage.database import FairdropDatabase, connect
from app.tracing.spans import SALE_ID, ending


def test_an_order_s_span_names_its_sale_and_never_what_was_typed_for_one(
    settings: Settings, database: FairdropDatabase
) -> None:
    sale = put_up(database)
    traces = MemoryTraces()
    counter = Placement(connect(settings), settings, traces=traces)
    with ending(request := traces.request(None, "POST", {})):
        counter.place("ann", sale.sale_id, 1, "key", None, datetime.now(UTC), request)
        attributes = traces.by_name[WAIT_SPAN].attributes
        assert attributes is not None
        assert attributes[SALE_ID] == sale.sale_id
        with pytest.raises(SaleNotFound):
            counter.place("ann", "bob@example.com", 1, "key", None, datetime.now(UTC), request)
    refused = traces.by_name[WAIT_SPAN]
    assert refused.attributes is not None
    assert refused.attributes["fairdrop.outcome"] == "SaleNotFound"
    assert "bob" not in refused.to_json()
