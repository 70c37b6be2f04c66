"""What acts say, and what they may not say (R40 to R44, R54, R63, R65 to R67, R70)."""

from __future__ import annotations

import json

import pytest

from engine.reference_acts import (
    AccountTerms,
    ControlChange,
    InstrumentTerms,
    LimitChange,
    PhaseChange,
    TradingDay,
    read_uncross,
)
from engine.reference_payload import Payload, Refused
from engine.schema import Phase

TERMS: Payload = {
    "symbol": "W", "ccy": "USD", "unit": "lb", "contract_size": 1, "tick": "0.005", "min_price": "1.000",
    "max_price": "9.000", "max_order_qty": 5,
}  # fmt: skip


def terms(**more: int | str) -> InstrumentTerms:
    return InstrumentTerms.read({**TERMS, **more})


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


@pytest.mark.parametrize("phase", list(Phase))
def test_only_a_way_to_continuous_can_be_automatic(phase: Phase) -> None:
    said: Payload = {"symbol": "W", "phase": phase.name.lower(), "auto": 1}
    assert not PhaseChange.read({**said, "auto": 0}).auto and not PhaseChange.read({**said, "auto": 0, "draw": 3}).auto
    if phase == Phase.CONTINUOUS:
        assert PhaseChange.read(said).auto and PhaseChange.read({**said, "override": 1}).auto
    else:
        with pytest.raises(Refused):
            PhaseChange.read(said)


@pytest.mark.parametrize(
    "said", [{"symbol": "ALL", "auto": 1}, {"group": "soft", "auto": 1}, {"symbol": "W", "auto": 2}]
)
def test_one_instrument_is_continued_automatically(said: Payload) -> None:
    with pytest.raises(Refused):
        PhaseChange.read({"phase": "continuous", **said})


@pytest.mark.parametrize(
    "said",
    [
        {"max_order_value": "0"}, {"max_order_value": "007.50"}, {"max_order_value": "9" * 15 + "." + "9" * 6},
        {"band_ticks": 0}, {"band_ticks": 2_000_000_000}, {"short_ticks": 1, "long_ticks": 2_000_000_000},
        {"short_ms": 8, "long_ms": 86_400_000}, {"limit_steps": ""}, {"limit_steps": "1"}, {"limit_steps": "10000"},
        {"limit_steps": "700,1000,1500"}, {"limit_free_from": ""}, {"limit_free_from": "2028-02-29"},
    ],
)  # fmt: skip
def test_controls_are_kept_as_they_are_said(said: Payload) -> None:
    assert ControlChange.read({"symbol": "W", "why": "a", "by": "b", **said}) == ControlChange("W", "", said)
    assert ControlChange.read({"group": "soft", **said}) == ControlChange("", "soft", said)
    for wrong in ({}, {"symbol": "ALL"}, {"symbol": "W", "group": "soft"}, {"symbol": "W", "by": "x" * 201}):
        with pytest.raises(Refused):
            ControlChange.read({**wrong, **said})


@pytest.mark.parametrize(
    "said",
    [
        {}, {"max_order_value": ""}, {"max_order_value": "-0"}, {"max_order_value": "1."}, {"max_order_value": ".5"},
        {"max_order_value": 5}, {"max_order_value": "1" * 16}, {"max_order_value": "1.0000000"},
        {"max_order_value": "1e3"}, {"max_order_value": "٣"}, {"max_order_value": "1\n"}, {"band_ticks": -1},
        {"band_ticks": 2_000_000_001}, {"band_ticks": "1"}, {"band_ticks": True}, {"short_ticks": -1},
        {"long_ticks": 2_000_000_001}, {"short_ms": 7}, {"long_ms": 0}, {"long_ms": 86_400_001},
        {"limit_steps": "0"}, {"limit_steps": "10001"}, {"limit_steps": "1,2,3,4"}, {"limit_steps": "2,1"},
        {"limit_steps": "1,1"}, {"limit_steps": "1,"}, {"limit_steps": "1, 2"}, {"limit_steps": "01"},
        {"limit_steps": "+1"}, {"limit_steps": 1}, {"limit_steps": "9" * 5000}, {"limit_free_from": "2026-02-29"},
        {"limit_free_from": 20260101}, {"limit_free_from": "2026-1-1"}, {"band_ticks": 1, "step": 1},
    ],
)  # fmt: skip
def test_controls_that_are_not_well_said_are_refused(said: Payload) -> None:
    with pytest.raises(Refused):
        ControlChange.read({"symbol": "W", **said})


def test_limits_are_changed_by_what_is_named() -> None:
    assert LimitChange.read({"symbol": "W"}, is_restating=False) == LimitChange("W", "", None, None, None, None)
    assert LimitChange.read({"group": "soft", "step": 3, "why": "a", "by": "b"}, is_restating=False).step == 3
    said: Payload = {"symbol": "W", "settlement": "-4.00", "step": 0, "locked": 0, "side": 2}
    assert LimitChange.read(said, is_restating=True) == LimitChange("W", "", "-4.00", 0, 0, 2)


@pytest.mark.parametrize(
    "said",
    [
        {"symbol": "ALL"}, {}, {"symbol": "W", "group": "soft"}, {"group": "soft", "settlement": "1"},
        {"symbol": "W", "settlement": 1}, {"symbol": "W", "settlement": ""}, {"symbol": "W", "settlement": "1."},
        {"symbol": "W", "settlement": "x"}, {"symbol": "W", "step": 4}, {"symbol": "W", "step": -1},
        {"symbol": "W", "step": "1"}, {"symbol": "W", "locked": 3}, {"symbol": "W", "side": -1},
        {"symbol": "W", "side": True}, {"symbol": "W", "why": 1}, {"symbol": "W", "band_ticks": 1},
    ],
)  # fmt: skip
def test_limits_that_are_not_well_said_are_refused(said: Payload) -> None:
    with pytest.raises(Refused):
        LimitChange.read(said, is_restating=True)


@pytest.mark.parametrize("key", ["locked", "side"])
def test_a_run_is_told_only_while_a_day_is_restated(key: str) -> None:
    said: Payload = {"symbol": "W", "step": 1, key: 1}
    assert LimitChange.read(said, is_restating=True)
    with pytest.raises(Refused):
        LimitChange.read(said, is_restating=False)


@pytest.mark.parametrize(
    ("settlement", "ticks"), [("1.000", 200), ("1", 200), ("9.0", 1800), ("0.995", None), ("9.005", None),
                              ("1.001", None), ("-1.000", None)],
)  # fmt: skip
def test_a_settlement_price_is_on_tick_and_within_the_band(settlement: str, ticks: int | None) -> None:
    change = LimitChange.read({"symbol": "W", "settlement": settlement}, is_restating=False)
    if ticks is not None:
        assert change.settlement_of(terms()) == ticks
    else:
        with pytest.raises(Refused):
            change.settlement_of(terms())
    assert LimitChange.read({"symbol": "W"}, is_restating=False).settlement_of(terms()) is None


def test_a_contract_size_is_part_of_the_terms() -> None:
    assert terms(contract_size=3500).contract_size == 3500
