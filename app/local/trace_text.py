"""A trace as lines of text: a tree, each span with when it began, how long it took, whose it is and what it says; an id once."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from app.local.collector import SeenSpan

_HIDDEN = ("messaging.", "http.request.method", "http.route")
"""Attributes that repeat the span's name, or are for machines."""

_NS_PER_MS = 1e6


def trace_lines(trace_id: str, spans: Iterable[SeenSpan]) -> Iterator[str]:
    """The tree of one trace; under a span that is linked to a span of another trace, that other span and what is under it."""
    known = {(span.trace_id, span.span_id): span for span in spans}
    children: dict[tuple[str, str], list[SeenSpan]] = {}
    for span in known.values():
        children.setdefault((span.trace_id, span.parent_id), []).append(span)
    own = [span for span in known.values() if span.trace_id == trace_id]
    roots = [span for span in own if (trace_id, span.parent_id) not in known]
    if not roots:
        return
    begin = min(span.started_ns for span in roots)
    yield f"trace {trace_id}"
    for root in _in_order(roots):
        yield from _lines(root, begin, children, known, frozenset(), 0, follows_links=True)


def _lines(
    span: SeenSpan,
    begin: int,
    children: Mapping[tuple[str, str], Sequence[SeenSpan]],
    known: Mapping[tuple[str, str], SeenSpan],
    above: frozenset[str],
    depth: int,
    *,
    follows_links: bool,
    mark: str = "",
) -> Iterator[str]:
    yield _line(span, begin, above, depth, mark)
    above = above | {name for name in span.attributes if name.endswith(".id")}
    if follows_links:
        for link in span.links:
            if link in known and link[0] != span.trace_id:
                # One step: the other's links lead back here.
                yield from _lines(
                    known[link], begin, children, known, above, depth + 1, follows_links=False, mark="linked: "
                )
    for child in _in_order(children.get((span.trace_id, span.span_id), ())):
        yield from _lines(child, begin, children, known, above, depth + 1, follows_links=follows_links)


def _line(span: SeenSpan, begin: int, above: frozenset[str], depth: int, mark: str) -> str:
    after, took = (span.started_ns - begin) / _NS_PER_MS, (span.ended_ns - span.started_ns) / _NS_PER_MS
    told = " ".join(
        f"{name.removeprefix('fairdrop.')}={value}"
        for name, value in sorted(span.attributes.items())
        if not name.startswith(_HIDDEN) and name not in above
    )
    failed = " FAILED" if span.is_failed else ""
    service = span.service.removeprefix("fairdrop-")
    return f"{after:9.1f} ms {took:8.1f} ms  {'  ' * depth}{mark}{span.name} [{service}]{failed} {told}".rstrip()


def _in_order(spans: Iterable[SeenSpan]) -> list[SeenSpan]:
    return sorted(spans, key=lambda span: span.started_ns)
