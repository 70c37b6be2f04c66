"""Uncrosses: who trades with whom, what is left of whom, and what else entering a phase brings (R54 - R59, R62)."""

import random
from typing import Any

import pytest

from engine.core.layout import CALLING, CLOSE_KNOWN, INSTRUMENT_WORDS, LEAVERS
from engine.dump import dump, indicative
from engine.schema import (
    LAST,
    SELF_MATCH,
    TRADE,
    UNCROSS,
    AuctionStep,
    CommandKind,
    EventKind,
    Phase,
    Reason,
    Smp,
)
from tests.engine.core.gates import FAR
from tests.engine.world import (
    ACCOUNTS,
    AT_CLOSE,
    AT_OPEN,
    BUY,
    GTC,
    LIMIT,
    MARKET_TO_LIMIT,
    SELL,
    SMALL,
    Rows,
    World,
    assert_commands_are_framed,
    kinds,
    through_any_buffer,
    trades,
    values,
)

pytestmark = [pytest.mark.jit_off, pytest.mark.bounds]

A, K = CommandKind, EventKind
FIVE = (*ACCOUNTS, ("A5", "M5", "B5"))
MANY = SMALL._replace(orders=512, day_ids=1 << 13)


def call(phase: Phase = Phase.PRE_OPEN, **terms: Any) -> World:
    return World(MANY, terms=(terms,), phase=phase, accounts=FIVE)


def ids_of(world: World) -> list[int]:
    return [order["order_id"] for order in dump(world.state)["orders"]]


def pairs(events: Rows) -> list[tuple[int, int, int, int]]:
    """(buy, sell, lots, price) of each trade."""
    rows = events[events["kind"] == K.TRADE].view(TRADE)
    return [tuple(int(row[name]) for name in ("order_id", "resting_order_id", "qty", "price")) for row in rows]


# --- allocation (R55) -----------------------------------------------------------------------------------------


def test_the_best_trade_first_and_at_one_price_the_oldest() -> None:
    world = call()
    made = {}
    for name, side, qty, price in (
        ("b1", BUY, 4, 101), ("b2", BUY, 3, 103), ("b3", BUY, 2, 103), ("b4", BUY, 9, 99),
        ("s1", SELL, 3, 101), ("s2", SELL, 2, 99), ("s3", SELL, 3, 101), ("s4", SELL, 9, 104),
    ):  # fmt: skip
        world.place(1 if side == BUY else 3, side, qty, price)
        made[name] = world.seq
    events = world.phase("ALL", Phase.OPENING_AUCTION)
    assert pairs(events) == [
        (made[buy], made[sell], lots, 101)
        for buy, sell, lots in (("b2", "s2", 2), ("b2", "s1", 1), ("b3", "s1", 2), ("b1", "s3", 3))
    ]
    assert world.book() == {
        "bids": [(101, 1, [(made["b1"], 1)]), (99, 9, [(made["b4"], 9)])], "asks": [(104, 9, [(made["s4"], 9)])],
    }  # fmt: skip


def test_a_trade_of_an_uncross_has_no_aggressor() -> None:
    world = call()
    world.place(1, BUY, 5, 101, time_in_force=GTC)
    buy = world.seq
    world.place(3, SELL, 3, 100, display_qty=1)
    events = world.phase("ALL", Phase.OPENING_AUCTION)
    assert kinds(events) == [K.PHASE_CHANGED, K.AUCTION_UNCROSSED, K.TRADE]
    stamp = {"seq": world.seq, "time": world.time, "op": A.PHASE_SET, "instrument": 1, "phase": Phase.OPENING_AUCTION}
    assert values(events[1]) == {
        **stamp, "kind": K.AUCTION_UNCROSSED, "index": 1, "price": 101, "qty": 3, "leaves_qty": 2, "side": BUY,
        "reason": AuctionStep.PRESSURE,
    }  # fmt: skip
    assert values(events[2], TRADE) == {
        **stamp, "kind": K.TRADE, "index": 2, "flags": LAST | UNCROSS, "account": 1, "side": BUY, "ord_type": LIMIT,
        "time_in_force": GTC, "order_id": buy, "price": 101, "qty": 3, "leaves_qty": 2, "cum_qty": 3, "trade_id": 1,
        "resting_order_id": buy + 1, "resting_account": 3,
    }  # fmt: skip


@pytest.mark.parametrize("smp", Smp)
@pytest.mark.parametrize(("buyer", "seller", "own"), [(1, 2, True), (1, 1, True), (1, 3, False)])
def test_self_matches_are_marked_and_not_prevented(smp: Smp, buyer: int, seller: int, own: bool) -> None:
    world = call()
    world.place(buyer, BUY, 5, 101, smp=smp)
    world.place(seller, SELL, 5, 100, smp=Smp.CANCEL_BOTH)
    events = world.phase("ALL", Phase.OPENING_AUCTION)
    assert len(pairs(events)) == 1
    assert bool(events["flags"][-1] & SELF_MATCH) == (own and smp != Smp.NONE)


def test_an_iceberg_takes_part_with_all_it_has_and_keeps_its_place() -> None:
    world = call()
    for qty in (9, 5):
        world.place(1, BUY, qty, 101, display_qty=2)
    first = world.seq - 1
    world.place(3, SELL, 8, 101)
    events = world.phase("ALL", Phase.OPENING_AUCTION)
    assert pairs(events) == [(first, world.seq - 1, 8, 101)] and K.ORDER_REFRESHED not in kinds(events)
    told = [(order["order_id"], order["leaves_qty"], order["shown_qty"]) for order in dump(world.state)["orders"]]
    assert told == [(first, 1, 1), (first + 1, 5, 2)]


def random_call(world: World, rng: random.Random, count: int) -> None:
    low, high = 1, 1_000
    for _ in range(count):
        side, account = rng.choice((BUY, SELL)), rng.choice((1, 2, 3, 5))
        price = rng.choice((None, None, low, high, *(rng.randint(490, 510) for _ in range(12))))
        fields: dict[str, Any] = {}
        if price is None:
            fields = rng.choice(({}, {"ord_type": MARKET_TO_LIMIT}, {"time_in_force": AT_OPEN}))
        elif rng.random() < 0.3:
            fields = rng.choice(({"display_qty": 2}, {"time_in_force": AT_OPEN}, {"time_in_force": GTC}))
        world.place(account, side, rng.randint(2, 20), price, **fields)


def expected_trades(orders: list[dict[str, Any]], volume: int) -> tuple[list[tuple[int, int, int]], dict[int, int]]:
    """R55 over plain lists: (buy, sell, lots), and what is left of every order. `orders` stand as in a dump."""
    left = {order["order_id"]: order["leaves_qty"] for order in orders}
    buys = [order["order_id"] for order in orders if order["side"] == "buy"]
    sells = [order["order_id"] for order in orders if order["side"] == "sell"]
    made = []
    while volume:
        lots = min(left[buys[0]], left[sells[0]], volume)
        made.append((buys[0], sells[0], lots))
        for queue in (buys, sells):
            left[queue[0]] -= lots
            if not left[queue[0]]:
                queue.pop(0)
        volume -= lots
    return made, left


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("terms", [{}, {"window_ticks": 8}], ids=("near", "far"))
def test_an_uncross_equals_one_over_plain_lists(seed: int, terms: dict[str, Any]) -> None:
    rng = random.Random(seed)
    world = World(MANY._replace(levels=1 << 14), terms=(terms,), phase=Phase.PRE_OPEN, accounts=FIVE)
    world.checks = False
    random_call(world, rng, 5 + 5 * (seed % 6))
    world.checks = True
    orders = dump(world.state)["orders"]
    price, volume, surplus, step = indicative(world.state, 1)
    made, left = expected_trades(orders, volume)
    events = world.phase("ALL", Phase.OPENING_AUCTION)
    told = values(events[1])
    assert [told.get(name, 0) for name in ("price", "qty", "leaves_qty", "reason")] == [
        price, volume, abs(surplus), step,
    ]  # fmt: skip
    assert pairs(events) == [(buy, sell, lots, price) for buy, sell, lots in made]
    gone, activated = [], []
    for order in sorted(orders, key=lambda order: order["order_id"]):
        if not left[order["order_id"]]:
            continue
        if order["ord_type"] == "market_to_limit" and volume:
            activated.append(order["order_id"])
        elif order["ord_type"] != "limit" or order["time_in_force"] == "at_open":
            gone.append(order["order_id"])
    behind = events[2 + len(made) :]
    assert behind["order_id"].tolist() == sorted(gone + activated)
    assert behind["order_id"][behind["kind"] == K.ORDER_CANCELED].tolist() == gone
    assert set(behind["reason"][behind["kind"] == K.ORDER_CANCELED].tolist()) <= {Reason.AUCTION}
    stays = {order_id: lots for order_id, lots in left.items() if lots and order_id not in gone}
    assert {order["order_id"]: order["leaves_qty"] for order in dump(world.state)["orders"]} == stays
    assert world.state.next_trade_id == 1 + len(made)


# --- what it leaves (R56) -----------------------------------------------------------------------------------


def test_what_is_left_of_a_market_to_limit_becomes_a_limit_order_last_at_the_auction_price() -> None:
    world = call()
    world.place(1, BUY, 9, None, ord_type=MARKET_TO_LIMIT, time_in_force=GTC)
    own = world.seq
    world.place(1, BUY, 2, 101)
    world.place(3, SELL, 4, 101)
    events = world.phase("ALL", Phase.CONTINUOUS)
    assert kinds(events) == [K.PHASE_CHANGED, K.AUCTION_UNCROSSED, K.TRADE, K.ORDER_ACTIVATED]
    told = values(events[3])
    assert (told["order_id"], told["price"], told["leaves_qty"], told["cum_qty"], told["ord_type"]) == (
        own, 101, 5, 4, LIMIT,
    )  # fmt: skip
    assert world.book()["bids"] == [(101, 7, [(own + 1, 2), (own, 5)])]
    assert kinds(world.amend(1, own, price=102)) == [K.ORDER_AMENDED]


@pytest.mark.parametrize("tif", (AT_OPEN, GTC))
def test_without_a_price_all_that_is_unpriced_or_for_this_auction_is_canceled(tif: int) -> None:
    world = call()
    world.place(1, BUY, 1, None, ord_type=MARKET_TO_LIMIT)
    world.place(1, BUY, 2, None, time_in_force=tif)
    world.place(1, BUY, 3, 100, time_in_force=tif)
    first = world.seq - 2
    events = world.phase("ALL", Phase.OPENING_AUCTION)
    expected = [first, first + 1, *([first + 2] if tif == AT_OPEN else [])]
    assert kinds(events) == [K.PHASE_CHANGED, K.AUCTION_UNCROSSED] + [K.ORDER_CANCELED] * len(expected)
    assert events["order_id"][2:].tolist() == expected and values(events[1])["reason"] == AuctionStep.NO_CROSS
    assert events["delta_qty"][2:].tolist() == [order_id - first + 1 for order_id in expected]


def test_whether_somebody_has_to_leave_is_remembered_from_call_to_call() -> None:
    row = INSTRUMENT_WORDS
    world = call()
    ins = world.state.arrays.ins
    world.place(1, BUY, 1, 100)
    assert not ins[row + LEAVERS]
    world.place(1, BUY, 1, None, time_in_force=GTC)
    assert ins[row + LEAVERS]
    world.phase("ALL", Phase.HALTED)
    assert kinds(world.phase("ALL", Phase.PRE_OPEN)) == [K.PHASE_CHANGED]
    events = world.phase("ALL", Phase.OPENING_AUCTION)
    assert kinds(events)[2:] == [K.ORDER_CANCELED] and not ins[row + LEAVERS]


def test_what_leaves_leaves_in_order_of_its_id_wherever_its_record_lies() -> None:
    world = call()
    for _ in range(6):
        world.place(1, BUY, 1, 100)
    for order_id in sorted(ids_of(world)):
        world.cancel(1, order_id)
    for _ in range(6):  # the record that was given back last is handed out first
        world.place(1, BUY, 1, None)
    events = world.phase("ALL", Phase.OPENING_AUCTION)
    assert events["order_id"][2:].tolist() == [*range(world.seq - 6, world.seq)]


def test_orders_outside_the_book_and_of_other_instruments_stay() -> None:
    world = World(MANY, terms=({}, {"symbol": "W240"}), phase=Phase.PRE_OPEN, accounts=FIVE)
    world.place(1, BUY, 1, None, instrument=2)
    world.place(1, BUY, 1, None, time_in_force=AT_CLOSE)
    world.stop(1, BUY, 1, 600)
    world.place(1, BUY, 1, None)
    leaves = world.seq
    events = world.phase("W320", Phase.OPENING_AUCTION)
    assert events["order_id"][2:].tolist() == [leaves]
    assert len(ids_of(world)) == 3


# --- what entering a phase brings -----------------------------------------------------------------------------


def test_the_closing_price_is_that_of_the_closing_uncross_if_it_had_a_volume() -> None:
    for qty, known in ((5, 1), (0, 0)):
        world = call(Phase.PRE_CLOSE)
        world.place(1, BUY, 5, 101)
        if qty:
            world.place(3, SELL, qty, 99)
        world.act(A.AUCTION_UNCROSS, symbol="W320")
        assert not world.state.arrays.ins[INSTRUMENT_WORDS + CLOSE_KNOWN], "it is not the closing auction"
        world.place(1, BUY, 5, 105)
        if qty:
            world.place(3, SELL, qty, 105)
        world.phase("ALL", Phase.CLOSING_AUCTION)
        assert world.state.arrays.ins[INSTRUMENT_WORDS + CLOSE_KNOWN] == known
        assert dump(world.state)["instruments"][0]["close_price"] == (105 if known else None)


def test_a_silent_uncross_tells_nothing() -> None:
    """Into continuous from a phase that is no call: a crossed book trades, any other is left as it is."""
    for price, told in ((101, True), (102, False)):
        world = call(Phase.HALTED)
        world.phase("ALL", Phase.POST_CLOSE)
        world.place(1, BUY, 5, 101, time_in_force=GTC)
        world.place(3, SELL, 5, price, time_in_force=GTC)
        world.phase("ALL", Phase.CLOSED)
        events = world.phase("ALL", Phase.CONTINUOUS)
        assert kinds(events) == [K.PHASE_CHANGED] + [K.AUCTION_UNCROSSED, K.TRADE] * told
        assert not world.state.arrays.ins[INSTRUMENT_WORDS + CALLING]
        assert_commands_are_framed(events)


def test_a_call_goes_on_after_an_uncross_of_its_own() -> None:
    world = call()
    world.place(1, BUY, 5, None)
    world.place(3, SELL, 3, 99)
    world.act(A.AUCTION_UNCROSS, symbol="W320")
    assert world.state.arrays.ins[INSTRUMENT_WORDS + CALLING] and not ids_of(world)
    world.place(1, BUY, 5, 100)
    assert kinds(world.place(3, SELL, 5, 99)) == [K.ORDER_ACCEPTED, K.AUCTION_INDICATIVE]


def test_what_is_kept_aside_and_finds_no_room_is_canceled_between_the_others() -> None:
    world = World(SMALL._replace(levels=1 << 14, orders=8_000, day_ids=8_000), terms=(FAR,), phase=Phase.CONTINUOUS)
    world.checks = False
    world.run(*(world.order(1, BUY, 1, price, time_in_force=GTC) for price in range(-9_000, -9_000 + 4_096)))
    made = []
    for price in (0, -4_000, None, -9_000, -4_001):
        world.place(1, BUY, 1, price, time_in_force=AT_CLOSE)
        made.append(world.seq)
    world.checks = True
    events = world.phase("ALL", Phase.PRE_CLOSE)
    assert events["order_id"][1:].tolist() == made
    assert kinds(events)[1:] == [
        K.ORDER_ACTIVATED, K.ORDER_CANCELED, K.ORDER_CANCELED, K.ORDER_ACTIVATED, K.ORDER_CANCELED,
    ]  # fmt: skip
    assert (events["reason"][[2, 3, 5]] == Reason.LEVELS_FULL).all()


# --- in parts (R36) -------------------------------------------------------------------------------------------


def full_call(world: World, buys: int, sells: int, leavers: int, *, tif: int = GTC) -> None:
    """Buys at 110 and sells at 100 of one lot each, and orders that the uncross ends."""
    rows = [world.order(1, BUY, 1, 110, time_in_force=tif) for _ in range(buys)]
    rows += [world.order(3, SELL, 1, 100, time_in_force=tif) for _ in range(sells)]
    for k in range(leavers):
        fields = ({}, {"ord_type": MARKET_TO_LIMIT}, {"time_in_force": AT_OPEN})[k % 3]
        rows.append(world.order(5, BUY, 1 + k, None if k % 3 < 2 else 90, **fields))
    world.run(*rows)


@pytest.mark.parametrize(("buys", "sells", "leavers"), [(30, 30, 0), (9, 20, 24), (0, 3, 30), (0, 0, 30), (15, 15, 4)])
@pytest.mark.parametrize("phase", (Phase.OPENING_AUCTION, Phase.CONTINUOUS, None), ids=("auction", "continuous", "act"))
def test_an_uncross_gives_the_same_events_through_a_buffer_of_any_size(
    buys: int, sells: int, leavers: int, phase: Phase | None
) -> None:
    def scene(world: World) -> tuple[Rows, bytes]:
        world.stop(2, BUY, 3, 100)
        full_call(world, buys, sells, leavers)
        if phase is None:
            return world.act_row(A.AUCTION_UNCROSS, symbol="W320")
        return world.act_row(A.PHASE_SET, symbol="ALL", phase=phase.name.lower())

    narrow = {"min_price": "80", "max_price": "130"}
    events = through_any_buffer(scene, lambda: call(**narrow), 40)
    assert kinds(events)[0 if phase is None else 1] == K.AUCTION_UNCROSSED
    assert len(events) >= 10


@pytest.mark.parametrize("extra", range(9))
def test_orders_kept_aside_join_through_a_buffer_of_any_size(extra: int) -> None:
    """Three instruments: the room ends among the orders of one, before its indicative, between two of them."""

    def scene(world: World) -> tuple[Rows, bytes]:
        for number in (1, 2, 3):
            count = extra + 3 * number
            rows = [world.order(1, BUY, 1, 110, instrument=number, time_in_force=AT_CLOSE) for _ in range(count)]
            rows.append(world.order(3, SELL, 1, None, instrument=number, time_in_force=AT_CLOSE, smp=1))
            world.run(*rows)
        return world.act_row(A.PHASE_SET, symbol="ALL", phase="pre_close")

    def make() -> World:
        terms = tuple({"symbol": f"S{n}", "min_price": "90", "max_price": "120"} for n in range(3))
        return World(MANY, terms=terms)

    events = through_any_buffer(scene, make)
    expected = [K.PHASE_CHANGED] * 3
    for number in (1, 2, 3):
        expected += [K.ORDER_ACTIVATED] * (extra + 3 * number + 1) + [K.AUCTION_INDICATIVE]
    assert kinds(events) == expected


def test_activations_that_find_no_room_through_a_buffer_of_any_size() -> None:
    """Far levels are scarce by decree, so that the test need not fill four thousand of them."""

    def make() -> World:
        return World(SMALL._replace(levels=1 << 14, orders=8_000, day_ids=8_000), terms=(FAR,))

    def scene(world: World) -> tuple[Rows, bytes]:
        world.checks = False
        world.run(*(world.order(1, BUY, 1, price, time_in_force=GTC) for price in range(-9_000, -9_000 + 4_096)))
        world.run(*(world.order(1, BUY, 1, -(k % 3) * 2_000, time_in_force=AT_CLOSE) for k in range(30)))
        return world.act_row(A.PHASE_SET, symbol="ALL", phase="pre_close")

    events = through_any_buffer(scene, make, 19)
    assert kinds(events).count(K.ORDER_CANCELED) == 20 and kinds(events).count(K.ORDER_ACTIVATED) == 10


def test_calls_of_many_instruments_that_begin_crossed_through_a_buffer_of_any_size() -> None:
    def scene(world: World) -> tuple[Rows, bytes]:
        for number in range(1, 13):
            world.place(1, BUY, 1, 3, instrument=number, time_in_force=GTC)
            if number % 3:
                world.place(3, SELL, 1, 2, instrument=number, time_in_force=GTC)
        world.phase("ALL", Phase.CLOSED)
        return world.act_row(A.PHASE_SET, symbol="ALL", phase="pre_open")

    def make() -> World:
        terms = tuple({"symbol": f"S{n}", "max_price": "4"} for n in range(12))
        return World(SMALL._replace(instruments=12), terms=terms, phase=Phase.PRE_OPEN)

    events = through_any_buffer(scene, make)
    assert kinds(events) == [K.PHASE_CHANGED] * 12 + [K.AUCTION_INDICATIVE] * 8


def test_uncrosses_of_many_instruments_of_which_some_have_nothing_to_tell() -> None:
    """Into continuous from closed: silent ones among others, and the last event known whoever comes last."""
    for crossed in ((1, 2, 3), (1,), (3,), (), (1, 3)):

        def scene(world: World, crossed: tuple[int, ...] = crossed) -> tuple[Rows, bytes]:
            for number in (1, 2, 3):
                for _ in range(4):
                    world.place(1, BUY, 1, 3, instrument=number, time_in_force=GTC)
                    world.place(3, SELL, 1, 2 if number in crossed else 4, instrument=number, time_in_force=GTC)
            world.phase("ALL", Phase.CLOSED)
            return world.act_row(A.PHASE_SET, symbol="ALL", phase="continuous")

        def make() -> World:
            terms = tuple({"symbol": f"S{n}", "max_price": "4"} for n in range(3))
            return World(terms=terms, phase=Phase.PRE_OPEN)

        events = through_any_buffer(scene, make)
        assert len(trades(events)) == 4 * len(crossed)


@pytest.mark.parametrize("lots", range(1, 14))
def test_an_uncross_behind_many_facts_ends_at_every_place_of_the_smallest_buffer(lots: int) -> None:
    """Fourteen facts, then the uncross of the first: price, trades and leavers fall on every row of the next calls."""

    def scene(world: World) -> tuple[Rows, bytes]:
        full_call(world, lots, lots, 3)
        return world.act_row(A.PHASE_SET, symbol="ALL", phase="opening_auction")

    def make() -> World:
        terms = tuple({"symbol": f"S{n}", "min_price": "89", "max_price": "111"} for n in range(14))
        return World(MANY._replace(instruments=14), terms=terms, phase=Phase.PRE_OPEN, accounts=FIVE)

    events = through_any_buffer(scene, make, 18)
    assert kinds(events)[:15] == [K.PHASE_CHANGED] * 14 + [K.AUCTION_UNCROSSED]
    assert kinds(events)[-13:] == [K.AUCTION_UNCROSSED] * 13
