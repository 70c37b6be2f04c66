"""How the readable matcher reads a payload: the JSON object of an act, and the values in it (`Acts` in the rule book).

Owns the forms of names, texts, integers, decimals and dates.  Imports the schema only.  Whatever is not as it must be
raises `Refused(Code.BAD_TERMS)`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final, NoReturn

from engine.schema import NAME_PATTERN, SYMBOL_ALL, Code, Tick

__all__ = [
    "Payload",
    "Refused",
    "check_date",
    "check_keys",
    "check_text",
    "read_integer",
    "read_name",
    "read_payload",
    "read_price",
    "read_string",
    "read_subject",
    "read_ticks",
    "refuse",
]

Payload = dict[str, int | str]

TEXT_MAX: Final = 200
_NAME: Final = re.compile(NAME_PATTERN)
_DATE: Final = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_MONTH_DAYS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class Refused(Exception):
    """An act that cannot be done, and the code that says why."""

    def __init__(self, code: Code) -> None:
        super().__init__(code.name)
        self.code = code


def read_payload(payload: bytes, offset: int, length: int) -> Payload:
    """Read the JSON object at `offset` of a block's payload section; BAD_TERMS unless it lies there and is one."""
    if offset < 0 or length < 0 or offset + length > len(payload):
        refuse()
    try:
        read = json.loads(payload[offset : offset + length].decode(), object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError):
        refuse()
    if not isinstance(read, dict):
        refuse()
    return read


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    read = dict(pairs)
    if len(read) != len(pairs):
        refuse()
    return read


def check_date(text: str) -> None:
    """R44: a date of the calendar."""
    match = _DATE.fullmatch(text)
    if match is None:
        refuse()
    year, month, day = map(int, match.groups())
    if not (year >= 1 and 1 <= month <= 12 and 1 <= day <= _month_days(year, month)):
        refuse()


def _month_days(year: int, month: int) -> int:
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return 29 if month == 2 and leap else _MONTH_DAYS[month - 1]


def refuse() -> NoReturn:
    raise Refused(Code.BAD_TERMS)


def check_keys(payload: Mapping[str, object], must: str = "", may: str = "") -> None:
    if not set(must.split()) <= payload.keys() <= set(must.split()) | set(may.split()):
        refuse()


def read_subject(payload: Mapping[str, object], *, is_all_meant: bool = True) -> tuple[str, str]:
    """R42: the symbol or the group that an act means, the other one empty; why and by are checked along the way."""
    if ("symbol" in payload) == ("group" in payload):
        refuse()
    symbol = read_name(payload, "symbol") if "symbol" in payload else ""
    group = read_name(payload, "group") if "group" in payload else ""
    if symbol == SYMBOL_ALL and not is_all_meant:
        refuse()
    check_text(payload, "why")
    check_text(payload, "by")
    return symbol, group


def read_string(payload: Mapping[str, object], key: str) -> str:
    value = payload[key]
    if not isinstance(value, str):
        refuse()
    return value


def read_name(payload: Mapping[str, object], key: str) -> str:
    value = read_string(payload, key)
    if not _NAME.fullmatch(value):
        refuse()
    return value


def check_text(payload: Mapping[str, object], key: str) -> None:
    """Check an optional text of at most 200 characters, none of them half a surrogate pair."""
    if key in payload:
        value = read_string(payload, key)
        if len(value) > TEXT_MAX or any("\ud800" <= character <= "\udfff" for character in value):
            refuse()


def read_integer(payload: Mapping[str, object], key: str, low: int, high: int, default: int | None = None) -> int:
    value = payload.get(key, default)
    # JSON's true and false are integers to Python, but not to the rules.
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        refuse()
    return value


def read_price(payload: Mapping[str, object], key: str, tick: Tick) -> int:
    """A decimal price in whole ticks."""
    ticks = read_ticks(read_string(payload, key), tick)
    if ticks is None:
        refuse()
    return ticks


def read_ticks(text: str, tick: Tick) -> int | None:
    """The ticks of a decimal, None if it is off tick."""
    try:
        return tick.ticks(text)
    except ValueError:
        refuse()
