"""Pictures of a state: the world, the levels of a side, a queue, a book."""

import json

import pytest

from engine.dump import book, dump, levels, queue
from engine.schema import POST_ONLY, Limits, Phase, Side, Smp
from tests.engine.world import ACCOUNTS, BUY, FIRST_TIME, GTC, IOC, SELL, SMALL, TERMS, World

pytestmark = [pytest.mark.jit_off, pytest.mark.bounds]

WIDE = {"min_price": "-9000", "max_price": "9000", "window_ticks": 130, "reference_price": "0"}
ROOMY = SMALL._replace(levels=1 << 15)


def test_an_empty_venue() -> None:
    world = World(accounts=(), terms=(), phase=None)
    assert dump(world.state) == {
        "trading_day": "", "seq": 0, "time": 0, "next_trade_id": 1, "instruments": [], "accounts": [], "orders": [],
    }  # fmt: skip


def test_the_whole_world() -> None:
    world = World(terms=({}, {"symbol": "W240"}), phase=None)
    world.phase("W320", Phase.CONTINUOUS)
    world.place(1, SELL, 9, 500, cl_ord_id=b"x" * 32, smp=Smp.DECREMENT, smp_id=65_535, flags=POST_ONLY)
    first = world.seq
    world.place(3, BUY, 4, 500, time_in_force=IOC)
    world.amend(1, first, cl_ord_id=b"y", qty=8)
    world.place(3, BUY, 2, 100, time_in_force=GTC, client_session=-(2**31))
    second = world.seq
    assert dump(world.state) == {
        "trading_day": "", "seq": world.seq, "time": FIRST_TIME + world.seq, "next_trade_id": 2,
        "instruments": [{**TERMS, "phase": "continuous"}, {**TERMS, "symbol": "W240", "phase": "closed"}],
        "accounts": [{"account": name, "member": member, "owner": owner} for name, member, owner in ACCOUNTS],
        "orders": [
            {"order_id": second, "account": "A3", "symbol": "W320", "side": "buy", "price": 100, "order_qty": 2,
             "leaves_qty": 2, "cum_qty": 0, "cl_ord_id": f"o{second}", "time_in_force": "gtc", "smp": "cancel_resting",
             "smp_id": 0, "flags": 0, "client_session": -(2**31)},
            {"order_id": first, "account": "A1", "symbol": "W320", "side": "sell", "price": 500, "order_qty": 8,
             "leaves_qty": 4, "cum_qty": 4, "cl_ord_id": "y", "time_in_force": "day", "smp": "decrement",
             "smp_id": 65_535, "flags": POST_ONLY, "client_session": 0},
        ],
    }  # fmt: skip


def test_a_dump_is_plain_values_and_no_view_of_the_state() -> None:
    world = World()
    world.place(1, SELL, 9, 500)
    picture = dump(world.state)
    assert json.loads(json.dumps(picture)) == picture
    picture["instruments"][0]["symbol"] = picture["accounts"][0]["account"] = "changed"
    assert (
        dump(world.state)["instruments"][0]["symbol"] == "W320" and dump(world.state)["accounts"][0]["account"] == "A1"
    )
    assert dump(world.state) == dump(world.state)


def test_every_self_match_id_comes_back() -> None:
    world = World(Limits(4, 8, 64, 1 << 13, 256))
    for account in (1, 2, 3, 4):
        for smp_id in (0, 1, 32_767, 32_768, 65_535):
            world.place(account, BUY, 1, 100, smp_id=smp_id)
    told = [(order["account"], order["smp_id"]) for order in dump(world.state)["orders"]]
    assert told == [(f"A{account}", smp_id) for account in (1, 2, 3, 4) for smp_id in (0, 1, 32_767, 32_768, 65_535)]


@pytest.mark.parametrize("side", Side)
def test_levels_near_and_far_stand_best_first(side: Side) -> None:
    world = World(ROOMY, terms=(WIDE,))
    prices = [-9_000, -66, -65, -64, -2, -1, 0, 62, 63, 64, 65, 66, 9_000]
    for price in prices[::2] + prices[1::2]:
        world.place(1, side, 1, price)
    best_first = sorted(prices, reverse=side == BUY)
    found = levels(world.state, 1, side)
    assert [price for price, _ in found] == best_first
    assert [len(list(queue(world.state, level))) for _, level in found] == [1] * len(prices)
    other = Side(3 - side)
    assert levels(world.state, 1, other) == []


def test_a_book_shows_queues_in_time_order() -> None:
    world = World()
    ids = []
    for qty in (3, 1, 2):
        world.place(1, BUY, qty, 100)
        ids.append(world.seq)
    world.place(3, SELL, 7, 101)
    assert book(world.state, 1) == {
        "bids": [(100, 6, [(ids[0], 3), (ids[1], 1), (ids[2], 2)])], "asks": [(101, 7, [(world.seq, 7)])],
    }  # fmt: skip


def test_looking_changes_nothing() -> None:
    world = World()
    world.place(1, BUY, 3, 100)
    before = world.state.arrays.n8.copy(), world.state.arrays.h.copy()
    dump(world.state), book(world.state, 1)
    assert (before[0] == world.state.arrays.n8).all() and (before[1] == world.state.arrays.h).all()
