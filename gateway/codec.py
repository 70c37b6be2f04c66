"""Between the words of the wire and the rows of the log: requests to COMMAND rows, EVENT rows to JSON.

Floor 3.  Knows `engine.schema`, `gateway.requests` and `gateway.directory`.  Pure functions: what a row or a
dictionary becomes depends on the arguments only.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from msgspec import UNSET

from engine.schema import (
    CL_ORD_ID_BYTES,
    CODE_TEXT,
    COMMAND,
    DUP,
    EVENT,
    EVENT_WORDS_JSON,
    HAS_PRICE,
    HAS_QTY,
    OFF_TICK,
    OP_WORDS,
    POST_ONLY,
    PRIORITY_KEPT,
    Code,
    CommandKind,
    EventKind,
    OrdStatus,
    OrdType,
    Phase,
    Reason,
    Side,
    Smp,
    Tick,
    TimeInForce,
    cl_ord_id_key,
    word,
    words,
)
from gateway.directory import Directory
from gateway.requests import (
    Act,
    BadRequest,
    ClockTick,
    Disconnect,
    OfflineAmend,
    OfflineCancel,
    OfflineMassCancel,
    OfflinePlace,
    OrderAmend,
    OrderCancel,
    OrderMassCancel,
    OrderPlace,
    OrderRestore,
    decode,
    decode_offline,
)

__all__ = [
    "AnyEvent", "BadRequest", "Directory", "Event", "TwoSided", "act_payload", "act_row", "command_kind", "decode",
    "decode_offline", "disconnect_row", "event_to_json", "offline_act", "read_event", "read_events", "to_row",
]  # fmt: skip

_ROW: Final = struct.Struct("<BBBBBBHiiqq32sqqqiiqqqii")
_EVENT: Final = struct.Struct("<qqiiiBBHHBBBBBBqqqqq32sqq")
_TRADE: Final = struct.Struct("<qqiiiBBHHBBBBBBqqqqqqqiiqqq")
assert _ROW.size == COMMAND.itemsize and _EVENT.size == _TRADE.size == EVENT.itemsize

MAX_PRICE: Final = 2**62
_ANY_TICK: Final = Tick(1, 32)  # tells a decimal from what is none
_NO_INSTRUMENT: Final = -1  # a mass cancel of an unknown symbol; 0 would mean all of them
_SIDE: Final[dict[Any, int]] = {UNSET: 0, **words(Side)}
_ORD_TYPE: Final[dict[Any, int]] = {UNSET: int(OrdType.LIMIT), **words(OrdType)}
_TIME_IN_FORCE: Final[dict[Any, int]] = {UNSET: int(TimeInForce.DAY), **words(TimeInForce)}
_SMP: Final[dict[Any, int]] = {UNSET: 0, **words(Smp)}
_LIMIT: Final = int(OrdType.LIMIT)
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


def to_row(
    request: Any, directory: Directory, account: int = 0, *, client_session: int = 0, instrument: int = 0
) -> bytes:
    """The COMMAND row of an order request, seq and time still 0.

    `account` and `client_session` are the connection's.  `instrument` is that of the order an amend means (0: not
    known, then the core will not find the order either).  What the row can hold the core judges; what it cannot
    (a text that is no price, a client id beyond 32 characters) is a BadRequest here.
    """
    make = _MAKERS[type(request)]
    try:
        return make(request, directory, account, client_session, instrument)
    except BadRequest as bad:
        bad.id = None if request.id is UNSET else request.id
        raise


def _client_id(text: str) -> bytes:
    if not 0 < len(text) <= CL_ORD_ID_BYTES or not text.isascii() or not text.isprintable():
        raise BadRequest("BAD_VALUE", f"a client order id is 1 to {CL_ORD_ID_BYTES} of A-Z a-z 0-9 . _ : -")
    return text.encode()


def _price(text: str, directory: Directory, instrument: int) -> tuple[int, int]:
    """Ticks and flags of a price text; without a known instrument no price is on its tick."""
    try:
        if instrument <= 0:
            _ANY_TICK.ticks(text)
            return 0, HAS_PRICE | OFF_TICK
        ticks = directory.price_ticks(instrument, text)
    except ValueError:
        raise BadRequest("BAD_VALUE", 'a price is a decimal text such as "3.005"') from None
    if ticks is None:
        return 0, HAS_PRICE | OFF_TICK
    if not -MAX_PRICE < ticks < MAX_PRICE:
        raise BadRequest("BAD_VALUE", "the price is beyond every range")
    return ticks, HAS_PRICE


def _place(
    request: OrderPlace | OfflinePlace, directory: Directory, account: int, client_session: int, _instrument: int
) -> bytes:
    body = request.p
    instrument = directory.numbers.get(body.symbol, 0)
    price, flags = (0, 0) if body.price is UNSET else _price(body.price, directory, instrument)
    if body.post_only is True:
        flags |= POST_ONLY
    return _ROW.pack(
        CommandKind.ORDER_PLACE, _SIDE[body.side], _ORD_TYPE[body.ord_type], _TIME_IN_FORCE[body.time_in_force],
        _SMP[body.smp], flags, 0, instrument, 0 if body.smp_id is UNSET else body.smp_id, price, body.order_qty,
        _client_id(body.cl_ord_id), 0, 0, 0, 0, 0, 0, 0, 0, account, client_session,
    )  # fmt: skip


def _name(body: Any) -> tuple[bytes, int]:
    """The client id and the order id by which a request names its order, one of them absent."""
    if body.cl_ord_id is not UNSET:
        if body.order_id is not UNSET:
            raise BadRequest("BAD_VALUE", "an order is named by cl_ord_id or by order_id, not by both")
        return _client_id(body.cl_ord_id), 0
    if body.order_id is UNSET:
        raise BadRequest("MISSING_FIELD", "an order is named by cl_ord_id or by order_id")
    return b"", body.order_id


def _cancel(
    request: OrderCancel | OfflineCancel, _directory: Directory, account: int, client_session: int, _instrument: int
) -> bytes:
    client_id, order_id = _name(request.p)
    return _pack_row(CommandKind.ORDER_CANCEL, account, client_session, cl_ord_id=client_id, target_lo=order_id)


def _amend(
    request: OrderAmend | OfflineAmend, directory: Directory, account: int, client_session: int, instrument: int
) -> bytes:
    body = request.p
    client_id, order_id = _name(body)
    target_hi = 0
    price, flags = (0, 0) if body.price is UNSET else _price(body.price, directory, instrument)
    order_qty = 0
    if body.order_qty is not UNSET:
        order_qty = body.order_qty
        flags |= HAS_QTY
    if body.new_cl_ord_id is not UNSET:
        if client_id:
            order_id, target_hi = cl_ord_id_key(client_id)
        client_id = _client_id(body.new_cl_ord_id)
    elif not flags:
        raise BadRequest("MISSING_FIELD", "an amend names a price, an order_qty or a new_cl_ord_id")
    return _pack_row(
        CommandKind.ORDER_AMEND, account, client_session, flags=flags, price=price, order_qty=order_qty,
        cl_ord_id=client_id, target_lo=order_id, target_hi=target_hi,
    )  # fmt: skip


def _mass_cancel(
    request: OrderMassCancel | OfflineMassCancel, directory: Directory, account: int, client_session: int,
    _instrument: int,
) -> bytes:  # fmt: skip
    body = request.p
    side = instrument = 0
    if body is not UNSET:
        side = _SIDE[body.side]
        if body.symbol is not UNSET:
            instrument = directory.numbers.get(body.symbol, _NO_INSTRUMENT)
    return _pack_row(CommandKind.ORDER_MASS_CANCEL, account, client_session, side=side, instrument=instrument)


def _tick(_request: ClockTick, _directory: Directory, account: int, client_session: int, _instrument: int) -> bytes:
    return _pack_row(CommandKind.CLOCK_TICK, account, client_session)


def _disconnect(request: Disconnect, _directory: Directory, account: int, _session: int, _instrument: int) -> bytes:
    return _pack_row(CommandKind.DISCONNECT, account, request.p.client_session)


def disconnect_row(account: int, client_session: int) -> bytes:
    """The COMMAND row by which the venue says that a client session has ended."""
    return _pack_row(CommandKind.DISCONNECT, account, client_session)


def _restore(request: OrderRestore, directory: Directory, account: int, client_session: int, _instrument: int) -> bytes:
    body = request.p
    instrument = directory.numbers.get(body.symbol, 0)
    price, flags = (0, 0) if body.price is UNSET else _price(body.price, directory, instrument)
    if body.post_only is True:
        flags |= POST_ONLY
    return _pack_row(
        CommandKind.ORDER_RESTORE, account, body.client_session if body.client_session is not UNSET else client_session,
        side=_SIDE[body.side], ord_type=_ORD_TYPE[body.ord_type], time_in_force=_TIME_IN_FORCE[body.time_in_force],
        smp=_SMP[body.smp], flags=flags, instrument=instrument, smp_id=0 if body.smp_id is UNSET else body.smp_id,
        price=price, order_qty=body.order_qty, cl_ord_id=_client_id(body.cl_ord_id), target_lo=body.order_id,
        min_qty=body.leaves_qty,
    )  # fmt: skip


def _pack_row(
    kind: CommandKind, account: int, client_session: int, *, side: int = 0, ord_type: int = 0, time_in_force: int = 0,
    smp: int = 0, flags: int = 0, instrument: int = 0, smp_id: int = 0, price: int = 0, order_qty: int = 0,
    cl_ord_id: bytes = b"", target_lo: int = 0, target_hi: int = 0, min_qty: int = 0,
) -> bytes:  # fmt: skip
    return _ROW.pack(
        kind, side, ord_type, time_in_force, smp, flags, 0, instrument, smp_id, price, order_qty, cl_ord_id, target_lo,
        target_hi, 0, 0, min_qty, 0, 0, 0, account, client_session,
    )  # fmt: skip


_MAKERS: Final[dict[type, Callable[[Any, Directory, int, int, int], bytes]]] = {
    OrderPlace: _place,
    OrderCancel: _cancel,
    OrderAmend: _amend,
    OrderMassCancel: _mass_cancel,
    OfflinePlace: _place,
    OfflineCancel: _cancel,
    OfflineAmend: _amend,
    OfflineMassCancel: _mass_cancel,
    ClockTick: _tick,
    Disconnect: _disconnect,
    OrderRestore: _restore,
}


def command_kind(request: Any) -> CommandKind:
    """The kind of command that a request asks for."""
    return OP_WORDS[request.__struct_config__.tag]


def act_payload(terms: dict[str, Any]) -> bytes:
    """The canonical JSON of an act: UTF-8, sorted keys, no spaces."""
    return json.dumps(terms, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def act_row(kind: CommandKind, length: int, *, offset: int = 0, principal: int = 0) -> bytes:
    """The COMMAND row of an act whose payload lies at `offset` of its block's payload section."""
    return _pack_row(kind, 0, principal, target_lo=offset, target_hi=length)


def offline_act(request: Act) -> bytes:
    """The payload of an act line of `cashew match`."""
    return act_payload(request.p if isinstance(request.p, dict) else {})


_CODES: Final = {int(code): code.name for code in Code}
_CODE_TEXTS: Final = {int(code): text for code, text in CODE_TEXT.items()}
_OPS: Final = {int(kind): name for name, kind in OP_WORDS.items()}
_EVS: Final = {int(kind): name for kind, name in EVENT_WORDS_JSON.items()}
_SIDES, _TYPES, _TIFS, _SMPS, _PHASES, _REASONS, _STATUSES = (
    {0: "", **{int(member): word(member) for member in kind}}
    for kind in (Side, OrdType, TimeInForce, Smp, Phase, Reason, OrdStatus)
)


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
    if (event.price or (event.ord_type == _LIMIT and event.code != _TICK_SIZE)) and "symbol" in out:
        out["price"] = directory.price_text(event.instrument, event.price)


def _put_live(event: Any, directory: Directory, out: dict[str, Any]) -> None:
    _put_order(event, directory, out)
    out["order_qty"] = event.qty
    out["leaves_qty"] = event.leaves_qty
    out["cum_qty"] = event.cum_qty


def _put_amended(event: Any, directory: Directory, out: dict[str, Any]) -> None:
    _put_live(event, directory, out)
    out["priority"] = "kept" if event.flags & PRIORITY_KEPT else "lost"
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
    else:
        out["smp"] = _SMPS[event.smp]
    out["price"] = directory.price_text(event.instrument, event.price)
    out["qty"] = event.qty
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


def _put_phase(event: Any, _directory: Directory, out: dict[str, Any]) -> None:
    out["phase"] = _PHASES[event.phase]
    if event.reason:
        out["previous"] = _PHASES[event.reason]


def _put_account(event: Any, directory: Directory, out: dict[str, Any]) -> None:
    out["member"] = directory.members[event.account]
    out["owner"] = directory.owners[event.account]


def _put_day(event: Any, _directory: Directory, out: dict[str, Any]) -> None:
    day = str(event.qty)
    out["trading_day"] = f"{day[:-4]}-{day[-4:-2]}-{day[-2:]}"


def _put_restored(event: Any, _directory: Directory, out: dict[str, Any]) -> None:
    out["orders"] = event.qty


def _put_nothing(_event: Any, _directory: Directory, _out: dict[str, Any]) -> None:
    pass


_BODIES: Final[dict[int, Callable[[Any, Directory, dict[str, Any]], None]]] = {
    EventKind.ORDER_ACCEPTED: _put_live,
    EventKind.ORDER_REJECTED: _put_refusal,
    EventKind.ORDER_CANCELED: _put_ended,
    EventKind.ORDER_AMENDED: _put_amended,
    EventKind.ORDER_EXPIRED: _put_ended,
    EventKind.ORDER_PREVENTED: _put_trade,
    EventKind.ORDER_STATUS: _put_status,
    EventKind.TRADE: _put_trade,
    EventKind.ORDER_RESTORED: _put_live,
    EventKind.MASS_CANCELED: _put_count,
    EventKind.DISCONNECTED: _put_count,
    EventKind.CLOCK_TICKED: _put_nothing,
    EventKind.INSTRUMENT_DEFINED: _put_phase,
    EventKind.ACCOUNT_DEFINED: _put_account,
    EventKind.PHASE_CHANGED: _put_phase,
    EventKind.DAY_OPENED: _put_day,
    EventKind.DAY_STARTED: _put_restored,
    EventKind.ACT_REJECTED: _put_refusal,
}
