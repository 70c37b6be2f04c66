"""The door: blocks of any mixture through buffers of any size, and the mistakes of a caller that it refuses."""

import gc
import random
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from engine.apply import MIN_EVENT_ROOM, POOL_ROWS, act_payload, apply, new_state, run_block, warm
from engine.core.invariants import check
from engine.dump import dump
from engine.schema import COMMAND, EVENT, LAST, MAX_EVENTS_PER_CALL, Code, CommandKind, EventKind, Limits, Phase
from tests.engine.world import (
    AT_CLOSE,
    AT_OPEN,
    BUY,
    DAY,
    GTC,
    GTD,
    MARKET_TO_LIMIT,
    SELL,
    SMALL,
    TERMS,
    Rows,
    World,
    assert_commands_are_framed,
    buffer_sizes,
    drain,
    kinds,
)

A, K = CommandKind, EventKind
ROOT = Path(__file__).resolve().parents[2]


def payload_of(*acts: tuple[CommandKind, dict]) -> tuple[bytes, list[tuple[CommandKind, int, int]]]:
    """A payload section, and kind, offset and length of each act in it."""
    section, places = b"", []
    for kind, terms in acts:
        text = act_payload(terms)
        places.append((kind, len(section), len(text)))
        section += text
    return section, places


# --- mistakes of a caller ---------------------------------------------------------------------------------


@pytest.mark.jit_off
@pytest.mark.bounds
@pytest.mark.parametrize(
    ("commands", "events"),
    [
        (np.zeros(1, EVENT), np.zeros(16, EVENT)),
        (np.zeros(16, np.int64), np.zeros(16, EVENT)),
        (np.zeros(1, COMMAND), np.zeros(16, COMMAND)),
        (np.zeros(1, COMMAND), np.zeros(15, EVENT)),
        (np.zeros(1, COMMAND), np.zeros(0, EVENT)),
        (np.zeros(4, COMMAND)[::2], np.zeros(16, EVENT)),
        (np.zeros(1, COMMAND), np.zeros(64, EVENT)[::2]),
        (np.frombuffer(bytes(128), COMMAND), np.zeros(16, EVENT)),
        (np.zeros(1, COMMAND), np.frombuffer(bytes(128 * 16), EVENT)),
    ],
    ids=["events for commands", "words for commands", "commands for events", "15 rows", "no rows",
         "every other command", "every other event", "read-only commands", "read-only events"],
)  # fmt: skip
def test_rows_that_the_kernels_would_misread_are_refused(commands: Rows, events: Rows) -> None:
    state = new_state(SMALL)
    with pytest.raises(AssertionError):
        apply(state, commands, b"", events)
    assert state.seq == 0 and not state.pending


def test_python_without_assertions_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-O", "-c", "import engine.apply"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode != 0 and "-O" in done.stderr


@pytest.mark.jit_off
@pytest.mark.bounds
def test_kernels_are_made_ready_once() -> None:
    new_state(SMALL)
    assert warm() is False


# --- blocks -----------------------------------------------------------------------------------------------


@pytest.mark.jit_off
@pytest.mark.bounds
def test_an_empty_block_changes_nothing() -> None:
    world = World()
    before = dump(world.state)
    nothing = np.zeros(0, COMMAND)
    assert run_block(world.state, nothing).shape == (0,)
    assert run_block(world.state, nothing).dtype == EVENT
    assert apply(world.state, nothing, b"", np.zeros(16, EVENT)) == (0, 0)
    assert dump(world.state) == before


@pytest.mark.jit_off
@pytest.mark.bounds
def test_a_fresh_venue() -> None:
    state = new_state()
    assert (state.seq, state.time, state.next_trade_id, state.pending) == (0, 0, 1, False)
    assert state.limits == Limits()


@pytest.mark.jit_off
@pytest.mark.bounds
@pytest.mark.parametrize("size", (1, 3, 700))
def test_the_events_of_a_block_are_written_by_nobody_else(size: int) -> None:
    """Blocks share one large array; each keeps its rows when the array is used up and another is begun."""
    world = World()
    world.checks = False
    blocks = [np.concatenate([world.row(A.CLOCK_TICK) for _ in range(size)]) for _ in range(2 + 2 * POOL_ROWS // 700)]
    given = [run_block(world.state, block) for block in blocks]
    assert len(blocks) * 700 > POOL_ROWS
    for block, events in zip(blocks, given, strict=True):
        assert events["seq"].tolist() == block["seq"].tolist() and events["time"].tolist() == block["time"].tolist()
        assert events["index"].any() == 0 and (events["kind"] == K.CLOCK_TICKED).all()


@pytest.mark.jit_off
@pytest.mark.bounds
@pytest.mark.parametrize("ticks", (0, 1))
def test_a_block_of_more_events_than_are_left_in_the_pool(ticks: int) -> None:
    world = World(SMALL._replace(orders=1_024, day_ids=1_024))
    resting = 300
    orders = np.repeat(world.order(1, BUY, 1, 500), resting)
    orders["seq"] += np.arange(resting)
    orders["cl_ord_id"] = np.arange(resting).astype("S8")
    world.run(orders)
    world.seq += resting
    rows = [world.row(A.ORDER_MASS_CANCEL, account=1), *(world.row(A.CLOCK_TICK) for _ in range(ticks))]
    block = np.concatenate(rows)
    world.state.pool_at = POOL_ROWS - 100
    events = run_block(world.state, block)
    assert kinds(events) == [K.ORDER_CANCELED] * resting + [K.MASS_CANCELED] + [K.CLOCK_TICKED] * ticks
    assert_commands_are_framed(events)


@pytest.mark.jit_off
@pytest.mark.bounds
def test_a_block_that_fills_the_pool_between_two_commands_goes_on() -> None:
    """Ten events a command: seven of twenty fit, and nothing is pending when the room ends."""
    world = World(SMALL._replace(orders=1_024, day_ids=1_024))
    world.run(*(world.order(1, SELL, 1, 500) for _ in range(180)))
    block = np.concatenate([world.order(3, BUY, 9, 500) for _ in range(20)])
    world.state.pool_at = POOL_ROWS - 3 * len(block) - MIN_EVENT_ROOM
    events = run_block(world.state, block)
    assert kinds(events) == ([K.ORDER_ACCEPTED] + [K.TRADE] * 9) * 20
    assert_commands_are_framed(events)


@pytest.mark.jit_off
@pytest.mark.bounds
def test_commands_behind_an_act_in_the_same_block_see_what_it_did() -> None:
    world = World(phase=None)
    section, places = payload_of(
        (A.PHASE_SET, {"symbol": "ALL", "phase": "continuous"}),
        (A.INSTRUMENT_DEFINE, {**TERMS, "symbol": "W240"}),
        (A.PHASE_SET, {"symbol": "W240", "phase": "continuous"}),
        (A.PHASE_SET, {"symbol": "W320", "phase": "closed"}),
        (A.ACCOUNT_DEFINE, {"account": "A5", "member": "M5", "owner": "B5"}),
    )

    def act(number: int) -> Rows:
        kind, offset, length = places[number]
        return world.row(kind, target_lo=offset, target_hi=length)

    events = world.run(
        world.order(1, BUY, 1, 100), act(0), world.order(1, BUY, 1, 100), world.order(1, SELL, 1, 900, instrument=2),
        act(1), act(2), world.order(1, SELL, 1, 900, instrument=2), act(3), world.order(5, BUY, 1, 100),
        act(4), world.order(5, BUY, 1, 100, instrument=2), payload=section,
    )  # fmt: skip
    assert kinds(events) == [
        K.ORDER_REJECTED, K.PHASE_CHANGED, K.ORDER_ACCEPTED, K.ORDER_REJECTED, K.INSTRUMENT_DEFINED, K.PHASE_CHANGED,
        K.ORDER_ACCEPTED, K.PHASE_CHANGED, K.ORDER_EXPIRED, K.ORDER_REJECTED, K.ACCOUNT_DEFINED, K.ORDER_ACCEPTED,
    ]  # fmt: skip
    refused = events["code"][events["kind"] == K.ORDER_REJECTED].tolist()
    assert refused == [Code.PHASE, Code.UNKNOWN_INSTRUMENT, Code.UNKNOWN_ACCOUNT]
    assert_commands_are_framed(events)


@pytest.mark.jit_off
@pytest.mark.bounds
@pytest.mark.parametrize("instruments", (1, 7, 8, 9, 15, 16, 17, 100))
def test_an_act_of_many_facts_goes_through_the_smallest_buffer(instruments: int) -> None:
    limits = Limits(instruments=100, accounts=8, orders=256, levels=100 * 2 * 3, day_ids=256)
    terms = tuple({"symbol": f"S{number}", "min_price": "1", "max_price": "3"} for number in range(1, instruments + 1))
    world = World(limits, terms=terms, phase=None)
    section, ((_, start, length), (_, closing, closing_length)) = payload_of(
        (A.PHASE_SET, {"symbol": "ALL", "phase": "continuous"}), (A.PHASE_SET, {"symbol": "ALL", "phase": "closed"})
    )
    opening = world.row(A.PHASE_SET, target_lo=start, target_hi=length)
    orders = [
        world.order(1, BUY, 1, 2, instrument=1 + k % instruments, time_in_force=(DAY, GTC)[k % 2]) for k in range(9)
    ]
    close = world.row(A.PHASE_SET, target_lo=closing, target_hi=closing_length)
    events = drain(
        world.state, np.concatenate([opening, *orders, close, world.row(A.CLOCK_TICK)]), section, MIN_EVENT_ROOM
    )
    check(world.state)
    assert_commands_are_framed(events)
    numbers = list(range(1, instruments + 1))
    assert kinds(events) == [K.PHASE_CHANGED] * instruments + [K.ORDER_ACCEPTED] * 9 + [
        K.PHASE_CHANGED
    ] * instruments + [K.ORDER_EXPIRED] * 5 + [K.CLOCK_TICKED]
    assert events["instrument"][:instruments].tolist() == numbers
    assert set(events["reason"][:instruments].tolist()) == {Phase.CLOSED}


@pytest.mark.jit_off
@pytest.mark.bounds
def test_a_buffer_gives_the_same_events_whatever_its_size_and_wherever_acts_stand() -> None:
    def made() -> tuple[World, Rows, bytes]:
        world = World()
        section, places = payload_of(
            (A.PHASE_SET, {"symbol": "ALL", "phase": "closed"}), (A.PHASE_SET, {"symbol": "ALL", "phase": "continuous"})
        )
        rows = []
        for turn in range(4):
            rows += [world.order(1, SELL, 1, 100 + k, time_in_force=(DAY, GTC)[k % 2]) for k in range(5 + turn)]
            rows += [world.order(3, BUY, 3, 102), world.row(A.ORDER_MASS_CANCEL, account=3)]
            for kind, offset, length in places:
                rows.append(world.row(kind, target_lo=offset, target_hi=length))
        return world, np.concatenate(rows), section

    world, rows, section = made()
    expected, picture = run_block(world.state, rows, section), dump(world.state)
    assert_commands_are_framed(expected)
    for size in buffer_sizes(64):
        world, rows, section = made()
        assert drain(world.state, rows, section, size).tobytes() == expected.tobytes(), size
        assert dump(world.state) == picture


DAY_OF_TWO = (
    *((A.PHASE_SET, {"symbol": "ALL", "phase": phase}) for phase in ("pre_open", "no_cancel", "opening_auction",
      "continuous", "volatility_auction")),
    (A.AUCTION_UNCROSS, {"symbol": "W240"}),
    *((A.PHASE_SET, {"symbol": "ALL", "phase": phase}) for phase in ("continuous", "pre_close", "closing_auction",
      "trade_at_close", "post_close", "closed", "continuous", "closed")),
)  # fmt: skip


def a_day(seed: int) -> tuple[World, Rows, bytes]:
    """A venue of two narrow instruments, and its whole day in one block: orders of every kind between the acts."""
    narrow = {"min_price": "90", "max_price": "110", "protection_ticks": 3}
    world = World(SMALL._replace(orders=512, day_ids=1_024), terms=(narrow, {**narrow, "symbol": "W240"}), phase=None)
    section, places = payload_of(*DAY_OF_TWO)
    rng = random.Random(seed)
    rows = []
    for kind, offset, length in places:
        rows.append(world.row(kind, target_lo=offset, target_hi=length))
        for _ in range(12):
            side, price, number = rng.choice((BUY, SELL)), rng.randint(95, 105), rng.choice((1, 1, 2))
            common = {"instrument": number, "smp": rng.randint(0, 5), "client_session": rng.randint(1, 2)}
            account, qty, what = rng.randint(1, 4), rng.randint(1, 9), rng.random()
            if what < 0.2:
                rows.append(world.stop_order(account, side, qty, price, rng.choice((None, 101)), **common))
            elif what < 0.4:
                forms = ({}, {"ord_type": MARKET_TO_LIMIT}, {"time_in_force": AT_CLOSE}, {"time_in_force": AT_OPEN})
                rows.append(world.order(account, side, qty, None, **common, **rng.choice(forms)))
            elif what < 0.8:
                gtd = {"time_in_force": GTD, "expire_time": world.time + rng.randint(1, 60)}
                forms = ({"display_qty": min(qty, 2)}, {"time_in_force": GTC}, gtd, {"time_in_force": AT_CLOSE})
                rows.append(world.order(account, side, qty, price, **common, **rng.choice(forms)))
            elif what < 0.9:
                target = rng.randint(max(1, world.seq - 40), world.seq)
                rows.append(world.amendment(account, target, qty=qty, price=rng.choice((None, price))))
            else:
                kind = rng.choice((A.CLOCK_TICK, A.CLOCK_TICK, A.ORDER_MASS_CANCEL, A.DISCONNECT))
                rows.append(world.row(kind, account=account, client_session=rng.randint(1, 2)))
    return world, np.concatenate(rows), section


@pytest.mark.jit_off
@pytest.mark.bounds
@pytest.mark.parametrize("seed", range(5))
def test_a_whole_day_goes_through_a_buffer_of_any_size(seed: int) -> None:
    """Every kind of event, every phase, and every place at which the room may end."""
    world, rows, section = a_day(seed)
    expected, picture = run_block(world.state, rows, section), dump(world.state)
    check(world.state)
    assert_commands_are_framed(expected)
    assert np.unique(expected["seq"]).tolist() == rows["seq"].tolist()
    wanted = {K.TRADE, K.ORDER_TRIGGERED, K.ORDER_ACTIVATED, K.ORDER_REFRESHED, K.AUCTION_UNCROSSED, K.ORDER_EXPIRED}
    assert len(wanted & set(kinds(expected))) >= 5
    for size in (*buffer_sizes(42), 100, 101):
        world, rows, section = a_day(seed)
        assert drain(world.state, rows, section, size).tobytes() == expected.tobytes(), size
        assert dump(world.state) == picture
    world, rows, section = a_day(seed)
    parts = [run_block(world.state, rows[at : at + 1], section) for at in range(len(rows))]
    assert np.concatenate(parts).tobytes() == expected.tobytes(), "one command a block"


@pytest.mark.jit_off
@pytest.mark.bounds
@pytest.mark.parametrize(
    ("offset", "length"),
    [(0, 0), (0, 3), (-1, 2), (1, 2), (0, -1), (3, 0), (2**62, 2**62), (-(2**63), 2**63 - 1), (2**63 - 1, 2**63 - 1)],
)
def test_a_payload_out_of_range_is_bad_terms(offset: int, length: int) -> None:
    world = World()
    events = world.run(world.row(A.ACCOUNT_DEFINE, target_lo=offset, target_hi=length), payload=b"{}")
    assert kinds(events) == [K.ACT_REJECTED] and events["code"].tolist() == [Code.BAD_TERMS]


@pytest.mark.bounds
def test_one_call_uses_no_more_rows_than_are_allowed() -> None:
    resting = MAX_EVENTS_PER_CALL + 1_000
    world = World(SMALL._replace(orders=1 << 17, day_ids=1 << 17))
    orders = np.repeat(world.order(1, BUY, 1, 500), resting)
    orders["seq"] += np.arange(resting)
    orders["cl_ord_id"] = np.arange(resting).astype("S8")
    world.run(orders)
    world.seq += resting
    events = np.zeros(MAX_EVENTS_PER_CALL + 500, EVENT)
    consumed, written = apply(world.state, world.row(A.ORDER_MASS_CANCEL, account=1), b"", events)
    assert consumed == 1 and MAX_EVENTS_PER_CALL - 8 < written <= MAX_EVENTS_PER_CALL
    assert not events["seq"][MAX_EVENTS_PER_CALL:].any()
    assert world.state.pending
    rest = run_block(world.state, np.zeros(0, COMMAND))
    assert written + len(rest) == resting + 1 and (rest["flags"] & LAST).sum() == 1
    check(world.state)


def test_what_a_block_leaves_behind_does_not_grow() -> None:
    world = World()
    world.checks = False
    bad = [world.row(A.ACCOUNT_DEFINE, target_hi=2), world.row(A.PHASE_SET, target_hi=2), world.row(200)]
    rows = np.concatenate(bad * 20)

    def send(times: int) -> int:
        for _ in range(times):
            run_block(world.state, rows, b"{}")
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    before = send(20)
    assert send(100) - before < 100_000, "one event row a command would be a megabyte"
    tracemalloc.stop()


@pytest.mark.jit_off
@pytest.mark.bounds
def test_payloads_are_canonical() -> None:
    assert act_payload({"b": "điều", "a": 1}) == '{"a":1,"b":"điều"}'.encode()
