"""The short way of plain orders and the long way, which looks at every gate by itself, tell the same (R2-R32)."""

from typing import Any

import numpy as np
import pytest

from engine.core.ids import fold_low
from engine.core.layout import (
    BY_VALUE,
    CONTROL_WORDS,
    GATED,
    INSTRUMENT,
    INSTRUMENT_WORDS,
    MAX_VALUE,
    NODE4,
    NODE8,
    ORDER_BASE,
    ORDER_ID,
)
from engine.core.swift import named
from engine.dump import dump
from engine.schema import POST_ONLY, Code, CommandKind, EventKind, Phase, Smp, cl_ord_id_key
from tests.engine.core.alone import alone
from tests.engine.world import BUY, FOK, GTC, IOC, SELL, SMALL, World, kinds, views

pytestmark = [pytest.mark.jit_off, pytest.mark.bounds]

A, K = CommandKind, EventKind
named, fold_low = alone(named), alone(fold_low)


def flow(world: World, seed: int, count: int) -> list[Any]:
    """Plain places, cancels and amends around 500, by order_id and by client id, some of them wrong."""
    rng = np.random.Generator(np.random.PCG64(seed))
    rows: list[Any] = []
    placed: list[tuple[int, int, bytes]] = [(1, 0, b"none")]
    for k in range(count):
        account = int(rng.integers(1, 5))
        owner, order_id, text = placed[int(rng.integers(max(0, len(placed) - 12), len(placed)))]
        odd = rng.random()
        match int(rng.integers(0, 10)):
            case 0 | 1:
                names = {"target_lo": order_id} if odd < 0.6 else {"cl_ord_id": text}
                rows.append(world.row(A.ORDER_CANCEL, account=owner if odd < 0.9 else account, **names))
            case 2 | 3:
                terms = {"qty": int(rng.integers(0, 9))} if odd < 0.4 else {"price": 500 + int(rng.integers(-6, 7))}
                terms |= {"qty": int(rng.integers(1, 9))} if odd > 0.8 else {}
                rows.append(world.amendment(owner if odd < 0.95 else account, order_id, **terms))
            case _:
                text = b"o%d" % (k if odd < 0.97 else k // 2)
                price = 500 + int(rng.integers(-5, 6)) if odd < 0.96 else int(rng.integers(-3, 1_003))
                tif = (GTC, GTC, GTC, IOC, FOK)[int(rng.integers(0, 5))]
                rows.append(world.order(
                    account, BUY if rng.random() < 0.5 else SELL, int(rng.integers(1, 9)), price, cl_ord_id=text,
                    time_in_force=tif, smp=int(rng.integers(1, 6)), flags=POST_ONLY if rng.random() < 0.1 else 0,
                ))  # fmt: skip
                placed.append((account, int(rows[-1]["seq"][0]), text))
    return rows


@pytest.mark.parametrize("seed", range(4))
def test_both_ways_tell_the_same(seed: int) -> None:
    told = []
    for long in (False, True):
        world = World(SMALL._replace(day_ids=2_000, orders=500))
        world.checks = False
        a = world.state.arrays
        if long:  # a limit that nothing reaches keeps orders off the short way
            a.ins[INSTRUMENT_WORDS + GATED] |= BY_VALUE
            a.ctl[CONTROL_WORDS + MAX_VALUE] = 1 << 61
        events = np.concatenate([world.run(row) for row in flow(world, seed, 400)])
        a.ins[INSTRUMENT_WORDS + GATED] = 0
        told.append((events.tobytes(), world.book()))
    assert told[0] == told[1]
    seen = set(kinds(events)) & {K.ORDER_ACCEPTED, K.ORDER_REJECTED, K.ORDER_CANCELED, K.ORDER_AMENDED, K.TRADE}
    assert len(seen) == 5 and len(np.unique(events["code"])) > 6


@pytest.mark.parametrize("tif", (IOC, FOK))
def test_post_only_that_gives_up_is_refused_on_an_empty_book_too(tif: int) -> None:
    world = World()
    events = world.place(1, BUY, 1, 100, time_in_force=tif, flags=POST_ONLY)
    assert events["code"].tolist() == [Code.INVALID_COMBINATION]


def test_an_order_is_named_by_its_number_or_its_own_id_alone() -> None:
    world = World()
    order_id = int(world.place(1, SELL, 5, 500, cl_ord_id=b"mine", time_in_force=GTC, smp=Smp.NONE)["order_id"][0])
    a = world.state.arrays
    record = int(next(x for x in range(int(a.h[ORDER_BASE]), a.n8.size // NODE8) if a.n8[x * NODE8 + ORDER_ID]))
    assert a.n4[record * NODE4 + INSTRUMENT] == 1
    low, high = cl_ord_id_key(b"mine")
    for said, account, found in (
        ({"target_lo": order_id}, 1, record),
        ({"cl_ord_id": b"mine"}, 1, record),
        ({"cl_ord_id": b"mine"}, 2, 0),
        ({"cl_ord_id": b"other"}, 1, 0),
        ({"cl_ord_id": b"mine", "target_lo": order_id}, 1, 0),
        ({"target_lo": low, "target_hi": high}, 1, 0),
        ({"target_lo": order_id + 1}, 1, 0),
        ({"target_lo": -1}, 1, 0),
        ({}, 1, 0),
    ):
        row = world.row(A.ORDER_CANCEL, account=account, **said)
        s = views(world.state, row)
        assert int(named(s, 0, account, fold_low(s.cmd, 4))) == found, said


def test_orders_in_another_phase_go_the_long_way() -> None:
    world = World(phase=None)
    assert world.place(1, BUY, 1, 100)["code"].tolist() == [Code.PHASE]
    world.phase("W320", Phase.CONTINUOUS)
    kept = dump(world.state)
    assert kinds(world.place(1, BUY, 1, 100)) == [K.ORDER_ACCEPTED] and dump(world.state) != kept
