"""From the words of the wire to the rows of the log: requests as COMMAND rows.

Floor 3.  Knows `engine.schema`, `gateway.requests`, `gateway.directory`; the other way is `gateway.events`, whose names
are given here as well.  Pure functions: what a row becomes depends on the arguments only.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any, Final

from msgspec import UNSET

from engine.schema import (
    CL_ORD_ID_BYTES,
    COMMAND,
    HAS_EXPIRE,
    HAS_PRICE,
    HAS_QTY,
    HAS_STOP,
    OF_SESSION,
    OFF_TICK,
    OP_WORDS,
    POST_ONLY,
    CommandKind,
    OrdType,
    Side,
    Smp,
    Tick,
    TimeInForce,
    cl_ord_id_key,
    words,
)
from gateway.directory import Directory
from gateway.events import AnyEvent, Event, TwoSided, event_to_json, read_event, read_events
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
    "decode_offline", "disconnect_row", "event_to_json", "offline_act", "read_event", "read_events", "tick_row",
    "to_row",
]  # fmt: skip

_ROW: Final = struct.Struct("<BBBBBBHiiqq32sqqqiiqqqii")
assert _ROW.size == COMMAND.itemsize

MAX_PRICE: Final = 2**62
_ANY_TICK: Final = Tick(1, 32)  # tells a decimal from what is none
_NO_INSTRUMENT: Final = -1  # a mass cancel of an unknown symbol; 0 would mean all of them
_SIDE: Final[dict[Any, int]] = {UNSET: 0, **words(Side)}
_ORD_TYPE: Final[dict[Any, int]] = {UNSET: int(OrdType.LIMIT), **words(OrdType)}
_TIME_IN_FORCE: Final[dict[Any, int]] = {UNSET: int(TimeInForce.DAY), **words(TimeInForce)}
_SMP: Final[dict[Any, int]] = {UNSET: 0, **words(Smp)}


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


def _price(text: str, directory: Directory, instrument: int, flag: int = HAS_PRICE) -> tuple[int, int]:
    """Ticks and flags of a price text; without a known instrument no price is on its tick."""
    try:
        if instrument <= 0:
            _ANY_TICK.ticks(text)
            return 0, flag | OFF_TICK
        ticks = directory.price_ticks(instrument, text)
    except ValueError:
        raise BadRequest("BAD_VALUE", 'a price is a decimal text such as "3.005"') from None
    if ticks is None:
        return 0, flag | OFF_TICK
    if not -MAX_PRICE < ticks < MAX_PRICE:
        raise BadRequest("BAD_VALUE", "the price is beyond every range")
    return ticks, flag


def _prices(body: Any, directory: Directory, instrument: int) -> tuple[int, int, int]:
    """Price and stop price of a request, 0 where it has none, and their flags."""
    price, flags = (0, 0) if body.price is UNSET else _price(body.price, directory, instrument)
    if body.stop_price is UNSET:
        return price, 0, flags
    stop_price, more = _price(body.stop_price, directory, instrument, HAS_STOP)
    return price, stop_price, flags | more


def _nanos(micros: Any) -> int:
    return 0 if micros is UNSET else micros * 1000


def _place(
    request: OrderPlace | OfflinePlace, directory: Directory, account: int, client_session: int, _instrument: int
) -> bytes:
    body = request.p
    instrument = directory.numbers.get(body.symbol, 0)
    price, stop_price, flags = _prices(body, directory, instrument)
    if body.post_only is True:
        flags |= POST_ONLY
    return _ROW.pack(
        CommandKind.ORDER_PLACE, _SIDE[body.side], _ORD_TYPE[body.ord_type], _TIME_IN_FORCE[body.time_in_force],
        _SMP[body.smp], flags, 0, instrument, 0 if body.smp_id is UNSET else body.smp_id, price, body.order_qty,
        _client_id(body.cl_ord_id), 0, 0, stop_price, 0 if body.display_qty is UNSET else body.display_qty,
        0 if body.min_qty is UNSET else body.min_qty, _nanos(body.expire_time), 0, 0, account, client_session,
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
    price, stop_price, flags = _prices(body, directory, instrument)
    if body.expire_time is not UNSET:
        flags |= HAS_EXPIRE
    order_qty = 0
    if body.order_qty is not UNSET:
        order_qty = body.order_qty
        flags |= HAS_QTY
    if body.new_cl_ord_id is not UNSET:
        if client_id:
            order_id, target_hi = cl_ord_id_key(client_id)
        client_id = _client_id(body.new_cl_ord_id)
    elif not flags:
        text = "an amend names a price, an order_qty, a stop_price, an expire_time or a new_cl_ord_id"
        raise BadRequest("MISSING_FIELD", text)
    return _pack_row(
        CommandKind.ORDER_AMEND, account, client_session, flags=flags, price=price, order_qty=order_qty,
        cl_ord_id=client_id, target_lo=order_id, target_hi=target_hi, stop_price=stop_price,
        expire_time=_nanos(body.expire_time),
    )  # fmt: skip


def _mass_cancel(
    request: OrderMassCancel | OfflineMassCancel, directory: Directory, account: int, client_session: int,
    _instrument: int,
) -> bytes:  # fmt: skip
    body = request.p
    side = instrument = flags = 0
    if body is not UNSET:
        side = _SIDE[body.side]
        flags = OF_SESSION if body.session is True else 0
        if body.symbol is not UNSET:
            instrument = directory.numbers.get(body.symbol, _NO_INSTRUMENT)
    return _pack_row(
        CommandKind.ORDER_MASS_CANCEL, account, client_session, side=side, flags=flags, instrument=instrument
    )


def _tick(_request: ClockTick, _directory: Directory, account: int, client_session: int, _instrument: int) -> bytes:
    return _pack_row(CommandKind.CLOCK_TICK, account, client_session)


def tick_row() -> bytes:
    """The COMMAND row by which the venue says that time has passed."""
    return _pack_row(CommandKind.CLOCK_TICK, 0, 0)


def _disconnect(request: Disconnect, _directory: Directory, account: int, _session: int, _instrument: int) -> bytes:
    return _pack_row(CommandKind.DISCONNECT, account, request.p.client_session)


def disconnect_row(account: int, client_session: int) -> bytes:
    """The COMMAND row by which the venue says that a client session has ended."""
    return _pack_row(CommandKind.DISCONNECT, account, client_session)


def _restore(request: OrderRestore, directory: Directory, account: int, client_session: int, _instrument: int) -> bytes:
    body = request.p
    instrument = directory.numbers.get(body.symbol, 0)
    price, stop_price, flags = _prices(body, directory, instrument)
    if body.post_only is True:
        flags |= POST_ONLY
    return _pack_row(
        CommandKind.ORDER_RESTORE, account, body.client_session if body.client_session is not UNSET else client_session,
        side=_SIDE[body.side], ord_type=_ORD_TYPE[body.ord_type], time_in_force=_TIME_IN_FORCE[body.time_in_force],
        smp=_SMP[body.smp], flags=flags, instrument=instrument, smp_id=0 if body.smp_id is UNSET else body.smp_id,
        price=price, order_qty=body.order_qty, cl_ord_id=_client_id(body.cl_ord_id), target_lo=body.order_id,
        target_hi=0 if body.shown_qty is UNSET else body.shown_qty, min_qty=body.leaves_qty, stop_price=stop_price,
        display_qty=0 if body.display_qty is UNSET else body.display_qty, expire_time=_nanos(body.expire_time),
    )  # fmt: skip


def _pack_row(
    kind: CommandKind, account: int, client_session: int, *, side: int = 0, ord_type: int = 0, time_in_force: int = 0,
    smp: int = 0, flags: int = 0, instrument: int = 0, smp_id: int = 0, price: int = 0, order_qty: int = 0,
    cl_ord_id: bytes = b"", target_lo: int = 0, target_hi: int = 0, stop_price: int = 0, display_qty: int = 0,
    min_qty: int = 0, expire_time: int = 0,
) -> bytes:  # fmt: skip
    return _ROW.pack(
        kind, side, ord_type, time_in_force, smp, flags, 0, instrument, smp_id, price, order_qty, cl_ord_id, target_lo,
        target_hi, stop_price, display_qty, min_qty, expire_time, 0, 0, account, client_session,
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
