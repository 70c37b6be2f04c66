"""The forms of what a payload holds, one by one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.reference_payload import (
    Payload,
    Refused,
    check_date,
    check_keys,
    check_text,
    read_integer,
    read_name,
    read_payload,
    read_price,
    read_string,
    read_subject,
    read_ticks,
)
from engine.schema import Code, Tick


def refused(text: bytes, offset: int = 0, length: int | None = None) -> bool:
    with pytest.raises(Refused) as raised:
        read_payload(text, offset, len(text) if length is None else length)
    return raised.value.code == Code.BAD_TERMS


def test_a_payload_is_read_from_its_place() -> None:
    assert read_payload(b'xx{"a":1}yy', 2, 7) == {"a": 1}


@pytest.mark.parametrize(("offset", "length"), [(-1, 3), (0, -1), (1, 7), (8, 1), (-7, 7), (1 << 62, 1 << 62)])
def test_a_payload_outside_its_section_is_refused(offset: int, length: int) -> None:
    assert refused(b'{"a":1}', offset, length)


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"7", b'"x"', b"null", b"NaN", b'{"a":1,"a":1}', b'{"a":1}{}', b"{'a':1}", b'{"a":"\xff"}',
     '{"a":1}'.encode("utf-16"), '\ufeff{"a":1}'.encode(), b'{"a":' + b"[" * 100_000,
     b'{"a":' + b"9" * 5000 + b"}"],
)  # fmt: skip
def test_what_is_no_object_is_refused(text: bytes) -> None:
    assert refused(text)


def fails(reading: Callable[[], object]) -> bool:
    with pytest.raises(Refused) as raised:
        reading()
    return raised.value.code == Code.BAD_TERMS


def test_keys_are_those_that_must_and_may_be() -> None:
    check_keys({"a": 1, "b": 2}, must="a", may="b c")
    check_keys({})
    for said in ({}, {"b": 1}, {"a": 1, "d": 1}):
        assert fails(lambda said=said: check_keys(said, must="a", may="b"))  # type: ignore[misc]


def test_a_subject_is_a_symbol_or_a_group() -> None:
    assert read_subject({"symbol": "ALL"}) == ("ALL", "")
    assert read_subject({"group": "ALL", "why": "x"}, is_all_meant=False) == ("", "ALL")
    refused_ones: list[Payload] = [{}, {"symbol": "W", "group": "G"}, {"symbol": ""}, {"group": 1}, {"symbol": "ALL"}]
    for said in [*refused_ones, {"symbol": "W", "why": 1}, {"symbol": "W", "by": "x" * 201}]:
        assert fails(lambda said=said: read_subject(said, is_all_meant=False))  # type: ignore[misc]


def test_values_have_their_types_and_ranges() -> None:
    assert read_integer({"a": -3}, "a", -3, 3) == -3
    assert read_integer({}, "a", -3, 3, 2) == 2
    assert (read_string({"a": "x y"}, "a"), read_name({"a": "x/y"}, "a")) == ("x y", "x/y")
    for value in (4, -4, "1", True):
        assert fails(lambda value=value: read_integer({"a": value}, "a", -3, 3))  # type: ignore[misc]
    assert fails(lambda: read_integer({}, "a", -3, 3))
    assert fails(lambda: read_string({"a": 1}, "a"))
    assert fails(lambda: read_name({"a": "x y"}, "a"))
    check_text({}, "a")
    check_text({"a": "é" * 200}, "a")
    assert fails(lambda: check_text({"a": "\udfff"}, "a"))


def test_prices_are_decimals_on_tick() -> None:
    tick = Tick.parse("0.5")
    assert (read_ticks("-1.50", tick), read_ticks("0.75", tick), read_price({"a": "2"}, "a", tick)) == (-3, None, 4)
    assert fails(lambda: read_ticks("x", tick))
    assert fails(lambda: read_price({"a": "0.75"}, "a", tick))


def test_dates_are_those_of_the_calendar() -> None:
    for text in ("2024-02-29", "2026-12-31"):
        check_date(text)
    for text in ("2026-02-29", "2026-13-01", "20260101", ""):
        assert fails(lambda text=text: check_date(text))  # type: ignore[misc]
