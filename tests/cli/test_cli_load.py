"""What `fairdrop load` calls reached and missed, and the section and pictures that it writes."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from app.bench.load import Overload, Sample, Step
from app.cli.load_report import BEGIN, END, write_report
from app.cli.load_verdicts import flat, judged, trends
from app.cli.main import fairdrop

DEADLINE_MS = 10_000.0
ROOT = Path(__file__).resolve().parents[2]


def step(factor: float, share: float, p99_ms: float = 900.0, refused_p99_ms: float | None = 50.0) -> Step:
    answers = {"201 PENDING": 900, "503 overloaded": 100}
    pieces = (1_000 * share, 990 * share)
    return Step(
        factor,
        1_000.0,
        1_000 * factor,
        1_000 * share,
        share,
        300.0,
        p99_ms,
        20.0,
        refused_p99_ms,
        5.0,
        answers,
        0,
        pieces,
    )


def overload(*steps: Step, recovery_seconds: float = 0.5) -> Overload:
    return Overload(1_000.0, steps, recovery_seconds, (800.0, 40.0), DEADLINE_MS, "libtcmalloc_minimal.so.4")


def missed(measured: Overload) -> list[str]:
    return [text for text, is_reached in judged(measured) if not is_reached]


def soaked(count: int = 8) -> list[Sample]:
    return [Sample(30.0 * index, 140.0 + index % 2, 60, 30, 900, 9) for index in range(count)]


def test_a_worker_that_keeps_its_goodput_and_its_deadline_has_reached_everything() -> None:
    assert missed(overload(step(0.5, 0.5), step(4.0, 0.95))) == []


def test_goodput_that_falls_under_overload_is_missed_and_below_capacity_it_is_not_asked_for() -> None:
    [text] = missed(overload(step(0.5, 0.5), step(2.0, 0.89)))
    assert "goodput at 2 times" in text


def test_refusals_that_come_slowly_are_missed_and_where_nobody_is_refused_they_are_not_asked_for() -> None:
    [text] = missed(overload(step(0.5, 0.5, refused_p99_ms=None), step(2.0, 1.0, refused_p99_ms=1_001.0)))
    assert "refused at 2" in text


def test_an_order_taken_after_its_deadline_and_a_slow_recovery_are_missed() -> None:
    assert len(missed(overload(step(2.0, 1.0, p99_ms=10_001.0), recovery_seconds=5.1))) == 2


@pytest.mark.parametrize(
    ("field", "name"),
    [("memory_mb", "memory"), ("files", "open files"), ("greenlets", "greenlets"), ("sessions", "sessions")],
)
def test_a_soak_in_which_something_grows_is_not_flat(field: str, name: str) -> None:
    assert all(is_reached for _, is_reached in flat(soaked()))
    growing = [replace(each, **{field: getattr(each, field) + 20 * index}) for index, each in enumerate(soaked())]
    (text,) = [text for text, is_reached in flat(growing) if not is_reached]
    assert text.startswith(f"soak, {name}")


def test_what_grew_in_the_former_half_of_a_soak_and_then_stayed_is_flat() -> None:
    warm = [replace(each, memory_mb=min(200.0, 100 + 30 * index)) for index, each in enumerate(soaked())]
    assert all(is_reached for _, is_reached in flat(warm))
    assert trends(warm)[0].rise == 0
    assert trends(warm[:1])[0].rise == 0


def test_the_report_rewrites_its_section_alone_and_its_pictures(tmp_path: Path) -> None:
    page = tmp_path / "reliability.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    measured = overload(step(0.5, 0.5), step(4.0, 0.8))
    verdicts = [*judged(measured), *flat(soaked())]
    for _ in range(2):
        written = write_report(measured, soaked(), verdicts, 60.0, tmp_path)
    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}\n")
    assert text.endswith(f"\n{END}\nafter\n")
    assert "old" not in text
    assert text.count("**missed**") == 1
    pictures = [path for path in written if path.suffix == ".svg"]
    assert len(pictures) == 4
    for picture in pictures:
        assert f"images/{picture.name}" in text
        assert ElementTree.parse(picture).getroot().tag.endswith("svg")


def test_without_a_soak_there_is_no_picture_of_one(tmp_path: Path) -> None:
    (tmp_path / "reliability.md").write_text(f"{BEGIN}{END}")
    written = write_report(overload(step(2.0, 1.0)), [], [], 60.0, tmp_path)
    assert not [path for path in written if "soak" in path.name]


def test_a_page_without_the_marks_is_told_of_before_anything_is_measured(tmp_path: Path) -> None:
    (tmp_path / "reliability.md").write_text("nothing")
    result = CliRunner().invoke(fairdrop, ["load", "--report", str(tmp_path)])
    assert result.exit_code == 2
    assert BEGIN in result.output


def test_the_page_of_the_docs_has_the_marks_and_shows_pictures_that_are_there() -> None:
    section = (ROOT / "docs" / "reliability.md").read_text().partition(BEGIN)[2].partition(END)[0]
    assert section
    for line in section.splitlines():
        if line.startswith("!["):
            assert (ROOT / "docs" / line.partition("(")[2].rstrip(")")).is_file()
