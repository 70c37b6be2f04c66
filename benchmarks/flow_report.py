"""What came out of one file of order flow: agreement with the exchange, every difference, and the commands it took."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from benchmarks.flow_venue import Fill

DIFFERENCES_KEPT: Final = 10_000

# Whom a fill hit: the file's own order id, or None for whoever stands in an aggregate.
NamedFill = tuple[int | None, int, int]


@dataclass
class Report:
    """Agreement of one file.  An aggressive event or a book is either exactly the exchange's or counted as different.

    An event is `decisive` if an order that the file names stood at a price which the event reached: then another
    priority could have come out otherwise.  The other events meet nothing but what the file does not tell apart.
    """

    name: str
    form: str
    messages: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    events: int = 0
    events_exact: int = 0
    decisive: int = 0
    decisive_exact: int = 0
    fills: int = 0
    fills_exact: int = 0
    books: int = 0
    books_equal: int = 0
    levels_taken_over: int = 0
    levels_entered_again: int = 0
    differences: list[str] = field(default_factory=list)
    differences_not_kept: int = 0

    def leave_out(self, why: str) -> None:
        """Count a message that becomes no command."""
        self.left_out[why] = self.left_out.get(why, 0) + 1

    def event(self, where: str, expected: list[NamedFill], got: list[NamedFill], *, decisive: bool) -> bool:
        """Count one aggressive event; whether its fills are exactly the exchange's."""
        exact = expected == got
        self.events += 1
        self.events_exact += exact
        self.decisive += decisive
        self.decisive_exact += decisive and exact
        self.fills += len(expected)
        self.fills_exact += sum(a == b for a, b in zip(expected, got, strict=False))
        if not exact:
            self.differ(f"{where}: exchange filled {_fills(expected)}, we {_fills(got)}")
        return exact

    def book(self, where: str, wrong: list[str]) -> None:
        """Count one compared book; `wrong` says where it is not the file's."""
        self.books += 1
        self.books_equal += not wrong
        if wrong:
            self.differ(f"{where}: book: {'; '.join(wrong)}")

    def differ(self, text: str) -> None:
        """Note a difference."""
        if len(self.differences) < DIFFERENCES_KEPT:
            self.differences.append(text)
        else:
            self.differences_not_kept += 1

    def figures(self) -> dict[str, Any]:
        """The counts, without the differences."""
        return {name: value for name, value in vars(self).items() if not name.startswith("differences")}


def merge(fills: list[NamedFill]) -> list[NamedFill]:
    """Join neighbours that hit the same order (or aggregate) at the same price.

    >>> merge([(None, 7, 1), (None, 7, 2), (5, 7, 1)])
    [(None, 7, 3), (5, 7, 1)]
    """
    merged: list[NamedFill] = []
    for order, price, qty in fills:
        if merged and merged[-1][:2] == (order, price):
            qty += merged.pop()[2]
        merged.append((order, price, qty))
    return merged


def named(fills: list[Fill], names: dict[int, int]) -> list[NamedFill]:
    """Say fills in the file's order ids; an order that the file does not name is None."""
    return merge([(names.get(fill.resting_order_id), fill.price, fill.qty) for fill in fills])


def _fills(fills: list[NamedFill]) -> str:
    texts = (f"{qty} of {'older' if order is None else order} at {price}" for order, price, qty in fills)
    return ", ".join(texts) or "nothing"
