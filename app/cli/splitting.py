"""Parting Spanner's ranges for a sale, as `fairdrop schema split` and `fairdrop warm` do."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.cli.common import Refused, cli_settings
from app.domain.sale import Phase
from app.domain.timestamps import rfc3339
from app.services import sales
from app.storage import split_points
from app.storage.database import connect
from app.storage.split_points import Split, SplitPointsUnsupported


@dataclass(frozen=True, slots=True)
class Splitting:
    """The split points of a sale, until when they would hold, and whether the server has such a thing."""

    splits: list[Split]
    expires_at: str
    is_supported: bool


def split_sale(
    sale_id: str, customer_prefixes: Sequence[str], points: int, initiator: str, *, dry_run: bool = False
) -> Splitting:
    """Part the ranges, or with `dry_run` only say which. Raises Refused for a closed sale, and SplitTooEarly."""
    database = connect(cli_settings())
    view = sales.show(database, sale_id)
    if view.phase is Phase.CLOSED:
        raise Refused(f"sale {sale_id!r} is closed")
    splits = split_points.plan(view.sale, customer_prefixes, points)
    expires_at = split_points.expiry(view.sale, view.as_of)
    is_supported = True
    if not dry_run:
        try:
            split_points.add(database, splits, expires_at, initiator)
        except SplitPointsUnsupported:
            is_supported = False
    return Splitting(splits, rfc3339(expires_at), is_supported)
