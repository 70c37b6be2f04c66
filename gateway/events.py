"""EVENT rows as Python numbers, and as the words of the wire.

Floor 3.  Knows `engine.schema` and `gateway.directory`.  Pure functions: what a row becomes depends on it and on the
names that the directory has.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from engine.schema import (
    CODE_TEXT,
    DUP,
    EVENT,
    EVENT_WORDS_JSON,
    INACTIVE,
    OP_WORDS,
    OVERRIDE,
    PRIORITY_KEPT,
    SELF_MATCH,
    UNCROSS,
    AuctionStep,
    Code,
    EventKind,
    OrdStatus,
    OrdType,
    Phase,
    Reason,
    Side,
    Smp,
    TimeInForce,
    word,
)
from gateway.directory import Directory

__all__ = [
    "PRICED", "STOPS", "AnyEvent", "Event", "TwoSided", "event_to_json", "put_auction", "read_event", "read_events",
]  # fmt: skip

_EVENT: Final = struct.Struct("<qqiiiBBHHBBBBBBqqqqq32sqq")
_TRADE: Final = struct.Struct("<qqiiiBBHHBBBBBBqqqqqqqiiqqq")
assert _EVENT.size == _TRADE.size == EVENT.itemsize

STOPS: Final = frozenset({int(OrdType.STOP), int(OrdType.STOP_LIMIT)})
PRICED: Final = frozenset({int(OrdType.LIMIT), int(OrdType.STOP_LIMIT)})
_NO_CROSS: Final = int(AuctionStep.NO_CROSS)
_TICK_SIZE: Final = int(Code.TICK_SIZE)


class Event(NamedTuple):
    """An EVENT row as Python numbers."""

    seq: int
    time: int
    i: int
    instrument: int
    account: int
    kind: int
    phase: int
    code: int
    rule: int
    flags: int
    side: int
    ord_type: int
    time_in_force: int
    reason: int
    op: int
    order_id: int
    price: int
    qty: int
    leaves_qty: int
    cum_qty: int
    padded_id: bytes
    delta_qty: int
    old_price: int

    @property
    def cl_ord_id(self) -> str:
        """The client order id as text, empty if the event has none."""
        return self.padded_id.rstrip(b"\0").decode("ascii", "replace")


class TwoSided(NamedTuple):
    """A TRADE or ORDER_PREVENTED row as Python numbers: the same head, and both orders."""

    seq: int
    time: int
    i: int
    instrument: int
    account: int
    kind: int
    phase: int
    code: int
    rule: int
    flags: int
    side: int
    ord_type: int
    time_in_force: int
    reason: int
    op: int
    order_id: int
    price: int
    qty: int
    leaves_qty: int
    cum_qty: int
    trade_id: int
    resting_order_id: int
    resting_account: int
    smp: int
    resting_leaves_qty: int
    fee: int
    resting_fee: int


AnyEvent = Event | TwoSided
_KIND_AT: Final = 28
_ROW_BYTES: Final = EVENT.itemsize
_TWO_SIDED: Final = frozenset({int(EventKind.TRADE), int(EventKind.ORDER_PREVENTED)})
_new: Final = tuple.__new__


def read_event(row: Any) -> AnyEvent:
    """Read one EVENT row, given as its 128 bytes or as a numpy record."""
    return _read(bytes(row) if isinstance(row, (bytes, bytearray, memoryview)) else row.tobytes(), 0)


def read_events(events: npt.NDArray[np.void]) -> list[AnyEvent]:
    """Read the EVENT rows of a block, in order."""
    raw = events.tobytes()
    return [_read(raw, at) for at in range(0, len(raw), _ROW_BYTES)]


def _read(raw: bytes, at: int) -> AnyEvent:
    if raw[at + _KIND_AT] in _TWO_SIDED:
        return _new(TwoSided, _TRADE.unpack_from(raw, at))
    return _new(Event, _EVENT.unpack_from(raw, at))


_CODES: Final = {int(code): code.name for code in Code}
_CODE_TEXTS: Final = {int(code): text for code, text in CODE_TEXT.items()}
_OPS: Final = {int(kind): name for name, kind in OP_WORDS.items()}
_EVS: Final = {int(kind): name for kind, name in EVENT_WORDS_JSON.items()}
_SIDES, _TYPES, _TIFS, _SMPS, _PHASES, _REASONS, _STATUSES, _STEPS = (
    {0: "", **{int(member): word(member) for member in kind}}
    for kind in (Side, OrdType, TimeInForce, Smp, Phase, Reason, OrdStatus, AuctionStep)
)
_BASES: Final = {1: "lot", 2: "bps"}
_SCOPES: Final = {1: "account", 2: "member", 3: "exchange"}


def event_to_json(row: Any, directory: Directory) -> dict[str, Any]:
    """One event in the words of DESIGN 10: what `cashew match` prints, and the body of a socket's answer.

    `row` is an Event, a TwoSided, a numpy record or 128 bytes.  Fields that the event does not have are left out.
    """
    event: AnyEvent = row if isinstance(row, (Event, TwoSided)) else read_event(row)
    out: dict[str, Any] = {"ev": _EVS[event.kind], "seq": event.seq, "i": event.i}
    if event.account > 0:
        out["account"] = directory.account(event.account)
    if event.instrument > 0:
        symbol = directory.symbol(event.instrument)
        if symbol:
            out["symbol"] = symbol
    _BODIES[event.kind](event, directory, out)
    out["ts"] = event.time // 1000
    return out


def _put_order(event: Any, directory: Directory, out: dict[str, Any]) -> None:
    if event.order_id:
        out["order_id"] = event.order_id
    client_id = event.padded_id.rstrip(b"\0")
    if client_id:
        out["cl_ord_id"] = client_id.decode("ascii", "replace")
    if event.side:
        out["side"] = _SIDES.get(event.side, "")
    if event.ord_type:
        out["ord_type"] = _TYPES.get(event.ord_type, "")
    if event.time_in_force:
        out["time_in_force"] = _TIFS.get(event.time_in_force, "")
    if (event.price or (event.ord_type in PRICED and event.code != _TICK_SIZE)) and "symbol" in out:
        out["price"] = directory.price_text(event.instrument, event.price)
    if event.flags & INACTIVE:
        out["inactive"] = True


def _put_live(event: Any, directory: Directory, out: dict[str, Any]) -> None:
    _put_order(event, directory, out)
    out["order_qty"] = event.qty
    out["leaves_qty"] = event.leaves_qty
    out["cum_qty"] = event.cum_qty


def _put_entered(event: Any, directory: Directory, out: dict[str, Any]) -> None:
    """Accepted, restored, triggered, activated: with the price at which a stop waits and what an iceberg displays."""
    _put_live(event, directory, out)
    if event.ord_type in STOPS:
        out["stop_price"] = directory.price_text(event.instrument, event.old_price)
    if event.delta_qty:
        out["display_qty"] = event.delta_qty


def _put_refreshed(event: Any, directory: Directory, out: dict[str, Any]) -> None:
    _put_live(event, directory, out)
    out["shown_qty"] = event.delta_qty


def _put_amended(event: Any, directory: Directory, out: dict[str, Any]) -> None:
    _put_live(event, directory, out)
    out["priority"] = "kept" if event.flags & PRIORITY_KEPT else "lost"
    if event.ord_type in PRICED or event.old_price:
        out["old_price"] = directory.price_text(event.instrument, event.old_price)
    out["old_leaves_qty"] = event.delta_qty


def _put_refusal(event: Any, directory: Directory, out: dict[str, Any]) -> None:
    _put_order(event, directory, out)
    if event.qty:
        out["order_qty"] = event.qty
    out["op"] = _OPS.get(event.op, "")
    out["code"] = _CODES[event.code]
    out["rule"] = f"R{event.rule}"
    out["text"] = _CODE_TEXTS[event.code]


def _put_ended(event: Any, directory: Directory, out: dict[str, Any]) -> None:
    _put_live(event, directory, out)
    if event.reason:
        out["reason"] = _REASONS[event.reason]
    out["canceled_qty" if event.kind == EventKind.ORDER_CANCELED else "expired_qty"] = event.delta_qty


def _put_status(event: Any, directory: Directory, out: dict[str, Any]) -> None:
    _put_live(event, directory, out)
    out["status"] = _STATUSES[event.reason]
    out["code"] = _CODES[event.code]
    out["rule"] = f"R{event.rule}"
    if event.flags & DUP:
        out["dup"] = True


def _put_trade(event: Any, directory: Directory, out: dict[str, Any]) -> None:
    if event.kind == EventKind.TRADE:
        out["trade_id"] = event.trade_id
        if event.fee or event.resting_fee:
            out["fee"] = event.fee
            out["resting_fee"] = event.resting_fee
    else:
        out["smp"] = _SMPS[event.smp]
    out["price"] = directory.price_text(event.instrument, event.price)
    out["qty"] = event.qty
    if event.flags & UNCROSS:
        out["auction"] = True
        if event.flags & SELF_MATCH:
            out["self_match"] = True
        out["buy_order_id"] = event.order_id
        out["sell_order_id"] = event.resting_order_id
    else:
        out["aggressor_side"] = _SIDES[event.side]
    out["resting_order_id"] = event.resting_order_id
    out["incoming_order_id"] = event.order_id
    out["resting_account"] = directory.account(event.resting_account)
    out["leaves_qty"] = event.leaves_qty
    out["resting_leaves_qty"] = event.resting_leaves_qty
    out["cum_qty"] = event.cum_qty


def _put_count(event: Any, _directory: Directory, out: dict[str, Any]) -> None:
    if event.side:
        out["side"] = _SIDES[event.side]
    out["count"] = event.qty


def _put_phase(event: Any, directory: Directory, out: dict[str, Any]) -> None:
    out["phase"] = _PHASES[event.phase]
    if event.reason:
        out["previous"] = _PHASES[event.reason]
    if event.qty:
        out["draw"] = event.qty
    if event.flags & OVERRIDE:
        out["override"] = True
    if event.side:
        out["locked"] = _SIDES[event.side]
    if event.order_id:
        out["last_trade_id"] = event.order_id
        out["last_price"] = directory.price_text(event.instrument, event.price)


def _put_limits(event: Any, directory: Directory, out: dict[str, Any]) -> None:
    out["phase"] = _PHASES[event.phase]
    out["low"] = directory.price_text(event.instrument, event.price)
    out["high"] = directory.price_text(event.instrument, event.old_price)
    out["settlement"] = directory.price_text(event.instrument, event.qty)
    out["step"] = event.reason
    if event.side:
        out["locked"] = _SIDES[event.side]


def _put_balance(event: Any, _directory: Directory, out: dict[str, Any]) -> None:
    out["balance"] = event.qty


def _put_said(event: Any, directory: Directory, out: dict[str, Any], *names: str) -> None:
    """What only the act itself says: whom it means, and by whom and why it was asked for."""
    terms = directory.said.get(event.seq, {})
    out.update({name: terms[name] for name in (*names, "by", "why") if name in terms})


def _put_margin(event: Any, directory: Directory, out: dict[str, Any]) -> None:
    _put_said(event, directory, out, "ccy")
    out["per_lot"] = event.qty


def _put_fees(event: Any, directory: Directory, out: dict[str, Any]) -> None:
    _put_said(event, directory, out, "ccy")
    out["basis"] = _BASES[event.reason]
    out["taker"] = event.price
    out["maker"] = event.old_price
    out["auction"] = event.qty


def _put_lots(event: Any, _directory: Directory, out: dict[str, Any]) -> None:
    out["lots"] = event.qty


def _put_cap(event: Any, directory: Directory, out: dict[str, Any]) -> None:
    _put_said(event, directory, out, "commodity", "owner")
    _put_lots(event, directory, out)


def _put_kill(event: Any, directory: Directory, out: dict[str, Any]) -> None:
    out["scope"] = _SCOPES[event.reason]
    _put_said(event, directory, out, "member")
    out["on"] = bool(event.qty)


def _date(number: int) -> str:
    """The date that a number yyyymmdd means."""
    day = str(number)
    return f"{day[:-4]}-{day[-4:-2]}-{day[-2:]}"


def _put_fixing(event: Any, directory: Directory, out: dict[str, Any]) -> None:
    _put_said(event, directory, out, "ccy", "per", "rate")
    out["date"] = _date(event.qty)


def _put_extension(event: Any, directory: Directory, out: dict[str, Any]) -> None:
    out["phase"] = _PHASES[event.phase]
    out["price"] = directory.price_text(event.instrument, event.price)
    out["qty"] = event.qty
    out["extensions"] = event.reason


def _put_auction(event: Any, directory: Directory, out: dict[str, Any]) -> None:
    price = None if event.reason == _NO_CROSS else directory.price_text(event.instrument, event.price)
    put_auction(out, price, event.qty, event.leaves_qty, event.side, event.reason)


def put_auction(out: dict[str, Any], price: str | None, qty: int, surplus: int, surplus_side: int, step: int) -> None:
    """Say what a call would trade, or an uncross has traded: volume, surplus and the step that decided the price."""
    if price is not None:
        out["price"] = price
    out["qty"] = qty
    out["surplus"] = surplus
    if surplus_side:
        out["surplus_side"] = _SIDES[surplus_side]
    out["step"] = _STEPS[step]


def _put_account(event: Any, directory: Directory, out: dict[str, Any]) -> None:
    out["member"] = directory.members[event.account]
    out["owner"] = directory.owners[event.account]


def _put_day(event: Any, _directory: Directory, out: dict[str, Any]) -> None:
    out["trading_day"] = _date(event.qty)


def _put_restored(event: Any, _directory: Directory, out: dict[str, Any]) -> None:
    out["orders"] = event.qty


def _put_nothing(_event: Any, _directory: Directory, _out: dict[str, Any]) -> None:
    pass


_BODIES: Final[dict[int, Callable[[Any, Directory, dict[str, Any]], None]]] = {
    EventKind.ORDER_ACCEPTED: _put_entered,
    EventKind.ORDER_REJECTED: _put_refusal,
    EventKind.ORDER_CANCELED: _put_ended,
    EventKind.ORDER_AMENDED: _put_amended,
    EventKind.ORDER_EXPIRED: _put_ended,
    EventKind.ORDER_PREVENTED: _put_trade,
    EventKind.ORDER_STATUS: _put_status,
    EventKind.TRADE: _put_trade,
    EventKind.ORDER_RESTORED: _put_entered,
    EventKind.MASS_CANCELED: _put_count,
    EventKind.DISCONNECTED: _put_count,
    EventKind.CLOCK_TICKED: _put_nothing,
    EventKind.ORDER_TRIGGERED: _put_entered,
    EventKind.ORDER_ACTIVATED: _put_entered,
    EventKind.ORDER_REFRESHED: _put_refreshed,
    EventKind.ORDER_SUSPENDED: _put_live,
    EventKind.AUCTION_INDICATIVE: _put_auction,
    EventKind.AUCTION_UNCROSSED: _put_auction,
    EventKind.INSTRUMENT_DEFINED: _put_phase,
    EventKind.ACCOUNT_DEFINED: _put_account,
    EventKind.PHASE_CHANGED: _put_phase,
    EventKind.CONTROLS_SET: _put_phase,
    EventKind.LIMITS_SET: _put_limits,
    EventKind.CALL_EXTENDED: _put_extension,
    EventKind.COLLATERAL_SET: _put_balance,
    EventKind.FIXING_SET: _put_fixing,
    EventKind.MARGIN_SET: _put_margin,
    EventKind.FEES_SET: _put_fees,
    EventKind.CAP_SET: _put_cap,
    EventKind.KILL_SET: _put_kill,
    EventKind.POSITION_RESTORED: _put_lots,
    EventKind.BALANCE_RESTORED: _put_balance,
    EventKind.DAY_OPENED: _put_day,
    EventKind.DAY_STARTED: _put_restored,
    EventKind.ACT_REJECTED: _put_refusal,
}
