"""What the ledger writes down: orders, and where each of them is, in plain lists.

An order is incoming (or has ended), in the book, among the waiting stops, kept aside for the closing call, or
suspended. Nothing is judged here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.phases import PHASES, Mode
from engine.schema import TRADE, EventKind, OrdStatus, OrdType, Phase, Side, Smp, TimeInForce
from tests.properties.ledger_asked import Asked, Told, auction

Event = dict[str, Any]
Queues = dict[tuple[int, int], dict[int, list[int]]]
BUY, SELL = int(Side.BUY), int(Side.SELL)
AN_ORDERS_END = (EventKind.ORDER_CANCELED, EventKind.ORDER_EXPIRED)
OF_BOTH_SIDES = (EventKind.TRADE, EventKind.ORDER_PREVENTED)
OF_AUCTIONS = (EventKind.AUCTION_INDICATIVE, EventKind.AUCTION_UNCROSSED)
STOPS = (OrdType.STOP, OrdType.STOP_LIMIT)
UNPRICED = (OrdType.MARKET, OrdType.MARKET_TO_LIMIT)
LASTING = (TimeInForce.GTC, TimeInForce.GTD)
OUTSIDE = ("stops", "aside", "suspended")  # who is not in the book, and INACTIVE
OF_A_CALL = (TimeInForce.AT_OPEN, TimeInForce.AT_CLOSE)
UNKNOWN_STOP = 1 << 62  # the stop price of an amended stop whose command nobody showed


@dataclass
class Order:
    """One order as its events tell it. placed = filled + open + canceled + decremented, always."""

    order_id: int
    account: int
    instrument: int
    side: int
    price: int
    ord_type: int
    time_in_force: int
    placed: int
    leaves: int
    cum: int = 0
    display: int = 0
    stop_price: int = 0
    shown: int = 0
    off: int = 0
    decremented: int = 0
    came_with: int = 0  # the seq of the command that placed or restored it
    expire_time: int | None = None
    brought: int = 0  # what a restored order had filled on earlier days
    where: str = "incoming"
    status: OrdStatus = OrdStatus.NEW

    @property
    def order_qty(self) -> int:
        return self.placed - self.decremented

    @property
    def live(self) -> bool:
        return self.status in (OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED)


@dataclass
class Places:
    """All orders, their queues, and the state of the instruments; `asked` learns of the commands before the events."""

    asked: Asked = field(default_factory=Asked)
    orders: dict[int, Order] = field(default_factory=dict)
    queues: Queues = field(default_factory=dict)
    stops: Queues = field(default_factory=dict)
    aside: dict[int, list[int]] = field(default_factory=dict)
    suspended: dict[int, list[int]] = field(default_factory=dict)
    limits: dict[int, tuple[int, int]] = field(default_factory=dict)  # daily limits (R67), once they were set
    phases: dict[int, Phase] = field(default_factory=dict)
    last: dict[int, tuple[int, int]] = field(default_factory=dict)  # the day's last trade: its id, its price (R64)
    close_prices: dict[int, int] = field(default_factory=dict)
    told: dict[int, Told] = field(default_factory=dict)
    time: int = 0

    def audit(self) -> None:
        """At the end: of every instrument as many lots were bought as sold, and no lot was lost or found."""
        net: dict[int, int] = {}
        for order in self.orders.values():
            assert order.placed == order.cum + order.leaves + order.off + order.decremented, order
            lots = order.cum - order.brought
            net[order.instrument] = net.get(order.instrument, 0) + (lots if order.side == BUY else -lots)
        assert not any(net.values()), f"what one buys another sells, and the positions are {net}"

    def book(self, instrument: int) -> dict[str, Any]:
        """The rebuilt book, in the shape that `engine.dump.book` gives."""
        sides = {}
        for name, side, best_first in (("bids", BUY, True), ("asks", SELL, False)):
            levels = self.queues.get((instrument, side), {})
            sides[name] = [
                (price, sum(self.orders[i].leaves for i in queue), [(i, self.orders[i].leaves) for i in queue])
                for price, queue in sorted(levels.items(), reverse=best_first)
            ]
        return sides

    def _auction(self, instrument: int) -> Told | None:
        sides = []
        for side in (BUY, SELL):
            levels = self.queues.get((instrument, side), {})
            sides.append(
                {
                    price: (
                        sum(self.orders[i].leaves for i in queue),
                        any(self.orders[i].ord_type == OrdType.LIMIT for i in queue),
                    )
                    for price, queue in levels.items()
                }
            )
        return auction(sides[0], sides[1], self._reference(instrument), self._daily(instrument))

    def _reference(self, instrument: int) -> int | None:
        """R64; None if nobody knows."""
        last = self.last.get(instrument)
        return last[1] if last else self.asked.references.get(instrument)

    def _daily(self, instrument: int) -> tuple[int, int] | None:
        """The daily limits (R67); None if nobody knows."""
        listed = self.asked.listed.get(instrument)
        return self.limits.get(instrument, None if listed is None else (listed.low, listed.high))

    def _self_match(self, incoming: Order, resting: Order) -> bool | None:
        """R27: whether the incoming order's instruction keeps two orders apart; None (nearly no) if nobody knows."""
        ids = [self.asked.self_match_id(order.came_with, order.account) for order in (incoming, resting)]
        if None in ids:
            return None
        return ids[0] == ids[1] and self.asked.instruction(incoming.came_with) != Smp.NONE

    def _phase(self, event: Event) -> Phase:
        phase = self.phases.get(event["instrument"], Phase.CLOSED)
        assert event["phase"] == phase, f"the event is of phase {phase.name}"
        return phase

    def _mode(self, instrument: int) -> Mode:
        return PHASES[self.phases.get(instrument, Phase.CLOSED)].mode

    def _is_due(self, order: Order) -> bool:
        gtd = order.time_in_force == TimeInForce.GTD and order.expire_time is not None
        return gtd and order.expire_time is not None and order.expire_time <= self.time

    @staticmethod
    def _outlives_day(order: Order) -> bool:
        return order.time_in_force in LASTING and order.ord_type not in UNPRICED

    def _reached(self, instrument: int, side: int, low: int, high: int) -> list[int]:
        """Waiting stops of a side that trades from `low` to `high` reach, in the order of election (R61)."""
        queues = self.stops.get((instrument, side), {})
        prices = [p for p in queues if p != UNKNOWN_STOP and (p <= high if side == BUY else p >= low)]
        return [i for price in sorted(prices, reverse=side == SELL) for i in queues[price]]

    def _best(self, instrument: int, side: int) -> int | None:
        levels = self.queues.get((instrument, side))
        if not levels:
            return None
        return max(levels) if side == BUY else min(levels)

    def _in_book(self, instrument: int, side: int) -> list[int]:
        return [i for queue in self.queues.get((instrument, side), {}).values() for i in queue]

    def _join(self, order: Order) -> None:
        levels = self.queues.setdefault((order.instrument, order.side), {})
        levels.setdefault(order.price, []).append(order.order_id)
        order.where, order.shown = "book", min(order.display, order.leaves)

    def _wait(self, order: Order) -> None:
        queues = self.stops.setdefault((order.instrument, order.side), {})
        queues.setdefault(order.stop_price, []).append(order.order_id)
        order.where = "stops"

    def _keep_out(self, order: Order, where: str) -> None:
        """Put an order behind all who are kept aside, or suspended."""
        kept = self.aside if where == "aside" else self.suspended
        kept.setdefault(order.instrument, []).append(order.order_id)
        order.where = where

    def _leave(self, order: Order) -> None:
        where, order.where = order.where, "incoming"
        if where in ("aside", "suspended"):
            kept = self.aside if where == "aside" else self.suspended
            kept[order.instrument].remove(order.order_id)
        elif where in ("book", "stops"):
            queues, price = (self.queues, order.price) if where == "book" else (self.stops, order.stop_price)
            levels = queues[order.instrument, order.side]
            levels[price].remove(order.order_id)
            if not levels[price]:
                del levels[price]


def events_of(rows: npt.NDArray[np.void]) -> Iterator[Event]:
    """Read EVENT rows, those that name both sides of a trade as such."""
    both = rows.view(TRADE)
    for at, kind in enumerate(rows["kind"].tolist()):
        row = both[at] if kind in OF_BOTH_SIDES else rows[at]
        yield dict(zip(row.dtype.names, row.item(), strict=True))


def told_by(event: Event) -> Told:
    """What an auction event says."""
    surplus = event["leaves_qty"] if event["side"] == BUY else -event["leaves_qty"]
    assert (event["side"] == 0) == (surplus == 0), "a surplus has a side"
    return Told(event["price"], event["qty"], surplus, event["reason"])
