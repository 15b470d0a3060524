"""What the tests of the rush share."""

from pathlib import Path
from time import monotonic, monotonic_ns
from typing import Any

import orjson
import pytest
from rush_types import Drive, Line, MakeOptions, OnLine
from scripted_server import SALE_ID, ScriptedServer

from app.rush.crowd import Crowd
from app.rush.driver import Driver
from app.rush.options import RushOptions
from app.rush.runner import _complete
from app.rush.service import find_sale
from app.rush.tokens import FileTokens

PATIENCE_SECONDS = 60.0
"""Ends a test that would hang; no test expects anything to happen within it."""


@pytest.fixture
def make_options(tmp_path: Path) -> MakeOptions:
    """Options of a rush of `buyers`, with their tokens in a file."""

    def make(url: str, buyers: int, **others: Any) -> RushOptions:
        tokens = tmp_path / "tokens.tsv"
        tokens.write_text("".join(f"customer-{index}\ttoken-of-customer-{index}\n" for index in range(buyers)))
        defaults: dict[str, Any] = {"processes": 1, "connections": 8}
        return RushOptions(
            sale_id=SALE_ID,
            tokens=FileTokens(tokens),
            answers=tmp_path / "rush.jsonl",
            url=url,
            buyers=buyers,
            **{**defaults, **others},
        )

    return make


@pytest.fixture
def drive(make_options: MakeOptions) -> Drive:
    """Runs one process' loop in the test's own and returns its lines; all buyers must get done."""

    def run(server: ScriptedServer, buyers: int, on_line: OnLine | None = None, **others: Any) -> list[Line]:
        options = make_options(server.url, buyers, **others)
        target, sale = find_sale(options.url, options.sale_id)
        options = _complete(options, sale)
        crowd = Crowd(options, target, 0, [options.tokens.token(index) for index in range(buyers)])
        lines: list[Line] = []
        done = 0
        give_up_at = monotonic() + PATIENCE_SECONDS

        def control(buyers_done: int, _attempts: int) -> bool:
            nonlocal done
            done = buyers_done
            return monotonic() < give_up_at

        def write(line: bytes) -> None:
            lines.append(orjson.loads(line))
            if on_line is not None:
                on_line(lines[-1])

        Driver(options, target, 0, crowd, write).run(monotonic_ns(), control)
        assert done == buyers
        return lines

    return run
