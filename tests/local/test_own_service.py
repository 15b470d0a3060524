"""A run of its own, in a folder in which one has been played before."""

from pathlib import Path

from app.gateway_simulator.options import BOOK_NAME
from app.local.own_service import own_settings


def test_the_book_of_an_earlier_run_is_gone_and_whatever_else_it_left_is_there(tmp_path: Path) -> None:
    for name in (BOOK_NAME, f"{BOOK_NAME}-wal", f"{BOOK_NAME}-shm", "issuer.pem"):
        (tmp_path / name).touch()
    assert own_settings("again", tmp_path).state_dir == tmp_path
    assert [left.name for left in tmp_path.iterdir()] == ["issuer.pem"]
