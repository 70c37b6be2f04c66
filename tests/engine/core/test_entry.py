"""Orders coming in: the gates of every type in every phase, what an acceptance says, and where an order then is."""

from itertools import product
from typing import Any

import pytest

from engine.core.invariants import check
from engine.core.layout import LIVE, NEXT_EXPIRY
from engine.dump import dump
from engine.phases import PHASES, Mode, Permit
from engine.schema import (
    HAS_PRICE,
    HAS_STOP,
    INACTIVE,
    LAST,
    MAX_FAR_LEVELS,
    MAX_ORDER_QTY,
    MAX_STOP_LEVELS,
    OFF_TICK,
    POST_ONLY,
    Code,
    CommandKind,
    EventKind,
    OrdType,
    Phase,
    Reason,
    TimeInForce,
)
from tests.engine.core.gates import FAR, JUNK32, JUNK64, assert_precedence, code_of
from tests.engine.world import (
    AT_CLOSE,
    AT_OPEN,
    BUY,
    DAY,
    FOK,
    GTC,
    GTD,
    IOC,
    LIMIT,
    MARKET,
    MARKET_TO_LIMIT,
    SELL,
    SMALL,
    STOP,
    STOP_LIMIT,
    TERMS,
    World,
    kinds,
    trades,
    values,
    way,
)

pytestmark = [pytest.mark.jit_off, pytest.mark.bounds]

C, K, A = Code, EventKind, CommandKind
FAR_ROOM = SMALL._replace(levels=1 << 14, orders=8_000, day_ids=8_000)


def at_the_close(price: int = 500, **options: Any) -> World:
    """A venue in trade_at_close with a closing price."""
    world = World(**{"phase": Phase.PRE_CLOSE, **options})
    world.place(1, BUY, 1, price)
    world.place(3, SELL, 1, price)
    world.phase("W320", Phase.CLOSING_AUCTION)
    world.phase("W320", Phase.TRADE_AT_CLOSE)
    return world


# --- precedence -------------------------------------------------------------------------------------------

WRONG = {
    "account": 9, "instrument": 9, "side": BUY, "time_in_force": IOC, "smp": 6, "price": 5_000, "stop_price": 5_000,
    "order_qty": MAX_ORDER_QTY, "expire_time": 1, "cl_ord_id": b"used",
}  # fmt: skip
FIRST: list[tuple[Code, dict[str, Any]]] = [
    (C.MALFORMED, {"smp": 0}),
    (C.UNKNOWN_ACCOUNT, {"account": 1}),
    (C.UNKNOWN_INSTRUMENT, {"instrument": 2}),
    (C.INVALID_COMBINATION, {"time_in_force": DAY}),
]
NEXT: list[tuple[Code, dict[str, Any]]] = [
    (C.EXPIRE_TIME, {"expire_time": 0}),
    (C.DUPLICATE, {"cl_ord_id": b"new"}),
    (C.PHASE, {"instrument": 1}),
    (C.MAX_ORDER_QTY, {"order_qty": 5}),
]


def with_another_instrument(world: World) -> World:
    """The second instrument stays closed; the first has a sell at 500; the account has used an id."""
    world.act(A.INSTRUMENT_DEFINE, **{**TERMS, "symbol": "SHUT"})
    world.place(3, SELL, 1, 500, cl_ord_id=b"s")
    world.place(1, SELL, 1, 500, cl_ord_id=b"used")
    return world


def test_gates_of_a_limit_with_all_that_a_limit_may_have() -> None:
    world = with_another_instrument(World())
    wrong = {**WRONG, "ord_type": LIMIT, "flags": HAS_PRICE | HAS_STOP | OFF_TICK, "display_qty": -1, "min_qty": -1}
    mends = [
        *FIRST,
        (C.DISPLAY_QTY, {"display_qty": 2}),
        (C.MIN_QTY, {"min_qty": 1}),
        (C.STOP_PRICE, {"flags": HAS_PRICE | OFF_TICK}),
        *NEXT,
        (C.TICK_SIZE, {"flags": HAS_PRICE}),
        (C.PRICE_BAND, {"price": 500}),
    ]
    assert_precedence(world, A.ORDER_PLACE, wrong, mends)


@pytest.mark.parametrize("limit", (False, True), ids=("stop", "stop_limit"))
def test_gates_of_a_stop(limit: bool) -> None:
    world = with_another_instrument(World())
    flags = HAS_PRICE if limit else 0
    wrong = {**WRONG, "ord_type": STOP_LIMIT if limit else STOP, "flags": flags | OFF_TICK}
    mends = [
        *FIRST,
        (C.STOP_PRICE, {"flags": flags | HAS_STOP | OFF_TICK}),
        *NEXT,
        (C.TICK_SIZE, {"flags": flags | HAS_STOP}),
        *([(C.PRICE_BAND, {"price": 500})] if limit else []),
        (C.PRICE_BAND, {"stop_price": 700}),
    ]
    assert_precedence(world, A.ORDER_PLACE, wrong, mends)


def test_gates_of_a_place_at_the_close() -> None:
    world = with_another_instrument(at_the_close())
    wrong = {**WRONG, "ord_type": LIMIT, "flags": HAS_PRICE | OFF_TICK | POST_ONLY, "display_qty": MAX_ORDER_QTY + 1}
    mends = [
        *FIRST,
        (C.DISPLAY_QTY, {"display_qty": 5}),
        *NEXT,
        (C.TICK_SIZE, {"flags": HAS_PRICE | POST_ONLY}),
        (C.PRICE_BAND, {"price": 499}),
        (C.CLOSE_PRICE, {"price": 500}),
        (C.POST_ONLY, {"side": SELL}),
    ]
    assert_precedence(world, A.ORDER_PLACE, wrong, mends)


# --- form and combinations (R2, R5, R16 - R19) --------------------------------------------------------------


def placed(world: World, ord_type: int, tif: int, *, post: int = 0, display: int = 0, minimum: int = 0) -> Any:
    """A buy of 5 at 100, if it is a limit, of any attributes; with a stop price of 700 if it is a stop."""
    priced, stop = ord_type in (LIMIT, STOP_LIMIT), ord_type in (STOP, STOP_LIMIT)
    return world.place(
        1, BUY, 5, 100 if priced else None, ord_type=ord_type, time_in_force=tif, display_qty=display, min_qty=minimum,
        flags=(POST_ONLY if post else 0) | (HAS_STOP if stop else 0), stop_price=700 if stop else 0,
        expire_time=1 << 60 if tif == GTD else 0,
    )  # fmt: skip


def combines(ord_type: int, tif: int, post: int, display: int, minimum: int) -> bool:
    """R5, sentence by sentence."""
    stop = ord_type in (STOP, STOP_LIMIT)
    if post and (ord_type != LIMIT or tif in (IOC, FOK, AT_OPEN, AT_CLOSE)):
        return False
    if stop and tif in (IOC, FOK, AT_OPEN, AT_CLOSE):
        return False
    if tif in (AT_OPEN, AT_CLOSE) and ord_type not in (LIMIT, MARKET):
        return False
    if ord_type == MARKET_TO_LIMIT and tif in (IOC, FOK):
        return False
    if display and (ord_type != LIMIT or tif in (IOC, FOK)):
        return False
    return not (minimum and (post or tif in (FOK, AT_OPEN, AT_CLOSE) or stop))


ATTRIBUTES = list(product(OrdType, TimeInForce, (0, 1), (0, 3), (0, 2)))


def test_what_cannot_be_combined() -> None:
    world = World(SMALL._replace(orders=512, day_ids=512), phase=Phase.HALTED)
    world.checks = False
    for ord_type, tif, post, display, minimum in ATTRIBUTES:
        code = code_of(placed(world, ord_type, tif, post=post, display=display, minimum=minimum))
        told = C.PHASE if combines(ord_type, tif, post, display, minimum) else C.INVALID_COMBINATION
        assert code == told, (ord_type, tif, post, display, minimum)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        *(({"display_qty": value}, C.DISPLAY_QTY) for value in (6, *JUNK32)),
        *(({"min_qty": value}, C.MIN_QTY) for value in (6, *JUNK32)),
        *(({"expire_time": value}, C.EXPIRE_TIME) for value in (1, *JUNK64)),
        *(({"time_in_force": GTD, "expire_time": value}, C.EXPIRE_TIME) for value in (0, 1_008, -1, -(2**63))),
        ({"time_in_force": GTD, "expire_time": 1_009}, C.OK),
        ({"time_in_force": GTD, "expire_time": 2**63 - 1}, C.OK),
        ({"display_qty": 5}, C.OK),
        ({"flags": HAS_STOP, "stop_price": 100}, C.STOP_PRICE),
        ({"flags": HAS_PRICE | OFF_TICK}, C.TICK_SIZE),
        *(({"ord_type": STOP_LIMIT, "flags": HAS_STOP, "stop_price": value}, C.PRICE_BAND) for value in (0, 1_001)),
        *(({"ord_type": STOP_LIMIT, "flags": HAS_STOP, "stop_price": value}, C.PRICE_BAND) for value in JUNK64),
        ({"ord_type": STOP_LIMIT}, C.STOP_PRICE),
    ],
    ids=repr,
)
def test_values_that_an_order_may_not_have(wrong: dict[str, Any], code: Code) -> None:
    world = World()
    world.run(world.row(A.CLOCK_TICK, time=1_007))
    assert world.time == 1_007 and C(int(world.place(1, BUY, 5, 100, **wrong)["code"][0])) == code


def test_a_stop_has_no_price_and_a_stop_limit_has_one() -> None:
    world = World()
    assert code_of(world.stop(1, BUY, 1, 700, 100, ord_type=STOP)) == C.MALFORMED
    assert code_of(world.stop(1, BUY, 1, 700, ord_type=STOP_LIMIT)) == C.MALFORMED
    assert kinds(world.stop(1, BUY, 1, 700, price=2**63 - 1)) == [K.ORDER_ACCEPTED]


# --- phases (R9) ------------------------------------------------------------------------------------------


def permitted(phase: Phase, ord_type: int, tif: int, minimum: int) -> bool:
    permits = PHASES[phase].permits
    needed = {
        LIMIT: Permit.ENTER, MARKET: Permit.UNPRICED, MARKET_TO_LIMIT: Permit.UNPRICED, STOP: Permit.STOPS,
        STOP_LIMIT: Permit.STOPS,
    }[OrdType(ord_type)]  # fmt: skip
    if tif in (IOC, FOK) or minimum:
        needed |= Permit.AT_ONCE
    if tif == AT_OPEN:
        needed |= Permit.AT_OPEN
    if tif == AT_CLOSE:
        needed |= Permit.AT_CLOSE
    return permits & needed == needed and not (permits & Permit.LASTING_ONLY and tif not in (GTC, GTD))


@pytest.mark.parametrize("phase", Phase)
def test_each_phase_lets_in_what_the_table_says(phase: Phase) -> None:
    limits = SMALL._replace(orders=512, day_ids=512)
    world = at_the_close(100, limits=limits) if phase == Phase.TRADE_AT_CLOSE else World(limits, phase=phase)
    world.checks = False
    for ord_type, tif, post, display, minimum in ATTRIBUTES:
        if not combines(ord_type, tif, post, display, minimum):
            continue
        what = ord_type, tif, post, display, minimum
        live = int(world.state.arrays.h[LIVE])
        events = placed(world, ord_type, tif, post=post, display=display, minimum=minimum)
        if not permitted(phase, ord_type, tif, minimum):
            assert code_of(events) == C.PHASE, what
            continue
        assert events["kind"][0] == K.ORDER_ACCEPTED, what
        # Alone in its book, an order stays unless it wants to trade at once where that is possible.
        waits = ord_type in (STOP, STOP_LIMIT) or tif == AT_CLOSE
        unpriced = ord_type in (MARKET, MARKET_TO_LIMIT)
        gone = PHASES[phase].mode == Mode.CONTINUOUS and (tif in (IOC, FOK) or minimum or (unpriced and not waits))
        assert int(world.state.arrays.h[LIVE]) == live + (not gone), what
    check(world.state)


@pytest.mark.parametrize("side", (BUY, SELL))
@pytest.mark.parametrize("phase", [phase for phase in Phase if PHASES[phase].permits & Permit.ENTER])
def test_post_only_takes_nothing_where_orders_trade_and_is_like_any_other_elsewhere(phase: Phase, side: int) -> None:
    world = at_the_close() if phase == Phase.TRADE_AT_CLOSE else World(phase=phase)
    tif = {"time_in_force": GTC}
    world.place(3, SELL if side == BUY else BUY, 5, 500, **tif)
    events = world.place(1, side, 5, 500, flags=POST_ONLY, **tif)
    if PHASES[phase].mode in (Mode.CONTINUOUS, Mode.AT_CLOSE):
        assert code_of(events) == C.POST_ONLY
    else:
        assert events["kind"][0] == K.ORDER_ACCEPTED and not trades(events)


@pytest.mark.parametrize("phase", [phase for phase in Phase if PHASES[phase].mode == Mode.CALL])
def test_a_call_collects_and_tells(phase: Phase) -> None:
    world = World(phase=phase)
    assert kinds(world.place(1, BUY, 5, 101)) == [K.ORDER_ACCEPTED]
    events = world.place(3, SELL, 4, 100)
    assert kinds(events) == [K.ORDER_ACCEPTED, K.AUCTION_INDICATIVE]
    assert world.book()["bids"] and world.book()["asks"], "crossed"


# --- what an acceptance says --------------------------------------------------------------------------------


ACCEPTED: dict[str, tuple[Phase, dict[str, Any], dict[str, Any]]] = {
    # phase, the order (a price of None: it has none), and what its event says besides its attributes
    "iceberg": (Phase.CONTINUOUS, {"price": 100, "display_qty": 2}, {"price": 100, "delta_qty": 2}),
    "shows all": (Phase.CONTINUOUS, {"price": 100, "display_qty": 5}, {"price": 100}),
    "stop": (Phase.CONTINUOUS, {"ord_type": STOP}, {"old_price": 700, "flags": INACTIVE}),
    "stop_limit": (
        Phase.CONTINUOUS, {"ord_type": STOP_LIMIT, "price": 90}, {"price": 90, "old_price": 700, "flags": INACTIVE},
    ),
    "stop in a call": (Phase.PRE_OPEN, {"ord_type": STOP}, {"old_price": 700, "flags": INACTIVE}),
    "market in a call": (Phase.PRE_OPEN, {}, {"price": 1_000}),
    "market_to_limit in a call": (Phase.PRE_OPEN, {"ord_type": MARKET_TO_LIMIT}, {"price": 1_000}),
    "market for the open": (Phase.NO_CANCEL, {"time_in_force": AT_OPEN}, {"price": 1_000}),
    "market for the close": (Phase.CONTINUOUS, {"time_in_force": AT_CLOSE}, {"price": 1_000, "flags": INACTIVE}),
    "market in the closing call": (Phase.PRE_CLOSE, {"time_in_force": AT_CLOSE}, {"price": 1_000}),
    "limit for the close": (
        Phase.VOLATILITY_AUCTION, {"price": 70, "time_in_force": AT_CLOSE}, {"price": 70, "flags": INACTIVE},
    ),
    "iceberg for the close": (
        Phase.PRE_OPEN, {"price": 70, "time_in_force": AT_CLOSE, "display_qty": 1},
        {"price": 70, "flags": INACTIVE, "delta_qty": 1},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ACCEPTED)
def test_an_acceptance_says_what_the_order_is_and_where(case: str) -> None:
    phase, fields, said = ACCEPTED[case]
    world = World(phase=phase)
    fields = {"ord_type": MARKET if fields.get("price") is None else LIMIT, "time_in_force": DAY, **fields}
    if fields["ord_type"] in (STOP, STOP_LIMIT):
        fields |= {"flags": HAS_STOP, "stop_price": 700}
    (row,) = world.place(1, BUY, 5, fields.pop("price", None), **fields)
    expected = {
        "kind": K.ORDER_ACCEPTED, "op": A.ORDER_PLACE, "seq": world.seq, "time": world.time, "instrument": 1,
        "account": 1, "phase": phase, "side": BUY, "ord_type": fields["ord_type"], "qty": 5, "leaves_qty": 5,
        "time_in_force": fields["time_in_force"], "order_id": world.seq, "cl_ord_id": f"o{world.seq}".encode(),
        **said, "flags": said.get("flags", 0) | LAST,
    }  # fmt: skip
    assert values(row) == {name: value for name, value in expected.items() if value}
    (order,) = dump(world.state)["orders"]
    assert bool(order["inactive"]) == bool(said.get("flags", 0))


@pytest.mark.parametrize("ord_type", (MARKET, MARKET_TO_LIMIT))
def test_an_unpriced_order_has_its_protection_limit_as_price(ord_type: int) -> None:
    world = World()
    assert world.place(1, BUY, 5, None, ord_type=ord_type)["price"].tolist() == [0, 0]
    world.place(3, SELL, 5, 995)
    assert world.place(1, BUY, 2, None, ord_type=ord_type)["price"][0] == 1_000
    assert world.place(1, SELL, 2, None, ord_type=ord_type)["price"][0] == 0
    world.place(1, BUY, 5, 500)
    assert world.place(3, SELL, 2, None, ord_type=ord_type)["price"][0] == 490


def test_the_status_of_an_order_that_is_not_in_the_book_says_so() -> None:
    world = World()
    for fields in ({"time_in_force": AT_CLOSE}, {"ord_type": STOP, "flags": HAS_STOP, "stop_price": 700}):
        world.place(1, BUY, 5, None, **fields)
        (row,) = world.place(1, BUY, 1, 1, cl_ord_id=f"o{world.seq}".encode())
        assert row["kind"] == K.ORDER_STATUS and row["flags"] & INACTIVE
    world.place(1, BUY, 5, 100)
    (row,) = world.place(1, BUY, 1, 1, cl_ord_id=f"o{world.seq}".encode())
    assert not row["flags"] & INACTIVE


# --- coming in ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("minimum", "trades_made"), [(0, 2), (1, 2), (5, 2), (6, 0)])
@pytest.mark.parametrize("price", (102, None))
def test_a_minimum_is_found_at_once_or_the_order_is_canceled_whole(
    minimum: int, trades_made: int, price: int | None
) -> None:
    world = World(terms=({"protection_ticks": 1},))
    for lots, level in ((3, 101), (2, 102), (9, 103)):
        world.place(3, SELL, lots, level)
    events = world.place(1, BUY, 8, price, min_qty=minimum)
    assert len(trades(events)) == trades_made
    if not trades_made:
        assert kinds(events) == [K.ORDER_ACCEPTED, K.ORDER_CANCELED]
        assert (events["reason"][1], events["delta_qty"][1]) == (Reason.MIN_QTY, 8)
    elif price:
        assert world.book()["bids"] == [(102, 3, [(world.seq, 3)])], "an order like any other"


def test_a_minimum_of_an_order_that_finds_nobody() -> None:
    world = World()
    for fields in ({}, {"time_in_force": IOC}, {"ord_type": MARKET_TO_LIMIT}):
        events = world.place(1, BUY, 8, None if "ord_type" in fields else 100, min_qty=1, **fields)
        assert kinds(events) == [K.ORDER_ACCEPTED, K.ORDER_CANCELED] and events["reason"][1] == Reason.MIN_QTY


def test_a_market_to_limit_rests_at_its_last_price_or_is_canceled() -> None:
    world = World(terms=({"protection_ticks": 1},))
    assert world.place(1, BUY, 5, None, ord_type=MARKET_TO_LIMIT)["reason"].tolist() == [0, Reason.PROTECTION]
    for level in (101, 102, 104):
        world.place(3, SELL, 2, level)
    events = world.place(1, BUY, 5, None, ord_type=MARKET_TO_LIMIT, time_in_force=GTC)
    assert kinds(events) == [K.ORDER_ACCEPTED, K.TRADE, K.TRADE, K.ORDER_ACTIVATED]
    last = values(events[3])
    assert (last["price"], last["leaves_qty"], last["cum_qty"], last["ord_type"]) == (102, 1, 4, LIMIT)
    assert last["cl_ord_id"] == f"o{world.seq}".encode()
    (order,) = [order for order in dump(world.state)["orders"] if order["side"] == "buy"]
    assert (order["ord_type"], order["price"], order["time_in_force"]) == ("limit", 102, "gtc")
    assert kinds(world.amend(1, world.seq, price=103)) == [K.ORDER_AMENDED], "and has a price to amend"


def test_at_the_close_orders_trade_at_the_closing_price_in_time_order() -> None:
    world = at_the_close()
    for lots in (2, 3):
        world.place(3, SELL, lots, 500, display_qty=1)
    first, second = world.seq - 1, world.seq
    events = world.place(1, BUY, 6, 500, time_in_force=GTC)
    assert [(order_id, lots) for order_id, lots, _ in trades(events)] == [
        (first, 1), (second, 1), (first, 1), (second, 1), (second, 1),
    ]  # fmt: skip
    assert world.book() == {"bids": [(500, 1, [(world.seq, 1)])], "asks": []}
    world = World(phase=Phase.TRADE_AT_CLOSE)
    assert code_of(world.place(1, BUY, 1, 500)) == C.CLOSE_PRICE, "there is none"


def test_a_closing_price_is_forgotten_at_the_close() -> None:
    world = at_the_close()
    world.phase("ALL", Phase.CLOSED)
    for step in way(Phase.TRADE_AT_CLOSE):
        world.phase("ALL", step)
    assert code_of(world.place(1, BUY, 1, 500)) == C.CLOSE_PRICE


def test_the_next_expiry_is_known() -> None:
    world = World()
    h = world.state.arrays.h
    for expire in (9_000, 5_000, 7_000):
        world.place(1, BUY, 1, 100, time_in_force=GTD, expire_time=expire)
    assert int(h[NEXT_EXPIRY]) == 5_000
    world.amend(1, world.seq, expire=4_000)
    assert int(h[NEXT_EXPIRY]) == 4_000
    events = world.run(world.row(A.CLOCK_TICK, time=5_000))
    assert events["order_id"].tolist() == [world.seq - 3, world.seq - 2, 0] and int(h[NEXT_EXPIRY]) == 9_000


# --- limits (R15) -------------------------------------------------------------------------------------------


def fill_far(world: World, side: int) -> list[int]:
    """Take every far level of a side."""
    low, high = (-9_000, -40) if side == BUY else (40, 9_000)
    prices = [*range(low, high)][:MAX_FAR_LEVELS]
    world.checks = False
    world.run(*(world.order(1 if side == BUY else 3, side, 1, price, time_in_force=GTC) for price in prices))
    check(world.state)
    return prices


def test_far_levels_are_counted_for_what_may_rest() -> None:
    world = World(FAR_ROOM, terms=(FAR,), phase=Phase.CONTINUOUS)
    prices = fill_far(world, BUY)
    spare = prices[-1] + 1
    full: dict[str, tuple[int | None, dict[str, Any], bool]] = {
        "limit": (spare, {}, True), "iceberg": (spare, {"display_qty": 1}, True), "gtd": (
            spare, {"time_in_force": GTD, "expire_time": 1 << 60}, True),
        "ioc": (spare, {"time_in_force": IOC}, False), "fok": (spare, {"time_in_force": FOK}, False),
        "minimum": (spare, {"min_qty": 1}, True), "market": (None, {}, False),
        "market_to_limit": (None, {"ord_type": MARKET_TO_LIMIT}, False), "aside": (
            spare, {"time_in_force": AT_CLOSE}, False),
        "stop": (None, {"ord_type": STOP, "flags": HAS_STOP, "stop_price": 7_000}, False),
        "stop_limit": (spare, {"ord_type": STOP_LIMIT, "flags": HAS_STOP, "stop_price": 7_000}, False),
        "a level there is": (prices[7], {}, False), "in the window": (0, {}, False),
    }  # fmt: skip
    for case, (price, fields, refused) in full.items():
        code = C(int(world.place(1, BUY, 2, price, **fields)["code"][0]))
        assert code == (C.FAR_LEVELS_FULL if refused else C.OK), case
    world.phase("ALL", Phase.PRE_OPEN)
    for ord_type in (MARKET, MARKET_TO_LIMIT):
        assert code_of(world.place(1, BUY, 2, None, ord_type=ord_type)) == C.FAR_LEVELS_FULL, "the edge is a price"
    world.phase("ALL", Phase.HALTED)
    world.phase("ALL", Phase.POST_CLOSE)
    assert code_of(world.place(1, BUY, 1, spare, time_in_force=GTC)) == C.FAR_LEVELS_FULL


@pytest.mark.parametrize("side", (BUY, SELL))
def test_stop_levels_are_counted_by_side(side: int) -> None:
    world = World(FAR_ROOM, terms=({"max_price": "5000", "window_ticks": 64},))
    world.checks = False
    prices = range(10, 10 + MAX_STOP_LEVELS)
    world.run(*(world.stop_order(1, side, 1, price) for price in prices))
    first = world.seq - MAX_STOP_LEVELS + 1
    check(world.state)
    # A stop that is reached already does not wait, so it needs no room, and nor does what is no stop.
    last, reached, spare, others = (5, 3, 4_000, 4) if side == BUY else (2_000, 2_100, 1_500, 4_000)
    world.place(2, BUY, 1, last)
    world.place(3, SELL, 1, last)
    assert kinds(world.stop(1, side, 1, reached))[:2] == [K.ORDER_ACCEPTED, K.ORDER_TRIGGERED]
    assert code_of(world.place(1, BUY, 2, 1, display_qty=1)) == C.OK
    assert code_of(world.stop(1, side, 1, spare)) == C.STOP_LEVELS_FULL
    assert code_of(world.stop(1, side, 1, spare, 100)) == C.STOP_LEVELS_FULL
    assert code_of(world.amend(1, first, stop=spare)) == C.STOP_LEVELS_FULL
    assert code_of(world.stop(1, side, 1, 500)) == C.OK, "at a price where one waits already"
    assert code_of(world.stop(1, 3 - side, 1, others)) == C.OK, "the other side has its own"
    assert code_of(world.amend(1, first, stop=11)) == C.OK
    assert code_of(world.amend(1, first, stop=spare)) == C.OK, "one price has been given up"


def test_limits_in_their_order_for_every_kind() -> None:
    for ids, orders, code in ((1, 1, C.DAY_ID_LIMIT), (9, 1, C.ORDERS_FULL)):
        world = World(SMALL._replace(orders=orders, day_ids=ids))
        world.place(1, BUY, 1, 100)
        assert code_of(world.stop(1, BUY, 1, 700)) == code
        assert code_of(world.place(1, BUY, 1, None, ord_type=MARKET_TO_LIMIT)) == code
        assert code_of(world.place(1, BUY, 1, 100, time_in_force=AT_CLOSE)) == code
        assert code_of(world.place(1, BUY, 2, 100, display_qty=1)) == code


# --- orders that have to rest where there is no room (R15) ----------------------------------------------------


def test_what_has_no_room_when_it_comes_to_rest_is_canceled() -> None:
    """An elected stop_limit and an order kept aside, both at a far price too many."""
    world = World(FAR_ROOM, terms=(FAR,), phase=Phase.CONTINUOUS)
    spare = fill_far(world, BUY)[-1] + 1
    world.stop(1, BUY, 3, 20, spare)
    stop = world.seq
    world.place(1, BUY, 2, spare, time_in_force=AT_CLOSE)
    aside = world.seq
    world.place(3, SELL, 1, 20)
    events = world.place(1, BUY, 1, 20)
    assert kinds(events) == [K.ORDER_ACCEPTED, K.TRADE, K.ORDER_TRIGGERED, K.ORDER_CANCELED]
    assert (events["order_id"][3], events["reason"][3]) == (stop, Reason.LEVELS_FULL)
    events = world.phase("ALL", Phase.PRE_CLOSE)
    canceled = events[events["order_id"] == aside]
    assert kinds(canceled) == [K.ORDER_CANCELED] and canceled["reason"].tolist() == [Reason.LEVELS_FULL]


def test_a_market_to_limit_that_has_traded_where_there_is_no_room_is_canceled() -> None:
    world = World(FAR_ROOM, terms=({**FAR, "protection_ticks": 1},), phase=Phase.CONTINUOUS)
    spare = fill_far(world, BUY)[-1] + 1
    world.place(3, SELL, 1, spare)
    events = world.place(1, BUY, 3, None, ord_type=MARKET_TO_LIMIT)
    assert kinds(events) == [K.ORDER_ACCEPTED, K.TRADE, K.ORDER_CANCELED]
    assert (events["reason"][2], events["delta_qty"][2]) == (Reason.LEVELS_FULL, 2)
    assert events["ord_type"][2] == MARKET_TO_LIMIT and events["price"][2] == events["price"][0], "it never rested"
