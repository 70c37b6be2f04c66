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


CHAIN = [
    ("buy 9 @ 5000 as b2 at_close display 1 min 1 ! flags=26 reserved=1", Code.MALFORMED),
    ("buy 9 @ 5000 as b2 at_close display 1 min 1 ! flags=26", Code.INVALID_COMBINATION),
    ("buy 9 @ 5000 as b2 display 10 min 10 ! flags=26 expire_time=9", Code.DISPLAY_QTY),
    ("buy 9 @ 5000 as b2 display -1 min 10 ! flags=26 expire_time=9", Code.DISPLAY_QTY),
    ("buy 9 @ 5000 as b2 display 9 min 10 ! flags=26 expire_time=9", Code.MIN_QTY),
    ("buy 9 @ 5000 as b2 display 9 min -1 ! flags=26 expire_time=9", Code.MIN_QTY),
    ("buy 9 @ 5000 as b1 display 9 min 9 ! flags=26 expire_time=9", Code.STOP_PRICE),
    ("buy 9 @ 5000 as b1 display 9 min 9 ! flags=10 expire_time=9", Code.EXPIRE_TIME),
    ("buy 9 @ 5000 as b1 display 9 min 9 ! flags=10", Code.DUPLICATE),
    ("buy 9 @ 5000 as b2 display 9 min 9 ! flags=10", Code.PHASE),
    ("buy 9 @ 5000 as b2 display 9 ! flags=10", Code.TICK_SIZE),
    ("buy 9 @ 5000 as b2 display 9", Code.PRICE_BAND),
    ("buy 9 @ 500 as b2 display 9", Code.OK),
]


def test_the_gates_of_order_types_stand_between_combination_and_duplicate() -> None:
    opening = [*WORLD[:3], ("venue", "phase W pre_open"), ("A1", "buy 1 @ 50 as b1")]
    assert codes({}, opening, [("A1", text) for text, _ in CHAIN]) == [code for _, code in CHAIN]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("sell 9 stop 5000 as s1", Code.PRICE_BAND),
        ("sell 9 stop 5000 as s1 ! flags=24", Code.TICK_SIZE),
        ("sell 9 stop 50 as s1 ! flags=0", Code.STOP_PRICE),
        ("sell 9 stop 50 as s1 ! flags=18 price=4", Code.MALFORMED),
        ("sell 9 stop 50 @ 5000 as s1", Code.PRICE_BAND),
        ("sell 9 stop 5000 @ 50 as s1", Code.PRICE_BAND),
        ("sell 9 stop 50 as s1 ! price=4000", Code.OK),
        ("sell 9 market as s1 ! stop_price=4000", Code.OK),
        ("sell 9 @ 50 as s1 gtd until 5000", Code.EXPIRE_TIME),
        ("sell 9 @ 50 as s1 gtd until 5001", Code.OK),
        ("sell 9 @ 50 as s1 ! expire_time=-1", Code.EXPIRE_TIME),
        ("sell 9 @ 50 as s1 ! flags=34", Code.MALFORMED),
        ("sell 9 @ 50 as s1 ! flags=66", Code.MALFORMED),
        ("sell 9 @ 50 as s1 ! flags=6", Code.MALFORMED),
        ("sell 9 market as s1 at_open", Code.PHASE),
        ("sell 9 market_to_limit as s1 min 9", Code.OK),
    ],
)
def test_places_of_new_kinds(text: str, code: Code) -> None:
    assert codes({}, WORLD, [("A1", text)]) == [code]


@pytest.mark.parametrize(
    "text",
    [
        "buy 9 market as b post", "buy 9 @ 5 as b post ioc", "buy 9 @ 5 as b post fok", "buy 9 @ 5 as b post at_open",
        "buy 9 @ 5 as b post at_close", "buy 9 stop 5 as b ioc", "buy 9 stop 5 @ 5 as b fok",
        "buy 9 stop 5 as b at_open", "buy 9 stop 5 @ 5 as b at_close", "buy 9 market_to_limit as b at_open",
        "buy 9 market_to_limit as b at_close", "buy 9 market_to_limit as b ioc", "buy 9 market_to_limit as b fok",
        "buy 9 market as b display 1", "buy 9 stop 5 @ 5 as b display 9", "buy 9 @ 5 as b ioc display -1",
        "buy 9 @ 5 as b fok display 1", "buy 9 @ 5 as b post min 1", "buy 9 @ 5 as b fok min 1",
        "buy 9 @ 5 as b at_open min 1", "buy 9 market as b at_close min 1", "buy 9 stop 5 as b min 1",
        "buy 9 stop 5 @ 5 as b min -1", "buy 9 stop 5 as b post",
    ],
)  # fmt: skip
def test_what_cannot_be_combined(text: str) -> None:
    assert codes({}, WORLD, [("A1", text)]) == [Code.INVALID_COMBINATION]


def test_an_amend_names_what_its_order_has() -> None:
    opening = [
        *WORLD[:3],
        ("venue", "phase W pre_open"),
        ("A1", "buy 9 market as m"),
        ("A1", "buy 9 market_to_limit as k"),
        ("A1", "buy 9 stop 50 as s"),
        ("A1", "buy 9 stop 50 @ 60 as t"),
        ("A1", "buy 9 @ 40 as d gtd until 90000"),
        ("A1", "buy 9 @ 40 as g gtc"),
        ("A1", "buy 9 market as c at_close"),
    ]
    story = {
        "amend m price 5": Code.INVALID_COMBINATION,
        "amend k price 5": Code.INVALID_COMBINATION,
        "amend c price 5": Code.INVALID_COMBINATION,
        "amend s price 5": Code.INVALID_COMBINATION,
        "amend t price 5": Code.OK,
        "amend t stop 5000": Code.PRICE_BAND,
        "amend t stop 5": Code.OK,
        "amend s stop 7": Code.OK,
        "amend m stop 7": Code.INVALID_COMBINATION,
        "amend g stop 7": Code.INVALID_COMBINATION,
        "amend g expire 99999": Code.INVALID_COMBINATION,
        "amend d expire 9": Code.EXPIRE_TIME,
        "amend d expire 99999": Code.OK,
        "amend m qty 501": Code.MAX_ORDER_QTY,
        "amend m qty 8": Code.OK,
        "amend c qty 10": Code.OK,
    }
    assert codes({}, opening, [("A1", text) for text in story]) == list(story.values())


def test_post_only_is_nothing_special_in_a_call() -> None:
    opening = [*WORLD[:3], ("venue", "phase W pre_open"), ("A1", "sell 5 @ 100 as s1"), ("A2", "buy 1 @ 9 as c1 post")]
    story = [("A2", "buy 1 @ 100 as c2 post"), ("A2", "amend c1 price 100"), ("A2", "amend c1 price 99")]
    assert codes({}, opening, story) == [Code.OK, Code.OK, Code.OK]


def test_a_trade_at_close_has_the_closing_price() -> None:
    to_the_close = [("venue", f"phase W {phase}") for phase in ("pre_close", "closing_auction", "trade_at_close")]
    opening = [*WORLD, ("A1", "sell 5 @ 100 as s1"), *to_the_close[:1], ("A2", "buy 2 @ 100 as b1"), *to_the_close[1:]]
    story = {
        "buy 1 @ 101 as c1": Code.CLOSE_PRICE,
        "buy 1 @ 2000 as c1": Code.PRICE_BAND,
        "buy 1 @ 99 as c1 post": Code.CLOSE_PRICE,
        "buy 1 @ 100 as c1 post": Code.POST_ONLY,
        "buy 1 market as c1": Code.PHASE,
        "buy 1 @ 100 as c1 ioc": Code.PHASE,
        "buy 1 @ 100 as c1": Code.OK,
        "amend b1 qty 1": Code.TOO_LATE,
    }
    assert codes({}, opening, [("A2", text) for text in story]) == list(story.values())
    no_price = [*WORLD, *to_the_close]
    assert codes({}, no_price, [("A2", "buy 1 @ 100 as c1")]) == [Code.CLOSE_PRICE]


def test_after_the_close_all_is_for_lasting_orders() -> None:
    opening = [
        *WORLD,
        ("A1", "buy 5 @ 10 as d1"),
        ("A1", "buy 5 @ 10 as g1 gtc"),
        ("A1", "buy 5 stop 90 as s1 gtd until 90000"),
        ("venue", "phase W post_close"),
    ]
    story = {
        "buy 1 @ 5 as x1": Code.PHASE, "buy 1 @ 5 as x1 gtc": Code.OK, "buy 1 @ 5 as x2 gtd until 90000 post": Code.OK,
        "buy 1 stop 5 as x3 gtc": Code.PHASE, "amend d1 qty 4": Code.PHASE, "cancel d1": Code.PHASE,
        "amend g1 qty 4": Code.OK, "amend s1 stop 80": Code.OK, "cancel s1": Code.OK, "cancel g1": Code.OK,
    }  # fmt: skip
    assert codes({}, opening, [("A1", text) for text in story]) == list(story.values())


def test_a_wait_needs_a_stop_level() -> None:
    opening = [
        *WORLD[:2],
        ("venue", "define W max_price=9000"),
        ("venue", "phase W continuous"),
        ("A2", "sell 9 @ 4000 as s1"),
        ("A1", "buy 1 @ 4000 as b1"),
        *[("A1", f"buy 1 stop {5000 + n} as w{n}") for n in range(1024)],
    ]
    story = {
        "buy 1 stop 4500 as x1": Code.STOP_LEVELS_FULL,
        "buy 1 stop 5000 as x1": Code.OK,
        "amend w9 stop 4500": Code.STOP_LEVELS_FULL,
        "amend w9 stop 5000": Code.OK,
        "amend w8 stop 4500": Code.OK,
        "buy 1 stop 4000 as x2": Code.OK,
        "buy 1 stop 7000 as x3": Code.OK,
        "buy 1 stop 7001 @ 1 as x5": Code.STOP_LEVELS_FULL,
        "sell 1 stop 3000 as x4": Code.OK,
    }
    assert codes({"orders": 2000, "day_ids": 3000}, opening, [("A1", text) for text in story]) == list(story.values())


def test_a_far_price_needs_a_level_if_the_order_may_rest() -> None:
    fill = [("A1", f"buy 1 @ {100 + n} as f{n}") for n in range(4096)]
    window = "define W max_price=9000 window_ticks=10 reference_price=8000"
    opening = [*WORLD[:2], ("venue", window), ("venue", "phase W pre_open"), *fill]
    story = {
        "buy 1 @ 7000 as x1": Code.FAR_LEVELS_FULL,
        "buy 1 @ 8000 as x1": Code.OK,
        "buy 1 market as x2": Code.FAR_LEVELS_FULL,
        "buy 1 market_to_limit as x2": Code.FAR_LEVELS_FULL,
        "buy 1 market as x2 at_close": Code.OK,
        "buy 1 @ 7000 as x3 at_close": Code.OK,
        "amend f0 price 7000": Code.FAR_LEVELS_FULL,
        "amend f0 price 101": Code.OK,
        "amend x3 price 7001": Code.OK,
        "buy 1 market as x4": Code.OK,
        "buy 1 @ 7000 as x5": Code.FAR_LEVELS_FULL,
        "buy 1 stop 7000 @ 7000 as x5": Code.OK,
    }
    assert codes({"orders": 5000, "day_ids": 5000}, opening, [("A1", text) for text in story]) == list(story.values())


def test_restore_gates_in_order() -> None:
    opening = [("venue", "day.open 2026-11-23 next 1"), *WORLD[:3], ("venue", "account A3 M3 B3"),
               ("A1", "restore buy 5 leaves 5 @ 100 as g1 order 1")]  # fmt: skip
    story = [
        ("A9", "restore sell 5 leaves 6 @ 5000 as g1 order 2 in 9"),
        ("A9", "restore sell 5 leaves 5 @ 5000 as g1 order 2 in 9"),
        ("A1", "restore sell 5 leaves 5 @ 5000 as g1 order 2 in 9"),
        ("A1", "restore sell 5 leaves 5 @ 5000 as g1 order 2"),
        ("A1", "restore sell 5 leaves 5 @ 5000 as g2 order 2"),
        ("A1", "restore sell 5 leaves 5 @ 101 as g2 order 2"),
    ]
    assert codes({"orders": 1, "day_ids": 1}, opening, story) == [
        Code.MALFORMED, Code.UNKNOWN_ACCOUNT, Code.UNKNOWN_INSTRUMENT, Code.DUPLICATE, Code.PRICE_BAND,
        Code.DAY_ID_LIMIT,
    ]  # fmt: skip
    assert codes({"orders": 1}, opening, story[-1:]) == [Code.ORDERS_FULL]


RESTORES = [
    ("restore buy 5 leaves 5 @ 100 as g1 order 1 gtc display 3 shows 3", Code.OK),
    ("restore sell 5 leaves 5 @ 90 as g2 order 2 gtd until 1", Code.OK),
    ("restore sell 5 leaves 2 @ 90 as g3 order 3 display 900 shows 2", Code.OK),
    ("restore sell 5 leaves 5 stop 90 as g4 order 4 ! price=5000", Code.OK),
    ("restore sell 5 leaves 5 stop 90 @ 80 as g5 order 5", Code.OK),
    ("restore sell 5 leaves 5 @ 90 as g6 order 6 ! stop_price=5000 flags=126", Code.OK),
    ("restore sell 5 leaves 5 @ 90 as g9 order 7 day", Code.MALFORMED),
    ("restore sell 5 leaves 5 market as g9 order 7", Code.MALFORMED),
    ("restore sell 5 leaves 5 market_to_limit as g9 order 7", Code.MALFORMED),
    ("restore sell 5 leaves 5 @ 90 as g9 order 7 gtd", Code.MALFORMED),
    ("restore sell 5 leaves 5 @ 90 as g9 order 7 ! expire_time=1", Code.MALFORMED),
    ("restore sell 5 leaves 5 @ 90 as g9 order 7 shows 1", Code.MALFORMED),
    ("restore sell 5 leaves 5 @ 90 as g9 order 7 display 3", Code.MALFORMED),
    ("restore sell 5 leaves 5 @ 90 as g9 order 7 display 3 shows 4", Code.MALFORMED),
    ("restore sell 5 leaves 2 @ 90 as g9 order 7 display 3 shows 3", Code.MALFORMED),
    ("restore sell 5 leaves 5 @ 90 as g9 order 7 display -1 shows 1", Code.MALFORMED),
    ("restore sell 5 leaves 5 stop 90 @ 80 as g9 order 7 display 3 shows 3", Code.MALFORMED),
    ("restore sell 5 leaves 5 stop 5000 as g9 order 7", Code.PRICE_BAND),
    ("restore sell 5 leaves 5 stop 90 @ 5000 as g9 order 7", Code.PRICE_BAND),
]


def test_what_may_be_restored() -> None:
    opening = [("venue", "day.open 2026-11-23 next 1"), *WORLD[:3], ("venue", "account A3 M3 B3")]
    story = [("A1", text) for text, _ in RESTORES]
    assert codes({}, [*opening, ("venue", "define V"), ("venue", "define U")], story) == [code for _, code in RESTORES]


CONTROLLED = [
    *WORLD[:2],
    ("venue", "define W reference_price=100"),
    ("venue", "control W limit_steps=1000 band_ticks=5 max_order_value=3500000"),  # 1,000 ticks × lots
    ("venue", "limit W step 1"),  # 90..110
    ("venue", "phase W continuous"),
]


def test_price_controls_stand_between_the_band_and_the_post_only_gate() -> None:
    opening = [*CONTROLLED, ("A2", "sell 5 @ 104 as s1"), ("A1", "buy 1 @ 100 as b1 post"), ("A1", "buy 1 @ 99 as b2")]
    story = {
        "buy 11 @ 1001 as x post": Code.PRICE_BAND,
        "buy 11 @ 111 as x post": Code.PRICE_LIMIT,
        "buy 11 @ 106 as x post": Code.MOVING_BAND,
        "buy 11 @ 105 as x post": Code.MAX_ORDER_VALUE,
        "buy 9 @ 105 as x post": Code.POST_ONLY,
        "amend b1 price 1001 qty 11": Code.PRICE_BAND,
        "amend b1 price 111 qty 11": Code.PRICE_LIMIT,
        "amend b1 price 106 qty 11": Code.MOVING_BAND,
        "amend b1 price 105 qty 11": Code.MAX_ORDER_VALUE,
        "amend b1 price 105 qty 9": Code.POST_ONLY,
        "amend b1 price 103 qty 9": Code.OK,
    }
    assert codes({}, opening, [("A1", text) for text in story]) == list(story.values())
    closing = [("venue", f"phase W {phase}") for phase in ("pre_close", "closing_auction", "trade_at_close")]
    story = {"buy 11 @ 105 as x": Code.MAX_ORDER_VALUE, "buy 9 @ 105 as x": Code.CLOSE_PRICE}
    assert codes({}, [*CONTROLLED, *closing], [("A1", text) for text in story]) == list(story.values())


def test_the_limits_let_wait_who_lasts() -> None:
    story = {
        "buy 1 @ 111 as x1": Code.PRICE_LIMIT, "sell 1 @ 89 as x1 ioc": Code.PRICE_LIMIT,
        "sell 1 @ 89 as x1 fok": Code.PRICE_LIMIT, "sell 1 @ 89 as x1 at_close": Code.PRICE_LIMIT,
        "sell 1 @ 89 as x1 gtc min 1": Code.PRICE_LIMIT, "buy 1 @ 111 as x2 gtc post": Code.OK,
        "sell 1 @ 89 as x3 gtd until 900000": Code.OK, "sell 9 stop 80 @ 89 as x1": Code.PRICE_LIMIT,
        "sell 9 stop 80 @ 89 as x1 gtc": Code.MOVING_BAND, "buy 9 stop 80 @ 89 as x4 gtc": Code.OK,
        "buy 9 stop 120 @ 110 as x5": Code.MOVING_BAND, "buy 9 stop 120 @ 105 as x5": Code.OK,
        "buy 6 stop 180 as x6": Code.MAX_ORDER_VALUE, "amend x4 price 111": Code.PRICE_LIMIT,
        "amend x2 price 111": Code.PRICE_LIMIT, "buy 10 @ 111 as x7 gtc": Code.MAX_ORDER_VALUE,
    }  # fmt: skip
    assert codes({}, CONTROLLED, [("A1", text) for text in story]) == list(story.values())


def test_the_moving_band_follows_the_last_trade_on_the_side_that_hurts() -> None:
    opening = [*CONTROLLED, ("A2", "sell 1 @ 103 as s1")]
    story = {
        "sell 1 @ 94 as x1": Code.MOVING_BAND, "sell 1 @ 95 as x1": Code.OK, "cancel x1": Code.OK,
        "buy 1 @ 106 as x2": Code.MOVING_BAND, "buy 1 @ 90 as x2": Code.OK, "sell 1 @ 110 as x3": Code.OK,
        "buy 1 @ 103 as x4": Code.OK, "buy 1 @ 108 as x5": Code.OK, "buy 1 @ 109 as x6": Code.MOVING_BAND,
        "amend x3 price 97": Code.MOVING_BAND, "amend x3 qty 2": Code.OK, "amend x3 price 110": Code.OK,
        "sell 1 @ 98 as x7": Code.OK, "buy 1 market as x8": Code.OK, "buy 1 stop 1000 as x9": Code.OK,
    }  # fmt: skip
    assert codes({}, opening, [("A1", text) for text in story]) == list(story.values())


@pytest.mark.parametrize(
    ("text", "most"),
    [
        ("buy {} @ 95 as x", 10),
        ("buy {} stop 50 @ 95 as x gtc", 10),
        ("buy {} stop 50 as x", 20),
        ("buy {} market as x", 500),  # no sell, so nothing trades
        ("sell {} market as x", 11),  # 95 less the protection, but not beyond 90
        ("sell {} market_to_limit as x", 11),
        ("buy {} market as x at_close", 9),  # 110
        ("sell {} market as x at_close", 11),
        ("amend b1 qty {}", 10),
        ("amend b1 price 100 qty {}", 10),
        ("amend b1 price 90 qty {}", 11),
        ("amend w1 qty {}", 10),
        ("amend w1 stop 200 qty {}", 5),
        ("amend w2 qty {}", 10),
        ("amend w2 stop 200 qty {}", 10),
        ("amend c1 qty {}", 9),
    ],
)
def test_the_value_is_found_at_the_price_at_which_it_ranks(text: str, most: int) -> None:
    opening = [
        *CONTROLLED,
        ("A1", "buy 1 @ 95 as b1"),
        ("A1", "buy 1 stop 100 as w1"),
        ("A1", "buy 1 stop 100 @ 100 as w2"),
        ("A1", "buy 1 market as c1 at_close"),
    ]
    assert codes({}, opening, [("A1", text.format(most + 1))])[0] in (Code.MAX_ORDER_VALUE, Code.MAX_ORDER_QTY)
    assert codes({}, opening, [("A1", text.format(most))]) == [Code.OK]


def test_the_value_in_a_call_is_that_at_the_edge_and_no_other_amend_asks_for_it() -> None:
    opening = [*CONTROLLED, ("A1", "sell 1 @ 95 as s1"), ("venue", "phase W volatility_auction")]
    story = {
        "buy 10 market as x": Code.MAX_ORDER_VALUE, "buy 9 market as m1": Code.OK, "sell 11 market as m2": Code.OK,
        "amend m1 qty 10": Code.MAX_ORDER_VALUE, "amend m2 qty 12": Code.MAX_ORDER_VALUE,
        "buy 9 @ 99 as g1 gtd until 900000": Code.OK,
    }  # fmt: skip
    assert codes({}, opening, [("A1", text) for text in story]) == list(story.values())
    opening = [*CONTROLLED, ("A1", "buy 10 @ 95 as g1 gtd until 900000"), ("A1", "buy 10 stop 100 as w1"),
               ("venue", "control W max_order_value=35000")]  # fmt: skip
    story = {
        "amend g1 expire 800000": Code.OK, "amend key:g1 as g2": Code.OK, "amend g1 qty 1": Code.MAX_ORDER_VALUE,
        "amend g1 price 94": Code.MAX_ORDER_VALUE, "amend w1 stop 101": Code.MAX_ORDER_VALUE,
    }  # fmt: skip
    assert codes({}, opening, [("A1", text) for text in story]) == list(story.values())


def test_a_suspended_order_that_comes_back_is_asked_as_one_of_the_book() -> None:
    fill = [("A2", f"buy 1 @ {100 + n} as f{n}") for n in range(4096)]
    opening = [
        *WORLD[:2],
        ("venue", "define W max_price=9000 window_ticks=10 reference_price=8000"),
        ("venue", "control W limit_steps=9900"),
        ("venue", "limit W settlement 4500 step 1"),  # 45..8955
        ("venue", "phase W pre_open"),
        *fill,
    ]
    story = {
        "buy 1 @ 9000 as x1 gtc": Code.OK,
        "amend x1 qty 2": Code.OK,
        "amend x1 price 7001": Code.FAR_LEVELS_FULL,
        "amend x1 price 8000": Code.OK,
        "buy 1 @ 40 as x2 gtc": Code.OK,
        "amend x2 price 101": Code.OK,
    }
    assert codes({"orders": 5000, "day_ids": 5000}, opening, [("A1", text) for text in story]) == list(story.values())


def test_a_restored_order_outside_the_limits_needs_no_level() -> None:
    opening = [
        ("venue", "day.open 2026-11-23 next 1"),
        *WORLD[:2],
        ("venue", "define W max_price=9000 window_ticks=10 reference_price=8000"),
        ("venue", "control W limit_steps=9900"),
        ("venue", "limit W settlement 4500 step 1"),
        *[("venue", f"define {symbol}") for symbol in ("V", "U", "T")],
    ]
    fill = [("A2", f"restore buy 1 leaves 1 @ {100 + n} as f{n} order {n + 1}") for n in range(4096)]
    story = {"restore buy 1 leaves 1 @ 7000 as x1 order 4100": Code.FAR_LEVELS_FULL,
             "restore buy 1 leaves 1 @ 8956 as x1 order 4100": Code.OK}  # fmt: skip
    many = {"orders": 5000, "day_ids": 5000}
    assert codes(many, [*opening, *fill], [("A1", text) for text in story]) == list(story.values())
