"""What a client may say, as strict types, and the reading of one JSON frame into one of them.

Floor 3.  msgspec checks names, types and ranges while it parses; what it does not see (repeated keys, nesting)
is seen here.  A frame that is read well costs one decode and one count of its colons; only a bad one is
looked at again to say exactly what is wrong with it.
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Final, Literal, NoReturn

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from engine.schema import MAX_FRAME_BYTES

__all__ = [
    "Act", "AuctionGet", "BadRequest", "BookGet", "ClockTick", "Disconnect", "Logon", "MassStatus", "OfflineRequest",
    "OrderAmend", "OrderCancel", "OrderMassCancel", "OrderPlace", "OrderRestore", "OrderStatus", "Ping", "Request",
    "decode", "decode_body", "decode_offline",
]  # fmt: skip

MAX_DEPTH: Final = 4  # no request nests deeper than {"p":{…}}
TEXT_LIMIT: Final = 200
MAX_ID: Final = 2**53 - 1
MAX_MICROS: Final = (2**63 - 1) // 1000  # so that it is an int64 in ns

Id = Annotated[int, Meta(ge=0, le=MAX_ID)]
Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Int32 = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
Micros = Annotated[int, Meta(ge=0, le=2**53 - 1)]
ExpireMicros = Annotated[int, Meta(ge=-MAX_MICROS, le=MAX_MICROS)]
Name = Annotated[str, Meta(max_length=64)]
Price = Annotated[str, Meta(max_length=32)]
SideWord = Literal["buy", "sell"]
OrdTypeWord = Literal["limit", "market", "stop", "stop_limit", "market_to_limit"]
TimeInForceWord = Literal["day", "gtc", "ioc", "fok", "gtd", "at_open", "at_close"]
SmpWord = Literal["none", "cancel_resting", "cancel_incoming", "cancel_both", "decrement"]


class BadRequest(ValueError):
    """A frame that becomes no command: a code of PROTOCOL.md, a text for people, and the request's id if known."""

    def __init__(self, code: str, text: str, request_id: int | None = None) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text
        self.id = request_id


class OrderFields(Struct, forbid_unknown_fields=True, kw_only=True):
    """What an order is, placed or restored."""

    symbol: Name
    side: SideWord
    order_qty: Int64
    cl_ord_id: Name
    ord_type: OrdTypeWord | UnsetType = UNSET
    price: Price | UnsetType = UNSET
    time_in_force: TimeInForceWord | UnsetType = UNSET
    post_only: bool | UnsetType = UNSET
    smp: SmpWord | UnsetType = UNSET
    smp_id: Int32 | UnsetType = UNSET
    stop_price: Price | UnsetType = UNSET
    display_qty: Int32 | UnsetType = UNSET
    expire_time: ExpireMicros | UnsetType = UNSET


class PlaceFields(OrderFields, forbid_unknown_fields=True, kw_only=True):
    """`p` of order.place."""

    min_qty: Int32 | UnsetType = UNSET


class NameFields(Struct, forbid_unknown_fields=True, kw_only=True):
    """`p` of order.cancel and order.status: exactly one of the two."""

    cl_ord_id: Name | UnsetType = UNSET
    order_id: Int64 | UnsetType = UNSET


class AmendFields(Struct, forbid_unknown_fields=True, kw_only=True):
    """`p` of order.amend: exactly one name, and what is to change."""

    cl_ord_id: Name | UnsetType = UNSET
    order_id: Int64 | UnsetType = UNSET
    price: Price | UnsetType = UNSET
    order_qty: Int64 | UnsetType = UNSET
    stop_price: Price | UnsetType = UNSET
    expire_time: ExpireMicros | UnsetType = UNSET
    new_cl_ord_id: Name | UnsetType = UNSET


class MassCancelFields(Struct, forbid_unknown_fields=True, kw_only=True):
    """`p` of order.mass_cancel: everything, or one instrument, one side, what came in through this connection."""

    symbol: Name | UnsetType = UNSET
    side: SideWord | UnsetType = UNSET
    session: bool | UnsetType = UNSET


class NoFields(Struct, forbid_unknown_fields=True):
    """An empty `p`."""


class LogonFields(Struct, forbid_unknown_fields=True, kw_only=True):
    """`p` of logon."""

    token: Annotated[str, Meta(max_length=256)]
    batch: bool | UnsetType = UNSET
    cancel_on_disconnect: bool | UnsetType = UNSET


class SessionFields(Struct, forbid_unknown_fields=True, kw_only=True):
    """`p` of disconnect (offline only: on a socket the venue makes this command itself)."""

    client_session: Int32


class BookFields(Struct, forbid_unknown_fields=True, kw_only=True):
    """`p` of book.get (offline only)."""

    symbol: Name
    orders: bool | UnsetType = UNSET


class AuctionFields(Struct, forbid_unknown_fields=True, kw_only=True):
    """`p` of auction.indicative (offline only)."""

    symbol: Name


class RestoreFields(OrderFields, forbid_unknown_fields=True, kw_only=True):
    """`p` of order.restore (offline only: on a venue the opening of a day makes these)."""

    order_id: Int64
    leaves_qty: Int32
    shown_qty: Int64 | UnsetType = UNSET
    client_session: Int32 | UnsetType = UNSET


class Logon(Struct, forbid_unknown_fields=True, kw_only=True, tag_field="op", tag="logon"):
    """The first frame of a connection."""

    id: Id
    p: LogonFields


class _Request(Struct, forbid_unknown_fields=True, kw_only=True, tag_field="op"):
    id: Id
    account: Name | UnsetType = UNSET


class OrderPlace(_Request, tag="order.place"):
    p: PlaceFields


class OrderCancel(_Request, tag="order.cancel"):
    p: NameFields


class OrderAmend(_Request, tag="order.amend"):
    p: AmendFields


class OrderMassCancel(_Request, tag="order.mass_cancel"):
    p: MassCancelFields | UnsetType = UNSET


class OrderStatus(_Request, tag="order.status"):
    p: NameFields


class MassStatus(_Request, tag="order.mass_status"):
    p: NoFields | UnsetType = UNSET


class Ping(_Request, tag="ping"):
    p: NoFields | UnsetType = UNSET


Request = OrderPlace | OrderCancel | OrderAmend | OrderMassCancel | OrderStatus | MassStatus | Ping | Logon


class _Offline(Struct, forbid_unknown_fields=True, kw_only=True, tag_field="op"):
    """The envelope of a line of `cashew match`: a socket's, and the time and client session that are stamped there."""

    id: Id | UnsetType = UNSET
    account: Name | UnsetType = UNSET
    ts: Micros | UnsetType = UNSET
    client_session: Int32 | UnsetType = UNSET


class OfflinePlace(_Offline, tag="order.place"):
    p: PlaceFields


class OfflineCancel(_Offline, tag="order.cancel"):
    p: NameFields


class OfflineAmend(_Offline, tag="order.amend"):
    p: AmendFields


class OfflineMassCancel(_Offline, tag="order.mass_cancel"):
    p: MassCancelFields | UnsetType = UNSET


class ClockTick(_Offline, tag="clock.tick"):
    p: NoFields | UnsetType = UNSET


class Disconnect(_Offline, tag="disconnect"):
    p: SessionFields


class OrderRestore(_Offline, tag="order.restore"):
    p: RestoreFields


class BookGet(_Offline, tag="book.get"):
    p: BookFields


class AuctionGet(_Offline, tag="auction.indicative"):
    p: AuctionFields


class Act(_Offline):
    """An act: its `p` is the payload of which the core judges the keys; here only integers and strings are let in."""

    p: dict[str, Int64 | str] | UnsetType = UNSET


class InstrumentDefine(Act, tag="instrument.define"):
    pass


class AccountDefine(Act, tag="account.define"):
    pass


class PhaseSet(Act, tag="phase.set"):
    pass


class AuctionUncross(Act, tag="auction.uncross"):
    pass


class ControlSet(Act, tag="control.set"):
    pass


class LimitSet(Act, tag="limit.set"):
    pass


class CollateralSet(Act, tag="collateral.set"):
    pass


class FixingSet(Act, tag="fixing.set"):
    pass


class MarginSet(Act, tag="margin.set"):
    pass


class FeeSet(Act, tag="fee.set"):
    pass


class CapSet(Act, tag="cap.set"):
    pass


class KillSet(Act, tag="kill.set"):
    pass


class PositionRestore(Act, tag="position.restore"):
    pass


class BalanceRestore(Act, tag="balance.restore"):
    pass


class DayOpen(Act, tag="day.open"):
    pass


class DayStart(Act, tag="day.start"):
    pass


OfflineRequest = (
    OfflinePlace | OfflineCancel | OfflineAmend | OfflineMassCancel | ClockTick | Disconnect | OrderRestore | BookGet
    | AuctionGet | InstrumentDefine | AccountDefine | PhaseSet | AuctionUncross | ControlSet | LimitSet
    | CollateralSet | FixingSet | MarginSet | FeeSet | CapSet | KillSet | PositionRestore | BalanceRestore | DayOpen
    | DayStart
)  # fmt: skip

_ONLINE: Final[msgspec.json.Decoder[Request]] = msgspec.json.Decoder(Request)
_OFFLINE: Final[msgspec.json.Decoder[OfflineRequest]] = msgspec.json.Decoder(OfflineRequest)
_astuple: Final = msgspec.structs.astuple


def decode(frame: str | bytes) -> Request:
    """Read one frame of a trade connection; BadRequest says what is wrong with it."""
    try:
        request = _ONLINE.decode(frame)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        _explain(frame, error)
    if _count_keys(request) != (frame.count(":") if isinstance(frame, str) else frame.count(b":")):
        _refuse_duplicates(_text(frame), request)
    return request


def decode_offline(line: str | bytes) -> OfflineRequest:
    """Read one line of `cashew match`; BadRequest says what is wrong with it."""
    if len(line) > MAX_FRAME_BYTES:
        raise BadRequest("BAD_VALUE", f"a line is at most {MAX_FRAME_BYTES} bytes long")
    try:
        request = _OFFLINE.decode(line)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        _explain(line, error)
    if _count_keys(request) != (line.count(":") if isinstance(line, str) else line.count(b":")):
        _refuse_duplicates(_text(line), request)
    return request


def decode_body(kind: Any, content: bytes) -> Any:
    """Read the body of a REST request, as strictly as a frame; BadRequest says what is wrong with it."""
    try:
        body = msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        _explain(content, error)
    try:
        _READER.decode(_text(content))
    except _Repeated as error:
        raise BadRequest("DUPLICATE_KEY", f"the key {_short(str(error))!r} comes twice") from None
    return body


def _count_keys(request: Any) -> int:
    """How many distinct keys the frame had: each field that is set, and "op".

    Every key of a JSON text is followed by a colon.  So if the frame has no more colons than this, no key came twice;
    only a frame with more (in a client's id, say) has to be read again.
    """
    outer = _astuple(request)
    count = 1 + len(outer) - outer.count(UNSET)
    body = request.p
    if type(body) is dict:
        return count + len(body)
    if body is UNSET:
        return count
    inner = _astuple(body)
    return count + len(inner) - inner.count(UNSET)


class _Repeated(Exception):
    pass


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for key, value in pairs:
        if key in table:
            raise _Repeated(key)
        table[key] = value
    return table


def _integer(digits: str) -> int:
    return int(digits) if len(digits) < 20 else MAX_ID + 1


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON number")


_READER: Final = json.JSONDecoder(object_pairs_hook=_pairs, parse_int=_integer, parse_constant=_refuse_constant)
_STRINGS: Final = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_BRACKETS: Final = re.compile(r"[^\[\]{}]+")
_DEEP: Final = re.compile(rf"[\[{{]{{{MAX_DEPTH + 1}}}")


def _refuse_duplicates(text: str, request: Any) -> None:
    try:
        _READER.decode(text)
    except _Repeated as error:
        known = None if request.id is UNSET or str(error) == "id" else request.id
        raise BadRequest("DUPLICATE_KEY", f"the key {_short(str(error))!r} comes twice", known) from None


def _text(frame: str | bytes) -> str:
    return frame if isinstance(frame, str) else frame.decode()


def _is_too_deep(text: str) -> bool:
    """Whether brackets nest beyond MAX_DEPTH; a fixed number of passes over the text, whatever is in it."""
    brackets = _BRACKETS.sub("", _STRINGS.sub("", text))
    for _ in range(MAX_DEPTH):
        brackets = brackets.replace("[]", "").replace("{}", "")
    return _DEEP.match(brackets) is not None or (bool(brackets) and _is_closed(brackets))


def _is_closed(brackets: str) -> bool:
    return brackets.count("[") == brackets.count("]") and brackets.count("{") == brackets.count("}")


def _explain(frame: str | bytes, error: Exception) -> NoReturn:
    """Raise the BadRequest that says what is wrong with a frame that could not be read."""
    try:
        text = _text(frame)
        text.encode()
    except UnicodeError:
        raise BadRequest("BAD_UTF8", "the text is not UTF-8") from None
    if _is_too_deep(text):
        raise BadRequest("TOO_DEEP", f"objects and arrays nest deeper than {MAX_DEPTH}") from None
    try:
        found = _READER.decode(text)
    except _Repeated as repeated:
        raise BadRequest("DUPLICATE_KEY", f"the key {_short(str(repeated))!r} comes twice") from None
    except (ValueError, RecursionError) as broken:
        raise BadRequest("BAD_JSON", _short(f"this is no JSON: {broken}")) from None
    if not isinstance(found, dict):
        raise BadRequest("NOT_OBJECT", "a request is one JSON object") from None
    request_id = found.get("id")
    known = request_id if type(request_id) is int and 0 <= request_id <= MAX_ID else None
    message = str(error)
    if message.startswith("Object missing required field"):
        code = "MISSING_FIELD"
    elif message.startswith("Object contains unknown field"):
        code = "UNKNOWN_FIELD"
    elif message.endswith("at `$.op`"):
        code = "UNKNOWN_OP"
    elif message.startswith(("JSON is malformed", "Input data was truncated")):
        code = "BAD_JSON"
    else:
        code = "BAD_VALUE"
    raise BadRequest(code, _short(message), known) from None


def _short(text: str) -> str:
    return text if len(text) <= TEXT_LIMIT else text[: TEXT_LIMIT - 1] + "…"
