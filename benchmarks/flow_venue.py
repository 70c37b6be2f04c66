"""One instrument on a matcher, for order flow that comes from files: commands out, events back, a book from the events.

Knows nothing of the matcher but its commands and events.  Every live order has an account of its own (an account is
used again once its order has ended), so self-match prevention never speaks.  The book that is compared with the data
is folded from the events, as any reader of the venue would fold it; `check_book` compares that fold with the matcher's
own, queue for queue.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from sortedcontainers import SortedDict

from engine.schema import (
    COMMAND,
    HAS_PRICE,
    HAS_QTY,
    MAX_ORDER_QTY,
    TRADE,
    CommandKind,
    EventKind,
    Limits,
    OrdType,
    Side,
    Tick,
    TimeInForce,
)

Rows = npt.NDArray[np.void]
ACCOUNTS_PER_BLOCK: Final = 1024
ACCOUNTS_MAX: Final = 30 * ACCOUNTS_PER_BLOCK
WINDOW_TICKS: Final = 1 << 16
INSTRUMENT: Final = 1


class Matcher(Protocol):
    """What both matchers give: blocks of COMMAND rows in, EVENT rows and books out."""

    def run_block(self, commands: Rows, payload: bytes = b"") -> Rows: ...

    def book(self, instrument: int) -> dict[str, Any]: ...


class CompiledMatcher:
    """The compiled core behind its one door, `engine.apply`."""

    def __init__(self, limits: Limits) -> None:
        from engine import apply, dump

        self._run_block, self._book = apply.run_block, dump.book
        self.state = apply.new_state(limits)

    def run_block(self, commands: Rows, payload: bytes = b"") -> Rows:
        events: Rows = self._run_block(self.state, commands, payload)
        return events

    def book(self, instrument: int) -> dict[str, Any]:
        book: dict[str, Any] = self._book(self.state, instrument)
        return book


class Terms(NamedTuple):
    """What an instrument needs to take a file's prices: ticks of `tick`, all between `low` and `high`."""

    symbol: str
    tick: str
    low: int
    high: int
    reference: int

    def payload(self) -> bytes:
        """The canonical JSON of `instrument.define` (R40)."""
        tick = Tick.parse(self.tick)
        terms = {
            "symbol": self.symbol,
            "ccy": "USD",
            "unit": "share",
            "contract_size": 1,
            "tick": self.tick,
            "min_price": tick.text(self.low),
            "max_price": tick.text(self.high),
            "max_order_qty": MAX_ORDER_QTY,
            "reference_price": tick.text(self.reference),
            "window_ticks": min(self.high - self.low + 1, WINDOW_TICKS),
        }
        return json.dumps(terms, sort_keys=True, separators=(",", ":")).encode()


class Fill(NamedTuple):
    """One trade of an aggressive order."""

    resting_order_id: int
    price: int
    qty: int


class Level:
    """The resting orders of one price in queue order, and the sum of their open quantities."""

    __slots__ = ("orders", "qty")

    def __init__(self) -> None:
        self.orders: dict[int, int] = {}
        self.qty = 0


def limits_for(messages: int) -> Limits:
    """Sizes of a venue that takes one file of `messages` messages."""
    orders = 1 << max(16, (2 * messages).bit_length())
    return Limits(instruments=4, accounts=ACCOUNTS_MAX, orders=orders, levels=1 << 18, day_ids=2 * orders)


class Venue:
    """Sends commands to a matcher one at a time and keeps the book which its events tell.

    A trade is booked in two steps: `aggress` gives the fills, `settle` takes them off the folded book lot by lot, so
    that the book can be compared with the data in the middle of a sweep.
    """

    def __init__(self, matcher: Matcher, terms: Terms) -> None:
        self.matcher = matcher
        self.terms = terms
        self.sides: dict[int, SortedDict] = {Side.BUY: SortedDict(), Side.SELL: SortedDict()}
        self.where: dict[int, tuple[int, int]] = {}  # order_id → side, price
        self.refusals = 0
        self.book_checks = 0
        self.commands: list[Rows] = []  # one row each
        self.acts: list[tuple[int, Rows, bytes]] = []  # how many commands went before, rows, payload
        self.digest = hashlib.sha256()
        self._totals: dict[int, int] = {}  # order_id → order_qty
        self._account_of: dict[int, int] = {}
        self._unsettled: deque[list[int]] = deque()
        self._seq = 1
        self._time = 0
        self._accounts = 0
        self._free: deque[int] = deque()
        self._act((CommandKind.INSTRUMENT_DEFINE, terms.payload()))
        phase = {"phase": "continuous", "symbol": terms.symbol}
        self._act((CommandKind.PHASE_SET, json.dumps(phase, sort_keys=True, separators=(",", ":")).encode()))

    # --- commands ---------------------------------------------------------------------------------

    def at(self, time_ns: int) -> None:
        """Set the time of the commands to come."""
        self._time = time_ns

    def rest(self, side: int, price: int, qty: int) -> int:
        """Place a day limit order under a new account; its order_id.  What trades at once is settled at once."""
        order_id = self._place(side, price, qty, TimeInForce.DAY)
        while self._unsettled:
            self.settle(self._unsettled[0][2])
        return order_id

    def aggress(self, side: int, price: int, qty: int) -> list[Fill]:
        """Place an IOC limit order under a new account; its fills in the order of the trades, still to be settled."""
        self._place(side, price, qty, TimeInForce.IOC)
        return [Fill(*fill) for fill in self._unsettled]

    def settle(self, qty: int) -> None:
        """Take the next `qty` traded lots off the folded book."""
        while qty and self._unsettled:
            fill = self._unsettled[0]
            lots = min(qty, fill[2])
            self._shrink(fill[0], lots)
            qty -= lots
            fill[2] -= lots
            if not fill[2]:
                self._unsettled.popleft()

    def settle_all(self) -> None:
        """Take what is left of the fills off the folded book."""
        while self._unsettled:
            self.settle(self._unsettled[0][2])

    def cancel(self, order_id: int) -> None:
        """Cancel a resting order."""
        self._send(CommandKind.ORDER_CANCEL, order_id)

    def reduce(self, order_id: int, lots: int) -> None:
        """Take `lots` off a resting order, which keeps its place (R31); cancel it if nothing would be left."""
        if lots >= self.leaves(order_id):
            self.cancel(order_id)
        else:
            self._send(CommandKind.ORDER_AMEND, order_id, self._totals[order_id] - lots)

    def clear_level(self, side: int, price: int) -> None:
        """Cancel every order of one price."""
        for order_id in list(self.queue(side, price)):
            self.cancel(order_id)

    # --- the folded book --------------------------------------------------------------------------

    def queue(self, side: int, price: int) -> dict[int, int]:
        """order_id → open quantity of one level, first in the queue first; empty if there is no such level."""
        level = self.sides[side].get(price)
        return level.orders if level else {}

    def leaves(self, order_id: int) -> int:
        """The open quantity of an order; 0 if it does not rest."""
        place = self.where.get(order_id)
        return self.queue(*place)[order_id] if place else 0

    def qty(self, side: int, price: int) -> int:
        """The open quantity of one level."""
        level = self.sides[side].get(price)
        return level.qty if level else 0

    def levels(self, side: int) -> Iterator[tuple[int, int]]:
        """(price, quantity) of every level of a side, best first."""
        book = self.sides[side]
        for price in reversed(book) if side == Side.BUY else iter(book):
            yield price, book[price].qty

    def depth(self, side: int, levels: int) -> list[tuple[int, int, int]]:
        """(price, quantity, number of orders) of the best levels of a side, best first."""
        return [(price, qty, len(self.queue(side, price))) for price, qty in islice(self.levels(side), levels)]

    def check_book(self) -> None:
        """Assert that the folded book is the matcher's own, every order in its place in its queue."""
        told = self.matcher.book(INSTRUMENT)
        for side, name in ((Side.BUY, "bids"), (Side.SELL, "asks")):
            folded = [(p, qty, list(self.queue(side, p).items())) for p, qty in self.levels(side)]
            own = [(p, qty, [(int(a), int(b)) for a, b in orders]) for p, qty, orders in told[name]]
            assert folded == own, f"the {name} that the events tell are not those of the matcher's book"
        self.book_checks += 1

    # --- inside -----------------------------------------------------------------------------------

    def _place(self, side: int, price: int, qty: int, time_in_force: TimeInForce) -> int:
        assert not self._unsettled, "the fills of an order are settled before the next command"
        account = self._account()
        row = self._row(CommandKind.ORDER_PLACE, account)
        row["side"], row["price"], row["order_qty"] = side, price, qty
        row["ord_type"], row["time_in_force"], row["flags"] = OrdType.LIMIT, time_in_force, HAS_PRICE
        row["instrument"], row["cl_ord_id"] = INSTRUMENT, b"%d" % self._seq
        order_id = self._seq
        self._account_of[order_id] = account
        self._run(row)
        if order_id not in self.where:
            self._free.append(self._account_of.pop(order_id))
        return order_id

    def _send(self, kind: CommandKind, order_id: int, order_qty: int = 0) -> None:
        row = self._row(kind, self._account_of[order_id])
        row["target_lo"] = order_id
        if order_qty:
            row["flags"], row["order_qty"] = HAS_QTY, order_qty
        self._run(row)

    def _row(self, kind: CommandKind, account: int) -> Rows:
        row = np.zeros(1, COMMAND)
        row["kind"], row["account"] = kind, account
        row["seq"], row["time"] = self._seq, self._time
        return row

    def _run(self, row: Rows) -> None:
        self._seq += 1
        self.commands.append(row)
        events = self.matcher.run_block(row)
        self.digest.update(events.tobytes())
        trades = events.view(TRADE)
        for place, kind in enumerate(events["kind"].tolist()):
            if kind == EventKind.TRADE:
                trade = trades[place]
                self._unsettled.append([int(trade["resting_order_id"]), int(trade["price"]), int(trade["qty"])])
            elif kind == EventKind.ORDER_REJECTED:
                self.refusals += 1
            else:
                self._fold(kind, events[place])
        # A limit order rests with what its own trades have left, so the fold waits for the last event.
        if row["kind"] == CommandKind.ORDER_PLACE and row["time_in_force"] == TimeInForce.DAY:
            self._join(events)

    def _fold(self, kind: int, event: np.void) -> None:
        order_id = int(event["order_id"])
        if kind == EventKind.ORDER_CANCELED and order_id in self.where:
            self._shrink(order_id, self.leaves(order_id))
        elif kind == EventKind.ORDER_AMENDED:
            self._totals[order_id] = int(event["qty"])
            self._shrink(order_id, self.leaves(order_id) - int(event["leaves_qty"]))

    def _join(self, events: Rows) -> None:
        if events[0]["kind"] != EventKind.ORDER_ACCEPTED:
            return
        order_id, side, price = (int(events[0][name]) for name in ("order_id", "side", "price"))
        leaves = int(events[-1]["leaves_qty"])  # of the acceptance, or of the last trade
        if not leaves:
            return
        level = self.sides[side].setdefault(price, Level())
        level.orders[order_id] = leaves
        level.qty += leaves
        self.where[order_id] = side, price
        self._totals[order_id] = int(events[0]["qty"])

    def _shrink(self, order_id: int, lots: int) -> None:
        side, price = self.where[order_id]
        level = self.sides[side][price]
        level.qty -= lots
        level.orders[order_id] -= lots
        if not level.orders[order_id]:
            del level.orders[order_id], self.where[order_id], self._totals[order_id]
            self._free.append(self._account_of.pop(order_id))
            if not level.orders:
                del self.sides[side][price]

    def _account(self) -> int:
        """The account longest without an order; beyond ACCOUNTS_MAX live orders they are shared in turn."""
        if not self._free and self._accounts < ACCOUNTS_MAX:
            numbers = range(self._accounts + 1, self._accounts + ACCOUNTS_PER_BLOCK + 1)
            texts = (b'{"account":"A%d","member":"M%d","owner":"O%d"}' % (n, n, n) for n in numbers)
            self._act(*((CommandKind.ACCOUNT_DEFINE, text) for text in texts))
            self._accounts += ACCOUNTS_PER_BLOCK
            self._free.extend(numbers)
        return self._free.popleft() if self._free else 1 + self._seq % self._accounts

    def _act(self, *acts: tuple[CommandKind, bytes]) -> None:
        rows = np.zeros(len(acts), COMMAND)
        rows["kind"] = [kind for kind, _ in acts]
        lengths = np.array([len(payload) for _, payload in acts])
        rows["target_lo"], rows["target_hi"] = np.cumsum(lengths) - lengths, lengths
        rows["seq"], rows["time"] = np.arange(self._seq, self._seq + len(acts)), self._time
        self._seq += len(acts)
        payload = b"".join(text for _, text in acts)
        events = self.matcher.run_block(rows, payload)
        assert EventKind.ACT_REJECTED not in events["kind"], "the venue takes its own definitions"
        self.digest.update(events.tobytes())
        self.acts.append((len(self.commands), rows, payload))
