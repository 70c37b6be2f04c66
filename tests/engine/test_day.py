from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from engine.apply import new_state, run_block
from engine.core.invariants import check
from engine.day import (
    PASSING,
    act_row,
    canonical,
    difference,
    genesis,
    is_complete,
    restatement,
    trading_day_of,
)  # fmt: skip
from engine.dump import dump
from engine.reference import Reference
from engine.schema import (
    COMMAND,
    MAX_BLOCK_ROWS,
    MAX_PAYLOAD_BYTES,
    POST_ONLY,
    CommandKind,
    EventKind,
    Limits,
    Phase,
    Side,
    TimeInForce,
)
from tests.engine.world import World
from tests.logs import ACCOUNTS, INSTRUMENTS, MONDAY, OPENING_NS, SMALL, TUESDAY, order, without


def load(
    world: Any, trading_day: str, first_seq: int, limits: Limits = SMALL, **options: Any
) -> tuple[Reference, list[Any]]:
    """A fresh matcher that was told the world; all its events."""
    matcher, events = Reference(limits), []
    for _, rows, payload in restatement(world, trading_day, first_seq=first_seq, time_ns=OPENING_NS, **options):
        events.append(matcher.run_block(rows, payload))
    return matcher, events


def traded(seed: int, orders: int = 400) -> Reference:
    """A venue after a day's trading: closed, with gtc orders in its books."""
    matcher, _ = load(genesis(INSTRUMENTS, ACCOUNTS), MONDAY, 1)
    rng = random.Random(seed)
    raw = [order(number, rng) for number in range(orders)]
    phases = [canonical({"symbol": "ALL", "phase": phase}) for phase in ("continuous", "closed")]
    seq = matcher.dump()["seq"]
    for row, payload in [
        (act_row(CommandKind.PHASE_SET), phases[0]),
        *((row, b"") for row in raw),
        (act_row(CommandKind.PHASE_SET), phases[1]),
    ]:
        seq += 1
        command = np.frombuffer(bytearray(row), COMMAND)
        command["seq"], command["time"] = seq, OPENING_NS + seq
        if payload:
            command["target_hi"] = len(payload)
        matcher.run_block(command, payload)
    return matcher


@pytest.mark.parametrize("seed", range(8))
def test_a_new_day_starts_with_the_world_the_old_one_ended_with(seed: int) -> None:
    """The law of DESIGN 8, `trading_day`, `seq` and `time` excepted; queue order is part of the picture."""
    closed = traded(seed).dump()
    assert closed["orders"] and closed["next_trade_id"] > 1
    opened, events = load(closed, TUESDAY, closed["seq"] + 1)
    assert without(opened.dump(), PASSING) == without(closed, PASSING)
    assert difference(closed, opened.dump()) is None
    assert opened.dump()["trading_day"] == TUESDAY
    kinds = [int(kind) for block in events for kind in block["kind"]]
    assert kinds[0] == EventKind.DAY_OPENED and kinds[-1] == EventKind.DAY_STARTED
    assert kinds.count(EventKind.ORDER_RESTORED) == len(closed["orders"]) == int(events[-1][-1]["qty"])


def a_day_of_everything() -> World:
    """A closed venue of the core: icebergs that show a part, stops and stop-limits of both sides, gtd orders, some
    filled in part, and an instrument whose reference price is that of the day's last trade."""
    venue = World(SMALL, terms=({"group": "G"}, {"symbol": "W240", "window_ticks": 8}))
    gtd = {"time_in_force": TimeInForce.GTD, "expire_time": 1 << 60}
    gtc = {"time_in_force": TimeInForce.GTC}
    for number in (1, 2):
        for account in (1, 3):
            venue.place(account, Side.BUY, 9, 480 + account, display_qty=4, instrument=number, **gtc)
            maker = {"smp": 3, "smp_id": 7, "flags": POST_ONLY, **gtd}
            venue.place(account, Side.SELL, 7, 520 + account, instrument=number, **maker)
            for side, at in ((Side.BUY, 700), (Side.BUY, 650), (Side.SELL, 300), (Side.SELL, 650)):
                venue.stop(account, side, 5, at, instrument=number, **gtd)
                venue.stop(account, side, 5, at, at - 100, instrument=number, client_session=9, **gtc)
        venue.place(1, Side.BUY, 2, None, instrument=number, time_in_force=TimeInForce.AT_CLOSE)
    venue.place(2, Side.SELL, 3, 483)
    venue.place(4, Side.BUY, 2, 521, smp=1)
    venue.phase("ALL", Phase.POST_CLOSE)
    venue.place(2, Side.BUY, 1, 900, instrument=2, **gtc)
    venue.place(3, Side.SELL, 1, 100, instrument=2, **gtc)
    venue.phase("ALL", Phase.CLOSED)
    return venue


def test_orders_of_every_kind_live_on_in_both_matchers() -> None:
    venue = a_day_of_everything()
    closed = dump(venue.state)
    kinds = {(order["ord_type"], order["time_in_force"], order["display_qty"]) for order in closed["orders"]}
    assert kinds == {("limit", "gtc", 4), ("limit", "gtd", 0), ("limit", "gtc", 0), ("stop", "gtd", 0),
                     ("stop_limit", "gtc", 0)}  # fmt: skip
    assert any(order["cum_qty"] for order in closed["orders"]) and closed["instruments"][0]["reference_price"]
    assert {order["shown_qty"] for order in closed["orders"]} > {0, 4}, "an iceberg showed a part"
    reference, _ = load(closed, TUESDAY, closed["seq"] + 1)
    state = new_state(SMALL)
    for _, rows, payload in restatement(closed, TUESDAY, first_seq=closed["seq"] + 1, time_ns=OPENING_NS):
        run_block(state, rows, payload)
    check(state)
    for opened in (reference.dump(), dump(state)):
        assert difference(closed, opened) is None and opened["trading_day"] == TUESDAY


def test_the_world_goes_on_after_the_night_as_if_there_had_been_none() -> None:
    """The stops of the new day are elected and the crossed book uncrossed as they would have been."""
    venue = a_day_of_everything()
    closed = dump(venue.state)
    state = new_state(SMALL)
    for _, rows, payload in restatement(closed, TUESDAY, first_seq=closed["seq"] + 1, time_ns=venue.time):
        run_block(state, rows, payload)
    venue.seq, venue.time = state.seq, state.time
    told = []
    for phase in ("pre_open", "continuous"):
        row, payload = venue.act_row(CommandKind.PHASE_SET, symbol="ALL", phase=phase)
        told.append((row, payload))
    told += [(venue.order(2, Side.BUY, 9, 600), b""), (venue.order(4, Side.SELL, 30, 400), b"")]
    told.append((venue.row(CommandKind.CLOCK_TICK, time=1 << 60), b""))
    kinds = set()
    for row, payload in told:
        events = run_block(venue.state, row, payload)
        assert run_block(state, row, payload).tobytes() == events.tobytes()
        kinds |= set(events["kind"].tolist())
    assert {EventKind.ORDER_TRIGGERED, EventKind.ORDER_REFRESHED, EventKind.AUCTION_UNCROSSED,
            EventKind.ORDER_EXPIRED} <= kinds  # fmt: skip
    assert difference(dump(venue.state), dump(state)) is None


def test_the_same_commands_give_the_same_events_before_and_after_the_night() -> None:
    """The picture leaves out nothing that decides: both worlds go on alike (self-match ids, owners, priorities)."""
    before = traded(3)
    after, _ = load(before.dump(), TUESDAY, before.dump()["seq"] + 1)
    seq = after.dump()["seq"]
    rng = random.Random(99)
    rows = [(act_row(CommandKind.PHASE_SET), canonical({"symbol": "ALL", "phase": "continuous"}))]
    rows += [(order(10_000 + number, rng), b"") for number in range(300)]
    for number, (row, payload) in enumerate(rows):
        command = np.frombuffer(bytearray(row), COMMAND)
        command["seq"], command["time"] = seq + 1 + number, OPENING_NS + 10**9
        if payload:
            command["target_hi"] = len(payload)
        assert before.run_block(command, payload).tobytes() == after.run_block(command, payload).tobytes()


def test_seqs_have_no_gap_and_the_blocks_keep_their_limits() -> None:
    world = traded(1).dump()
    many = [dict(account=f"X{number}", member="M", owner="O") for number in range(MAX_BLOCK_ROWS + 10)]
    blocks = list(restatement(world, TUESDAY, first_seq=500, time_ns=7, accounts=many))
    seqs = np.concatenate([rows["seq"] for _, rows, _ in blocks])
    assert seqs.tolist() == list(range(500, 500 + len(seqs))) and [first for first, _, _ in blocks] == [
        int(rows["seq"][0]) for _, rows, _ in blocks
    ]
    assert all(len(rows) <= MAX_BLOCK_ROWS and len(payload) <= MAX_PAYLOAD_BYTES for _, rows, payload in blocks)
    assert len(blocks) > 3 and all((rows["time"] == 7).all() for _, rows, _ in blocks)


def test_what_is_newly_listed_comes_behind_what_was_there() -> None:
    closed = traded(2).dump()
    new = {**INSTRUMENTS[0], "symbol": "W320F2704"}
    opened, _ = load(
        closed,
        TUESDAY,
        closed["seq"] + 1,
        instruments=[INSTRUMENTS[1], new],
        accounts=[*ACCOUNTS, ACCOUNTS[0] | {"account": "Z"}],
    )
    found = opened.dump()
    assert [terms["symbol"] for terms in found["instruments"]] == ["W320F2703", "W240F2703", "W320F2704"]
    assert [account["account"] for account in found["accounts"]] == ["A1", "A2", "A3", "Z"]
    assert difference(closed, found) is not None and difference(closed, found, added=True) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda world: world["orders"].reverse(), "orders[0]"),
        (lambda world: world["orders"].pop(), "orders: "),
        (lambda world: world["orders"][0].update(leaves_qty=1_000), "orders[0]"),
        (lambda world: world.update(next_trade_id=1), "next_trade_id"),
        (lambda world: world["accounts"][1].update(owner="B9"), "accounts[1]"),
        (lambda world: world["instruments"][0].update(max_price="3.000"), "instruments[0]"),
    ],
)
def test_a_difference_is_named(change: Any, said: str) -> None:
    closed, other = traded(4).dump(), traded(4).dump()
    assert difference(closed, other) is None
    change(other)
    told = difference(closed, other, added=True)
    assert told is not None and told.startswith(said)


def test_a_day_is_complete_when_every_instrument_is_closed() -> None:
    world = genesis(INSTRUMENTS)
    assert is_complete(world)
    world["instruments"][1]["phase"] = "halted"
    assert not is_complete(world)
    with pytest.raises(ValueError, match="every instrument is closed"):
        next(restatement(world, TUESDAY, first_seq=1, time_ns=1))


def test_a_day_order_cannot_be_restated() -> None:
    world = traded(5).dump()
    world["orders"][0]["time_in_force"] = "day"
    with pytest.raises(ValueError, match="gtc"):
        list(restatement(world, TUESDAY, first_seq=1, time_ns=1))


def test_the_trading_day_is_the_date_in_ho_chi_minh_city() -> None:
    midnight = 1_795_366_800_000_000_000  # 2026-11-23 00:00 there, 17:00 UTC the day before
    assert trading_day_of(midnight - 1) == "2026-11-22" and trading_day_of(midnight) == "2026-11-23"
    assert trading_day_of(OPENING_NS) == MONDAY


def test_payloads_are_canonical() -> None:
    assert canonical({"b": "Bình Phước", "a": 1}) == '{"a":1,"b":"Bình Phước"}'.encode()
