"""`fairdrop traces`: a collector for one machine, that prints each trace as a tree."""

import time
from collections import Counter

import click

from app.cli.common import Refused, plain_errors
from app.local.collector import Collector, collecting
from app.local.trace_text import trace_lines

QUIET_SECONDS = 3.0
"""A trace is printed when nothing of it has come for so long: processes send their spans every second."""

LOOK_SECONDS = 0.5


@click.command("traces")
@click.option(
    "--port",
    type=click.IntRange(1, 65_535),
    default=4318,
    show_default=True,
    help="Port to listen on; 4318 is where OpenTelemetry looks for a collector.",
)
@click.option("--count", type=click.IntRange(1), help="End after so many traces.  [default: until Ctrl-C]")
@plain_errors
def traces(port: int, count: int | None) -> None:
    """Take the spans of processes that run with FAIRDROP_TRACES=otlp, and print each trace as a tree.

    A line is a span: milliseconds since the trace began, milliseconds it took, name, process, attributes. A trace of which more
    comes later (the capture, after the cancel window) is printed again.

    \b
    Example: FAIRDROP_TRACES=otlp FAIRDROP_TRACES_SAMPLE=1 fairdrop stack & fairdrop traces

    \b
    Exit codes:
      0  ended by Ctrl-C, or after --count traces
      1  the port is taken
      2  bad options
    """  # noqa: D301 - \b is click's mark for "do not wrap"
    try:
        with collecting(port) as collector:
            click.echo(f"listening at {collector.url}", err=True)
            _print_on(collector, count)
    except OSError as error:
        raise Refused(f"cannot listen on port {port}: {error.strerror or error}") from error
    except KeyboardInterrupt:
        return


def _print_on(collector: Collector, count: int | None) -> None:
    sizes: Counter[str] = Counter()
    changed: dict[str, float] = {}
    printed = 0
    while count is None or printed < count:
        time.sleep(LOOK_SECONDS)
        now, spans = time.monotonic(), collector.spans
        # A root with links is a batch: it is printed under the orders that it is linked to.
        batches = {span.trace_id for span in spans if span.links and not span.parent_id}
        found = Counter(span.trace_id for span in spans if span.trace_id not in batches)
        changed.update({trace_id: now for trace_id, size in found.items() if size != sizes[trace_id]})
        sizes = found
        for trace_id in [trace_id for trace_id, at in changed.items() if now - at >= QUIET_SECONDS]:
            del changed[trace_id]
            click.echo("\n".join(trace_lines(trace_id, spans)))
            printed += 1
