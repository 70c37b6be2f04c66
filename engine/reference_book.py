"""The readable matcher's things: a command, an order, a side of a book, stops, an instrument, an account.

Plain objects with names of the trade; `engine/reference.py` moves them by the rules.  Imports the schema, the table of
phases and the readings of acts.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, NamedTuple

from sortedcontainers import SortedDict

from engine.phases import PHASES, Mode, Permit
from engine.reference_acts import AccountTerms, InstrumentTerms
from engine.reference_bounds import NO_BOUNDS, Bounds, Controls, DailyLimits, Trigger
from engine.reference_costs import Position
from engine.schema import (
    COMMAND,
    MAX_FAR_LEVELS,
    MAX_STOP_LEVELS,
    AuctionStep,
    OrdStatus,
    OrdType,
    Phase,
    Side,
    Smp,
    TimeInForce,
)

__all__ = [
    "LASTING",
    "NO_CROSS",
    "STOP_TYPES",
    "UNPRICED_TYPES",
    "Account",
    "BookSide",
    "Command",
    "Cross",
    "Instrument",
    "Order",
    "SelfMatchId",
    "StopSide",
    "Where",
]

STOP_TYPES: Final = (OrdType.STOP, OrdType.STOP_LIMIT)
UNPRICED_TYPES: Final = (OrdType.MARKET, OrdType.MARKET_TO_LIMIT)
LASTING: Final = (TimeInForce.GTC, TimeInForce.GTD)
_CLOSING_CALL: Final = (Phase.PRE_CLOSE, Phase.CLOSE_NO_CANCEL)


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


class Where(Enum):
    """Where a live order is.  Incoming is also what has ended."""

    INCOMING = "incoming"
    BOOK = "book"
    STOPS = "stops"
    ASIDE = "kept aside"
    SUSPENDED = "suspended"


class Cross(NamedTuple):
    """What R52 says of a book: price in ticks, volume in lots, surplus (positive: of buys), and the deciding step."""

    price: int
    volume: int
    surplus: int
    step: AuctionStep


NO_CROSS: Final = Cross(0, 0, 0, AuctionStep.NO_CROSS)


@dataclass(slots=True, eq=False)
class Order:
    """An order, live or ended.  Prices in ticks, quantities in lots.

    `price` is the limit; of an unpriced order the edge (R51) or the protection limit (R24), 0 without one; 0 of a
    stop that waits.  `display_qty` is 0 unless it is an iceberg (R47), `shown_qty` 0 unless it is one in the book,
    `stop_price` 0 unless it waits (R60), `expire_time` 0 unless it is gtd.
    """

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
    display_qty: int = 0
    shown_qty: int = 0
    stop_price: int = 0
    expire_time: int = 0
    ended: OrdStatus | None = None
    where: Where = Where.INCOMING

    def reaches(self, price: int) -> bool:
        """R23: whether its limit allows a trade at `price`."""
        return price <= self.price if self.side == Side.BUY else price >= self.price

    def may_trade_now(self) -> int:
        """R47: the lots with which it takes part in continuous: of an iceberg in the book those that it shows."""
        return self.shown_qty if self.display_qty else self.leaves_qty

    def would_show(self) -> int:
        """What an iceberg shows, or would on its return from suspension (R47, R67); 0 of any other order."""
        if self.where == Where.SUSPENDED:
            return min(self.display_qty, self.leaves_qty)
        return self.shown_qty

    @property
    def is_unpriced(self) -> bool:
        """R51: whether it has no price of its own."""
        return self.ord_type in UNPRICED_TYPES

    @property
    def is_stop(self) -> bool:
        """R60: whether it is a stop that has not been elected."""
        return self.ord_type in STOP_TYPES

    @property
    def is_inactive(self) -> bool:
        """R58, R60, R67: whether it is kept outside the book."""
        return self.where in (Where.STOPS, Where.ASIDE, Where.SUSPENDED)

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
        for price in self.prices():
            yield from self.levels[price].values()

    def prices(self) -> Iterator[int]:
        """The prices of the levels, best first."""
        return reversed(self.levels) if self.side == Side.BUY else iter(self.levels)

    def lots(self) -> dict[int, int]:
        """The open lots at each price (R52)."""
        return {price: sum(order.leaves_qty for order in level.values()) for price, level in self.levels.items()}

    def picture(self) -> list[tuple[int, int, list[tuple[int, int]]]]:
        """Per level, best first: price, lots, and (order_id, leaves_qty) of each order in queue order."""
        queues = [(p, [(order.order_id, order.leaves_qty) for order in self.levels[p].values()]) for p in self.prices()]
        return [(price, sum(leaves for _, leaves in queue), queue) for price, queue in queues]

    def add(self, order: Order) -> None:
        """R21, R23: join the level last; what an iceberg shows is set behind this."""
        level = self.levels.get(order.price)
        if level is None:
            level = self.levels[order.price] = OrderedDict()
            self.far_levels += self.terms.is_far(order.price)
        level[order.order_id] = order
        order.where = Where.BOOK

    def remove(self, order: Order) -> None:
        """Take an order out, which then shows nothing; a level goes with its last order."""
        level = self.levels[order.price]
        del level[order.order_id]
        if not level:
            del self.levels[order.price]
            self.far_levels -= self.terms.is_far(order.price)
        order.where = Where.INCOMING
        order.shown_qty = 0

    def refresh(self, order: Order) -> None:
        """R47: an iceberg whose shown lots are used up shows lots again, last in its level."""
        self.levels[order.price].move_to_end(order.order_id)
        order.shown_qty = min(order.display_qty, order.leaves_qty)

    def has_no_room_at(self, price: int) -> bool:
        """R15: a far price that would need one level more than there may be."""
        return self.far_levels >= MAX_FAR_LEVELS and self.terms.is_far(price) and price not in self.levels


class StopSide:
    """The waiting stops of one side: stop price to queue, each in the order in which they came to wait (R60)."""

    def __init__(self, side: Side) -> None:
        self.side = side
        self.queues: SortedDict[int, Level] = SortedDict()

    def add(self, order: Order) -> None:
        """Come to wait, last at the stop price."""
        self.queues.setdefault(order.stop_price, OrderedDict())[order.order_id] = order
        order.where = Where.STOPS

    def remove(self, order: Order) -> None:
        """Take a stop out; a queue goes with its last stop."""
        queue = self.queues[order.stop_price]
        del queue[order.order_id]
        if not queue:
            del self.queues[order.stop_price]
        order.where = Where.INCOMING

    def is_reached(self, stop_price: int, low: int, high: int) -> bool:
        """R60: whether trades between `low` and `high` elect a stop: a buy at or above, a sell at or below."""
        return high >= stop_price if self.side == Side.BUY else low <= stop_price

    def next_elected(self, low: int, high: int) -> Order | None:
        """R61: the stop which trades between `low` and `high` elect next: the nearest price, its first to wait."""
        for order in self.in_turn():
            return order if self.is_reached(order.stop_price, low, high) else None
        return None

    def in_turn(self) -> Iterator[Order]:
        """All stops in the order of election: buys by rising, sells by falling stop price (R61)."""
        for stop_price in self.queues if self.side == Side.BUY else reversed(self.queues):
            yield from self.queues[stop_price].values()

    def has_no_room_at(self, stop_price: int) -> bool:
        """R15: a stop price that would be one more than there may be."""
        return len(self.queues) >= MAX_STOP_LEVELS and stop_price not in self.queues


class Instrument:
    """An instrument: its terms, phase and book, what waits outside that, the prices of its day and their controls."""

    def __init__(self, number: int, terms: InstrumentTerms) -> None:
        self.number = number
        self.terms = terms
        self.phase = Phase.CLOSED
        self.is_overridden = False  # R65
        self.sides = {side: BookSide(side, terms) for side in Side}
        self.stops = {side: StopSide(side) for side in Side}
        self.aside: Level = OrderedDict()  # R58; and R67, the suspended orders
        self.told = NO_CROSS  # R53: what the last AUCTION_INDICATIVE of this call said
        self.last_price: int | None = None  # R64: the day's last trade
        self.last_trade_id = 0
        self.close_price: int | None = None  # R59
        self.controls = Controls()  # R66
        self.limits = DailyLimits(terms)  # R67
        self.trigger = Trigger(self.controls)  # R69
        # R64: the terms' reference price, and the terms as they are said, are the ones that change overnight.
        self.base_price = terms.reference_price
        self.said = dict(terms.said)

    def against(self, side: Side) -> BookSide:
        """The orders with which an order of `side` may trade."""
        return self.sides[Side.SELL if side == Side.BUY else Side.BUY]

    @property
    def mode(self) -> Mode:
        """R9: what the phase does with orders that could trade."""
        return PHASES[self.phase].mode

    @property
    def matches(self) -> bool:
        """R9: whether incoming orders trade at once."""
        return self.mode in (Mode.CONTINUOUS, Mode.AT_CLOSE)

    def permits(self, needed: Permit, time_in_force: int) -> bool:
        """R9: whether the phase has all the permits, for an order of this time in force."""
        permits = PHASES[self.phase].permits
        if permits & Permit.LASTING_ONLY and time_in_force not in LASTING:
            return False
        return permits & needed == needed

    def may_cancel(self, order: Order) -> bool:
        """R9, R33, R34: whether the phase lets this order be canceled."""
        return self.permits(Permit.CANCEL, order.time_in_force)

    def keeps_aside(self, time_in_force: int) -> bool:
        """R58: whether an order placed now waits outside the book for the closing call."""
        return time_in_force == TimeInForce.AT_CLOSE and self.phase not in _CLOSING_CALL

    def edge(self, side: int) -> int:
        """R51: the price at which an unpriced order ranks."""
        return self.limits.edge(side)

    def protection_limit(self, side: Side) -> int:
        """R24: how far an order without a price may go; 0, and nothing to trade with, without an opposite order."""
        best = self.against(side).best()
        if best is None:
            return 0
        ticks = self.terms.protection_ticks
        return self.limits.held(best + ticks if side == Side.BUY else best - ticks)

    def bounds(self, time: int) -> Bounds:
        """R69: within which an incoming order may trade now."""
        return self.trigger.bounds(time) if self.mode == Mode.CONTINUOUS else NO_BOUNDS

    @property
    def reference_price(self) -> int:
        """R64: the day's last trade, before one that of the terms."""
        return self.base_price if self.last_price is None else self.last_price

    def elects_at_once(self, side: Side, stop_price: int) -> bool:
        """R60: whether a stop placed or amended now need not wait."""
        if self.mode != Mode.CONTINUOUS or self.last_price is None:
            return False
        return self.stops[side].is_reached(stop_price, self.last_price, self.last_price)

    def keep_aside(self, order: Order) -> None:
        """R58: wait for the closing call, last of those that do."""
        self.aside[order.order_id] = order
        order.where = Where.ASIDE

    def suspend(self, order: Order) -> None:
        """R67: wait outside the book for limits that admit its price, last of those that wait."""
        self.aside[order.order_id] = order
        order.where = Where.SUSPENDED

    def take_out(self, order: Order) -> None:
        """Take an order from where it is."""
        match order.where:
            case Where.BOOK:
                self.sides[order.side].remove(order)
            case Where.STOPS:
                self.stops[order.side].remove(order)
            case Where.ASIDE | Where.SUSPENDED:
                del self.aside[order.order_id]
                order.where = Where.INCOMING

    def note_trade(self, trade_id: int, price: int, time: int) -> None:
        """R64, R69: the day's last trade."""
        self.last_trade_id, self.last_price = trade_id, price
        self.trigger.note(time, price)

    def find_locked_side(self) -> int:
        """R67: the side that waits at its limit and finds nobody to trade with; 0: none."""
        if not self.limits.step:
            return 0
        for side in Side:
            if self.sides[side].best() == self.limits.edge(side) and self.against(side).best() is None:
                return side
        return 0

    def end_day(self) -> None:
        """R59, R64, R65, R67, R69: what is forgotten, and what is kept, when it becomes closed."""
        self.limits.locked_side = self.find_locked_side()
        self.trigger.empty()
        if self.last_price is not None:
            self.base_price = self.last_price
            self.said["reference_price"] = self.terms.tick.text(self.last_price)
        self.last_price, self.last_trade_id, self.close_price = None, 0, None
        self.is_overridden = False


@dataclass(slots=True)
class Account:
    """An account with its number (R41), its live orders, its positions by number of instrument (R71) and its money."""

    number: int
    terms: AccountTerms
    live: dict[int, Order] = field(default_factory=dict)
    positions: defaultdict[int, Position] = field(default_factory=lambda: defaultdict(Position))
    balance: int = 0  # R73
    is_checked: bool = False  # R73
    margin: int = 0  # R74: the sum of what is held for its positions
