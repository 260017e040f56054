"""The benchmarks' tables, and measuring two programs alternately for them."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from rich.table import Table

Figure = TypeVar("Figure")

ROUNDS = 9


def table(title: str, *columns: str) -> Table:
    """Return an empty table. Its first column contains text, the others numbers."""
    empty = Table(title=title, title_justify="left", min_width=len(title))
    for number, column in enumerate(columns):
        empty.add_column(column, justify="right" if number else "left")
    return empty


def measure_pairs(first: Callable[[], Figure], second: Callable[[], Figure]) -> list[tuple[Figure, Figure]]:
    """Measure two programs alternately, each of them first in every other round. Return the pairs."""
    pairs = []
    for number in range(ROUNDS):
        if number % 2:
            second_figure = second()
            pairs.append((first(), second_figure))
        else:
            pairs.append((first(), second()))
    return pairs


def quantile(values: Iterable[float], part: float) -> float:
    """Return the value below which this part of the values is: 0.5: the median."""
    ordered = sorted(values)
    return ordered[int(part * (len(ordered) - 1) + 0.5)]
