"""What acts say, and what they may not say (R40 to R44, R54, R63, R65)."""

from __future__ import annotations

import json

import pytest

from engine.reference_acts import (
    AccountTerms,
    InstrumentTerms,
    Payload,
    PhaseChange,
    Refused,
    TradingDay,
    read_payload,
    read_uncross,
)
from engine.schema import Code, Phase

TERMS: Payload = {
    "symbol": "W", "ccy": "USD", "unit": "lb", "contract_size": 1, "tick": "0.005", "min_price": "1.000",
    "max_price": "9.000", "max_order_qty": 5,
}  # fmt: skip


def refused(text: bytes, offset: int = 0, length: int | None = None) -> bool:
    with pytest.raises(Refused) as raised:
        read_payload(text, offset, len(text) if length is None else length)
    return raised.value.code == Code.BAD_TERMS


def terms(**more: int | str) -> InstrumentTerms:
    return InstrumentTerms.read({**TERMS, **more})


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


@pytest.mark.parametrize("value", [None, True, 1.0, 1e300, [], {}, "1"])
def test_an_integer_is_an_integer(value: object) -> None:
    with pytest.raises(Refused):
        InstrumentTerms.read(json.loads(json.dumps({**TERMS, "contract_size": value})))


def test_prices_are_ticks() -> None:
    read = terms()
    assert (read.min_price, read.max_price, read.max_order_qty, read.protection_ticks) == (200, 1800, 5, 100)
    assert read.said == TERMS
    assert (read.reference_price, read.group) == (1000, "")
    assert terms(reference_price="1.005", group="soft").reference_price == 201
    assert terms(group="soft").group == "soft"
    with pytest.raises(Refused):
        terms(group="not a name")


def test_a_phase_is_set_for_one_for_all_or_for_a_group() -> None:
    halted: Payload = {"phase": "halted"}
    assert PhaseChange.read({**halted, "symbol": "W", "draw": 7, "override": 1}) == PhaseChange(
        "W", "", Phase.HALTED, draw=7, override=True
    )
    assert PhaseChange.read({**halted, "group": "soft"}) == PhaseChange("", "soft", Phase.HALTED)
    assert PhaseChange.read({"symbol": "ALL", "phase": "settlement", "at_last_match": 1}).at_last_match


@pytest.mark.parametrize(
    "said",
    [
        {}, {"symbol": "W", "group": "soft"}, {"symbol": "a b"}, {"group": ""}, {"symbol": "W", "phase": "open"},
        {"symbol": "W", "draw": -1}, {"symbol": "W", "draw": 3_600_001}, {"symbol": "W", "draw": True},
        {"symbol": "W", "override": 2}, {"symbol": "ALL", "override": 1}, {"group": "soft", "override": 1},
        {"symbol": "W", "at_last_match": 2}, {"symbol": "W", "at_last_match": 1}, {"symbol": "W", "when": "now"},
    ],
)  # fmt: skip
def test_a_phase_that_is_not_well_said_is_refused(said: Payload) -> None:
    with pytest.raises(Refused):
        PhaseChange.read({"phase": "halted", **said})


@pytest.mark.parametrize("phase", list(Phase))
def test_the_last_match_ends_a_session_only(phase: Phase) -> None:
    said: Payload = {"symbol": "W", "phase": phase.name.lower(), "at_last_match": 1}
    if phase in (Phase.SETTLEMENT, Phase.POST_CLOSE, Phase.CLOSED):
        assert PhaseChange.read(said).at_last_match
    else:
        with pytest.raises(Refused):
            PhaseChange.read(said)


@pytest.mark.parametrize("said", [{}, {"symbol": 1}, {"symbol": ""}, {"symbol": "W", "draw": 1}])
def test_an_uncross_names_a_symbol(said: Payload) -> None:
    with pytest.raises(Refused):
        read_uncross(said)


@pytest.mark.parametrize(
    ("more", "start", "ticks", "levels"),
    [
        ({}, 200, 1601, 3202),  # the default window covers the band
        ({"window_ticks": 1601}, 200, 1601, 3202),
        ({"window_ticks": 1600}, 200, 1600, 3200 + 8192),  # the middle 1000 would begin at 200
        ({"window_ticks": 4}, 998, 4, 8 + 8192),
        ({"window_ticks": 5}, 998, 5, 10 + 8192),
        ({"window_ticks": 4, "reference_price": "1.000"}, 200, 4, 8 + 8192),
        ({"window_ticks": 4, "reference_price": "9.000"}, 1797, 4, 8 + 8192),
        ({"window_ticks": 4, "reference_price": "5.025"}, 1003, 4, 8 + 8192),
        ({"window_ticks": 1, "min_price": "-9.000", "max_price": "8.995"}, -1, 1, 2 + 8192),  # (-1800 + 1799) // 2
    ],
)
def test_the_window_lies_where_the_rule_puts_it(
    more: dict[str, int | str], start: int, ticks: int, levels: int
) -> None:
    read = terms(**more)
    assert (read.window_start, read.window_ticks, read.levels) == (start, ticks, levels)
    assert [read.is_far(price) for price in (start - 1, start, start + ticks - 1, start + ticks)] == [
        True, False, False, True,
    ]  # fmt: skip


@pytest.mark.parametrize(("text", "fits"), [("", True), ("ạ" * 200, True), ("x" * 201, False), ("\ud800", False)])
def test_texts_are_short_and_unicode(text: str, fits: bool) -> None:
    said: Payload = {"symbol": "ALL", "phase": "halted", "why": text, "by": text}
    if fits:
        assert PhaseChange.read(said) == PhaseChange("ALL", "", Phase.HALTED)
        assert read_uncross({"symbol": "W", "why": text, "by": text}) == "W"
    else:
        with pytest.raises(Refused):
            PhaseChange.read(said)
        with pytest.raises(Refused):
            terms(name=text)
        with pytest.raises(Refused):
            read_uncross({"symbol": "W", "why": text})


def test_an_account_is_three_names() -> None:
    assert AccountTerms.read({"account": "A/1", "member": "M:1", "owner": "B_1"}) == AccountTerms("A/1", "M:1", "B_1")
    for name in ("", "a b", "a\n", "é", "x" * 33):
        with pytest.raises(Refused):
            AccountTerms.read({"account": name, "member": "M", "owner": "B"})


@pytest.mark.parametrize(
    ("day", "number"),
    [("2026-11-23", 20261123), ("2024-02-29", 20240229), ("2000-02-29", 20000229), ("0001-01-01", 10101)],
)
def test_a_trading_day_is_a_date(day: str, number: int) -> None:
    read = TradingDay.read({"trading_day": day, "next_trade_id": 1})
    assert (read.trading_day, read.number) == (day, number)


@pytest.mark.parametrize(
    "day",
    ["2026-02-29", "1900-02-29", "2026-04-31", "2026-00-10", "2026-13-01", "2026-01-00", "2026-01-32", "0000-01-01",
     "26-01-01", "2026-1-1", "2026-01-01\n", "20260101", "2026-W01-1", "٢٠٢٦-01-01", ""],
)  # fmt: skip
def test_what_is_no_date_is_refused(day: str) -> None:
    with pytest.raises(Refused):
        TradingDay.read({"trading_day": day, "next_trade_id": 1})


def test_day_start_says_nothing() -> None:
    TradingDay.read_start({})
    with pytest.raises(Refused):
        TradingDay.read_start({"why": "late"})
