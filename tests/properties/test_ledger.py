"""Planted offenders: for each law that the ledger keeps, a stream of events that breaks it, and is objected to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from engine.schema import EVENT, LAST, SELF_MATCH, TRADE, UNCROSS, CommandKind, EventKind, Reason
from tests.flow_mix import STYLES
from tests.properties.pair import Rows, Script
from tests.properties.test_laws import ROOMY, informed, record

Bend = Callable[[Rows, int], Rows]


def changed(field: str, by: int, layout: np.dtype[np.void] = EVENT) -> Bend:
    """Add to one field of an event."""

    def bend(events: Rows, at: int) -> Rows:
        events.view(layout)[field][at] += by
        return events

    return bend


def flipped(flag: int) -> Bend:
    def bend(events: Rows, at: int) -> Rows:
        events["flags"][at] ^= flag
        return events

    return bend


def left_out(events: Rows, at: int) -> Rows:
    """Take out one event; the others of its command close up."""
    same = events["seq"] == events["seq"][at]
    events["index"][same & (events["index"] > events["index"][at])] -= 1
    if events["flags"][at] & LAST:
        events["flags"][at - 1] |= LAST
    return np.delete(events, at)


def cut_short(events: Rows, at: int) -> Rows:
    """Take out an event and all that its command said behind it."""
    events["flags"][at - 1] |= LAST
    return np.delete(events, (events["seq"] == events["seq"][at]) & (events["index"] >= events["index"][at]))


def is_a(kind: EventKind, flags: int = 0, **fields: int) -> Callable[[Rows], Any]:
    """Which events are of a kind, with at least these flags and exactly these fields."""

    def where(events: Rows) -> Any:
        found = (events["kind"] == kind) & (events["flags"] & flags == flags)
        for name, value in fields.items():
            found &= events[name] == value
        return found

    return where


OF_TICKS = {"op": int(CommandKind.CLOCK_TICK)}
OFFENDERS: dict[str, tuple[Callable[[Rows], Any], Bend, str | None]] = {
    "a trade of one lot more": (is_a(EventKind.TRADE), changed("qty", 1), "R47|R55"),
    "a trade at another price": (is_a(EventKind.TRADE), changed("price", 1), "R22|R55"),
    "a trade with another order": (is_a(EventKind.TRADE), changed("resting_order_id", -1, TRADE), None),
    "a trade id left out": (is_a(EventKind.TRADE), changed("trade_id", 1, TRADE), "R22"),
    "leaves that are not those": (is_a(EventKind.TRADE), changed("leaves_qty", 1), None),
    "a trade kept quiet": (is_a(EventKind.TRADE), left_out, None),
    "an iceberg that shows too much": (is_a(EventKind.ORDER_REFRESHED), changed("delta_qty", 1), "R47"),
    "an iceberg that does not come again": (is_a(EventKind.ORDER_REFRESHED), left_out, "R47|done"),
    "an uncross at another price": (is_a(EventKind.TRADE, UNCROSS), changed("price", 1), "R55"),
    "an uncross that ends too soon": (is_a(EventKind.TRADE, UNCROSS), cut_short, "R55|done"),
    "an auction that trades what was not told": (is_a(EventKind.AUCTION_UNCROSSED), changed("qty", 1), "R54|R52"),
    "an auction of another step": (is_a(EventKind.AUCTION_UNCROSSED), changed("reason", 1), "R54|R52"),
    "a call that tells nothing": (is_a(EventKind.AUCTION_INDICATIVE), left_out, "R53"),
    "a call that tells a wrong surplus": (is_a(EventKind.AUCTION_INDICATIVE, side=1), changed("leaves_qty", 1), "R53"),
    "a self-match untold": (is_a(EventKind.TRADE, UNCROSS), flipped(SELF_MATCH), "R55"),
    "a stop that is not elected": (is_a(EventKind.ORDER_TRIGGERED), cut_short, "R60|R61"),
    "a stop that nothing reached": (is_a(EventKind.ORDER_TRIGGERED, side=1), changed("old_price", 1), "stop price"),
    "an order that outlives its call": (is_a(EventKind.ORDER_CANCELED, reason=Reason.AUCTION), left_out, "R56|R24"),
    "a gtd order past its time": (is_a(EventKind.ORDER_EXPIRED, time_in_force=5, **OF_TICKS), left_out, "R49"),
    "an order that expires too soon": (is_a(EventKind.ORDER_EXPIRED, **OF_TICKS), changed("order_id", 1), None),
    "a market_to_limit at another price": (
        is_a(EventKind.ORDER_ACTIVATED, ord_type=1),
        changed("price", 1),
        "R46|R56|",
    ),
    "an order kept aside that never joins": (is_a(EventKind.ORDER_ACTIVATED, time_in_force=7), left_out, None),
    "a priority lost in secret": (is_a(EventKind.ORDER_AMENDED, 4), flipped(4), "R31"),
    "a canceled order too many": (is_a(EventKind.MASS_CANCELED), changed("qty", 1), "count"),
    "a prevention of no self-match": (is_a(EventKind.ORDER_PREVENTED), changed("smp", 5, TRADE), None),
    "a step that is not in the table": (is_a(EventKind.PHASE_CHANGED, phase=3), changed("phase", 7), None),
    "a phase before that was not": (is_a(EventKind.PHASE_CHANGED), changed("reason", 1), "phase before"),
    "time that runs backwards": (is_a(EventKind.ORDER_ACCEPTED), changed("time", -(1 << 40)), "R1"),
}


@pytest.fixture(scope="module")
def streams() -> list[tuple[Script, Rows]]:
    """Recorded runs that between them hold every kind of event."""
    return [record(seed, 1500, limits=ROOMY, p_damage=0.0) for seed in range(300, 300 + 3 * len(STYLES))]


@pytest.mark.parametrize("offender", OFFENDERS)
def test_the_ledger_objects(offender: str, streams: list[tuple[Script, Rows]]) -> None:
    """A law that nothing can break proves nothing: each bent stream is noticed, wherever it is bent."""
    where, bend, message = OFFENDERS[offender]
    tried = 0
    for script, events in streams:
        places = np.flatnonzero(where(events))
        for at in [*places[:1], *places[20:21]]:
            with pytest.raises((AssertionError, KeyError), match=message):
                ledger = informed(script)
                ledger.feed(bend(events.copy(), at))
                ledger.audit()
            tried += 1
        if tried > 5:
            return
    assert tried, "no stream holds such an event"


def test_an_unequal_position_is_noticed() -> None:
    """The audit at the end can fail."""
    script, events = record(300, 600)
    ledger = informed(script)
    ledger.feed(events)
    filled = next(order for order in ledger.orders.values() if order.cum)
    filled.brought += 1
    with pytest.raises(AssertionError, match="positions"):
        ledger.audit()
    filled.brought -= 1
    filled.off += 1
    with pytest.raises(AssertionError):
        ledger.audit()
