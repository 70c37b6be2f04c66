"""What became of every order today: a fold over EVENT rows, and the private reports made from it.

Floor 3.  The fold sees durable events only (offline: those of the line before), in order, and nothing else; the one
rebuilt from the log at a start equals the one that ran.  It keeps live orders and today's ended ones, forgets at
`day.opened`, and never decides anything: the core has decided.
"""

from __future__ import annotations

import heapq
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from msgspec import UNSET

from engine.schema import (
    HAS_EXPIRE,
    HAS_STOP,
    INACTIVE,
    SELF_MATCH,
    UNCROSS,
    EventKind,
    OrdStatus,
    OrdType,
    Reason,
    Side,
    Smp,
    TimeInForce,
    word,
)
from gateway.codec import AnyEvent, Event, TwoSided, event_to_json
from gateway.directory import Directory
from gateway.events import PRICED, STOPS

__all__ = ["Order", "Reports", "answer_to_json", "exec_to_json", "is_plain", "lone_messages", "order_to_json"]

_ACCEPTED: Final = int(EventKind.ORDER_ACCEPTED)
_RESTORED: Final = int(EventKind.ORDER_RESTORED)
_AMENDED: Final = int(EventKind.ORDER_AMENDED)
_CANCELED: Final = int(EventKind.ORDER_CANCELED)
_EXPIRED: Final = int(EventKind.ORDER_EXPIRED)
_TRADE: Final = int(EventKind.TRADE)
_PREVENTED: Final = int(EventKind.ORDER_PREVENTED)
_REJECTED: Final = int(EventKind.ORDER_REJECTED)
_TRIGGERED: Final = int(EventKind.ORDER_TRIGGERED)
_ACTIVATED: Final = int(EventKind.ORDER_ACTIVATED)
_REFRESHED: Final = int(EventKind.ORDER_REFRESHED)
_SUSPENDED: Final = int(EventKind.ORDER_SUSPENDED)
_DAY_OPENED: Final = int(EventKind.DAY_OPENED)
_LIMIT, _MARKET, _STOP = int(OrdType.LIMIT), int(OrdType.MARKET), int(OrdType.STOP)
_GTD: Final = int(TimeInForce.GTD)
_NUL: Final = b"\0"
_DECREMENT: Final = int(Smp.DECREMENT)
_NEW, _PARTIAL, _FILLED = int(OrdStatus.NEW), int(OrdStatus.PARTIALLY_FILLED), int(OrdStatus.FILLED)
_STATUS_WORDS: Final = {int(status): word(status) for status in OrdStatus}
_SIDE_WORDS: Final = {int(side): word(side) for side in Side}
_TYPE_WORDS: Final = {int(kind): word(kind) for kind in OrdType}
_TIF_WORDS: Final = {int(tif): word(tif) for tif in TimeInForce}
_REASON_WORDS: Final = {int(reason): word(reason) for reason in Reason}
_EXEC_WORDS: Final = {
    _ACCEPTED: "accepted",
    _RESTORED: "restored",
    _AMENDED: "amended",
    _CANCELED: "canceled",
    _EXPIRED: "expired",
    _TRADE: "trade",
    _PREVENTED: "prevented",
    _TRIGGERED: "triggered",
    _ACTIVATED: "activated",
    _REFRESHED: "refreshed",
    _SUSPENDED: "suspended",
}
_TOLD_BESIDE: Final = (
    "reason", "canceled_qty", "expired_qty", "priority", "smp", "qty", "stop_price", "display_qty", "shown_qty",
)  # fmt: skip


class Order:
    """One order as its owner sees it; quantities in lots, prices in ticks, times in ns, status an OrdStatus.

    `inactive`: it is not in the book, being a stop that waits, an order for the closing call or a suspended one.
    `ord_type` is what it is now: a stop that has been elected is a market or limit order.
    """

    __slots__ = (
        "account", "cl_ord_id", "cum_qty", "display_qty", "expire_time", "inactive", "instrument", "leaves_qty",
        "ord_type", "order_id", "order_qty", "price", "side", "status", "stop_price", "time_in_force",
    )  # fmt: skip

    def __init__(self, event: Event) -> None:
        self.account = event.account
        self.instrument = event.instrument
        self.order_id = event.order_id
        self.side = event.side
        self.ord_type = event.ord_type
        self.time_in_force = event.time_in_force
        self.cl_ord_id = event.cl_ord_id
        self.stop_price = event.old_price  # of a stop
        self.display_qty = event.delta_qty  # 0: all of it shows
        self.expire_time = 0
        self.set(event)

    def set(self, event: Event) -> None:
        """Take price and quantities from an event that states them all."""
        self.price = event.price
        self.order_qty = event.qty
        self.leaves_qty = event.leaves_qty
        self.cum_qty = event.cum_qty
        self.status = _PARTIAL if event.cum_qty else _NEW
        self.inactive = event.flags & INACTIVE != 0


class Reports:
    """The orders of the trading day by account, id and client id."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._orders: dict[int, Order] = {}
        self._by_client_id: dict[int, dict[str, Order]] = {}
        self._live: dict[int, dict[int, Order]] = {}
        self._expiries: list[tuple[int, int]] = []  # a heap of (ns, order_id); outdated entries are passed over

    def learn(self, event: AnyEvent, commands: npt.NDArray[np.void] | None = None) -> tuple[Order | None, Order | None]:
        """Fold one event; return the orders it is about, as they stand after it: its own, and a trade's resting one.

        `commands` are the block's COMMAND rows: an expire time, and the new stop price of an amend, stand there only.
        """
        kind = event.kind
        if type(event) is TwoSided:
            own, other = self._orders[event.order_id], self._orders[event.resting_order_id]
            if kind == _TRADE:
                self._fill(own, event.leaves_qty, event.cum_qty)
                self._fill(other, event.resting_leaves_qty, other.cum_qty + event.qty)
            elif event.smp == _DECREMENT:
                for order, leaves in ((own, event.leaves_qty), (other, event.resting_leaves_qty)):
                    order.leaves_qty = leaves
                    order.order_qty = order.cum_qty + leaves
            return own, other
        assert isinstance(event, Event), "a row is one-sided or two-sided"
        if kind in (_ACCEPTED, _RESTORED):
            own = self._orders[event.order_id] = Order(event)
            account = event.account
            if account not in self._live:
                self._live[account] = {}
                self._by_client_id[account] = {}
            self._by_client_id[account][own.cl_ord_id] = own
            self._live[account][own.order_id] = own
            if own.time_in_force == _GTD and commands is not None:
                self._expire_at(own, _command(commands, event))
            return own, None
        if kind in (_CANCELED, _EXPIRED):
            own = self._orders[event.order_id]
            own.set(event)
            own.status = int(OrdStatus.CANCELED if kind == _CANCELED else OrdStatus.EXPIRED)
            own.inactive = False
            del self._live[own.account][own.order_id]
            return own, None
        if kind == _AMENDED:
            own = self._orders[event.order_id]
            own.set(event)
            own.cl_ord_id = event.cl_ord_id
            self._by_client_id[own.account][event.cl_ord_id] = own
            if commands is not None and (own.ord_type in STOPS or own.time_in_force == _GTD):
                command = _command(commands, event)
                if command["flags"] & HAS_STOP:
                    own.stop_price = int(command["stop_price"])
                if command["flags"] & HAS_EXPIRE:
                    self._expire_at(own, command)
            return own, None
        if kind in (_TRIGGERED, _ACTIVATED, _REFRESHED, _SUSPENDED):
            own = self._orders[event.order_id]
            own.set(event)
            own.ord_type = event.ord_type
            if kind == _TRIGGERED:
                own.ord_type = _MARKET if event.ord_type == _STOP else _LIMIT
            return own, None
        if kind == _DAY_OPENED:
            self._clear()
        return None, None

    def _fill(self, order: Order, leaves_qty: int, cum_qty: int) -> None:
        order.leaves_qty = leaves_qty
        order.cum_qty = cum_qty
        if leaves_qty:
            order.status = _PARTIAL
        else:
            order.status = _FILLED
            del self._live[order.account][order.order_id]

    def _expire_at(self, order: Order, command: Any) -> None:
        order.expire_time = int(command["expire_time"])
        heapq.heappush(self._expiries, (order.expire_time, order.order_id))

    def next_expiry(self) -> int | None:
        """When the next live gtd order expires, in ns; None without one."""
        while self._expiries:
            due, order_id = self._expiries[0]
            order = self._orders.get(order_id)
            if order is not None and order.expire_time == due and order_id in self._live[order.account]:
                return due
            heapq.heappop(self._expiries)
        return None

    def find(self, account: int, name: Any) -> Order | None:
        """The account's own order that a request names by its cl_ord_id or order_id (live or ended today)."""
        if name.cl_ord_id is not UNSET:
            return self._by_client_id.get(account, {}).get(name.cl_ord_id)
        order = self._orders.get(name.order_id)
        return order if order is not None and order.account == account else None

    def instrument(self, account: int, name: Any) -> int:
        """The instrument of the order that an amend names, whoever owns it if named by order_id; 0 if there is none."""
        if name.cl_ord_id is not UNSET:
            order = self._by_client_id.get(account, {}).get(name.cl_ord_id)
        else:
            order = self._orders.get(name.order_id)
        return 0 if order is None else order.instrument

    def live(self, account: int) -> list[Order]:
        """The account's live orders by rising order_id."""
        return [order for _, order in sorted(self._live.get(account, {}).items())]


def _command(commands: npt.NDArray[np.void], event: AnyEvent) -> Any:
    return commands[event.seq - int(commands[0]["seq"])]


def order_to_json(order: Order, directory: Directory) -> dict[str, Any]:
    """An order's state, as the answer to order.status gives it."""
    out: dict[str, Any] = {
        "account": directory.account(order.account),
        "symbol": directory.symbol(order.instrument),
        "order_id": order.order_id,
        "cl_ord_id": order.cl_ord_id,
        "status": _STATUS_WORDS[order.status],
        "side": _SIDE_WORDS[order.side],
        "ord_type": _TYPE_WORDS[order.ord_type],
        "time_in_force": _TIF_WORDS[order.time_in_force],
        "order_qty": order.order_qty,
        "leaves_qty": order.leaves_qty,
        "cum_qty": order.cum_qty,
    }
    if order.ord_type in PRICED or order.price:
        out["price"] = directory.price_text(order.instrument, order.price)
    if order.ord_type in STOPS:
        out["stop_price"] = directory.price_text(order.instrument, order.stop_price)
    if order.display_qty:
        out["display_qty"] = order.display_qty
    if order.expire_time:
        out["expire_time"] = order.expire_time // 1000
    if order.inactive:
        out["inactive"] = True
    return out


def exec_to_json(event: AnyEvent, order: Order, directory: Directory) -> dict[str, Any]:
    """The private report of an event to the account of one of its orders, whose state after it `order` is."""
    kind = event.kind
    out: dict[str, Any] = {
        "ev": "exec",
        "exec_id": f"{event.seq}.{event.i}",
        "seq": event.seq,
        "i": event.i,
        "exec": _EXEC_WORDS[kind],
        "account": directory.account_names[order.account],
        "symbol": directory.symbol(order.instrument),
        "side": _SIDE_WORDS[order.side],
        "ord_type": _TYPE_WORDS[order.ord_type],
        "time_in_force": _TIF_WORDS[order.time_in_force],
        "order_id": order.order_id,
        "cl_ord_id": order.cl_ord_id,
        "status": _STATUS_WORDS[order.status],
        "order_qty": order.order_qty,
        "leaves_qty": order.leaves_qty,
        "cum_qty": order.cum_qty,
        "ts": event.time // 1000,
    }
    if order.ord_type in PRICED or order.price:
        out["price"] = directory.price_text(order.instrument, order.price)
    if order.ord_type in STOPS:
        out["stop_price"] = directory.price_text(order.instrument, order.stop_price)
    if order.inactive:
        out["inactive"] = True
    if type(event) is TwoSided and kind == _TRADE:
        out["last_px"] = directory.price_text(event.instrument, event.price)
        out["last_qty"] = event.qty
        out["trade_id"] = event.trade_id
        fee = event.fee if order.order_id == event.order_id else event.resting_fee
        if fee:
            out["fee"] = fee
        if event.flags & UNCROSS:
            out["auction"] = True
            if event.flags & SELF_MATCH:
                out["self_match"] = True
        else:
            out["aggressor"] = order.order_id == event.order_id
    elif kind != _ACCEPTED or not is_plain(event):
        told = event_to_json(event, directory)
        for key in _TOLD_BESIDE:
            if key in told:
                out["last_qty" if key == "qty" else key] = told[key]
    return out


def is_plain(event: AnyEvent) -> bool:
    """Whether an accepted or canceled row has nothing in it that `lone_messages` does not write out."""
    return (
        type(event) is Event
        and not event.flags & INACTIVE
        and event.time_in_force != _GTD
        and not (event.kind == _ACCEPTED and event.delta_qty)
    )


def lone_messages(event: Event, request_id: int, directory: Directory) -> tuple[bytes, bytes]:
    """The answer to a plain order that was accepted or canceled and caused nothing else, and its report, encoded.

    Most of what an idle venue says is these two, so they are written out; a test holds them to answer_to_json and
    exec_to_json.  No text in them needs escaping: names and client ids have none of the characters that do.
    """
    (
        seq, time, i, number, account, kind, _, _, _, _, side, ord_type, time_in_force, reason, _, order_id, price, qty,
        leaves_qty, cum_qty, padded_id, delta_qty, _,
    ) = event  # fmt: skip
    instrument = directory.instruments[number]
    assert instrument is not None, "an order is of an instrument"
    limit = f'"price":"{directory.price_text(number, price)}",' if ord_type == _LIMIT or price else ""
    if kind == _ACCEPTED:
        ended, status, said = "", "new", "accepted"
    else:
        ended = f'"reason":"{_REASON_WORDS[reason]}","canceled_qty":{delta_qty},'
        status = said = "canceled"
    body = (
        f'"seq":{seq},"i":{i},"account":"{directory.account_names[account]}","symbol":"{instrument.symbol}",'
        f'"order_id":{order_id},"cl_ord_id":"{padded_id.rstrip(_NUL).decode()}","side":"{_SIDE_WORDS[side]}",'
        f'"ord_type":"{_TYPE_WORDS[ord_type]}","time_in_force":"{_TIF_WORDS[time_in_force]}",{limit}'
        f'"order_qty":{qty},"leaves_qty":{leaves_qty},"cum_qty":{cum_qty},{ended}"status":"{status}",'
        f'"ts":{time // 1000}}}'
    )
    return (
        f'{{"id":{request_id},"ok":true,"ev":"order.{said}",{body}'.encode(),
        f'{{"ev":"exec","exec_id":"{seq}.{i}","exec":"{said}",{body}'.encode(),
    )


def answer_to_json(event: AnyEvent, request_id: int, directory: Directory) -> dict[str, Any]:
    """The answer to the request whose command's event this is (the first, of a mass cancel the last)."""
    out = event_to_json(event, directory)
    if event.kind == _REJECTED:
        return {"id": request_id, "ok": False, **out, "fate": "not_done"}
    if event.kind in (_ACCEPTED, _AMENDED):
        out["status"] = _STATUS_WORDS[_PARTIAL if event.cum_qty else _NEW]
    elif event.kind == _CANCELED:
        out["status"] = _STATUS_WORDS[int(OrdStatus.CANCELED)]
    return {"id": request_id, "ok": True, **out}
