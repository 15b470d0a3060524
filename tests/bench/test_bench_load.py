"""What a rate of the load took in each of its pieces."""

from pathlib import Path

import orjson

from app.bench.load import PIECE_SECONDS, taken_by_piece


def answers(path: Path, *due_and_status: tuple[float, int | None]) -> Path:
    """An answers file of attempts that were due so many pieces after the first."""
    lines = [{"due_ns": 5 + int(due * PIECE_SECONDS * 1e9), "status": status} for due, status in due_and_status]
    path.write_bytes(b"\n".join(map(orjson.dumps, [{"rush": {}}, *lines])))
    return path


def test_an_order_counts_in_the_piece_in_which_its_buyer_was_due_and_no_refusal_counts(tmp_path: Path) -> None:
    path = answers(tmp_path / "a", (2.9, 201), (0.0, 201), (0.5, 503), (0.9, 200), (1.1, None), (1.9, 201), (2.1, 201))
    assert taken_by_piece(path) == (2 / PIECE_SECONDS, 1 / PIECE_SECONDS, 2 / PIECE_SECONDS)


def test_a_last_piece_that_is_too_short_is_left_out(tmp_path: Path) -> None:
    assert taken_by_piece(answers(tmp_path / "a", (0.0, 201), (1.0, 201), (1.3, 201))) == (1 / PIECE_SECONDS,)
    assert taken_by_piece(answers(tmp_path / "a", (0.0, 201), (0.2, 201))) == ()
