"""RFC 3339 in UTC with six decimals: Spanner's commit timestamps have microseconds, and texts of one width sort as they should."""

from datetime import UTC, datetime


def rfc3339(moment: datetime) -> str:
    """The moment in UTC, as `2026-11-24T12:00:00.000000Z`. Raises ValueError for a time without a zone."""
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="microseconds")[:26] + "Z"
