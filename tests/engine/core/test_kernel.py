"""The door's order of work: commands put aside and taken up again, indices and the LAST flag all the way."""

import random

import numpy as np
import pytest

from engine.apply import MIN_EVENT_ROOM, apply
from engine.core.invariants import check
from engine.core.layout import CURSOR, IDLE, PENDING
from engine.dump import dump
from engine.schema import (
    EVENT,
    HAS_PRICE,
    INACTIVE,
    LAST,
    OF_SESSION,
    AuctionStep,
    Code,
    CommandKind,
    EventKind,
    Phase,
    Reason,
    cl_ord_id_key,
)
from tests.engine.world import (
    AT_CLOSE,
    BUY,
    DAY,
    GTC,
    GTD,
    IOC,
    SELL,
    SMALL,
    Rows,
    World,
    assert_commands_are_framed,
    buffer_sizes,
    drain,
    kinds,
    through_any_buffer,
    values,
    way,
)

pytestmark = [pytest.mark.jit_off, pytest.mark.bounds]

A, K = CommandKind, EventKind
MANY = SMALL._replace(orders=4_096, day_ids=8_192)


# --- many cancels -----------------------------------------------------------------------------------------


def crowd(world: World, count: int = 60) -> dict[str, list[int]]:
    """Orders of accounts 1 and 3, of both sides, day and gtc, of sessions 7 and 8, some ended; ids of some kinds."""
    kept: dict[str, list[int]] = {"1": [], "1 buy": [], "7 day": [], "day": []}
    rows, gone = [], []
    for k in range(count):
        account, side, tif, session = (1, 3)[k % 3 == 0], (BUY, SELL)[k % 2], (DAY, GTC)[k % 5 == 0], 7 + (k % 4 == 0)
        price = 100 + k % 7 if side == BUY else 200 + k % 7
        rows.append(world.order(account, side, 1 + k, price, time_in_force=tif, client_session=session))
        if k % 6 == 5:
            gone.append((account, world.seq))
            continue
        kept["1"] += [world.seq] * (account == 1)
        kept["1 buy"] += [world.seq] * (account == 1 and side == BUY)
        kept["7 day"] += [world.seq] * (session == 7 and tif == DAY)
        kept["day"] += [world.seq] * (tif == DAY)
    world.run(*rows)
    world.run(*(world.row(A.ORDER_CANCEL, account=account, target_lo=order_id) for account, order_id in gone))
    return kept


def test_a_mass_cancel_goes_by_rising_order_id_whatever_lies_where() -> None:
    world = World()
    for _ in range(3):  # records are handed out again in another order than that of their making
        kept = crowd(world)
        events = world.mass_cancel(1)
        assert events["order_id"].tolist() == [*kept["1"], 0]
        assert events["reason"].tolist() == [Reason.MASS_CANCEL] * len(kept["1"]) + [0]
        assert events["qty"][-1] == len(kept["1"])
        world.mass_cancel(3)


def test_a_mass_cancel_of_one_instrument_and_side() -> None:
    world = World(terms=({}, {"symbol": "W240"}))
    kept = crowd(world)
    world.place(1, BUY, 1, 99, instrument=2)
    other = world.seq
    assert world.mass_cancel(1, instrument=2, side=SELL)["qty"].tolist() == [0]
    assert world.mass_cancel(1, instrument=1, side=BUY)["order_id"].tolist() == [*kept["1 buy"], 0]
    assert world.mass_cancel(1, side=BUY)["order_id"].tolist() == [other, 0]
    assert set(world.mass_cancel(1)["side"].tolist()) == {SELL, 0}


@pytest.mark.parametrize("phase", (Phase.CLOSED, Phase.HALTED))
def test_mass_cancels_and_disconnects_leave_what_the_phase_protects(phase: Phase) -> None:
    world = World(terms=({}, {"symbol": "W240"}))
    world.place(1, BUY, 1, 99, time_in_force=GTC, client_session=7)
    world.place(1, BUY, 1, 99, instrument=2, client_session=7)
    on_second = world.seq
    world.phase("W320", phase)
    expected = [on_second] if phase == Phase.CLOSED else [on_second - 1, on_second]
    assert world.mass_cancel(1)["order_id"].tolist() == [*expected, 0]
    assert world.disconnect(1, 7)["qty"].tolist() == [0]


def test_a_disconnect_takes_the_day_orders_of_its_session_whoevers_they_are() -> None:
    world = World()
    kept = crowd(world)
    assert world.disconnect(4, 0)["qty"].tolist() == [0], "no orders came through session 0"
    assert world.disconnect(4, 9)["qty"].tolist() == [0]
    events = world.disconnect(4, 7)
    assert events["order_id"].tolist() == [*kept["7 day"], 0]
    assert set(events["account"][:-1].tolist()) == {1, 3} and events["account"][-1] == 4


def test_a_mass_cancel_of_one_session() -> None:
    world = World()
    kept = crowd(world)
    of_seven = [order["order_id"] for order in dump(world.state)["orders"]
                if order["client_session"] == 7 and order["account"] == "A1"]  # fmt: skip
    assert world.mass_cancel(1, flags=OF_SESSION)["qty"].tolist() == [0], "no orders came through session 0"
    assert world.mass_cancel(1, flags=OF_SESSION, client_session=9)["qty"].tolist() == [0]
    events = world.mass_cancel(1, flags=OF_SESSION, client_session=7)
    assert events["order_id"].tolist() == [*sorted(of_seven), 0] and 0 < len(of_seven) < len(kept["1"])
    world.mass_cancel(1, client_session=9)
    assert not any(order["account"] == "A1" for order in dump(world.state)["orders"]), "without the flag it is ignored"


def test_a_disconnect_leaves_gtd_and_gtc_and_takes_whatever_else_waits() -> None:
    world = World()
    ends = []
    for fields, stays in (
        ({}, False), ({"time_in_force": GTC}, True), ({"time_in_force": GTD, "expire_time": 1 << 60}, True),
        ({"time_in_force": AT_CLOSE}, False), ({"display_qty": 1}, False),
    ):  # fmt: skip
        world.place(1, BUY, 2, 100, client_session=7, **fields)
        ends += [world.seq] * (not stays)
    world.stop(1, SELL, 2, 50, client_session=7)
    ends.append(world.seq)
    world.stop(1, SELL, 2, 50, 60, client_session=7, time_in_force=GTC)
    events = world.disconnect(4, 7)
    assert events["order_id"].tolist() == [*ends, 0]
    assert (events["flags"][:-1] & INACTIVE).astype(bool).tolist() == [False, True, False, True]


# --- expiries (R49) ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", Phase)
def test_gtd_orders_expire_at_a_tick_in_order_of_their_ids_whatever_the_phase(phase: Phase) -> None:
    world = World()
    due = []
    for k in range(9):
        expire = 5_000 + 100 * (k * 5 % 9)
        place = world.place if k % 3 else world.stop
        price = (100,) if k % 3 else (700, 650)
        place(1, BUY, 1, *price, time_in_force=GTD, expire_time=expire, display_qty=0)
        if expire <= 5_400:
            due.append(world.seq)
    world.place(1, BUY, 1, 100, time_in_force=GTC)
    for step in way(phase, Phase.CONTINUOUS):
        world.phase("ALL", step)
    world.run(world.row(A.CLOCK_TICK, time=4_999))
    world.mass_cancel(2)  # time passes with every command, but nothing expires until a tick comes
    events = world.run(world.row(A.ORDER_CANCEL, account=1, target_lo=99, time=5_400))
    assert kinds(events) == [K.ORDER_REJECTED]
    events = world.run(world.row(A.CLOCK_TICK, time=3))
    assert kinds(events) == [K.ORDER_EXPIRED] * len(due) + [K.CLOCK_TICKED]
    assert events["order_id"].tolist() == [*due, 0] and not events["qty"][-1]
    assert not events["cl_ord_id"].any() and len(dump(world.state)["orders"]) == 10 - len(due)
    assert kinds(world.run(world.row(A.CLOCK_TICK, time=5_401))) == [K.CLOCK_TICKED]


def test_a_tick_in_a_call_tells_what_the_expiries_changed() -> None:
    world = World(phase=Phase.PRE_OPEN)
    world.place(1, BUY, 5, 101, time_in_force=GTD, expire_time=5_000)
    world.place(3, SELL, 5, 100)
    events = world.run(world.row(A.CLOCK_TICK, time=5_000))
    assert kinds(events) == [K.ORDER_EXPIRED, K.AUCTION_INDICATIVE, K.CLOCK_TICKED]
    assert values(events[1]) == {
        "seq": world.seq, "time": 5_000, "kind": K.AUCTION_INDICATIVE, "op": A.CLOCK_TICK, "index": 1, "instrument": 1,
        "phase": Phase.PRE_OPEN, "reason": AuctionStep.NO_CROSS,
    }  # fmt: skip


@pytest.mark.parametrize("count", (5, 13, 14, 15, 16, 17, 30, 40))
def test_mass_expiries_give_the_same_events_through_a_buffer_of_any_size(count: int) -> None:
    """Whether the room ends before an expiry, before the indicative, or before the closing event."""

    def scene(world: World) -> tuple[Rows, bytes]:
        rows = [world.order(1, BUY, 1, 101, time_in_force=GTD, expire_time=9_000) for _ in range(count)]
        world.run(*rows, world.order(3, SELL, count, 100))
        return np.concatenate([world.row(A.CLOCK_TICK, time=9_000), world.row(A.CLOCK_TICK)]), b""

    def make() -> World:
        return World(terms=({"min_price": "90", "max_price": "110"},), phase=Phase.PRE_OPEN)

    events = through_any_buffer(scene, make)
    assert kinds(events) == [K.ORDER_EXPIRED] * count + [K.AUCTION_INDICATIVE, K.CLOCK_TICKED, K.CLOCK_TICKED]


# --- in parts (R36) ---------------------------------------------------------------------------------------


def mass_cancel(world: World) -> Rows:
    return world.row(A.ORDER_MASS_CANCEL, account=1)


def disconnect(world: World) -> Rows:
    return world.row(A.DISCONNECT, account=4, client_session=7)


CLOSE = b'{"phase":"closed","symbol":"ALL"}'


def close(world: World) -> Rows:
    return world.row(A.PHASE_SET, target_hi=len(CLOSE))


@pytest.mark.parametrize("last", (mass_cancel, disconnect, close), ids=lambda made: made.__name__)
def test_many_cancels_give_the_same_events_through_a_buffer_of_any_size(last) -> None:  # type: ignore[no-untyped-def]
    narrow = {"min_price": "90", "max_price": "210"}
    terms = (narrow, {**narrow, "symbol": "W240"}, {**narrow, "symbol": "W450"})
    world = World(SMALL, terms=terms)
    crowd(world)
    expected, book = world.run(last(world), payload=CLOSE), world.book()
    assert len(expected) > MIN_EVENT_ROOM + 10
    assert_commands_are_framed(expected)
    for size in buffer_sizes(len(expected) + 12):
        world = World(SMALL, terms=terms)
        crowd(world)
        assert drain(world.state, last(world), CLOSE, size).tobytes() == expected.tobytes(), size
        assert world.book() == book
        check(world.state)


def test_a_call_that_was_put_aside_takes_no_new_command_before_it_is_done() -> None:
    world = World()
    crowd(world)
    block = np.concatenate(
        [world.row(A.CLOCK_TICK), world.row(A.ORDER_MASS_CANCEL, account=1), world.row(A.CLOCK_TICK)]
    )
    room = np.zeros(MIN_EVENT_ROOM, EVENT)
    consumed, written = apply(world.state, block, b"", room)
    assert consumed == 2 and world.state.pending and not room["flags"][1:written].any()
    first = int(room["index"][written - 1])
    consumed, written = apply(world.state, block[:0], b"", room)
    assert consumed == 0 and room["index"][0] == first + 1 and set(room["seq"][:written]) == {block["seq"][1]}
    while world.state.pending:
        consumed, written = apply(world.state, block[2:], b"", room)
    assert consumed in (0, 1)
    if not consumed:
        consumed, written = apply(world.state, block[2:], b"", room)
    assert (room["kind"][written - 1], room["index"][written - 1]) == (K.CLOCK_TICKED, 0)
    assert world.state.arrays.h[CURSOR] == IDLE and not world.state.arrays.h[PENDING]


@pytest.mark.parametrize("size", (16, 17, 23, 24, 25, 100, 65_536))
def test_thousands_of_day_orders_expire_at_the_close_in_order_of_their_ids(size: int) -> None:
    world = World(MANY, terms=({}, {"symbol": "W240"}))
    rng = random.Random(8)
    rows, day = [], []
    for k in range(3_000 if size > 99 else 300):
        tif = rng.choice((DAY, DAY, GTC))
        rows.append(world.order(rng.choice((1, 2, 3)), BUY, 1, rng.randrange(1, 1_000), time_in_force=tif,
                                instrument=1 + k % 2))  # fmt: skip
        day += [world.seq] * (tif == DAY)
    world.run(*rows)
    row = world.row(A.PHASE_SET, target_hi=len(CLOSE))
    tick = world.row(A.CLOCK_TICK)
    events = drain(world.state, np.concatenate([row, tick]), CLOSE, size)
    check(world.state)
    assert kinds(events) == [K.PHASE_CHANGED] * 2 + [K.ORDER_EXPIRED] * len(day) + [K.CLOCK_TICKED]
    assert events["order_id"][2:-1].tolist() == day
    assert_commands_are_framed(events)


# --- the stream of events ---------------------------------------------------------------------------------


def test_junk_of_every_kind_gives_exactly_one_command_of_events_each() -> None:
    """Any 128 bytes, but for the stamps, are answered; nothing raises and the structure holds."""
    rng = np.random.Generator(np.random.PCG64(9))
    world = World(MANY)
    crowd(world)
    for _ in range(20):
        rows = np.concatenate([world.row(0) for _ in range(64)])
        stamps = rows["seq"].copy(), rows["time"].copy()
        rows = np.frombuffer(bytearray(rng.bytes(rows.nbytes)), rows.dtype)
        half = rng.random(64) < 0.5
        rows["seq"], rows["time"] = stamps
        rows["kind"][half] = rng.integers(0, 26, half.sum())
        rows["account"][half] = rng.integers(-1, 5, half.sum())
        rows["instrument"][half] = rng.integers(-1, 3, half.sum())
        events = world.run(rows, payload=rng.bytes(100))
        assert_commands_are_framed(events)
        assert np.unique(events["seq"]).tolist() == rows["seq"].tolist()
        assert (events["flags"] & LAST).sum() == 64


def test_rows_within_one_field_of_a_good_order_do_no_harm() -> None:
    """Every field of a good place, amend, cancel and mass cancel set to every extreme value."""
    world = World(MANY)
    world.place(1, BUY, 5, 100)
    extremes = (0, 1, 2, 3, 127, 128, 254, 255, 2**15, 2**16 - 1, 2**31 - 1, -1, -(2**31), 2**62, 2**63 - 1, -(2**63))
    good = [
        world.amendment(1, world.seq, price=99), world.order(1, BUY, 5, 100),
        world.row(A.ORDER_CANCEL, account=1, target_lo=7), world.row(A.ORDER_MASS_CANCEL, account=1),
        world.row(A.DISCONNECT, account=1, client_session=1), world.row(A.ORDER_RESTORE, account=1),
    ]  # fmt: skip
    names = [name for name in good[0].dtype.names if name not in ("seq", "time", "cl_ord_id")]
    rows = []
    for row in good:
        for name in names:
            limits = np.iinfo(row.dtype[name])
            for value in extremes:
                if limits.min <= value <= limits.max:
                    bent = world.row(0)
                    stamps = bent["seq"][0], bent["time"][0]
                    bent[:] = row
                    bent["seq"], bent["time"] = stamps
                    bent["cl_ord_id"] = b"e%d" % stamps[0]
                    bent[name] = value
                    rows.append(bent)
    events = world.run(*rows, payload=b"{}")
    assert_commands_are_framed(events)
    assert np.unique(events["seq"]).size == len(rows)
    assert set(np.unique(events["code"])) >= {Code.OK, Code.MALFORMED, Code.UNKNOWN_ACCOUNT, Code.PRICE_BAND}


def test_time_never_runs_backwards() -> None:
    world = World()
    ticks = [world.row(A.CLOCK_TICK, time=time) for time in (5_000, 4_000, -(2**63), 5_001, 0, 2**62, 3)]
    assert world.run(*ticks)["time"].tolist() == [5_000, 5_000, 5_000, 5_001, 5_001, 2**62, 2**62]


# --- looking ahead ----------------------------------------------------------------------------------------


def test_commands_that_nobody_knew_ahead_find_and_refuse_ids_as_others_do() -> None:
    """Ids of few texts, used again and again, and named in all ways, soon and late after they were consumed."""
    streams = []
    for blind in (False, True):
        world = World(SMALL._replace(orders=256, day_ids=1_024))
        world.checks = False
        if blind:
            world.state.arrays.go_blind()
        rng = random.Random(13)
        told = []
        for step in range(600):
            account, text = rng.choice((1, 3)), b"id-%d" % rng.randrange(step // 2 + 4)
            low, high = cl_ord_id_key(text)
            kind = rng.choice((A.ORDER_PLACE, A.ORDER_PLACE, A.ORDER_CANCEL, A.ORDER_AMEND))
            if kind == A.ORDER_PLACE:
                price = 500 + 3 * account + rng.randrange(4)
                odd = rng.choice(({}, {}, {}, {"time_in_force": IOC}))
                row = world.order(
                    account, rng.choice((BUY, SELL)), rng.randint(1, 3), price, **{"cl_ord_id": text, **odd}
                )
            else:
                named = rng.choice(({"cl_ord_id": text}, {"target_lo": low, "target_hi": high}))
                if kind == A.ORDER_AMEND:
                    named |= {"flags": HAS_PRICE, "price": 490 + rng.randrange(30)}
                    if "target_lo" in named and rng.random() < 0.5:
                        named["cl_ord_id"] = b"new-%d" % step
                row = world.row(kind, account=account, **named)
            told.append(world.run(row))
        streams.append(np.concatenate(told))
        check(world.state)
    assert streams[0].tobytes() == streams[1].tobytes()
    assert {K.ORDER_STATUS, K.ORDER_CANCELED, K.ORDER_AMENDED, K.TRADE, K.ORDER_REJECTED} <= set(kinds(streams[0]))


def test_asking_ahead_for_memory_changes_nothing() -> None:
    """Commands of a block fetch what those after them will need, if they may look; junk among them does no harm."""
    crowded = 100
    pictures, streams = [], []
    for size, blind in ((64, 0), (64, 1), (1, 0)):
        world = World(SMALL._replace(orders=256, day_ids=512))
        world.checks = False
        if blind:
            world.state.arrays.go_blind()
        orders = np.repeat(world.order(1, BUY, 1, 500, time_in_force=GTC), crowded)
        orders["seq"] += np.arange(crowded)
        orders["cl_ord_id"] = np.arange(crowded).astype("S8")
        world.run(orders)
        first, world.seq = world.seq, world.seq + crowded
        rng = np.random.Generator(np.random.PCG64(12))
        rows = []
        for k in range(64):
            kind = (A.ORDER_PLACE, A.ORDER_CANCEL, A.ORDER_AMEND, A.CLOCK_TICK, 250)[k % 5]
            target = int(rng.choice([first + k, first + k, first + k, 0, -1, 2**62, -(2**63), 2**63 - 1]))
            if kind == A.ORDER_PLACE:
                odd = ({}, {}, {"instrument": 2**31 - 1}, {"instrument": 0}, {"price": 2**63 - 1}, {"price": -5})[k % 6]
                rows.append(world.order(3, SELL, 1, 500 + k % 2, **odd))
            else:
                flags = HAS_PRICE if kind == A.ORDER_AMEND else 0
                rows.append(world.row(kind, account=1, target_lo=target, target_hi=k % 3 // 2, price=499, flags=flags))
        block = np.concatenate(rows)
        streams.append(np.concatenate([world.run(block[at : at + size]) for at in range(0, 64, size)]))
        pictures.append(world.book())
        check(world.state)
    assert len({stream.tobytes() for stream in streams}) == 1 and pictures[0] == pictures[1] == pictures[2]
    assert {K.ORDER_CANCELED, K.ORDER_AMENDED, K.TRADE, K.ORDER_REJECTED} <= set(kinds(streams[0]))
