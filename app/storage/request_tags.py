"""Request tags: by them Spanner's statistics, and its log of slow requests, say which read costs what."""

from typing import Any

TAG_LIMIT = 50
"""Characters that Spanner keeps of a tag."""


def give_tag(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Give the read or query of a call a tag, unless it has one: the table or index that is read, or `query`."""
    request = kwargs.get("request") or (args[0] if args else None)
    message = getattr(request, "_pb", None)
    if message is not None and not message.request_options.request_tag:
        name = getattr(message, "index", "") or getattr(message, "table", "")
        message.request_options.request_tag = f"read={name}"[:TAG_LIMIT] if name else "query"
