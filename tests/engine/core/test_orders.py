"""The gates of order commands in their precedence, and what accepted commands do to an order."""

from typing import Any

import pytest

from engine.core.layout import FREE, IDS, LIVE
from engine.dump import dump
from engine.phases import PHASES, Permit
from engine.schema import (
    HAS_EXPIRE,
    HAS_PRICE,
    HAS_QTY,
    HAS_STOP,
    MAX_FAR_LEVELS,
    MAX_ORDER_QTY,
    OF_SESSION,
    OFF_TICK,
    POST_ONLY,
    PRIORITY_KEPT,
    Code,
    CommandKind,
    EventKind,
    OrdStatus,
    Phase,
    Reason,
    cl_ord_id_key,
)
from tests.engine.core.gates import FAR, JUNK32, JUNK64, assert_precedence, code_of
from tests.engine.world import (
    AT_CLOSE,
    BUY,
    DAY,
    FOK,
    GTC,
    GTD,
    IOC,
    LIMIT,
    MARKET,
    SELL,
    SMALL,
    STOP,
    TERMS,
    World,
    kinds,
    trades,
    way,
)

pytestmark = [pytest.mark.jit_off, pytest.mark.bounds]

C, K, A = Code, EventKind, CommandKind


def two_instruments(phase: Phase = Phase.CONTINUOUS, **limits: int) -> World:
    """The second stays closed."""
    world = World(SMALL._replace(**limits), phase=None)
    world.act(A.INSTRUMENT_DEFINE, **{**TERMS, "symbol": "SHUT"})
    world.phase("W320", phase)
    return world


# --- precedence -------------------------------------------------------------------------------------------

WRONG_PLACE = {
    "account": 9, "instrument": 9, "side": BUY, "ord_type": LIMIT, "time_in_force": IOC, "smp": 6,
    "flags": POST_ONLY | HAS_PRICE | OFF_TICK, "price": 5_000, "order_qty": MAX_ORDER_QTY, "cl_ord_id": b"used",
}  # fmt: skip
PLACE_MENDS = [
    (C.MALFORMED, {"smp": 0}),
    (C.UNKNOWN_ACCOUNT, {"account": 1}),
    (C.UNKNOWN_INSTRUMENT, {"instrument": 2}),
    (C.INVALID_COMBINATION, {"time_in_force": DAY}),
    (C.DUPLICATE, {"cl_ord_id": b"new"}),
    (C.PHASE, {"instrument": 1}),
    (C.MAX_ORDER_QTY, {"order_qty": 5}),
    (C.TICK_SIZE, {"flags": POST_ONLY | HAS_PRICE}),
    (C.PRICE_BAND, {"price": 500}),
    (C.POST_ONLY, {"price": 499}),
]


def test_gates_of_a_plain_place() -> None:
    world = two_instruments()
    world.place(2, SELL, 1, 500)
    world.place(1, SELL, 1, 600, cl_ord_id=b"used")
    assert_precedence(world, A.ORDER_PLACE, WRONG_PLACE, PLACE_MENDS)


@pytest.mark.parametrize("fields", [{"time_in_force": IOC}, {"time_in_force": FOK}, {"ord_type": MARKET}], ids=repr)
def test_a_plain_post_only_order_may_not_want_to_trade_at_once(fields: dict[str, Any]) -> None:
    world = World()
    price = None if "ord_type" in fields else 100
    assert code_of(world.place(1, BUY, 1, price, flags=POST_ONLY, **fields)) == C.INVALID_COMBINATION


@pytest.mark.parametrize("aside", (False, True), ids=("plain", "with an expiry"))
def test_gates_of_an_amend(aside: bool) -> None:
    """An amend of a plain order has a shorter way, which must not change the order of the gates."""
    world = two_instruments()
    world.phase("SHUT", Phase.CONTINUOUS)
    world.place(1, SELL, 1, 600, time_in_force=GTC, instrument=2)
    shut = world.seq
    world.phase("SHUT", Phase.CLOSED)
    world.place(2, SELL, 1, 500)
    tif = {"time_in_force": GTD, "expire_time": 1 << 60} if aside else {}
    world.place(1, BUY, 2, 400, cl_ord_id=b"live", flags=POST_ONLY, **tif)
    order_id = world.seq
    world.place(1, SELL, 1, 499, cl_ord_id=b"ended", time_in_force=IOC)
    world.place(3, BUY, 1, 399)
    others = world.seq
    wrong = {"account": 9, "cl_ord_id": b"live", "target_lo": 0, "target_hi": 5, "flags": 255, "price": 5_000,
             "order_qty": MAX_ORDER_QTY + 1, "expire_time": 1 if aside else 1 << 61, "stop_price": 1 << 60}  # fmt: skip
    low, high = cl_ord_id_key(b"ended")
    most = 255 & ~HAS_STOP if aside else 255 & ~(HAS_STOP | HAS_EXPIRE)
    mends = [
        (C.MALFORMED, {"order_qty": MAX_ORDER_QTY}),
        (C.UNKNOWN_ACCOUNT, {"account": 1}),
        (C.DUPLICATE, {"cl_ord_id": b"new"}),
        (C.UNKNOWN_ORDER, {"target_lo": others, "target_hi": 0}),
        (C.NOT_OWNER, {"target_lo": low, "target_hi": high}),
        (C.TOO_LATE, {"target_lo": shut, "target_hi": 0}),
        (C.PHASE, {"target_lo": order_id}),
        (C.INVALID_COMBINATION, {"flags": most}),
        *([(C.EXPIRE_TIME, {"expire_time": 1 << 61})] if aside else []),
        (C.MAX_ORDER_QTY, {"order_qty": 5}),
        (C.TICK_SIZE, {"flags": most & ~OFF_TICK}),
        (C.PRICE_BAND, {"price": 500}),
        (C.POST_ONLY, {"price": 499}),
    ]
    assert_precedence(world, A.ORDER_AMEND, wrong, mends)


def test_gates_of_a_cancel() -> None:
    world = two_instruments()
    world.place(1, BUY, 2, 400, cl_ord_id=b"live")
    order_id = world.seq
    world.place(3, BUY, 1, 399)
    others = world.seq
    wrong = {"account": 9, "cl_ord_id": b"a b", "target_lo": 77}
    mends = [
        (C.MALFORMED, {"cl_ord_id": b""}),
        (C.UNKNOWN_ACCOUNT, {"account": 1}),
        (C.UNKNOWN_ORDER, {"target_lo": others}),
        (C.NOT_OWNER, {"target_lo": order_id}),
    ]
    assert_precedence(world, A.ORDER_CANCEL, wrong, mends)
    assert code_of(world.cancel(1, cl_ord_id=b"live")) == C.TOO_LATE
    assert code_of(world.cancel(1, order_id)) == C.UNKNOWN_ORDER


def test_gates_of_a_mass_cancel_and_of_a_disconnect() -> None:
    world = two_instruments()
    world.place(1, BUY, 2, 400, client_session=5)
    wrong = {"account": 9, "instrument": 9, "side": 3, "cl_ord_id": b"?"}
    mends = [
        (C.MALFORMED, {"side": 1}),
        (C.MALFORMED, {"cl_ord_id": b"fine"}),
        (C.UNKNOWN_ACCOUNT, {"account": 1}),
        (C.UNKNOWN_INSTRUMENT, {"instrument": 0}),
    ]
    assert_precedence(world, A.ORDER_MASS_CANCEL, wrong, mends)
    world.place(1, BUY, 2, 400, client_session=5)
    mends = [(C.MALFORMED, {"cl_ord_id": b""}), (C.UNKNOWN_ACCOUNT, {"account": 4})]
    assert_precedence(world, A.DISCONNECT, {**wrong, "client_session": 5}, mends)


def test_an_amend_of_a_closed_instrument_is_refused_before_its_price_is_looked_at() -> None:
    world = World()
    world.place(1, BUY, 2, 400, time_in_force=GTC)
    order_id = world.seq
    world.phase("ALL", Phase.CLOSED)
    assert code_of(world.amend(1, order_id, price=5_000)) == C.PHASE
    assert code_of(world.cancel(1, order_id)) == C.PHASE
    world.phase("ALL", Phase.PRE_OPEN)
    world.phase("ALL", Phase.HALTED)
    assert code_of(world.amend(1, order_id, price=5_000)) == C.PHASE
    assert kinds(world.cancel(1, order_id)) == [K.ORDER_CANCELED]


# Orders that every phase can find in the world, and what an amend of each may change.
ORDERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "gtc": ({"time_in_force": GTC}, {"price": 90}),
    "day": ({"time_in_force": DAY}, {"price": 90}),
    "iceberg": ({"time_in_force": GTC, "display_qty": 1}, {"qty": 2}),
    "gtd": ({"time_in_force": GTD, "expire_time": 1 << 60}, {"expire": 1 << 61}),
    "stop": ({"ord_type": STOP, "flags": HAS_STOP, "stop_price": 700, "time_in_force": GTC}, {"stop": 800}),
    "aside": ({"time_in_force": AT_CLOSE}, {"qty": 2}),
}


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("kind", ORDERS)
def test_amends_and_cancels_are_let_in_as_the_table_of_phases_says(kind: str, phase: Phase) -> None:
    fields, change = ORDERS[kind]
    asked = {A.ORDER_AMEND: Permit.AMEND, A.ORDER_CANCEL: Permit.CANCEL, A.ORDER_MASS_CANCEL: Permit.CANCEL,
             A.DISCONNECT: Permit.CANCEL}  # fmt: skip
    permits = PHASES[phase].permits
    lasting = fields["time_in_force"] in (GTC, GTD)
    for command, permit in asked.items():
        world = World()
        world.checks = command == A.ORDER_AMEND
        world.place(1, BUY, 3, None if "ord_type" in fields else 100, client_session=7, **fields)
        order_id = world.seq
        for step in way(phase, Phase.CONTINUOUS):
            world.phase("ALL", step)
        if not dump(world.state)["orders"]:
            assert not lasting, "ended on the way"
            return
        lets = bool(permits & permit) and (lasting or not permits & Permit.LASTING_ONLY)
        if command == A.ORDER_AMEND:
            events = world.amend(1, order_id, **change)
        elif command == A.ORDER_CANCEL:
            events = world.cancel(1, order_id)
        elif command == A.ORDER_MASS_CANCEL:
            assert bool(world.mass_cancel(1)["qty"][-1]) == lets
            continue
        else:
            assert bool(world.disconnect(1, 7)["qty"][-1]) == (lets and not lasting)
            continue
        assert Code(int(events["code"][0])) == (C.OK if lets else C.PHASE)


# --- form (R2) --------------------------------------------------------------------------------------------

MALFORMED_PLACES: list[dict[str, Any]] = [
    *({"side": value} for value in (0, 3, 128, 255)),
    *({"ord_type": value} for value in (0, 6, 128, 255)),
    *({"time_in_force": value} for value in (0, 8, 128, 255)),
    *({"smp": value} for value in (6, 128, 255)),
    *({"order_qty": value} for value in (0, MAX_ORDER_QTY + 1, *JUNK64)),
    *({"smp_id": value} for value in (65_536, *JUNK32)),
    *({"target_lo": value} for value in JUNK64),
    *({"target_hi": value} for value in JUNK64),
    {"reserved": 1},
    {"reserved": 65_535},
    *({"flags": flag} for flag in (HAS_QTY, HAS_EXPIRE, OF_SESSION)),
    {"cl_ord_id": b""},
    {"cl_ord_id": b"\0a"},
    {"cl_ord_id": b"a/b"},
]


@pytest.mark.parametrize("wrong", MALFORMED_PLACES, ids=repr)
def test_a_malformed_place(wrong: dict[str, Any]) -> None:
    world = World()
    assert code_of(world.place(1, BUY, 1, 100, **wrong)) == C.MALFORMED


def test_a_place_has_a_price_exactly_if_it_is_a_limit() -> None:
    world = World()
    assert code_of(world.run(world.order(1, BUY, 1, None, ord_type=LIMIT))) == C.MALFORMED
    assert code_of(world.run(world.order(1, BUY, 1, 100, ord_type=MARKET))) == C.MALFORMED
    assert kinds(world.place(1, BUY, 1, None, price=-(2**63))) == [K.ORDER_ACCEPTED, K.ORDER_CANCELED]


def test_flag_bits_without_a_meaning_and_stop_prices_without_their_flag_are_ignored() -> None:
    world = World()
    assert kinds(world.place(1, BUY, 1, 100, flags=0x80)) == [K.ORDER_ACCEPTED]
    for price in JUNK64:
        assert kinds(world.place(1, BUY, 1, 100, stop_price=price)) == [K.ORDER_ACCEPTED]
    assert [(order["flags"], order["stop_price"]) for order in dump(world.state)["orders"]] == [(0, 0)] * 6
    assert kinds(world.place(1, BUY, 1, None, flags=OFF_TICK)) == [K.ORDER_ACCEPTED, K.ORDER_CANCELED]


MALFORMED_AMENDS: list[dict[str, Any]] = [
    {},
    {"cl_ord_id": b"a b", "price": 3},
    {"flags": POST_ONLY | OFF_TICK},
    *({"qty": value} for value in (-1, MAX_ORDER_QTY + 1, 2**63 - 1, -(2**63))),
    {"flags": HAS_QTY},
]


@pytest.mark.parametrize("wrong", MALFORMED_AMENDS, ids=repr)
def test_a_malformed_amend(wrong: dict[str, Any]) -> None:
    world = World()
    world.place(1, BUY, 1, 100)
    assert code_of(world.amend(1, world.seq, **wrong)) == C.MALFORMED


def test_a_cancel_or_amend_that_names_no_order_is_malformed() -> None:
    world = World()
    world.place(1, BUY, 1, 100, cl_ord_id=b"a")
    assert code_of(world.cancel(1)) == C.MALFORMED
    assert code_of(world.amend(1, 0, price=3)) == C.MALFORMED
    # A lone client id names the order, so it brings no new one.
    assert code_of(world.amend(1, 0, cl_ord_id=b"a")) == C.MALFORMED
    assert kinds(world.amend(1, 0, cl_ord_id=b"a", price=3)) == [K.ORDER_AMENDED]


@pytest.mark.parametrize("word", (1, 2, 3))
@pytest.mark.parametrize("kind", [A.ORDER_CANCEL, A.ORDER_AMEND, A.ORDER_MASS_CANCEL, A.DISCONNECT, A.CLOCK_TICK])
def test_a_client_id_that_begins_with_zeros_is_present_and_malformed(kind: int, word: int) -> None:
    world = World()
    world.place(1, BUY, 1, 100)
    fields = {"account": 1, "target_lo": world.seq, "flags": HAS_PRICE, "price": 99}
    hidden = b"\0" * 8 * word + b"a"
    assert code_of(world.run(world.row(kind, **fields, cl_ord_id=hidden))) == C.MALFORMED
    assert not world.run(world.row(kind, **fields))["code"].any()


@pytest.mark.parametrize("value", (0, 5, *JUNK32))
def test_numbers_of_accounts_and_instruments_that_are_none(value: int) -> None:
    world = World()
    assert code_of(world.place(value, BUY, 1, 100)) == C.UNKNOWN_ACCOUNT
    assert code_of(world.place(1, BUY, 1, 100, instrument=value)) == C.UNKNOWN_INSTRUMENT
    assert code_of(world.cancel(value, 1)) == C.UNKNOWN_ACCOUNT
    assert code_of(world.amend(value, 1, price=1)) == C.UNKNOWN_ACCOUNT
    assert code_of(world.mass_cancel(value)) == C.UNKNOWN_ACCOUNT
    assert code_of(world.disconnect(value, 1)) == C.UNKNOWN_ACCOUNT
    if value:
        assert code_of(world.mass_cancel(1, instrument=value)) == C.UNKNOWN_INSTRUMENT


@pytest.mark.parametrize("low", JUNK64)
@pytest.mark.parametrize("high", (0, *JUNK64))
def test_junk_targets_name_no_order(low: int, high: int) -> None:
    world = World()
    world.place(1, BUY, 1, 100)
    assert code_of(world.cancel(1, low, target_hi=high)) == C.UNKNOWN_ORDER
    assert code_of(world.amend(1, low, target_hi=high, price=1)) == C.UNKNOWN_ORDER


@pytest.mark.parametrize("price", (0, 1_001, -1, 2**32 + 5, *JUNK64))
def test_prices_outside_the_band(price: int) -> None:
    world = World()
    world.place(3, SELL, 1, 500)
    assert code_of(world.place(1, BUY, 1, price)) == C.PRICE_BAND
    assert code_of(world.place(1, SELL, 1, price, flags=POST_ONLY)) == C.PRICE_BAND
    world.place(1, BUY, 1, 100)
    assert code_of(world.amend(1, world.seq, flags=HAS_PRICE, price=price)) == C.PRICE_BAND


# --- limits (R15) -----------------------------------------------------------------------------------------


def test_day_ids_come_before_orders_and_the_gates_before_both() -> None:
    world = World(SMALL._replace(orders=1, day_ids=2))
    world.place(1, BUY, 1, 100, time_in_force=IOC)
    assert kinds(world.place(1, BUY, 1, 100)) == [K.ORDER_ACCEPTED]
    order_id = world.seq
    assert code_of(world.place(1, BUY, 1, 5_000)) == C.PRICE_BAND
    assert code_of(world.place(1, BUY, 1, 99)) == C.DAY_ID_LIMIT
    assert code_of(world.amend(1, order_id, price=99, cl_ord_id=b"n")) == C.DAY_ID_LIMIT
    assert kinds(world.amend(1, order_id, price=99)) == [K.ORDER_AMENDED]
    assert int(world.state.arrays.h[IDS]) == 2


def test_a_full_venue_refuses_even_what_would_not_rest() -> None:
    world = World(SMALL._replace(orders=2))
    world.place(1, BUY, 1, 100), world.place(1, BUY, 1, 100)
    ids = int(world.state.arrays.h[IDS])
    assert code_of(world.place(3, SELL, 1, 100)) == C.ORDERS_FULL
    assert code_of(world.place(3, SELL, 1, None)) == C.ORDERS_FULL
    assert int(world.state.arrays.h[IDS]) == ids
    world.mass_cancel(1)
    assert int(world.state.arrays.h[LIVE]) == 0
    for _ in range(3):
        world.place(1, BUY, 1, 100), world.place(1, BUY, 1, 100)
        assert code_of(world.place(1, BUY, 1, 100)) == C.ORDERS_FULL
        world.mass_cancel(1)
    assert int(world.state.arrays.h[FREE]) != 0


def test_far_levels_fill_up_on_their_own_side_only() -> None:
    world = World(SMALL._replace(orders=4_200, levels=1 << 14, day_ids=4_400), terms=(FAR,))
    first = world.seq + 1
    lowest = -99 - MAX_FAR_LEVELS
    orders = [world.order(1, BUY, 1, lowest + k, time_in_force=GTC) for k in range(MAX_FAR_LEVELS)]
    assert not world.run(*orders)["code"].any()
    assert code_of(world.place(1, BUY, 1, -99)) == C.FAR_LEVELS_FULL
    assert code_of(world.place(1, BUY, 1, 8_000)) == C.FAR_LEVELS_FULL
    assert kinds(world.place(1, BUY, 1, -99, time_in_force=IOC)) == [K.ORDER_ACCEPTED, K.ORDER_CANCELED]
    assert kinds(world.place(1, BUY, 1, -100)) == [K.ORDER_ACCEPTED], "that level exists"
    assert kinds(world.place(1, BUY, 1, -32)) == [K.ORDER_ACCEPTED], "that one lies in the window"
    near = world.seq
    assert kinds(world.place(3, SELL, 1, 8_000)) == [K.ORDER_ACCEPTED], "the other side has its own"
    assert code_of(world.amend(1, near, price=-33)) == C.FAR_LEVELS_FULL
    # Even an order alone at its far price may not move to a new one: the gate looks before the order leaves.
    assert code_of(world.amend(1, first + 9, price=-33)) == C.FAR_LEVELS_FULL
    assert kinds(world.amend(1, first + 9, qty=7)) == [K.ORDER_AMENDED], "without a new price it may lose priority"
    assert kinds(world.amend(1, first + 9, qty=9, price=lowest + 9)) == [K.ORDER_AMENDED], (
        "nor is its own price a new one"
    )
    assert kinds(world.amend(1, first + 9, price=lowest)) == [K.ORDER_AMENDED]
    assert kinds(world.amend(1, near, price=-33)) == [K.ORDER_AMENDED], "one level has been given up"


# --- client ids (R6, R7, R32) -----------------------------------------------------------------------------


def test_an_order_answers_to_every_id_it_ever_had_by_text_and_by_key() -> None:
    world = World()
    world.place(1, BUY, 9, 100, cl_ord_id=b"a")
    order_id = world.seq
    for new in (b"b", b"c"):
        world.amend(1, order_id, cl_ord_id=new, qty=8)
    for text in (b"a", b"b", b"c"):
        low, high = cl_ord_id_key(text)
        for events in (
            world.amend(1, 0, cl_ord_id=text, qty=7),
            world.amend(1, low, target_hi=high, qty=7),
        ):
            assert events["order_id"].tolist() == [order_id]
            assert events["cl_ord_id"].tolist() == [b"c"], "it bears the newest"
        events = world.place(1, BUY, 1, 1, cl_ord_id=text)
        assert kinds(events) == [K.ORDER_STATUS] and events["cl_ord_id"][0] == text
        assert code_of(world.cancel(3, cl_ord_id=text)) == C.UNKNOWN_ORDER, "ids belong to their account"
    assert world.cancel(1, cl_ord_id=b"b")["cl_ord_id"].tolist() == [b"c"]
    for text in (b"a", b"b", b"c"):
        assert code_of(world.cancel(1, cl_ord_id=text)) == C.TOO_LATE
        assert world.place(1, BUY, 1, 1, cl_ord_id=text)["reason"].tolist() == [OrdStatus.CANCELED]


def test_a_record_used_again_does_not_answer_for_the_order_before_it() -> None:
    world = World(SMALL._replace(orders=1))
    world.place(1, BUY, 9, 100, cl_ord_id=b"a")
    old = world.seq
    world.cancel(1, old)
    world.place(1, SELL, 4, 200, cl_ord_id=b"b")
    assert code_of(world.cancel(1, old)) == C.UNKNOWN_ORDER
    assert code_of(world.cancel(1, cl_ord_id=b"a")) == C.TOO_LATE
    status = world.place(1, BUY, 1, 1, cl_ord_id=b"a")
    assert (status["order_id"][0], status["qty"][0], status["reason"][0]) == (old, 9, OrdStatus.CANCELED)


# --- amends (R30, R31) ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("qty", "price", "kept", "left"),
    [
        (5, 100, True, [(1, 4), (2, 9)]),
        (5, None, True, [(1, 4), (2, 9)]),
        (2, None, True, [(1, 1), (2, 9)]),
        (None, 100, True, [(1, 4), (2, 9)]),
        (6, None, False, [(2, 9), (1, 5)]),
    ],
)
def test_an_amend_keeps_its_place_unless_it_wants_more(
    qty: int | None, price: int | None, kept: bool, left: list[tuple[int, int]]
) -> None:
    world = World()
    orders = [int(world.place(1, BUY, lots, 100)["order_id"][0]) for lots in (5, 9)]
    world.place(3, SELL, 1, 100)
    events = world.amend(1, orders[0], qty=qty, price=price)
    assert bool(events["flags"][0] & PRIORITY_KEPT) == kept
    assert world.book()["bids"] == [(100, sum(lots for _, lots in left), [(orders[k - 1], lots) for k, lots in left])]


@pytest.mark.parametrize("total", (1, 3))
def test_an_amend_to_no_more_than_is_filled_cancels_after_all_the_gates(total: int) -> None:
    world = World()
    world.place(1, BUY, 5, 100, cl_ord_id=b"a")
    order_id = world.seq
    world.place(3, SELL, 3, 100)
    assert code_of(world.amend(1, order_id, qty=total, price=5_000)) == C.PRICE_BAND
    ids = int(world.state.arrays.h[IDS])
    events = world.amend(1, order_id, qty=total, price=99, cl_ord_id=b"new")
    assert kinds(events) == [K.ORDER_CANCELED]
    row = events[0]
    assert (row["reason"], row["qty"], row["cum_qty"], row["delta_qty"]) == (Reason.AMENDED_TO_FILLED, 5, 3, 2)
    assert (row["price"], row["cl_ord_id"]) == (100, b"a")
    assert int(world.state.arrays.h[IDS]) == ids, "the new id is not consumed"
    assert code_of(world.cancel(1, cl_ord_id=b"new")) == C.UNKNOWN_ORDER


def test_a_crossing_amend_trades_and_rests_last() -> None:
    world = World()
    world.place(3, SELL, 2, 101)
    ask = world.seq
    world.place(1, BUY, 1, 102, time_in_force=IOC)
    world.place(1, BUY, 5, 100)
    order_id = world.seq
    events = world.amend(1, order_id, price=102, qty=4)
    assert trades(events) == [(ask, 1, 101)] and events["cum_qty"][1] == 1
    assert world.book() == {"bids": [(102, 3, [(order_id, 3)])], "asks": []}
    assert kinds(world.amend(1, order_id, qty=1)) == [K.ORDER_CANCELED]


def test_an_amended_order_keeps_its_instructions() -> None:
    world = World()
    world.place(2, SELL, 1, 101)
    world.place(1, BUY, 5, 100, smp=3, flags=POST_ONLY)
    order_id = world.seq
    assert code_of(world.amend(1, order_id, price=101)) == C.POST_ONLY
    world.place(1, BUY, 5, 100, smp=3)
    events = world.amend(1, world.seq, price=101)
    assert kinds(events) == [K.ORDER_AMENDED, K.ORDER_PREVENTED, K.ORDER_CANCELED]
    assert events["account"][2] == 1
