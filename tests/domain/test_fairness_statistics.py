"""The tests of a fairness report give the values of the printed tables, and say so when there is too little to test."""

from itertools import combinations
from math import erfc, exp, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.fairness_statistics import (
    chi_square_survival,
    compare_ranks,
    evenness,
    nearest_rank,
    two_sided,
    upper_gamma,
)

# Critical values as printed in the NIST/SEMATECH e-Handbook of Statistical Methods, section 1.3.6.7.4.
CRITICAL = [
    (1, 0.10, 2.706),
    (1, 0.05, 3.841),
    (1, 0.01, 6.635),
    (1, 0.001, 10.828),
    (2, 0.05, 5.991),
    (3, 0.05, 7.815),
    (5, 0.01, 15.086),
    (10, 0.05, 18.307),
    (10, 0.001, 29.588),
    (30, 0.05, 43.773),
    (50, 0.01, 76.154),
    (100, 0.05, 124.342),
]


@pytest.mark.parametrize(("degrees", "p_value", "critical"), CRITICAL)
def test_the_chi_square_has_the_values_of_the_table(degrees: int, p_value: float, critical: float) -> None:
    assert chi_square_survival(critical, degrees) == pytest.approx(p_value, rel=1e-3)


@given(st.floats(1e-6, 600))
def test_with_two_degrees_the_chi_square_is_exponential(statistic: float) -> None:
    assert chi_square_survival(statistic, 2) == pytest.approx(exp(-statistic / 2), rel=1e-9, abs=1e-14)


@given(st.floats(1e-6, 300))
def test_with_one_degree_the_chi_square_is_a_squared_normal(statistic: float) -> None:
    assert chi_square_survival(statistic, 1) == pytest.approx(erfc(sqrt(statistic / 2)), rel=1e-9, abs=1e-14)


@given(st.floats(0.5, 200), st.floats(0.01, 400))
def test_the_gamma_function_keeps_its_recurrence_over_both_of_its_methods(shape: float, x: float) -> None:
    # Q(a + 1, x) = Q(a, x) + x^a e^-x / Gamma(a + 1): only true when series and fraction agree where they meet.
    from math import lgamma, log

    step = exp(shape * log(x) - x - lgamma(shape + 1))
    assert upper_gamma(shape + 1, x) == pytest.approx(upper_gamma(shape, x) + step, abs=1e-10)


def test_a_chi_square_of_nothing_is_certain_and_of_a_million_impossible() -> None:
    assert chi_square_survival(0, 3) == 1.0
    assert chi_square_survival(1e6, 3) == 0.0
    assert chi_square_survival(10_000, 10_000) == pytest.approx(0.4981, abs=1e-3)


@pytest.mark.parametrize(("shape", "x"), [(0.0, 1.0), (-1.0, 1.0), (1.0, -0.1)])
def test_what_is_not_defined_is_refused(shape: float, x: float) -> None:
    with pytest.raises(ValueError, match="not defined"):
        upper_gamma(shape, x)
    with pytest.raises(ValueError, match="degrees of freedom"):
        chi_square_survival(1.0, 0)


@pytest.mark.parametrize(("z", "p_value"), [(0.0, 1.0), (1.96, 0.05), (-2.576, 0.01), (3.291, 0.001)])
def test_the_normal_has_the_values_of_the_table(z: float, p_value: float) -> None:
    assert two_sided(z) == pytest.approx(p_value, rel=2e-3)


def test_shares_of_30_and_50_in_a_hundred_are_told_apart() -> None:
    # By hand: (30-40)²/24 + (50-40)²/24 = 8.333.
    even = evenness({"a": 30, "b": 50}, {"a": 100, "b": 100})
    assert (even.chi_square, even.degrees) == (pytest.approx(25 / 3), 1)
    assert even.p_value == pytest.approx(0.00389, rel=1e-2)


def test_equal_shares_are_even() -> None:
    even = evenness({"a": 20, "b": 40, "c": 10}, {"a": 100, "b": 200, "c": 50})
    assert (even.chi_square, even.degrees, even.p_value) == (pytest.approx(0.0), 2, pytest.approx(1.0))


def test_orders_that_share_their_commits_fate_weigh_less() -> None:
    even = evenness({"a": 30, "b": 50}, {"a": 100, "b": 100}, [10] * 20)
    assert even.design_effect == 10
    assert even.chi_square == pytest.approx(25 / 30)
    # Sizes 150 and 50: a case shares its commit with 125 on the mean.
    assert evenness({"a": 30, "b": 50}, {"a": 100, "b": 100}, [150, 50]).design_effect == 125


def test_groups_too_small_to_test_are_counted_as_one() -> None:
    tiny = {f"t{i}": 4 for i in range(5)}
    even = evenness({"a": 50, **dict.fromkeys(tiny, 2)}, {"a": 100, **tiny})
    assert (even.degrees, even.chi_square) == (1, pytest.approx(0.0))
    even = evenness({"a": 50, "b": 50, "t": 2}, {"a": 100, "b": 90, "t": 4})
    assert even.degrees == 1
    both = evenness({"a": 50, "bt": 52}, {"a": 100, "bt": 94})
    assert even.chi_square == pytest.approx(both.chi_square)


@pytest.mark.parametrize(
    ("hit", "of", "says"),
    [
        ({"a": 0, "b": 0}, {"a": 100, "b": 100}, "all or on nobody"),
        ({"a": 100, "b": 100}, {"a": 100, "b": 100}, "all or on nobody"),
        ({}, {}, "all or on nobody"),
        ({"a": 50}, {"a": 100}, "no two groups"),
        ({"a": 50, "b": 1}, {"a": 100, "b": 2}, "no two groups"),
    ],
)
def test_too_little_is_said_to_be_too_little(hit: dict[str, int], of: dict[str, int], says: str) -> None:
    even = evenness(hit, of)
    assert even.p_value is None
    assert even.not_tested is not None
    assert says in even.not_tested


def test_ten_before_ten_is_no_chance() -> None:
    ranks = compare_ranks(10, 55, 10)
    assert (ranks.first_mean_rank, ranks.second_mean_rank) == (5.5, 15.5)
    # By hand: (55 - 105) / sqrt(10 * 10 * 21 / 12).
    assert ranks.z == pytest.approx(-3.7796, abs=1e-4)
    assert ranks.p_value == pytest.approx(1.57e-4, rel=1e-2)


def test_the_rank_sums_p_value_is_near_the_exact_one() -> None:
    sums = [sum(ranks) for ranks in combinations(range(1, 17), 8)]
    observed = 48
    exact = sum(abs(each - 68) >= abs(observed - 68) for each in sums) / len(sums)
    p_value = compare_ranks(8, observed, 8).p_value
    assert p_value == pytest.approx(exact, abs=0.01)


def test_seven_are_too_few_to_compare() -> None:
    ranks = compare_ranks(7, 28, 100)
    assert (ranks.z, ranks.p_value, ranks.first_mean_rank) == (None, None, 4.0)
    assert compare_ranks(0, 0, 100).first_mean_rank is None


def test_percentiles_are_by_nearest_rank() -> None:
    values = [float(value) for value in range(1, 101)]
    assert [nearest_rank(values, percent) for percent in (0, 50, 95, 99, 100)] == [1, 50, 95, 99, 100]
    assert nearest_rank([7.0], 99) == 7
    assert nearest_rank([1.0, 2.0, 3.0], 50) == 2
