"""What the tables of the benchmarks have in common."""

from collections.abc import Callable
from typing import TypeVar

from rich.table import Table

Figure = TypeVar("Figure")

ROUNDS = 9


def table(title: str, *columns: str) -> Table:
    """Return an empty table; its first column is of words, the others of figures."""
    empty = Table(title=title, title_justify="left", min_width=len(title))
    for number, column in enumerate(columns):
        empty.add_column(column, justify="right" if number else "left")
    return empty


def in_turn(ours: Callable[[], Figure], theirs: Callable[[], Figure]) -> list[tuple[Figure, Figure]]:
    """Measure two things in turn, each of them first every other time; return the pairs."""
    pairs = []
    for number in range(ROUNDS):
        if number % 2:
            their_figure = theirs()
            pairs.append((ours(), their_figure))
        else:
            pairs.append((ours(), theirs()))
    return pairs
