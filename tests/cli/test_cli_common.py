from datetime import UTC, datetime, timedelta

import click
import pytest

from app.cli.common import duration, option_of, plain_errors, time
from app.domain.errors import FairdropError, InvalidValue, StorageUnavailable
from app.http.problems import PROBLEMS


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("2h", 7_200), ("3d", 259_200), ("1h30m", 5_400), ("1d1s", 86_401)]
)
def test_a_duration_is_written_as_people_do(text: str, seconds: int) -> None:
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "0s", "10", "m", "-5m", "1.5h", "30m1h", "2 h", "1e3s", "999999999d"])
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is no duration"):
        duration(text)


@pytest.mark.parametrize("text", ["2026-11-27T12:00:00Z", "2026-11-27T13:00:00+01:00", "2026-11-27T12:00Z"])
def test_a_time_may_be_of_any_zone(text: str) -> None:
    assert time(text) == datetime(2026, 11, 27, 12, tzinfo=UTC)
    assert time(text).tzinfo is UTC


@pytest.mark.parametrize(("text", "ahead"), [("now", timedelta()), ("now+2h", timedelta(hours=2))])
def test_now_is_a_time_and_so_is_a_while_after_it(text: str, ahead: timedelta) -> None:
    before = datetime.now(UTC)
    moment = time(text)
    assert before <= moment - ahead <= datetime.now(UTC)


@pytest.mark.parametrize("text", ["2026-11-27T12:00:00", "2026-11-27"])
def test_a_time_without_a_zone_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="has no zone"):
        time(text)


@pytest.mark.parametrize("text", ["", "noon", "now+", "now-1h", "now+noon", "2026-13-01T00:00:00Z"])
def test_anything_else_is_no_time(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is no"):
        time(text)


def outcome_of(error: Exception) -> click.ClickException:
    @plain_errors
    def command() -> None:
        raise error

    with pytest.raises(click.ClickException) as refused:
        command()
    return refused.value


def test_a_wrong_value_names_its_option_and_ends_with_2() -> None:
    refused = outcome_of(InvalidValue(field="limit_per_customer", rule="must be from 1 to 1000"))
    assert refused.message == "--limit-per-customer: must be from 1 to 1000"
    assert refused.exit_code == 2
    assert option_of("sale_id") == "SALE"


def test_a_database_that_does_not_answer_is_one_line_and_ends_with_1() -> None:
    refused = outcome_of(StorageUnavailable("the database does\nnot answer", 1))
    assert refused.message == "the database does not answer"
    assert refused.exit_code == 1


def test_every_error_of_the_domain_has_a_sentence_for_the_terminal() -> None:
    def kinds(base: type[FairdropError]) -> set[type[FairdropError]]:
        return {base, *(kind for sub in base.__subclasses__() for kind in kinds(sub))}

    for kind in kinds(FairdropError) - {FairdropError}:
        assert any(issubclass(kind, known) for known in PROBLEMS), kind
