"""The readable matcher's world: what a venue holds, and how its EVENT rows are written.

Owns the state, the section 'What the event rows hold' of the rule book, and the pictures of the state that can be
compared with the compiled core's (`dump`, `book`).  Decides nothing.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from engine.phases import Mode
from engine.reference_book import LASTING, Account, Command, Cross, Instrument, Order, Where
from engine.reference_ladder import find_cross
from engine.schema import (
    CODE_RULE,
    DUP,
    EVENT,
    INACTIVE,
    LAST,
    MAX_STOP_LEVELS,
    POST_ONLY,
    TRADE,
    Code,
    CommandKind,
    EventKind,
    Limits,
    OrdType,
    Phase,
    Side,
    TimeInForce,
    cl_ord_id_key,
    word,
)

__all__ = ["DEFAULT_LIMITS", "World"]

DEFAULT_LIMITS: Final = Limits()
_IN_CLOSING_CALL: Final = (Phase.PRE_CLOSE, Phase.CLOSE_NO_CANCEL)
_OF_ONE_CALL: Final = (TimeInForce.AT_OPEN, TimeInForce.AT_CLOSE)
_BLANK: Final[tuple[Any, ...]] = tuple(np.zeros((), EVENT).item())


class World:
    """Everything a venue knows.  `limits` are its sizes (R15, R40, R41)."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self.limits = limits
        self.seq = 0
        self.time = 0
        self.trading_day = ""
        self.is_margined = False  # R44, R73
        self.next_trade_id = 1
        self.instruments: list[Instrument] = []
        self.symbols: dict[str, Instrument] = {}
        self.accounts: list[Account] = []
        self.names: dict[str, Account] = {}
        self.live: dict[int, Order] = {}
        # R6: who consumed which client id today, by account; ended orders stay, so that a repeat is answered.
        self.day_ids: dict[tuple[int, bytes], Order] = {}
        # R7: the same by key, brought up to date when somebody names an order so (folding an id in Python is slow).
        self._keys: dict[tuple[int, int, int], Order] = {}
        self._unkeyed: list[tuple[int, bytes, Order]] = []
        self._commands = 0  # how many have come (R44)
        self._restating = False  # R44: between day.open and day.start
        self._restored = 0
        self._command: Command
        self._subject: Order | None = None  # the order that the present cancel or amend is about
        self._touched: set[int] = set()  # R53: the instruments whose orders the present command changed
        self._traded: tuple[int, int] | None = None  # R61: the lowest and highest price traded in the present command
        self._rows: list[tuple[Any, ...]] = []
        self._trades: list[tuple[int, tuple[Any, ...]]] = []
        self._lasts: list[int] = []
        self._first_row = 0

    def _begin(self, command: Command) -> None:
        """R1: the next command, in a time that never runs backwards."""
        self._commands += 1
        self._command = command
        self._subject = None
        self._touched.clear()
        self._traded = None
        self._first_row = len(self._rows)
        self.seq = command.seq
        self.time = max(self.time, command.time)

    # --- looking things up -------------------------------------------------------------------------------------

    def _account(self, number: int) -> Account | None:
        return self.accounts[number - 1] if 1 <= number <= len(self.accounts) else None

    def _instrument(self, number: int) -> Instrument | None:
        return self.instruments[number - 1] if 1 <= number <= len(self.instruments) else None

    def _owner_of_id(self, account: int, cl_ord_id: bytes) -> Order | None:
        """R6: the order that consumed a client id today."""
        return self.day_ids.get((account, cl_ord_id))

    def _consume_id(self, order: Order) -> None:
        """R6: the id that an order bears belongs to it for the rest of the day."""
        self.day_ids[(order.account, order.cl_ord_id)] = order
        self._unkeyed.append((order.account, order.cl_ord_id, order))

    def _owner_of_key(self, account: int, low: int, high: int) -> Order | None:
        """R7: the order whose client id of today has this key; of several ids with one key, the first (R6)."""
        for holder, cl_ord_id, order in self._unkeyed:
            self._keys.setdefault((holder, *cl_ord_id_key(cl_ord_id)), order)
        self._unkeyed.clear()
        return self._keys.get((account, low, high))

    def _found(self) -> Order:
        assert self._subject is not None, "the gates found the order"
        return self._subject

    # --- events ------------------------------------------------------------------------------------------------

    def _event(
        self,
        kind: EventKind,
        *,
        instrument: int = 0,
        account: int = 0,
        phase: int = 0,
        code: Code = Code.OK,
        flags: int = 0,
        side: int = 0,
        ord_type: int = 0,
        time_in_force: int = 0,
        reason: int = 0,
        order_id: int = 0,
        price: int = 0,
        qty: int = 0,
        leaves_qty: int = 0,
        cum_qty: int = 0,
        cl_ord_id: bytes = b"",
        delta_qty: int = 0,
        old_price: int = 0,
    ) -> None:
        """Write one EVENT row; every field not named is 0."""
        self._rows.append(
            (
                *self._head(kind, instrument, account, phase, code),
                *(flags, side, ord_type, time_in_force, reason, self._command.kind, order_id),
                *(price, qty, leaves_qty, cum_qty, cl_ord_id, delta_qty, old_price),
            )
        )

    def _head(self, kind: EventKind, instrument: int, account: int, phase: int, code: Code) -> tuple[int, ...]:
        rule = CODE_RULE[code] if code else 0
        index = len(self._rows) - self._first_row
        return self.seq, self.time, index, instrument, account, kind, phase, code, rule

    def _order_event(self, kind: EventKind, order: Order, **fields: Any) -> None:
        """An event about one order, its own fields as they are now."""
        self._touched.add(order.instrument.number)
        self._event(
            kind,
            instrument=order.instrument.number,
            account=order.account,
            phase=order.instrument.phase,
            side=order.side,
            ord_type=order.ord_type,
            time_in_force=order.time_in_force,
            order_id=order.order_id,
            price=order.price,
            qty=order.order_qty,
            leaves_qty=order.leaves_qty,
            cum_qty=order.cum_qty,
            **fields,
        )

    def _trade_event(
        self,
        kind: EventKind,
        order: Order,
        resting: Order,
        qty: int,
        *,
        price: int,
        flags: int = 0,
        trade_id: int = 0,
        smp: int = 0,
        fees: tuple[int, int] = (0, 0),
        leavers: tuple[Order, ...] = (),
    ) -> None:
        """A row that names both sides; `leavers` are about to be canceled, so nothing of them is open any more."""
        self._touched.add(order.instrument.number)
        leaves_qty = 0 if order in leavers else order.leaves_qty
        resting_leaves_qty = 0 if resting in leavers else resting.leaves_qty
        row = (
            *self._head(kind, order.instrument.number, order.account, order.instrument.phase, Code.OK),
            *(flags, order.side, order.ord_type, order.time_in_force, 0, self._command.kind, order.order_id),
            *(price, qty, leaves_qty, order.cum_qty, trade_id, resting.order_id, resting.account, smp),
            *(resting_leaves_qty, *fees),
        )
        self._trades.append((len(self._rows), row))
        self._rows.append(_BLANK)

    def _auction_event(self, kind: EventKind, instrument: Instrument, cross: Cross) -> None:
        """R53, R54: what the auction would trade, or is about to."""
        side = 0
        if cross.surplus:
            side = Side.BUY if cross.surplus > 0 else Side.SELL
        self._event(
            kind,
            instrument=instrument.number,
            phase=instrument.phase,
            side=side,
            reason=cross.step,
            price=cross.price,
            qty=cross.volume,
            leaves_qty=abs(cross.surplus),
        )

    def _reject(self, command: Command, code: Code) -> None:
        """A refusal; it repeats what the request said."""
        found = self._subject
        of_order = command.kind in (CommandKind.ORDER_PLACE, CommandKind.ORDER_RESTORE)
        number = found.instrument.number if found is not None else 0
        if of_order or command.kind == CommandKind.ORDER_MASS_CANCEL:
            number = command.instrument
        instrument = self._instrument(number)
        self._event(
            EventKind.ORDER_REJECTED,
            instrument=number,
            account=command.account,
            phase=instrument.phase if instrument else 0,
            code=code,
            side=command.side,
            ord_type=command.ord_type if of_order else 0,
            time_in_force=command.time_in_force if of_order else 0,
            order_id=found.order_id if found is not None else 0,
            price=command.price,
            qty=command.order_qty,
            cl_ord_id=command.cl_ord_id,
        )

    def _answer_duplicate(self, command: Command) -> None:
        """R6: tell the state of the order that consumed the repeated id."""
        order = self._owner_of_id(command.account, command.cl_ord_id)
        assert order is not None, "an id is a duplicate of something"
        ended = order.ended is not None
        self._event(
            EventKind.ORDER_STATUS,
            instrument=order.instrument.number,
            account=order.account,
            phase=order.instrument.phase,
            code=Code.DUPLICATE,
            flags=DUP | (INACTIVE if order.is_inactive else 0),
            side=0 if ended else order.side,
            ord_type=0 if ended else order.ord_type,
            time_in_force=0 if ended else order.time_in_force,
            reason=order.status,
            order_id=order.order_id,
            price=0 if ended else order.price,
            qty=order.order_qty,
            leaves_qty=order.leaves_qty,
            cum_qty=order.cum_qty,
            cl_ord_id=command.cl_ord_id,
        )

    def _written(self) -> npt.NDArray[np.void]:
        """The rows of a block as EVENT records, each command's last one marked."""
        events = np.array(self._rows, EVENT)
        if self._trades:
            places, rows = zip(*self._trades, strict=True)
            events.view(TRADE)[list(places)] = np.array(list(rows), TRADE)
        events["flags"][self._lasts] |= LAST
        return events

    # --- pictures of the world ---------------------------------------------------------------------------------

    def dump(self) -> dict[str, Any]:
        """The canonical picture of the world, of plain values; equal to the core's for equal worlds."""
        return {
            "trading_day": self.trading_day,
            "margined": int(self.is_margined),
            "seq": self.seq,
            "time": self.time,
            "next_trade_id": self.next_trade_id,
            "instruments": [
                {
                    **instrument.said,
                    "phase": word(instrument.phase),
                    "override": int(instrument.is_overridden),
                    "last_price": instrument.last_price,
                    "close_price": instrument.close_price,
                    "controls": dict(instrument.controls.said),
                    "limits": instrument.limits.picture(),
                }
                for instrument in self.instruments
            ],
            "accounts": [
                {**account.terms.picture(), "balance": account.balance, "checked": int(account.is_checked)}
                for account in self.accounts
            ],
            "orders": [self._picture(order) for instrument in self.instruments for order in _orders_of(instrument)],
        }

    def _picture(self, order: Order) -> dict[str, Any]:
        return {
            "order_id": order.order_id,
            "account": self.accounts[order.account - 1].terms.account,
            "symbol": order.instrument.terms.symbol,
            "side": word(order.side),
            "ord_type": word(order.ord_type),
            "price": order.price,
            "stop_price": order.stop_price,
            "order_qty": order.order_qty,
            "leaves_qty": order.leaves_qty,
            "cum_qty": order.cum_qty,
            "display_qty": order.display_qty,
            "shown_qty": order.would_show(),
            "cl_ord_id": order.cl_ord_id.decode(),
            "time_in_force": word(order.time_in_force),
            "expire_time": order.expire_time,
            "smp": word(order.smp),
            "smp_id": order.smp_id,
            "flags": POST_ONLY if order.post_only else 0,
            "client_session": order.client_session,
            "inactive": int(order.is_inactive),
        }

    def book(self, instrument: int) -> dict[str, Any]:
        """An instrument's book: per side (price in ticks, lots, [(order_id, leaves_qty), …]), best price first."""
        sides = self.instruments[instrument - 1].sides
        return {"bids": sides[Side.BUY].picture(), "asks": sides[Side.SELL].picture()}

    def indicative(self, instrument: int) -> Cross:
        """R52 now, in any phase: (price, volume, surplus with + for buys, AuctionStep)."""
        return find_cross(self.instruments[instrument - 1])

    def check(self) -> None:
        """Assert the invariants of the state."""
        placed: list[Order] = []
        for instrument in self.instruments:
            _check_book(instrument)
            _check_waiting(instrument)
            _check_phase(instrument)
            placed += _orders_of(instrument)
        assert len(placed) == len(self.live), "every live order is in one place only"
        assert {order.order_id: order for order in placed} == self.live, "what is live is somewhere, and the reverse"
        of_accounts = [(account.number, order) for account in self.accounts for order in account.live.values()]
        assert len(of_accounts) == len(self.live), "every order belongs to one account"
        assert all(order.account == number for number, order in of_accounts)
        for order in self.live.values():
            _check_order(order)
            assert self._owner_of_id(order.account, order.cl_ord_id) is order, "its client id names it"
        assert len(self.live) <= self.limits.orders and len(self.day_ids) <= self.limits.day_ids


def _orders_of(instrument: Instrument) -> list[Order]:
    """All live orders of an instrument, in the order of the dump."""
    return [
        *(order for side in Side for order in instrument.sides[side].best_first()),
        *(order for side in Side for order in instrument.stops[side].in_turn()),
        *instrument.aside.values(),
    ]


def _check_book(instrument: Instrument) -> None:
    for side in instrument.sides.values():
        assert side.far_levels == sum(instrument.terms.is_far(price) for price in side.levels)
        for price, level in side.levels.items():
            assert level, "a level has orders"
            for order_id, order in level.items():
                assert order_id == order.order_id, "ids lead to their orders"
                assert order.instrument is instrument and order.side == side.side and order.where == Where.BOOK
                assert order.price == price, "an order lies at its price"
                assert not order.is_stop, "stops do not rest"
                assert not order.is_unpriced or price == instrument.edge(order.side), "an unpriced order is at its edge"
                assert instrument.limits.admit(price), "nothing in the book lies outside the daily limits"


def _check_waiting(instrument: Instrument) -> None:
    for stops in instrument.stops.values():
        assert len(stops.queues) <= MAX_STOP_LEVELS
        for stop_price, queue in stops.queues.items():
            assert queue, "a stop price has stops"
            for order_id, order in queue.items():
                assert order_id == order.order_id, "ids lead to their orders"
                assert order.instrument is instrument and order.side == stops.side and order.where == Where.STOPS
                assert order.is_stop and order.stop_price == stop_price, "a stop waits at its stop price"
                assert not instrument.elects_at_once(order.side, stop_price), "no stop waits that is reached"
    for order_id, order in instrument.aside.items():
        assert order_id == order.order_id, "ids lead to their orders"
        assert order.instrument is instrument
        if order.where == Where.SUSPENDED:
            assert order.ord_type == OrdType.LIMIT and order.time_in_force in LASTING, "only these are suspended"
            assert not instrument.limits.admit(order.price), "a suspended order lies outside the daily limits"
        else:
            assert order.where == Where.ASIDE and order.time_in_force == TimeInForce.AT_CLOSE, "only these wait here"
            assert instrument.phase not in _IN_CLOSING_CALL, "in the closing call none is kept aside"


def _check_phase(instrument: Instrument) -> None:
    """What the phase says of the orders (R9, R43, R53, R56, R64, R69)."""
    in_book = [order for side in instrument.sides.values() for order in side.best_first()]
    if instrument.matches:
        bid, ask = instrument.sides[Side.BUY].best(), instrument.sides[Side.SELL].best()
        assert bid is None or ask is None or bid < ask, "no book is crossed where orders trade"
        assert not any(order.is_unpriced or order.time_in_force in _OF_ONE_CALL for order in in_book), (
            "what is for a call only is gone"
        )
    if instrument.mode == Mode.CALL:
        assert instrument.told == find_cross(instrument), "in a call everybody knows what would trade"
    if instrument.phase != Phase.VOLATILITY_AUCTION:
        assert instrument.trigger.pulled is None and not instrument.trigger.extensions, "a trigger begins one call"
    if instrument.phase == Phase.CLOSED:
        assert not instrument.is_overridden and instrument.last_price is None and instrument.close_price is None
        assert not any(window.slices for window in instrument.trigger.windows), "no window outlives its day"
        assert all(order.where == Where.SUSPENDED for order in instrument.aside.values())
        assert all(order.time_in_force in LASTING and not order.is_unpriced for order in _orders_of(instrument))


def _check_order(order: Order) -> None:
    assert order.ended is None
    assert order.leaves_qty > 0 and order.cum_qty >= 0, "a live order has lots open"
    assert order.order_qty == order.cum_qty + order.leaves_qty, "lots are conserved"
    assert order.time_in_force not in (TimeInForce.IOC, TimeInForce.FOK), "these end at once"
    assert (order.time_in_force == TimeInForce.GTD) == (order.expire_time != 0), "a date is what makes it gtd"
    assert order.is_stop == (order.where == Where.STOPS)
    assert order.is_stop or order.stop_price == 0
    if order.display_qty and order.where == Where.BOOK:
        assert 1 <= order.shown_qty <= min(order.display_qty, order.leaves_qty), "an iceberg shows some of its lots"
    else:
        assert order.shown_qty == 0, "nobody else shows a part"
