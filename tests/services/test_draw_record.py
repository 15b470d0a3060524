"""The public record of a draw: what is exported holds, and whatever is changed in it is found and named."""

import random
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from draw_samples import Lottery

from app.domain.draw import Drawn, Entry, Result, allot, commitment_of, digest_of, rank_of
from app.domain.errors import SaleStateRefused
from app.domain.states import Trigger
from app.services import draw_record
from app.services.draw_record import RecordUnreadable, Verification, export, verify
from app.settings import Settings
from app.storage.database import FairdropDatabase

SEED = bytes(range(32))

Record = list[dict[str, Any]]
"""The head, and the entries."""


def a_record(entries: int = 60, stock: int = 20, waitlist_limit: int = 25, seed: bytes = SEED) -> Record:
    dice = random.Random(7)
    entered = sorted(Entry(str(uuid.uuid5(uuid.NAMESPACE_DNS, str(n))), dice.randint(1, 3)) for n in range(entries))
    digest = digest_of(entered).hex
    ranked = sorted(entered, key=lambda entry: rank_of(seed, digest, entry.order_id))
    drawn = list(allot(ranked, stock, waitlist_limit))
    won = [one.units for one in drawn if one.result is Result.WON]
    head = {
        "format": draw_record.FORMAT,
        "sale_id": "tickets",
        "commitment": commitment_of(seed),
        "seed": seed.hex(),
        "digest": digest,
        "stock": stock,
        "waitlist_limit": waitlist_limit,
        "entries": entries,
        "won_orders": len(won),
        "won_units": sum(won),
    }
    return [head, *(_line(one) for one in drawn)]


def _line(one: Drawn) -> dict[str, Any]:
    return {"place": one.place, "order_id": one.order_id, "units": one.units, "result": one.result.value}


def checked(record: Record, path: Path, **options: Any) -> Verification:
    path.write_bytes(b"".join(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in record))
    return verify(path, **options)


def test_an_untouched_record_holds(tmp_path: Path) -> None:
    outcome = checked(a_record(), tmp_path / "record")
    assert outcome.finding.violations == []
    assert outcome.holds
    assert checked(a_record(entries=0), tmp_path / "record").holds


def swap_places(record: Record) -> None:
    """Two entries change places, with all that goes with the place."""
    record[3]["order_id"], record[9]["order_id"] = record[9]["order_id"], record[3]["order_id"]
    record[3]["units"], record[9]["units"] = record[9]["units"], record[3]["units"]


def let_the_last_win(record: Record) -> None:
    record[-1]["result"] = "won"


def take_a_prize_away(record: Record) -> None:
    record[1]["result"] = "waitlisted"


def drop_an_entry(record: Record) -> None:
    """An entry is left out, and the others move up."""
    del record[30]
    for place, line in enumerate(record[1:], start=1):
        line["place"] = place
    record[0]["entries"] -= 1


def drop_the_end(record: Record) -> None:
    del record[40:]


def slip_an_entry_in(record: Record) -> None:
    record.append({**record[-1], "place": len(record), "order_id": str(uuid.uuid5(uuid.NAMESPACE_DNS, "late"))})
    record[0]["entries"] += 1


def enter_twice(record: Record) -> None:
    record.append({**record[-1], "place": len(record)})
    record[0]["entries"] += 1


def change_units(record: Record) -> None:
    record[-1]["units"] += 1


def change_a_place(record: Record) -> None:
    record[5]["place"] = 6


def _changes(name: str, value: Any) -> Callable[[Record], None]:
    def change(record: Record) -> None:
        record[0][name] = value

    return change


TAMPERINGS: dict[str, tuple[Callable[[Record], None], str]] = {
    "places swapped": (swap_places, "has a smaller rank than order"),
    "the last wins": (let_the_last_win, "is said to be won; by its place it is lapsed"),
    "a prize taken away": (take_a_prize_away, "is said to be waitlisted; by its place it is won"),
    "an entry left out": (drop_an_entry, "the digest of the entries is"),
    "the end cut off": (drop_the_end, "there are 39, of which"),
    "an entry slipped in": (slip_an_entry_in, "the digest of the entries is"),
    "an entry twice": (enter_twice, "is there more than once"),
    "other units": (change_units, "the digest of the entries is"),
    "a place twice": (change_a_place, "stands where place 5 belongs"),
    "another seed": (_changes("seed", "11" * 32), "is not the one that commitment"),
    "another commitment": (_changes("commitment", "11" * 32), "is not the one that commitment"),
    "another digest": (_changes("digest", "11" * 32), "the digest of the entries is"),
    "more stock": (_changes("stock", 24), "by its place it is won"),
    "less stock": (_changes("stock", 3), "is said to be won; by its place it is waitlisted"),
    "a longer waitlist": (_changes("waitlist_limit", 26), "is said to be lapsed; by its place it is waitlisted"),
    "more entries": (_changes("entries", 61), "says 61 entries"),
    "more winners": (_changes("won_orders", 1), "1 of which won"),
    "more units won": (_changes("won_units", 1), "won 1 units"),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_every_tampering_is_found_and_named(name: str, tmp_path: Path) -> None:
    tamper, says = TAMPERINGS[name]
    record = a_record()
    tamper(record)
    outcome = checked(record, tmp_path / "record")
    assert not outcome.holds
    assert any(says in violation.says for violation in outcome.finding.violations), outcome.finding.violations


@pytest.mark.parametrize("index", range(0, 61, 12))
def test_no_value_of_a_record_may_be_changed(index: int, tmp_path: Path) -> None:
    """Each number one more, each text with another last sign: nothing passes. A sale's name alone decides nothing."""
    for name in set(a_record()[index]) - {"sale_id"}:
        record = a_record()
        value = record[index][name]
        if isinstance(value, int):
            record[index][name] = value + (1 if name != "waitlist_limit" else -1)
        else:
            record[index][name] = value[:-1] + ("0" if value[-1] != "0" else "1")
        try:
            assert not checked(record, tmp_path / "record").holds, name
        except RecordUnreadable:
            continue


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "line 1: this is no JSON object"),
        (b"{}\n", "line 1: this is no record of the format"),
        (b"[1]\n", "line 1: this is no JSON object"),
        (b"x" * 5_000 + b"\n", "line 1 is cut off, or too long"),
    ],
)
def test_what_is_no_record_is_said_to_be_none(text: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "record").write_bytes(text)
    with pytest.raises(RecordUnreadable, match=says):
        verify(tmp_path / "record")


@pytest.mark.parametrize(
    ("index", "change", "says"),
    [
        (0, {"seed": "xyz"}, "line 1: seed is not"),
        (0, {"stock": -1}, "line 1: stock is not"),
        (0, {"stock": True}, "line 1: stock is not"),
        (0, {"more": 1}, "line 1: it must have"),
        (2, {"result": "lost"}, "line 3: result must be one of"),
        (2, {"units": "1"}, "line 3: place and units must be numbers"),
        (2, {"place": 2**70}, "line 3: "),
        (2, {"order_id": "ann@example.org"}, "line 3: place and units must be numbers"),
        (2, {"customer": "ann"}, "line 3: it must have"),
    ],
)
def test_a_line_that_is_not_as_it_should_be_is_named(
    index: int, change: dict[str, Any], says: str, tmp_path: Path
) -> None:
    record = a_record()
    record[index] |= change
    if change.get("place"):
        (tmp_path / "record").write_bytes(
            b"\n".join(
                [*map(orjson.dumps, record[:2]), b'{"place":%d,"order_id":"x","units":1,"result":"won"}\n' % 2**70]
            )
        )
        with pytest.raises(RecordUnreadable, match=says):
            verify(tmp_path / "record")
        return
    with pytest.raises(RecordUnreadable, match=says):
        checked(record, tmp_path / "record")


def test_a_record_made_anew_with_another_seed_is_told_by_what_was_published_before(tmp_path: Path) -> None:
    genuine, forged = a_record(), a_record(seed=b"\1" * 32)
    assert checked(forged, tmp_path / "record").holds
    outcome = checked(forged, tmp_path / "record", commitment=genuine[0]["commitment"])
    assert "which was published before" in outcome.finding.violations[0].says
    fewer = a_record(entries=59)
    outcome = checked(fewer, tmp_path / "record", commitment=genuine[0]["commitment"], digest=genuine[0]["digest"])
    assert "which was published before" in outcome.finding.violations[0].says


def test_a_buyer_finds_their_order_or_hears_that_it_is_missing(tmp_path: Path) -> None:
    record = a_record()
    own = record[17]["order_id"]
    found = checked(record, tmp_path / "record", order_id=own)
    assert found.holds
    assert found.own is not None
    assert found.own.drawn == Drawn(17, own, record[17]["units"], Result(record[17]["result"]))
    missing = checked(record, tmp_path / "record", order_id=str(uuid.uuid4()))
    assert not missing.holds
    assert missing.finding.is_clean
    assert "MISSING" in missing.verdict


def test_the_record_of_a_real_draw_holds_and_names_no_customer(
    database: FairdropDatabase, settings: Settings, tmp_path: Path
) -> None:
    lottery = Lottery(database, settings, stock=5, waitlist_limit=4)
    lottery.enter(1, 1, 2, 1, 3, 1, 1, 2, 1, 1, 1)
    lottery.settle(["c9"], Trigger.CANCEL)
    with pytest.raises(SaleStateRefused):
        export(database, lottery.sale.sale_id, tmp_path / "early")
    assert not (tmp_path / "early").exists()
    lottery.close()
    drawn = lottery.draw()
    # What came after the draw is not the draw's: the record stays the same.
    lottery.settle([lottery.drawn()[0][1]], Trigger.CANCEL)
    export(database, lottery.sale.sale_id, tmp_path / "record")
    lines = (tmp_path / "record").read_text().splitlines()
    assert len(lines) == 1 + 10
    assert not any(f'"{customer}"' in line for line in lines for customer in lottery.keys)
    keys = {customer: key.order_id for customer, key in lottery.keys.items()}
    outcome = verify(tmp_path / "record", drawn.commitment, drawn.digest, keys["c4"])
    assert (outcome.finding.violations, outcome.holds) == ([], True)
    assert not verify(tmp_path / "record", order_id=keys["c9"]).holds
