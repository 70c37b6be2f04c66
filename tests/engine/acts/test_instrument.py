"""instrument.define: terms, band and window, the levels it takes, and what it refuses (R15, R40)."""

from typing import Any

import numpy as np
import pytest

from engine.core.invariants import check
from engine.core.layout import (
    BITS_USED,
    FAR_LEVELS,
    FAR_USED,
    INSTRUMENT_WORDS,
    INSTRUMENTS,
    LEVELS_USED,
    MAX_PRICE,
    MIN_PRICE,
    PROTECTION,
    WINDOW,
    WINDOW_LO,
)
from engine.dump import dump
from engine.schema import Code, CommandKind, EventKind, Limits, Phase
from tests.engine.world import BUY, SELL, TERMS, World, kinds

pytestmark = [pytest.mark.jit_off, pytest.mark.bounds]
DEFINE = CommandKind.INSTRUMENT_DEFINE
FULL = {**TERMS, "name": "hạt điều W320", "reference_price": "500", "window_ticks": 100}
ROOM = Limits(instruments=4, accounts=8, orders=64, levels=1 << 15, day_ids=64)


def empty(limits: Limits = ROOM) -> World:
    return World(limits, terms=(), phase=None)


def window(**terms: Any) -> tuple[int, int, int, int, int]:
    world = empty(ROOM._replace(levels=1 << 22))
    world.checks = False
    assert kinds(world.act(DEFINE, **{**TERMS, **terms})) == [EventKind.INSTRUMENT_DEFINED]
    ins = world.state.arrays.ins
    low, high, start, width, far = (
        int(ins[INSTRUMENT_WORDS + field]) for field in (MIN_PRICE, MAX_PRICE, WINDOW_LO, WINDOW, FAR_LEVELS)
    )
    return low, high, start, width, far


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ({}, (1, 1000, 1, 1000, 0)),
        ({"window_ticks": 1000}, (1, 1000, 1, 1000, 0)),
        ({"window_ticks": 999}, (1, 1000, 1, 999, 4096)),
        ({"window_ticks": 100}, (1, 1000, 450, 100, 4096)),
        ({"window_ticks": 100, "reference_price": "1000"}, (1, 1000, 901, 100, 4096)),
        ({"window_ticks": 100, "reference_price": "1"}, (1, 1000, 1, 100, 4096)),
        ({"window_ticks": 1, "reference_price": "7"}, (1, 1000, 7, 1, 4096)),
        ({"window_ticks": 3, "reference_price": "7"}, (1, 1000, 6, 3, 4096)),
        ({"min_price": "-4", "max_price": "-1", "window_ticks": 2}, (-4, -1, -4, 2, 4096)),
        ({"min_price": "7", "max_price": "7"}, (7, 7, 7, 1, 0)),
        ({"tick": "0.005", "min_price": "-1.000", "max_price": "3.005"}, (-200, 601, -200, 802, 0)),
        ({"min_price": "-2000000000", "max_price": "2000000000"}, (-2 * 10**9, 2 * 10**9, -2048, 4096, 4096)),
        (
            {"max_price": "2000000000", "window_ticks": 1 << 20},
            (1, 2 * 10**9, 1_000_000_000 - (1 << 19), 1 << 20, 4096),
        ),
    ],
)
def test_the_window_lies_where_the_rule_says(terms: dict[str, Any], expected: tuple[int, ...]) -> None:
    assert window(**terms) == expected


def test_a_definition_is_told_and_remembered_as_it_was_said() -> None:
    world = empty()
    (row,) = world.act(DEFINE, **FULL)
    assert (row["kind"], row["instrument"], row["phase"]) == (EventKind.INSTRUMENT_DEFINED, 1, Phase.CLOSED)
    assert dump(world.state)["instruments"] == [
        {
            **FULL, "phase": "closed", "override": 0, "last_price": None, "close_price": None, "controls": {},
            "limits": {"settlement": 500, "step": 0, "side": 0, "locked": 0, "low": 1, "high": 1000},
        }
    ]  # fmt: skip
    (row,) = world.act(DEFINE, **{**TERMS, "symbol": "W240"})
    assert row["instrument"] == 2 and int(world.state.arrays.h[INSTRUMENTS]) == 2


BAD: list[dict[str, Any]] = [
    *({key: ...} for key in TERMS if key != "protection_ticks"),
    *({key: None} for key in FULL),
    {"unknown": 1},
    {"symbol": "ALL"},
    {"symbol": "a b"},
    {"ccy": "US D"},
    {"unit": ""},
    {"name": "x" * 201},
    {"name": 5},
    {"name": "\ud800"},
    *({"contract_size": value} for value in (0, -1, 10**9 + 1, "1", 1.5, True)),
    *({"tick": value} for value in ("0", "0.0", "-1", "1e3", "", ".", ".5", "1.", "+1", "1" * 21, 1, "\uff11", "nan")),
    *({"min_price": value} for value in ("1.5", "x", "", 1, "1001", "-2000000001", "--1", "1" * 40, "inf")),
    *({"max_price": value} for value in ("0", "2000000001", 1000, "1000.5")),
    *({"max_order_qty": value} for value in (0, 10**9 + 1, "1", 2**70)),
    *({"protection_ticks": value} for value in (-1, 10**9 + 1, "1", False)),
    *({"reference_price": value} for value in ("0", "1001", "1.5", 1, "x")),
    *({"window_ticks": value} for value in (0, (1 << 20) + 1, "64", True, -5)),
]


@pytest.mark.parametrize("change", BAD, ids=lambda change: repr(change)[:60])
def test_bad_terms(change: dict[str, Any]) -> None:
    world = empty()
    terms = {key: value for key, value in {**FULL, **change}.items() if value is not ...}
    payload = None
    if change.get("name") == "\ud800":
        payload = b'{"name":"\\ud800",' + b",".join(
            b'"%s":%s' % (key.encode(), (f'"{value}"' if isinstance(value, str) else str(value)).encode())
            for key, value in TERMS.items()
        ) + b"}"  # fmt: skip
    before = world.state.arrays.ins.copy()
    events = world.act(DEFINE, payload, **terms)
    assert kinds(events) == [EventKind.ACT_REJECTED] and events["code"].tolist() == [Code.BAD_TERMS]
    assert np.array_equal(world.state.arrays.ins, before) and not world.state.symbols


def test_a_symbol_is_defined_once() -> None:
    world = empty()
    world.act(DEFINE, **TERMS)
    assert world.act(DEFINE, **{**TERMS, "max_price": "10"})["code"].tolist() == [Code.INSTRUMENT_EXISTS]
    assert world.act(DEFINE, **{**TERMS, "max_price": "0"})["code"].tolist() == [Code.BAD_TERMS]


def test_levels_are_counted_to_the_last_one() -> None:
    for spare, code in ((0, 0), (-1, Code.INSTRUMENTS_FULL)):
        world = empty(ROOM._replace(levels=2 * 1000 + 2 * (999 + 4096) + spare))
        assert world.act(DEFINE, **TERMS)["code"].tolist() == [0]
        events = world.act(DEFINE, **{**TERMS, "symbol": "W240", "window_ticks": 999})
        assert events["code"].tolist() == [code]
        assert world.act(DEFINE, **{**TERMS, "symbol": "TINY", "max_price": "1"})["code"].tolist() == [
            0 if code else Code.INSTRUMENTS_FULL
        ], "a smaller one may still fit"
        check(world.state)


def test_the_number_of_instruments_is_limited() -> None:
    world = empty(ROOM._replace(instruments=2))
    for number, code in ((1, 0), (2, 0), (3, Code.INSTRUMENTS_FULL)):
        terms = {**TERMS, "symbol": f"S{number}", "max_price": "1"}
        assert world.act(DEFINE, **terms)["code"].tolist() == [code]
    assert world.act(DEFINE, **{**TERMS, "symbol": "S1"})["code"].tolist() == [Code.INSTRUMENT_EXISTS]
    assert world.act(CommandKind.PHASE_SET, symbol="S3", phase="continuous")["code"].tolist() == [
        Code.UNKNOWN_INSTRUMENT
    ]


@pytest.mark.parametrize("width", (1, 2, 64, 65, 4096, 4097, 262_144, 1 << 20))
def test_what_instruments_reserve_lies_within_the_arrays(width: int) -> None:
    limits = Limits(instruments=4, accounts=8, orders=1, levels=4 * 2 * (width + 4096), day_ids=1)
    world = empty(limits)
    world.checks = False
    for number in range(4):
        terms = {"symbol": f"S{number}", "window_ticks": width, "max_price": "2000000"}
        assert world.act(DEFINE, **{**TERMS, **terms})["code"].tolist() == [0]
    a = world.state.arrays
    assert int(a.h[LEVELS_USED]) == limits.levels + 1
    assert int(a.h[BITS_USED]) <= a.bits.size and 2 * int(a.h[FAR_USED]) <= a.far.size


def test_instruments_do_not_touch_each_other() -> None:
    world = World(ROOM, terms=({"window_ticks": 65}, {"symbol": "W240", "window_ticks": 64}, {"symbol": "W450"}))
    for number in (1, 2, 3):
        for price in (1, 468, 469, 532, 533, 1000):
            world.place(1, SELL if price > 500 else BUY, number, price, instrument=number)
    for number in (1, 2, 3):
        book = world.book(number)
        assert [(price, qty) for price, qty, _ in book["bids"]] == [(469, number), (468, number), (1, number)]
        assert [(price, qty) for price, qty, _ in book["asks"]] == [(532, number), (533, number), (1000, number)]


def test_protection_has_its_default() -> None:
    world = empty()
    world.act(DEFINE, **{key: value for key, value in TERMS.items() if key != "protection_ticks"})
    assert int(world.state.arrays.ins[INSTRUMENT_WORDS + PROTECTION]) == 100
