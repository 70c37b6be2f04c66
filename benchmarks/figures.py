"""How figures are written in the pages of the benches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def number(value: float) -> str:
    """Write a figure with three significant digits.

    >>> number(1234567), number(12.345), number(0.1234)
    ('1,234,567', '12.3', '0.123')
    """
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def spread(figures: dict[str, float]) -> str:
    """Write a median with its interval."""
    return f"{number(figures['median'])} [{number(figures['low'])}–{number(figures['high'])}]"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table; the first column is text, the others figures."""
    lines = ["| " + " | ".join(heads) + " |", "|---" + "|--:" * (len(heads) - 1) + "|"]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows), ""]
