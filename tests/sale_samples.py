"""A sale for any test that has a database: what a seller would give, and putting it up."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from app.domain.sale import Sale
from app.services import sales
from app.storage.database import FairdropDatabase


def sale_terms(**changes: Any) -> dict[str, Any]:
    """Terms of a sale of its own id: free, open since an hour ago, 100 units, unless the changes say otherwise."""
    now = datetime.now(UTC)
    return {
        "sale_id": f"sale-{uuid.uuid4().hex[:12]}",
        "name": "Burger",
        "policy": "fcfs",
        "unit_price_minor": 0,
        "currency": "EUR",
        "stock": 100,
        "limit_per_customer": 5,
        "waitlist_limit": 0,
        "expected_crowd": 1_000,
        "shard_count": 4,
        "opens_at": now - timedelta(hours=1),
        "closes_at": now + timedelta(hours=1),
        "hold_seconds": 600,
        "cancel_window_seconds": 1_800,
        **changes,
    }


def put_up(database: FairdropDatabase, **changes: Any) -> Sale:
    """A sale of these terms in the database."""
    return sales.create(database, sales.new_sale(**sale_terms(**changes)), "seller")[0].sale
