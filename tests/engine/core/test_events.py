"""The words that the kernels write, read back through the names of the schema; every kind of event as a whole row."""

from typing import Any

import numpy as np
import pytest

from engine.apply import new_state
from engine.core.events import mark_last, order_attributes, put_body, put_head, put_id, put_trade
from engine.core.layout import (
    BASE,
    FLAG_POST,
    FLAG_SMP,
    FLAG_TIF,
    FLAG_TYPE,
    GIVES_UP,
    ICEBERG,
    OP,
    OUTSIDE,
    SEQ,
    TIME,
    UNPRICED,
)
from engine.schema import (
    CODE_RULE,
    DUP,
    EVENT,
    HAS_PRICE,
    HAS_QTY,
    INACTIVE,
    LAST,
    OVERRIDE,
    POST_ONLY,
    PRIORITY_KEPT,
    TRADE,
    AuctionStep,
    Code,
    CommandKind,
    EventKind,
    Limits,
    OrdStatus,
    OrdType,
    Phase,
    Reason,
    Side,
    Smp,
    TimeInForce,
)
from tests.engine.core.alone import alone
from tests.engine.world import AT_CLOSE, BUY, FOK, GTC, GTD, IOC, SELL, World, kinds, values, views

(
    mark_last, order_attributes, put_body, put_head, put_id, put_trade,
) = alone(
    mark_last, order_attributes, put_body, put_head, put_id, put_trade,
)  # fmt: skip

pytestmark = [pytest.mark.jit_off, pytest.mark.bounds]

C, P, R = CommandKind, Phase, Reason
LIMIT_BUY = {"side": BUY, "ord_type": OrdType.LIMIT, "time_in_force": TimeInForce.DAY}
LIMIT_SELL = {**LIMIT_BUY, "side": SELL}
HERE = {"instrument": 1, "phase": P.CONTINUOUS}


def head(world: World, kind: EventKind, op: int, *, index: int = 0, flags: int = LAST) -> dict[str, Any]:
    """What every event of the last command says."""
    common = {"seq": world.seq, "time": world.time, "kind": kind, "op": op, "index": index, "flags": flags}
    return {name: int(value) for name, value in common.items() if value}


def refused(world: World, code: Code, op: int, kind: EventKind = EventKind.ORDER_REJECTED) -> dict[str, Any]:
    return {**head(world, kind, op), "code": int(code), "rule": CODE_RULE[code]}


# --- single words -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("instrument", (0, 1, 2**31 - 1, -1, -(2**31)))
@pytest.mark.parametrize("op", (1, 127, 128, 255))
def test_a_head_and_a_body_hold_what_they_are_given(op: int, instrument: int) -> None:
    state, row = new_state(Limits(1, 1, 1, 64, 1)), np.zeros(3, EVENT)
    s = views(state, events=row)
    state.arrays.h[[SEQ, TIME, OP, BASE]] = 2**62, 2**61, op, -(2**20)
    attributes = 0xA5 << 16 | 0xFF << 24 | 0xFE << 32 | 0xFD << 40 | 0xFC << 48
    put_head(s, 1, 255, instrument, -5, 254, int(Code.DAY_ORDER), attributes, 2**63 - 1)
    put_body(s, 1, -7, 2**62, 2**40, 2**41, -1, -(2**63))
    put_id(s, 1, np.frombuffer(bytearray(b"\0" * 8 + b"x" * 32), np.int64), 1)
    assert values(row[1]) == {
        "seq": 2**62, "time": 2**61, "index": 2**20 + 1, "kind": 255, "phase": 254, "code": 46, "rule": 44, "op": op,
        "account": -5, "flags": 0xA5, "side": 0xFF, "ord_type": 0xFE, "time_in_force": 0xFD, "reason": 0xFC,
        "order_id": 2**63 - 1, "price": -7, "qty": 2**62, "leaves_qty": 2**40, "cum_qty": 2**41, "delta_qty": -1,
        "old_price": -(2**63), "cl_ord_id": b"x" * 32, **({"instrument": instrument} if instrument else {}),
    }  # fmt: skip
    assert not row[[0, 2]].tobytes().strip(b"\0"), "the neighbours are untouched"
    mark_last(s, 2)
    assert row["flags"].tolist() == [0, 0xA5 | LAST, 0]


def test_a_trade_row_holds_both_sides() -> None:
    state, row = new_state(Limits(1, 1, 1, 64, 1)), np.full(1, 255, np.uint8).repeat(128).view(EVENT)
    put_trade(views(state, events=row), 0, int(EventKind.TRADE), 3, 4, 3, 0, 11, -2, 13, 14, 15, 16, 17, 18, 5, 19)
    assert values(row[0], TRADE) == {
        "kind": EventKind.TRADE, "instrument": 3, "account": 4, "phase": 3, "order_id": 11, "price": -2, "qty": 13,
        "leaves_qty": 14, "cum_qty": 15, "trade_id": 16, "resting_order_id": 17, "resting_account": 18, "smp": 5,
        "resting_leaves_qty": 19,
    }  # fmt: skip


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("ord_type", OrdType)
@pytest.mark.parametrize("tif", TimeInForce)
def test_attributes_of_a_record_become_those_of_an_event(side: Side, ord_type: OrdType, tif: TimeInForce) -> None:
    others = 1 << FLAG_POST | ICEBERG | GIVES_UP | UNPRICED | OUTSIDE
    flags = side | tif << FLAG_TIF | Smp.DECREMENT << FLAG_SMP | ord_type << FLAG_TYPE | others
    state, row = new_state(Limits(1, 1, 1, 64, 1)), np.zeros(1, EVENT)
    put_head(views(state, events=row), 0, 1, 0, 0, 0, 0, order_attributes(flags), 0)
    assert values(row[0]) == {"kind": 1, "side": side, "ord_type": ord_type, "time_in_force": tif}


# --- whole rows, by kind ----------------------------------------------------------------------------------


def test_order_accepted() -> None:
    world = World()
    events = world.place(1, BUY, 5, 100, cl_ord_id=b"a-1", time_in_force=GTC)
    assert [values(row) for row in events] == [
        {**head(world, EventKind.ORDER_ACCEPTED, C.ORDER_PLACE), **HERE, **LIMIT_BUY, "account": 1,
         "time_in_force": GTC, "order_id": world.seq, "price": 100, "qty": 5, "leaves_qty": 5, "cl_ord_id": b"a-1"}
    ]  # fmt: skip


def test_trade_and_what_is_canceled_after_it() -> None:
    world = World()
    rest = world.seq + 1
    world.place(1, SELL, 3, 100)
    events = world.place(3, BUY, 5, 101, time_in_force=IOC, cl_ord_id=b"b")
    own = {**HERE, **LIMIT_BUY, "time_in_force": IOC, "account": 3, "order_id": world.seq}
    assert values(events[0]) == {
        **head(world, EventKind.ORDER_ACCEPTED, C.ORDER_PLACE, flags=0), **own, "price": 101, "qty": 5,
        "leaves_qty": 5, "cl_ord_id": b"b",
    }  # fmt: skip
    assert values(events[1], TRADE) == {
        **head(world, EventKind.TRADE, C.ORDER_PLACE, index=1, flags=0), **own, "price": 100, "qty": 3,
        "leaves_qty": 2, "cum_qty": 3, "trade_id": 1, "resting_order_id": rest, "resting_account": 1,
    }  # fmt: skip
    assert values(events[2]) == {
        **head(world, EventKind.ORDER_CANCELED, C.ORDER_PLACE, index=2), **own, "price": 101, "qty": 5, "cum_qty": 3,
        "delta_qty": 2, "reason": R.IOC,
    }  # fmt: skip


@pytest.mark.parametrize("smp", [smp for smp in Smp if smp != Smp.NONE])
def test_order_prevented(smp: Smp) -> None:
    world = World()
    rest = world.seq + 1
    world.place(1, SELL, 3, 100)
    events = world.place(2, BUY, 5, 101, smp=smp)
    left = {Smp.CANCEL_RESTING: (5, 0), Smp.CANCEL_INCOMING: (0, 3), Smp.CANCEL_BOTH: (0, 0), Smp.DECREMENT: (2, 0)}
    mine, others = left[smp]
    expected = {
        **head(world, EventKind.ORDER_PREVENTED, C.ORDER_PLACE, index=1, flags=0), **HERE, **LIMIT_BUY, "account": 2,
        "order_id": world.seq, "price": 100, "qty": 3, "leaves_qty": mine, "resting_leaves_qty": others, "smp": smp,
        "resting_order_id": rest, "resting_account": 1,
    }  # fmt: skip
    assert values(events[1], TRADE) == {name: value for name, value in expected.items() if value}


def test_order_canceled_on_request_names_the_id_that_the_order_bears() -> None:
    world = World()
    world.place(1, BUY, 5, 100, cl_ord_id=b"old")
    order_id = world.seq
    world.amend(1, order_id, qty=4, cl_ord_id=b"new")
    events = world.cancel(1, cl_ord_id=b"old")
    assert [values(row) for row in events] == [
        {**head(world, EventKind.ORDER_CANCELED, C.ORDER_CANCEL), **HERE, **LIMIT_BUY, "account": 1,
         "order_id": order_id, "price": 100, "qty": 4, "delta_qty": 4, "reason": R.REQUESTED, "cl_ord_id": b"new"}
    ]  # fmt: skip


@pytest.mark.parametrize(("price", "qty", "kept"), [(100, 4, True), (100, 6, False), (99, 5, False)])
def test_order_amended(price: int, qty: int, kept: bool) -> None:
    world = World()
    world.place(1, BUY, 5, 100)
    order_id = world.seq
    world.place(3, SELL, 1, 100)
    events = world.amend(1, order_id, qty=qty, price=price, cl_ord_id=b"new")
    flags = LAST | (PRIORITY_KEPT if kept else 0)
    assert [values(row) for row in events] == [
        {**head(world, EventKind.ORDER_AMENDED, C.ORDER_AMEND, flags=flags), **HERE, **LIMIT_BUY, "account": 1,
         "order_id": order_id, "price": price, "qty": qty, "leaves_qty": qty - 1, "cum_qty": 1, "delta_qty": 4,
         "old_price": 100, "cl_ord_id": b"new"}
    ]  # fmt: skip


def test_order_rejected_repeats_what_a_place_said_junk_included() -> None:
    world = World()
    junk = {"side": 200, "ord_type": 201, "time_in_force": 202, "smp": 203, "flags": 255, "instrument": -7,
            "account": -9, "price": -(2**63), "order_qty": 2**63 - 1,
            "cl_ord_id": b"\xff\0\n" + b"\x80" * 29}  # fmt: skip
    events = world.run(world.row(C.ORDER_PLACE, **junk))
    repeated = ("side", "ord_type", "time_in_force", "instrument", "account", "price", "cl_ord_id")
    assert [values(row) for row in events] == [
        {**refused(world, Code.MALFORMED, C.ORDER_PLACE), **{name: junk[name] for name in repeated}, "qty": 2**63 - 1}
    ]


def test_order_rejected_of_a_place_names_the_phase_of_a_known_instrument() -> None:
    world = World()
    events = world.place(1, BUY, 5, 2_000)
    assert values(events[0]) == {
        **refused(world, Code.PRICE_BAND, C.ORDER_PLACE), **HERE, **LIMIT_BUY, "account": 1, "price": 2_000, "qty": 5,
        "cl_ord_id": f"o{world.seq}".encode(),
    }  # fmt: skip


def test_order_rejected_of_an_amend_names_the_order_once_it_is_found() -> None:
    world = World()
    world.place(1, BUY, 5, 100)
    order_id = world.seq
    events = world.amend(1, order_id, price=2_000, cl_ord_id=b"n")
    said = {"account": 1, "price": 2_000, "cl_ord_id": b"n"}
    assert values(events[0]) == {**refused(world, Code.PRICE_BAND, C.ORDER_AMEND), **HERE, **said, "order_id": order_id}
    events = world.amend(1, 99, price=2_000, cl_ord_id=b"n")
    assert values(events[0]) == {**refused(world, Code.UNKNOWN_ORDER, C.ORDER_AMEND), **said}
    events = world.cancel(3, order_id, side=7, price=-3, order_qty=-4)
    assert values(events[0]) == {
        **refused(world, Code.NOT_OWNER, C.ORDER_CANCEL), **HERE, "account": 3, "order_id": order_id, "side": 7,
        "price": -3, "qty": -4,
    }  # fmt: skip


@pytest.mark.parametrize("kind", [0, 8, 15, 32, 128, 255])
def test_a_command_of_no_kind_is_rejected_under_its_own_number(kind: int) -> None:
    world = World()
    events = world.run(world.row(kind, account=-1, instrument=1, side=1, order_qty=3))
    expected = {**refused(world, Code.MALFORMED, kind), "account": -1, "side": 1, "qty": 3}
    assert [values(row) for row in events] == [expected]


def test_order_status_of_a_live_and_of_an_ended_order() -> None:
    world = World()
    world.place(1, BUY, 5, 100, cl_ord_id=b"a")
    order_id = world.seq
    status = {"instrument": 1, "phase": P.CONTINUOUS, "account": 1, "order_id": order_id, "cl_ord_id": b"a"}
    for left, reason in ((5, OrdStatus.NEW), (3, OrdStatus.PARTIALLY_FILLED), (0, OrdStatus.FILLED)):
        events = world.place(1, SELL, 9, 999, cl_ord_id=b"a")
        told = {**refused(world, Code.DUPLICATE, C.ORDER_PLACE, EventKind.ORDER_STATUS), **status, "flags": LAST | DUP,
                "reason": reason, "qty": 5, "leaves_qty": left, "cum_qty": 5 - left,
                **({**LIMIT_BUY, "price": 100} if left else {})}  # fmt: skip
        assert [values(row) for row in events] == [{name: value for name, value in told.items() if value}]
        world.place(3, SELL, 2 if left == 5 else 3, 100, time_in_force=IOC)


def test_order_status_remembers_who_ended_how() -> None:
    world = World()
    ways: dict[bytes, tuple[int, OrdStatus, int, int]] = {}
    world.place(1, BUY, 5, 100, cl_ord_id=b"requested")
    world.cancel(1, cl_ord_id=b"requested")
    ways[b"requested"] = (1, OrdStatus.CANCELED, 5, 0)
    world.place(1, BUY, 5, 100, cl_ord_id=b"decremented")
    world.place(3, SELL, 2, 100)
    world.place(2, SELL, 9, 100, smp=Smp.DECREMENT, cl_ord_id=b"decrementing")
    ways[b"decremented"] = (1, OrdStatus.CANCELED, 2, 2)
    world.cancel(2, cl_ord_id=b"decrementing")
    ways[b"decrementing"] = (2, OrdStatus.CANCELED, 6, 0)
    world.place(1, BUY, 5, 100, cl_ord_id=b"day")
    world.place(4, SELL, 4, 100)
    world.phase("ALL", P.CLOSED)
    ways[b"day"] = (1, OrdStatus.EXPIRED, 5, 4)
    for text, (account, status, qty, filled) in ways.items():
        row = values(world.place(account, BUY, 1, 1, cl_ord_id=text)[0])
        assert row["kind"] == EventKind.ORDER_STATUS and row["phase"] == P.CLOSED
        told = row["account"], row["reason"], row["qty"], row.get("cum_qty", 0)
        assert told == (account, status, qty, filled), text
        assert not {"price", "side", "ord_type", "time_in_force", "leaves_qty"} & set(row)


def test_mass_canceled_and_disconnected() -> None:
    world = World()
    world.place(1, BUY, 5, 100, client_session=-9)
    first = world.seq
    world.place(1, SELL, 6, 200, client_session=-9)
    events = world.mass_cancel(1, instrument=1, side=BUY)
    assert [values(row) for row in events] == [
        {**head(world, EventKind.ORDER_CANCELED, C.ORDER_MASS_CANCEL, flags=0), **HERE, **LIMIT_BUY, "account": 1,
         "order_id": first, "price": 100, "qty": 5, "delta_qty": 5, "reason": R.MASS_CANCEL},
        {**head(world, EventKind.MASS_CANCELED, C.ORDER_MASS_CANCEL, index=1), "account": 1, "instrument": 1,
         "side": BUY, "qty": 1},
    ]  # fmt: skip
    events = world.disconnect(3, -9)
    assert [values(row) for row in events] == [
        {**head(world, EventKind.ORDER_CANCELED, C.DISCONNECT, flags=0), **HERE, **LIMIT_SELL, "account": 1,
         "order_id": first + 1, "price": 200, "qty": 6, "delta_qty": 6, "reason": R.DISCONNECT},
        {**head(world, EventKind.DISCONNECTED, C.DISCONNECT, index=1), "account": 3, "qty": 1},
    ]  # fmt: skip


def test_clock_ticked() -> None:
    world = World()
    events = world.run(world.row(C.CLOCK_TICK, account=3, price=4))
    assert [values(row) for row in events] == [head(world, EventKind.CLOCK_TICKED, C.CLOCK_TICK)]


def test_phase_changed_and_order_expired() -> None:
    world = World()
    world.place(1, BUY, 5, 100)
    order_id = world.seq
    world.place(3, SELL, 2, 100)
    events = world.phase("W320", P.CLOSED)
    assert [values(row) for row in events] == [
        {**head(world, EventKind.PHASE_CHANGED, C.PHASE_SET, flags=0), "instrument": 1, "phase": P.CLOSED,
         "reason": P.CONTINUOUS},
        {**head(world, EventKind.ORDER_EXPIRED, C.PHASE_SET, index=1), **LIMIT_BUY, "instrument": 1,
         "phase": P.CLOSED, "account": 1, "order_id": order_id, "price": 100, "qty": 5, "cum_qty": 2, "delta_qty": 3},
    ]  # fmt: skip


def test_phase_changed_tells_the_draw_the_override_and_the_last_match() -> None:
    world = World()
    world.place(1, BUY, 1, 100)
    world.place(3, SELL, 1, 100)
    (row,) = world.phase("W320", P.POST_CLOSE, draw=77, override=1, at_last_match=1, why="x", by="y")
    assert values(row) == {
        **head(world, EventKind.PHASE_CHANGED, C.PHASE_SET, flags=LAST | OVERRIDE), "instrument": 1,
        "phase": P.POST_CLOSE, "reason": P.CONTINUOUS, "qty": 77, "order_id": 1, "price": 100,
    }  # fmt: skip


def test_auction_indicative_and_uncrossed() -> None:
    world = World(phase=P.PRE_OPEN)
    for side, account, qty, told, of in ((BUY, 1, 5, 0, 0), (SELL, 3, 7, 2, SELL), (BUY, 2, 9, 7, BUY)):
        events = world.place(account, side, qty, 100)
        auction = {"instrument": 1, "phase": P.PRE_OPEN, "price": 100, "qty": 5 if of == SELL else 7,
                   "leaves_qty": told, "side": of, "reason": AuctionStep.VOLUME}  # fmt: skip
        if of:
            assert values(events[1]) == {**head(world, EventKind.AUCTION_INDICATIVE, C.ORDER_PLACE, index=1), **auction}
    events = world.act(C.AUCTION_UNCROSS, symbol="W320")
    assert values(events[0]) == {
        **head(world, EventKind.AUCTION_UNCROSSED, C.AUCTION_UNCROSS, flags=0),
        **auction,
        "qty": 7,
        "leaves_qty": 7,
    }
    (canceled,) = world.mass_cancel(2)[:1]
    assert canceled["phase"] == P.PRE_OPEN


def test_order_expired_and_canceled_of_what_is_not_in_the_book() -> None:
    world = World()
    world.stop(1, BUY, 5, 700, time_in_force=GTD, expire_time=5_000)
    stop = world.seq
    world.place(1, SELL, 4, 600, time_in_force=AT_CLOSE)
    aside = world.seq
    events = world.run(world.row(C.CLOCK_TICK, time=5_000))
    expired = {**head(world, EventKind.ORDER_EXPIRED, C.CLOCK_TICK, flags=INACTIVE), **HERE, "account": 1, "side": BUY,
               "ord_type": OrdType.STOP, "time_in_force": GTD, "order_id": stop, "qty": 5, "delta_qty": 5}  # fmt: skip
    assert values(events[0]) == {**expired, "time": 5_000}
    events = world.cancel(1, aside)
    assert values(events[0]) == {
        **head(world, EventKind.ORDER_CANCELED, C.ORDER_CANCEL, flags=INACTIVE | LAST), **HERE, **LIMIT_SELL,
        "account": 1, "time_in_force": AT_CLOSE, "order_id": aside, "price": 600, "qty": 4, "delta_qty": 4,
        "reason": R.REQUESTED, "cl_ord_id": f"o{aside}".encode(), "time": 5_000,
    }  # fmt: skip


def test_the_opening_of_a_day() -> None:
    world = World(terms=(), phase=None, seq=70, accounts=())
    assert world.seq == 70
    (row,) = world.act(C.DAY_OPEN, trading_day="2026-11-23", next_trade_id=9)
    assert values(row) == {**head(world, EventKind.DAY_OPENED, C.DAY_OPEN), "qty": 20261123}
    (row,) = world.act(C.ACCOUNT_DEFINE, account="A1", member="M1", owner="B1")
    assert values(row) == {**head(world, EventKind.ACCOUNT_DEFINED, C.ACCOUNT_DEFINE), "account": 1}
    (row,) = world.act(C.INSTRUMENT_DEFINE, symbol="W", ccy="USD", unit="lb", contract_size=1, tick="1",
                       min_price="1", max_price="9", max_order_qty=50)  # fmt: skip
    assert values(row) == {
        **head(world, EventKind.INSTRUMENT_DEFINED, C.INSTRUMENT_DEFINE), "instrument": 1, "phase": P.CLOSED
    }  # fmt: skip
    restored = world.row(C.ORDER_RESTORE, account=1, instrument=1, side=SELL, ord_type=OrdType.LIMIT, price=5,
                         time_in_force=GTC, order_qty=30, min_qty=12, cl_ord_id=b"r", target_lo=60)  # fmt: skip
    (row,) = world.run(restored)
    assert values(row) == {
        **head(world, EventKind.ORDER_RESTORED, C.ORDER_RESTORE), **LIMIT_SELL, "time_in_force": GTC, "account": 1,
        "instrument": 1, "phase": P.CLOSED, "order_id": 60, "price": 5, "qty": 30, "leaves_qty": 12, "cum_qty": 18,
        "cl_ord_id": b"r",
    }  # fmt: skip
    (row,) = world.act(C.DAY_OPEN, trading_day="2026-11-24", next_trade_id=9)
    assert values(row) == refused(world, Code.DAY_ORDER, C.DAY_OPEN, EventKind.ACT_REJECTED)
    (row,) = world.act(C.DAY_START)
    assert values(row) == {**head(world, EventKind.DAY_STARTED, C.DAY_START), "qty": 1}


def test_flags_of_a_command_do_not_leak_into_its_events() -> None:
    world = World()
    events = world.place(1, BUY, 5, 100, flags=POST_ONLY | 0x80)
    assert kinds(events) == [EventKind.ORDER_ACCEPTED] and events["flags"][0] == LAST
    events = world.amend(1, world.seq, qty=4, flags=0x80 | HAS_PRICE | HAS_QTY, price=100)
    assert events["flags"][0] == LAST | PRIORITY_KEPT
    events = world.place(3, SELL, 9, 100, time_in_force=FOK)
    assert kinds(events) == [EventKind.ORDER_ACCEPTED, EventKind.ORDER_CANCELED]
    assert events["flags"].tolist() == [0, LAST]
