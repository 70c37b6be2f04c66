"""Reads what a reader of the feed asks for, strictly: one JSON object, known fields only, each refusal coded.

The codes are those of gateway/PROTOCOL.md, and UNKNOWN_CHANNEL.  Nothing that a reader wrote is echoed but its id.
"""

from __future__ import annotations

import json
import re
from collections.abc import Set
from typing import Any, Final, NamedTuple

from engine.schema import NAME_PATTERN

from .messages import CHANNELS, DEPTHS

__all__ = ["ERROR_TEXT", "REQUEST_DEPTH_MAX", "REQUEST_SYMBOLS_MAX", "Request", "RequestError", "parse_request"]

REQUEST_SYMBOLS_MAX: Final = 1024
REQUEST_DEPTH_MAX: Final = 8
_ID_MAX: Final = (1 << 53) - 1
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_BRACKETS: Final = re.compile(r"[\[\]{}]")
_SYMBOL: Final = re.compile(NAME_PATTERN)
_NONE: Final = frozenset[str]()
_MEMBERS: Final[dict[str, tuple[Set[str], Set[str]]]] = {
    "subscribe": ({"channels", "symbols"}, {"depth"}),
    "unsubscribe": ({"channels", "symbols"}, _NONE),
    "ping": (_NONE, _NONE),
}

ERROR_TEXT: Final[dict[str, str]] = {
    "BAD_JSON": "the frame is not JSON",
    "NOT_OBJECT": "the frame is not a JSON object",
    "DUPLICATE_KEY": "a key stands twice in one object",
    "TOO_DEEP": f"the JSON is nested deeper than {REQUEST_DEPTH_MAX}",
    "UNKNOWN_FIELD": "a field is not known here",
    "MISSING_FIELD": "a field is missing",
    "BAD_VALUE": "a field's value is not allowed",
    "UNKNOWN_OP": "op is none of subscribe, unsubscribe, ping",
    "UNKNOWN_CHANNEL": "a channel is none of book, trades, status, auction",
    "UNKNOWN_SYMBOL": "a symbol is not listed",
    "BINARY_FRAME": "this door takes text frames only",
    "BUSY": "the trading day is being opened: ask again in a second",
}


class RequestError(ValueError):
    """A request that cannot be carried out: a code of ERROR_TEXT, the id if it could be read, and the field meant."""

    def __init__(self, code: str, request_id: int | None = None, field: str = "") -> None:
        self.code = code
        self.request_id = request_id
        self.text = f"{ERROR_TEXT[code]}: {field}" if field else ERROR_TEXT[code]
        super().__init__(f"{code}: {self.text}")


class Request(NamedTuple):
    """A well-formed request; channels and symbols without repeats, `symbols == ("*",)` for all."""

    op: str
    id: int
    channels: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()
    depth: int = 0


class _DuplicateKeyError(ValueError):
    pass


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _DuplicateKeyError
    return members


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


_decoder: Final = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_refuse_constant)


def _depth(text: str) -> int:
    """Measure the nesting of brackets outside strings; more than REQUEST_DEPTH_MAX is not measured exactly."""
    deepest = depth = 0
    for bracket in _BRACKETS.findall(_STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
        if deepest > REQUEST_DEPTH_MAX:
            break
    return deepest


def parse_request(text: str) -> Request:
    """Read one text frame; RequestError says what is wrong with it."""
    if _depth(text) > REQUEST_DEPTH_MAX:
        raise RequestError("TOO_DEEP")
    try:
        value = _decoder.decode(text)
    except _DuplicateKeyError:
        raise RequestError("DUPLICATE_KEY") from None
    except ValueError:  # also an integer of more digits than Python converts
        raise RequestError("BAD_JSON") from None
    if not isinstance(value, dict):
        raise RequestError("NOT_OBJECT")
    request_id = value.get("id")
    if type(request_id) is not int or not 0 <= request_id <= _ID_MAX:
        raise RequestError("BAD_VALUE" if "id" in value else "MISSING_FIELD", None, "id")
    _require_members(value, {"op", "id"}, {"p"}, request_id)
    op = value["op"]
    if not isinstance(op, str) or op not in _MEMBERS:
        raise RequestError("UNKNOWN_OP", request_id)
    members = value.get("p", {})
    if not isinstance(members, dict):
        raise RequestError("BAD_VALUE", request_id, "p")
    _require_members(members, *_MEMBERS[op], request_id)
    if op == "ping":
        return Request(op, request_id)
    channels = _read_names(members, "channels", len(CHANNELS), request_id)
    if not set(channels) <= set(CHANNELS):
        raise RequestError("UNKNOWN_CHANNEL", request_id)
    symbols = _read_names(members, "symbols", REQUEST_SYMBOLS_MAX, request_id)
    if symbols != ("*",) and not all(_SYMBOL.fullmatch(symbol) for symbol in symbols):
        raise RequestError("BAD_VALUE", request_id, "symbols")
    depth = members.get("depth", 0)
    if type(depth) is not int or depth not in DEPTHS or ("depth" in members and "book" not in channels):
        raise RequestError("BAD_VALUE", request_id, "depth")
    return Request(op, request_id, channels, symbols, depth)


def _require_members(members: dict[str, Any], due: Set[str], may: Set[str], request_id: int) -> None:
    if not members.keys() <= due | may:
        raise RequestError("UNKNOWN_FIELD", request_id)
    for name in sorted(due - members.keys()):
        raise RequestError("MISSING_FIELD", request_id, name)


def _read_names(members: dict[str, Any], name: str, most: int, request_id: int) -> tuple[str, ...]:
    names = members[name]
    if not isinstance(names, list) or not 1 <= len(names) <= most or not all(isinstance(each, str) for each in names):
        raise RequestError("BAD_VALUE", request_id, name)
    return tuple(dict.fromkeys(names))
