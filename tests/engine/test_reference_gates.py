"""Precedence: of all the gates that fail, the first in the order of the codes speaks.

Each story breaks every gate at once and then mends them one by one, so that the codes come out in the schema's order.
"""

from __future__ import annotations

import pytest

from engine.reference import Reference
from engine.schema import Code
from tests.scenarios.table import SMALL, Commands


def codes(limits: dict[str, int], opening: list[tuple[str, str]], story: list[tuple[str, str]]) -> list[Code]:
    reference, commands = Reference(SMALL._replace(**limits)), Commands()
    for who, text in opening:
        row = commands.write(who, text)
        (first, *_) = reference.run_block(row, commands.payload)
        assert first["code"] == Code.OK, text
    told = []
    for who, text in story:
        row = commands.write(who, text)
        before = reference.dump()["orders"], dict(reference.day_ids)
        (first, *_) = reference.run_block(row, commands.payload)
        told.append(Code(first["code"]))
        assert told[-1] == Code.OK or (reference.dump()["orders"], reference.day_ids) == before
    reference.check()
    return told


WORLD = [("venue", "account A1 M1 B1"), ("venue", "account A2 M2 B2"), ("venue", "define W"),
         ("venue", "phase W continuous")]  # fmt: skip


def test_place_gates_in_order() -> None:
    opening = [*WORLD, ("A1", "sell 5 @ 100 as s1"), ("A1", "buy 1 @ 50 as b1")]
    story = [
        ("A9", "buy 501 @ 5000 as b1 ioc post in 9 ! flags=11 reserved=1"),
        ("A9", "buy 501 @ 5000 as b1 ioc post in 9 ! flags=11"),
        ("A1", "buy 501 @ 5000 as b1 ioc post in 9 ! flags=11"),
        ("A1", "buy 501 @ 5000 as b1 ioc post ! flags=11"),
        ("A1", "buy 501 @ 5000 as b1 post ! flags=11"),
        ("A1", "buy 501 @ 5000 as b2 post ! flags=11"),
        ("A1", "buy 500 @ 5000 as b2 post ! flags=11"),
        ("A1", "buy 500 @ 5000 as b2 post"),
        ("A1", "buy 500 @ 1000 as b2 post"),
        ("A1", "buy 500 @ 99 as b2 post"),
    ]
    assert codes({"orders": 2, "day_ids": 2}, opening, story) == [
        Code.MALFORMED, Code.UNKNOWN_ACCOUNT, Code.UNKNOWN_INSTRUMENT, Code.INVALID_COMBINATION, Code.DUPLICATE,
        Code.MAX_ORDER_QTY, Code.TICK_SIZE, Code.PRICE_BAND, Code.POST_ONLY, Code.DAY_ID_LIMIT,
    ]  # fmt: skip
    assert codes({"orders": 2}, opening, story[-1:]) == [Code.ORDERS_FULL]


@pytest.mark.parametrize("phase", ["closed", "halted"])
def test_the_phase_speaks_before_the_size(phase: str) -> None:
    opening = [*WORLD, ("A1", "buy 1 @ 50 as b1 gtc"), ("venue", f"phase W {phase}")]
    story = [("A1", "buy 501 @ 5000 as b1 ! flags=11"), ("A1", "buy 501 @ 5000 as b2 ! flags=11"),
             ("A1", "amend b1 qty 501 price 5000 as b1 ! flags=14"),
             ("A1", "amend b1 qty 501 price 5000 as b2 ! flags=14")]  # fmt: skip
    assert codes({}, opening, story) == [Code.DUPLICATE, Code.PHASE, Code.DUPLICATE, Code.PHASE]


def test_amend_gates_in_order() -> None:
    opening = [*WORLD, ("A1", "sell 5 @ 100 as s1"), ("A1", "buy 1 @ 50 as b1 post"), ("A2", "buy 1 @ 51 as c1")]
    story = [
        ("A9", "amend order:999 qty 501 price 5000 as b1 ! flags=14 order_qty=0"),
        ("A9", "amend order:999 qty 501 price 5000 as b1 ! flags=14"),
        ("A1", "amend order:999 qty 501 price 5000 as b1 ! flags=14"),
        ("A1", "amend order:999 qty 501 price 5000 as b2 ! flags=14"),
        ("A1", "amend order:c1 qty 501 price 5000 as b2 ! flags=14"),
        ("A1", "amend order:b1 qty 501 price 5000 as b2 ! flags=14"),
        ("A1", "amend order:b1 qty 500 price 5000 as b2 ! flags=14"),
        ("A1", "amend order:b1 qty 500 price 5000 as b2"),
        ("A1", "amend order:b1 qty 500 price 1000 as b2"),
        ("A1", "amend order:b1 qty 500 price 99 as b2"),
        ("A1", "amend order:b1 qty 500 price 99"),
    ]
    assert codes({"day_ids": 3}, opening, story) == [
        Code.MALFORMED, Code.UNKNOWN_ACCOUNT, Code.DUPLICATE, Code.UNKNOWN_ORDER, Code.NOT_OWNER, Code.MAX_ORDER_QTY,
        Code.TICK_SIZE, Code.PRICE_BAND, Code.POST_ONLY, Code.DAY_ID_LIMIT, Code.OK,
    ]  # fmt: skip


def test_in_pre_open_crossing_speaks_instead_of_post_only() -> None:
    opening = [*WORLD[:3], ("venue", "phase W pre_open"), ("A1", "sell 5 @ 100 as s1"), ("A2", "buy 1 @ 9 as c1 post")]
    story = [("A2", "buy 1 @ 100 as c2 post"), ("A2", "amend c1 price 100"), ("A2", "amend c1 price 99")]
    assert codes({}, opening, story) == [Code.WOULD_CROSS, Code.WOULD_CROSS, Code.OK]


def test_restore_gates_in_order() -> None:
    opening = [("venue", "day.open 2026-11-23 next 1"), *WORLD[:3], ("venue", "account A3 M3 B3"),
               ("A1", "restore buy 5 leaves 5 @ 100 as g1 order 1")]  # fmt: skip
    story = [
        ("A9", "restore sell 5 leaves 6 @ 5000 as g1 order 2 in 9"),
        ("A9", "restore sell 5 leaves 5 @ 5000 as g1 order 2 in 9"),
        ("A1", "restore sell 5 leaves 5 @ 5000 as g1 order 2 in 9"),
        ("A1", "restore sell 5 leaves 5 @ 5000 as g1 order 2"),
        ("A1", "restore sell 5 leaves 5 @ 5000 as g2 order 2"),
        ("A1", "restore sell 5 leaves 5 @ 100 as g2 order 2"),
        ("A1", "restore sell 5 leaves 5 @ 101 as g2 order 2"),
    ]
    assert codes({"orders": 1, "day_ids": 1}, opening, story) == [
        Code.MALFORMED, Code.UNKNOWN_ACCOUNT, Code.UNKNOWN_INSTRUMENT, Code.DUPLICATE, Code.PRICE_BAND,
        Code.WOULD_CROSS, Code.DAY_ID_LIMIT,
    ]  # fmt: skip
    assert codes({"orders": 1}, opening, story[-1:]) == [Code.ORDERS_FULL]
