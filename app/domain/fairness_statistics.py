"""What chance alone would do: the few tests that a fairness report needs, in pure Python.

Each gives a p-value: how often chance alone would show a difference at least this large, were everybody treated alike.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import erfc, exp, lgamma, log, sqrt

LEAST_EXPECTED = 5.0
"""Below this expected count in a cell the chi-square distribution is no good approximation (Cochran's rule)."""

LEAST_RANKED = 8
"""Below this many in either group the normal approximation of the rank sum is too coarse."""

_SERIES_TERMS = 10_000
_PRECISION = 1e-15
_TINY = 1e-300


def chi_square_survival(statistic: float, degrees: int) -> float:
    """The probability of a chi-square of so many degrees of freedom being at least `statistic`."""
    if degrees < 1:
        raise ValueError(f"a chi-square of {degrees} degrees of freedom")
    return upper_gamma(degrees / 2, statistic / 2) if statistic > 0 else 1.0


def upper_gamma(shape: float, x: float) -> float:
    """The regularized incomplete gamma function Q(shape, x), for shape > 0 and x >= 0.

    By the series of its complement P below shape + 1, by the continued fraction (Lentz's method) above: where each converges.
    """
    if shape <= 0 or x < 0:
        raise ValueError(f"Q({shape}, {x}) is not defined")
    if x == 0:
        return 1.0
    scale = exp(shape * log(x) - x - lgamma(shape))
    if x < shape + 1:
        return max(0.0, 1.0 - scale * _lower_series(shape, x))
    return scale * _upper_fraction(shape, x)


def _lower_series(shape: float, x: float) -> float:
    term = total = 1 / shape
    for n in range(1, _SERIES_TERMS):
        term *= x / (shape + n)
        total += term
        if term < total * _PRECISION:
            break
    return total


def _upper_fraction(shape: float, x: float) -> float:
    b = x + 1 - shape
    c, d = 1 / _TINY, 1 / b
    result = d
    for n in range(1, _SERIES_TERMS):
        a = -n * (n - shape)
        b += 2
        d = 1 / _nonzero(a * d + b)
        c = _nonzero(b + a / c)
        result *= c * d
        if abs(c * d - 1) < _PRECISION:
            break
    return result


def _nonzero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def two_sided(z: float) -> float:
    """The probability of a standard normal variable being at least so far from 0."""
    return erfc(abs(z) / sqrt(2))


@dataclass(frozen=True, slots=True)
class Evenness:
    """Whether something fell on all groups alike: `hit` of `of` in each.

    `chi_square` and `p_value` are None when there was too little to compare, and `not_tested` says what was missing.
    `design_effect` is by how much the chi-square was divided because the cases share their fate in clusters.
    """

    hit: Mapping[str, int]
    of: Mapping[str, int]
    design_effect: float = 1.0
    chi_square: float | None = None
    degrees: int = 0
    p_value: float | None = None
    not_tested: str | None = None


def evenness(hit: Mapping[str, int], of: Mapping[str, int], cluster_sizes: Sequence[int] | None = None) -> Evenness:
    """Pearson's chi-square for a share that is the same in every group; groups that are too small are counted as one.

    Orders of one commit are told the same more often than not, so they are no independent cases. Given the clusters' sizes, the
    chi-square is divided by the mean size of a case's cluster: the correction (Rao and Scott's) for cases that share all.
    """
    total, hits = sum(of.values()), sum(hit.values())
    effect = sum(size * size for size in cluster_sizes) / sum(cluster_sizes) if cluster_sizes else 1.0
    if hits in (0, total):
        return Evenness(hit, of, effect, not_tested="it fell on all or on nobody")
    share = hits / total
    least = LEAST_EXPECTED / min(share, 1 - share)
    cells = [(hit.get(name, 0), count) for name, count in of.items() if count >= least]
    small = [(hit.get(name, 0), count) for name, count in of.items() if count < least]
    if small:
        rest = (sum(h for h, _ in small), sum(n for _, n in small))
        # What is too small even together is tested with the smallest of the others.
        if rest[1] < least and cells:
            smallest = min(cells, key=lambda cell: cell[1])
            cells.remove(smallest)
            rest = (rest[0] + smallest[0], rest[1] + smallest[1])
        cells.append(rest)
    if len(cells) < 2:  # noqa: PLR2004 - two to compare
        return Evenness(hit, of, effect, not_tested="there are no two groups that are large enough")
    statistic = sum((h - share * n) ** 2 / (share * (1 - share) * n) for h, n in cells) / effect
    degrees = len(cells) - 1
    return Evenness(hit, of, effect, statistic, degrees, chi_square_survival(statistic, degrees))


@dataclass(frozen=True, slots=True)
class RankComparison:
    """Two groups in one line, 1 its head: their mean ranks, and the rank sum's distance from chance in standard deviations."""

    first_count: int
    second_count: int
    first_mean_rank: float | None
    second_mean_rank: float | None
    z: float | None = None
    p_value: float | None = None


def compare_ranks(first_count: int, first_rank_sum: int, second_count: int) -> RankComparison:
    """Wilcoxon's rank-sum test of two groups that share the ranks 1 to n without ties, by its normal approximation.

    Below zero, z says that the first group stands nearer to the head.
    """
    n = first_count + second_count
    second_rank_sum = n * (n + 1) // 2 - first_rank_sum
    first_mean = first_rank_sum / first_count if first_count else None
    second_mean = second_rank_sum / second_count if second_count else None
    if min(first_count, second_count) < LEAST_RANKED:
        return RankComparison(first_count, second_count, first_mean, second_mean)
    expected = first_count * (n + 1) / 2
    z = (first_rank_sum - expected) / sqrt(first_count * second_count * (n + 1) / 12)
    return RankComparison(first_count, second_count, first_mean, second_mean, z, two_sided(z))


def nearest_rank(ordered: Sequence[float], percent: float) -> float:
    """A percentile of ordered values: the smallest with at least so many percent at or below it. There must be values."""
    return ordered[max(0, min(len(ordered) - 1, -int(-percent * len(ordered) // 100) - 1))]
