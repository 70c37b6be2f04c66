"""The readable matcher's things: a command, an order, a side of a book, an instrument, an account.

Plain objects with names of the trade; `engine/reference.py` moves them by the rules.  Imports the schema and the
readings of acts.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from sortedcontainers import SortedDict

from engine.reference_acts import AccountTerms, InstrumentTerms
from engine.schema import (
    COMMAND,
    MAX_FAR_LEVELS,
    PHASE_PERMITS,
    OrdStatus,
    OrdType,
    Phase,
    Side,
    Smp,
    TimeInForce,
)

__all__ = ["Account", "BookSide", "Command", "Instrument", "Order", "SelfMatchId"]


class Command(NamedTuple):
    """One COMMAND row as Python values."""

    kind: int
    side: int
    ord_type: int
    time_in_force: int
    smp: int
    flags: int
    reserved: int
    instrument: int
    smp_id: int
    price: int
    order_qty: int
    cl_ord_id: bytes
    target_lo: int
    target_hi: int
    stop_price: int
    display_qty: int
    min_qty: int
    expire_time: int
    seq: int
    time: int
    account: int
    client_session: int

    @property
    def new_cl_ord_id(self) -> bytes:
        """The id that an amend gives its order: cl_ord_id, unless that only names the order (R7)."""
        return self.cl_ord_id if self.target_lo or self.target_hi else b""


assert Command._fields == COMMAND.names


# R27: ("smp_id", member, smp_id), or ("owner", owner, 0) for an order without one; the two kinds never meet.
SelfMatchId = tuple[str, str, int]


@dataclass(slots=True, eq=False)
class Order:
    """An order, live or ended.  Prices in ticks, quantities in lots; a market order without opposite has price 0."""

    order_id: int
    account: int
    instrument: Instrument
    side: Side
    ord_type: OrdType
    time_in_force: TimeInForce
    price: int
    order_qty: int
    leaves_qty: int
    cum_qty: int
    cl_ord_id: bytes
    smp: Smp
    smp_id: int
    post_only: bool
    client_session: int
    self_match: SelfMatchId
    ended: OrdStatus | None = None
    rests: bool = False

    def reaches(self, price: int) -> bool:
        """R23: whether its limit allows a trade at `price`."""
        return price <= self.price if self.side == Side.BUY else price >= self.price

    @property
    def status(self) -> OrdStatus:
        """What a trader is told about it."""
        if self.ended is not None:
            return self.ended
        return OrdStatus.PARTIALLY_FILLED if self.cum_qty else OrdStatus.NEW


Level = OrderedDict[int, Order]


class BookSide:
    """The resting orders of one side: price to level, each level's orders in the order in which they joined it."""

    def __init__(self, side: Side, terms: InstrumentTerms) -> None:
        self.side = side
        self.terms = terms
        self.levels: SortedDict[int, Level] = SortedDict()
        self.far_levels = 0

    def best(self) -> int | None:
        """R20: the highest buy, the lowest sell."""
        if not self.levels:
            return None
        price: int = self.levels.peekitem(-1 if self.side == Side.BUY else 0)[0]
        return price

    def reached_by(self, price: int) -> bool:
        """Whether an opposite order at `price` would trade with the best order here (R23)."""
        best = self.best()
        return best is not None and (price >= best if self.side == Side.SELL else price <= best)

    def first(self) -> Order:
        """R20, R21: the order that trades next; there must be one."""
        level: Level = self.levels.peekitem(-1 if self.side == Side.BUY else 0)[1]
        return next(iter(level.values()))

    def best_first(self) -> Iterator[Order]:
        """All orders, best price first and each level's oldest first (R20, R21)."""
        for price in self._prices():
            yield from self.levels[price].values()

    def _prices(self) -> Iterator[int]:
        return reversed(self.levels) if self.side == Side.BUY else iter(self.levels)

    def picture(self) -> list[tuple[int, int, list[tuple[int, int]]]]:
        """Per level, best first: price, lots, and (order_id, leaves_qty) of each order in queue order."""
        queues = [
            (p, [(order.order_id, order.leaves_qty) for order in self.levels[p].values()]) for p in self._prices()
        ]
        return [(price, sum(leaves for _, leaves in queue), queue) for price, queue in queues]

    def add(self, order: Order) -> None:
        """R21, R23: join the level last."""
        level = self.levels.get(order.price)
        if level is None:
            level = self.levels[order.price] = OrderedDict()
            self.far_levels += self.terms.is_far(order.price)
        level[order.order_id] = order
        order.rests = True

    def remove(self, order: Order) -> None:
        """Take an order out; a level goes with its last order."""
        level = self.levels[order.price]
        del level[order.order_id]
        if not level:
            del self.levels[order.price]
            self.far_levels -= self.terms.is_far(order.price)
        order.rests = False

    def has_no_room_at(self, price: int) -> bool:
        """R15: a far price that would need one level more than there may be."""
        return self.far_levels >= MAX_FAR_LEVELS and self.terms.is_far(price) and price not in self.levels


class Instrument:
    """An instrument: its number, terms, phase and book."""

    def __init__(self, number: int, terms: InstrumentTerms) -> None:
        self.number = number
        self.terms = terms
        self.phase = Phase.CLOSED
        self.sides = {side: BookSide(side, terms) for side in Side}

    def against(self, side: Side) -> BookSide:
        """The orders with which an order of `side` may trade."""
        return self.sides[Side.SELL if side == Side.BUY else Side.BUY]

    @property
    def may_enter(self) -> bool:
        """R9: whether the phase takes orders and amends."""
        return PHASE_PERMITS[self.phase][0]

    @property
    def may_cancel(self) -> bool:
        """R9: whether the phase takes cancels."""
        return PHASE_PERMITS[self.phase][1]

    @property
    def matches(self) -> bool:
        """R9: whether the phase matches."""
        return PHASE_PERMITS[self.phase][2]


@dataclass(slots=True)
class Account:
    """An account with its number (R41) and its live orders."""

    number: int
    terms: AccountTerms
    live: dict[int, Order] = field(default_factory=dict)
