"""How far means over pictures can be trusted: bootstraps over the pictures, of one method and of two on the same rows."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from pnpsr import checks
from pnpsr.evaluate.cases import Key
from pnpsr.evaluate.rows import Row

DRAWS = 4000
HELD = 2**22  # numbers that are drawn at a time


@dataclass(frozen=True)
class Spread:
    """A mean, and the interval in which chance in the choice of pictures leaves it.

    Args:
        value: the mean; of a difference in favour of the first method it is positive, where more is better.
        low: lower end of the interval.
        high: upper end.
        pictures: how many were drawn from.

    Example:
        >>> from pnpsr.evaluate import Spread
        >>> gain = Spread(0.31, 0.2, 0.4, pictures=68)
        >>> print(gain, gain.apart)
        0.31 [0.20, 0.40] over 68 pictures True
    """

    value: float
    low: float
    high: float
    pictures: int

    @property
    def apart(self) -> bool:
        """Zero is outside: only then is a difference read as a result."""
        return not self.low <= 0 <= self.high

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}] over {self.pictures} pictures"


def bootstrap(
    values: Sequence[float], pictures: Sequence[Hashable], *, level: float = 0.95, draws: int = DRAWS, seed: int = 0
) -> Spread:
    """mean(values), and the interval between quantiles of that mean over pictures drawn with replacement.

    All values of a picture are drawn together: kernels and noises of one picture are no independent samples. The quantiles are
    those of the expanded percentile interval, Φ(±√(n / (n - 1)) t) with Student's t of n - 1 degrees, for the plain ones are too
    near to one another where pictures are few (Hesterberg 2015, What Teachers Should Know About the Bootstrap). For fewer than
    five pictures it is about the range of their means.

    Args:
        values: finite numbers.
        pictures: which picture each is of.
        level: share of the intervals that hold the mean of all pictures there could be.
        draws: of the pictures.
        seed: of the draws.

    Raises:
        ValueError: values that are not finite, fewer than two pictures, a level that is no share.

    Example:
        >>> from pnpsr.evaluate import bootstrap
        >>> print(bootstrap([0.1, -0.2, 0.3, 0.2], ["a.png", "a.png", "b.png", "c.png"]))
        0.10 [-0.05, 0.30] over 3 pictures
    """
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, got {level}")
    checks.whole(draws, "draws")
    numbers = np.asarray(values, dtype=np.float64)
    if len(numbers) != len(pictures) or not np.isfinite(numbers).all():
        raise ValueError(f"values must be finite numbers, one for each of the {len(pictures)} pictures' names, got {len(numbers)}")
    names = {name: place for place, name in enumerate(dict.fromkeys(pictures))}
    n = len(names)
    if n < 2:
        raise ValueError(f"the spread over pictures needs two of them, got {n}")
    place = np.array([names[name] for name in pictures])
    sums, counts = np.bincount(place, numbers, n), np.bincount(place, minlength=n)
    generator, means = np.random.default_rng(seed), list[np.ndarray]()
    for begin in range(0, draws, step := max(1, HELD // n)):
        drawn = generator.integers(n, size=(min(step, draws - begin), n))
        means.append(sums[drawn].sum(1) / counts[drawn].sum(1))
    low, high = np.quantile(np.concatenate(means), _quantiles(n, level))
    return Spread(float(sums.sum() / counts.sum()), float(low), float(high), n)


def spread(rows: Sequence[Row], metric: str = "psnr", *, level: float = 0.95, draws: int = DRAWS, seed: int = 0) -> Spread:
    """The mean of ``metric`` over the rows of one method, and its interval. Values that are missing or infinite are left out.

    Args:
        rows: as :func:`pnpsr.evaluate.read_rows` gives them; choose the condition first.
        metric: a column.
        level, draws, seed: see :func:`bootstrap`.

    Raises:
        ValueError: rows of several methods or protocols, no values, fewer than two pictures.

    Example:
        >>> from pnpsr.evaluate import Key, Row, spread
        >>> rows = [Row("m", "p", Key(f"{i}.png", 1, 2, 0.0), {"psnr": 20.0 + i}) for i in range(9)]
        >>> spread(rows).value
        24.0
    """
    found = _values(rows, metric, "rows")
    return bootstrap(list(found.values()), [key.image for key in found], level=level, draws=draws, seed=seed)


def difference(
    rows: Sequence[Row], others: Sequence[Row], metric: str = "psnr", *, level: float = 0.95, draws: int = DRAWS, seed: int = 0
) -> Spread:
    """mean(a - b) of ``metric`` over the rows that both methods have, and its interval: what is hard for both cancels out.

    Args:
        rows: of method a.
        others: of method b, under the same protocol.
        metric: a column.
        level, draws, seed: see :func:`bootstrap`.

    Raises:
        ValueError: rows of several methods, of different protocols or of other pictures under the same names; nothing in common;
            fewer than two pictures.

    Example:
        >>> from pnpsr.evaluate import Key, Row, difference
        >>> def rows(method, by):
        ...     return [Row(method, "p", Key(f"{i}.png", 1, 2, 0.0), {"psnr": 20.0 + i + by}) for i in range(9)]
        >>> print(difference(rows("a", 0.5), rows("b", 0.0)))
        0.50 [0.50, 0.50] over 9 pictures
    """
    a, b = _values(rows, metric, "rows"), _values(others, metric, "others")
    if rows[0].protocol != others[0].protocol:
        raise ValueError(f"rows of one protocol can be compared, got {rows[0].protocol} and {others[0].protocol}")
    pixels = {row.key: row.pixels for row in others}
    for row in rows:
        if row.pixels and pixels.get(row.key) and pixels[row.key] != row.pixels:
            raise ValueError(f"{row.key.image} is another picture in the rows of {others[0].method}")
    both = [key for key in a if key in b]
    if not both:
        raise ValueError(f"{rows[0].method} and {others[0].method} have no row of {metric} in common")
    return bootstrap([a[key] - b[key] for key in both], [key.image for key in both], level=level, draws=draws, seed=seed)


def _values(rows: Sequence[Row], metric: str, name: str) -> dict[Key, float]:
    """The finite values of a metric by row."""
    kinds = {(row.method, row.protocol) for row in rows}
    if len(kinds) != 1 or len({row.key for row in rows}) < len(rows):
        told = ", ".join(f"{method} under {protocol}" for method, protocol in sorted(kinds)) or "none"
        raise ValueError(f"{name} must be those of one method under one protocol, each once, got {told}")
    if not any(metric in row.values for row in rows):
        raise ValueError(f"metric must be one of {', '.join(rows[0].values)}, got {metric!r}")
    found = {row.key: value for row in rows if (value := row.values.get(metric)) is not None and math.isfinite(value)}
    if not found:
        raise ValueError(f"{metric} of {rows[0].method} has no finite value")
    return found


def _quantiles(n: int, level: float) -> tuple[float, float]:
    from scipy.stats import norm, t

    tail = float(norm.cdf(math.sqrt(n / (n - 1)) * t.ppf((1 - level) / 2, n - 1)))
    return tail, 1 - tail
