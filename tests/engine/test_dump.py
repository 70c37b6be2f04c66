"""Pictures of a state: the world, the levels of a side, a queue, a book."""

import json

import pytest

from engine.dump import book, dump, indicative, levels, queue, stops
from engine.schema import POST_ONLY, AuctionStep, CommandKind, Limits, Phase, Side, Smp
from tests.engine.world import ACCOUNTS, AT_CLOSE, BUY, FIRST_TIME, GTC, GTD, IOC, SELL, SMALL, TERMS, World

pytestmark = [pytest.mark.jit_off, pytest.mark.bounds]

A = CommandKind
WIDE = {"min_price": "-9000", "max_price": "9000", "window_ticks": 130, "reference_price": "0"}
ROOMY = SMALL._replace(levels=1 << 15)
FREE = {
    "controls": {}, "limits": {"settlement": 500, "step": 0, "side": 0, "locked": 0, "low": 1, "high": 1000},
}  # fmt: skip
NO_MONEY: dict[str, object] = {
    "positions": [], "fixings": [], "margins": [], "fees": [], "caps": [], "kills": [], "income": {},
}  # fmt: skip
PLAIN = {"ord_type": "limit", "stop_price": 0, "display_qty": 0, "shown_qty": 0, "expire_time": 0, "inactive": 0}


def test_an_empty_venue() -> None:
    world = World(accounts=(), terms=(), phase=None)
    assert dump(world.state) == {
        "trading_day": "", "margined": 0, "seq": 0, "time": 0, "next_trade_id": 1, "instruments": [], "accounts": [],
        "orders": [], **NO_MONEY,
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
        "trading_day": "", "margined": 0, "seq": world.seq, "time": FIRST_TIME + world.seq, "next_trade_id": 2,
        "instruments": [
            {**TERMS, "phase": "continuous", "override": 0, "last_price": 500, "close_price": None, **FREE},
            {**TERMS, "symbol": "W240", "phase": "closed", "override": 0, "last_price": None, "close_price": None,
             **FREE},
        ],
        **NO_MONEY,
        "accounts": [
            {"account": name, "member": member, "owner": owner, "balance": 0, "checked": 0}
            for name, member, owner in ACCOUNTS
        ],
        "positions": [
            {"account": "A1", "symbol": "W320", "lots": -4, "buys": 0, "sells": 4, "held": 0},
            {"account": "A3", "symbol": "W320", "lots": 4, "buys": 2, "sells": 0, "held": 0},
        ],
        "orders": [
            {"order_id": second, "account": "A3", "symbol": "W320", "side": "buy", "price": 100, "order_qty": 2,
             "leaves_qty": 2, "cum_qty": 0, "cl_ord_id": f"o{second}", "time_in_force": "gtc", "smp": "cancel_resting",
             "smp_id": 0, "flags": 0, "client_session": -(2**31), **PLAIN},
            {"order_id": first, "account": "A1", "symbol": "W320", "side": "sell", "price": 500, "order_qty": 8,
             "leaves_qty": 4, "cum_qty": 4, "cl_ord_id": "y", "time_in_force": "day", "smp": "decrement",
             "smp_id": 65_535, "flags": POST_ONLY, "client_session": 0, **PLAIN},
        ],
    }  # fmt: skip


def test_orders_of_every_kind() -> None:
    world = World()
    told = {}

    def note(**expected: object) -> None:
        order = next(order for order in dump(world.state)["orders"] if order["order_id"] == world.seq)
        told[world.seq] = order
        assert {name: order[name] for name in (*PLAIN, "price", "time_in_force")} == {
            **PLAIN, "price": 0, "time_in_force": "day", **expected,
        }  # fmt: skip

    world.place(1, BUY, 9, 100, display_qty=4)
    note(price=100, display_qty=4, shown_qty=4)
    world.place(1, BUY, 9, 100, display_qty=9)
    note(price=100)
    world.place(1, BUY, 9, 99, time_in_force=GTD, expire_time=1 << 62)
    note(price=99, time_in_force="gtd", expire_time=1 << 62)
    world.stop(1, BUY, 9, 600)
    note(ord_type="stop", stop_price=600, inactive=1)
    world.stop(1, SELL, 9, 90, 80, time_in_force=GTD, expire_time=5_000)
    note(ord_type="stop_limit", stop_price=90, price=80, inactive=1, time_in_force="gtd", expire_time=5_000)
    world.place(1, SELL, 9, 700, time_in_force=AT_CLOSE, display_qty=3)
    note(price=700, time_in_force="at_close", inactive=1, display_qty=3)
    world.place(1, SELL, 9, None, time_in_force=AT_CLOSE)
    note(price=1, time_in_force="at_close", inactive=1, ord_type="market")
    # The book, the stops that wait (buys first, then sells), and what is kept aside.
    assert [order["order_id"] for order in dump(world.state)["orders"]] == list(told)


def test_stops_stand_in_the_order_in_which_they_are_elected() -> None:
    world = World()
    for price in (500, 300, 900, 301):
        world.stop(1, BUY, 1, price)
        world.stop(1, SELL, 1, price)
    assert [price for price, _ in stops(world.state, 1, Side.BUY)] == [300, 301, 500, 900]
    assert [price for price, _ in stops(world.state, 1, Side.SELL)] == [900, 500, 301, 300]
    assert not levels(world.state, 1, Side.BUY) and not levels(world.state, 1, Side.SELL)


def test_what_a_day_leaves_with_an_instrument() -> None:
    world = World()
    world.place(1, BUY, 1, 450)
    world.place(3, SELL, 1, 450)
    (terms,) = dump(world.state)["instruments"]
    assert (terms["last_price"], terms["close_price"], "reference_price" in terms) == (450, None, False)
    world.phase("ALL", Phase.PRE_CLOSE)
    world.place(1, BUY, 1, 460)
    world.place(3, SELL, 1, 440)
    world.phase("W320", Phase.CLOSING_AUCTION, override=1)
    (terms,) = dump(world.state)["instruments"]
    assert (terms["last_price"], terms["close_price"], terms["override"]) == (450, 450, 1)
    world.phase("W320", Phase.CLOSED)
    (terms,) = dump(world.state)["instruments"]
    assert terms == {
        **TERMS, "phase": "closed", "override": 0, "last_price": None, "close_price": None, "reference_price": "450",
        **FREE,
    }  # fmt: skip


# Resting orders (side, qty, price or None), the day's last trade or None, and what the ladder makes of it.
LADDER = {
    "nothing": ([], None, (0, 0, 0, AuctionStep.NO_CROSS)),
    "one side": ([(BUY, 5, 100)], None, (0, 0, 0, AuctionStep.NO_CROSS)),
    "no cross": ([(BUY, 5, 100), (SELL, 5, 101)], None, (0, 0, 0, AuctionStep.NO_CROSS)),
    "volume": ([(BUY, 5, 102), (SELL, 4, 100), (SELL, 3, 102)], None, (102, 5, -2, AuctionStep.VOLUME)),
    "surplus": ([(BUY, 5, 103), (BUY, 2, 101), (SELL, 5, 100)], None, (103, 5, 0, AuctionStep.SURPLUS)),
    "buy pressure": ([(BUY, 7, 103), (SELL, 5, 100)], None, (103, 5, 2, AuctionStep.PRESSURE)),
    "sell pressure": ([(BUY, 5, 103), (SELL, 7, 100)], None, (100, 5, -2, AuctionStep.PRESSURE)),
    "even, reference above": ([(BUY, 5, 103), (SELL, 5, 100)], None, (103, 5, 0, AuctionStep.REFERENCE)),
    "even, reference between": ([(BUY, 5, 103), (SELL, 5, 100)], 102, (102, 5, 0, AuctionStep.REFERENCE)),
    "even, reference below": ([(BUY, 5, 103), (SELL, 5, 100)], 99, (100, 5, 0, AuctionStep.REFERENCE)),
    "both surpluses": (
        [(BUY, 5, None), (BUY, 2, 101), (SELL, 5, None), (SELL, 2, 103)], 102, (102, 5, 0, AuctionStep.REFERENCE),
    ),
    "unpriced only": ([(BUY, 5, None), (SELL, 7, None)], None, (500, 5, -2, AuctionStep.UNPRICED)),
    "unpriced only, traded": ([(BUY, 5, None), (SELL, 7, None)], 77, (77, 5, -2, AuctionStep.UNPRICED)),
    "unpriced on one side": ([(BUY, 5, None), (SELL, 7, 40)], None, (40, 5, -2, AuctionStep.VOLUME)),
}  # fmt: skip


@pytest.mark.parametrize("case", LADDER)
def test_the_ladder_of_the_auction_price(case: str) -> None:
    orders, last, expected = LADDER[case]
    world = World()
    if last:
        world.place(1, BUY, 1, last)
        world.place(3, SELL, 1, last)
    world.phase("ALL", Phase.PRE_OPEN)
    for side, qty, price in orders:
        world.place(1, side, qty, price)
    assert indicative(world.state, 1) == expected
    world.phase("ALL", Phase.HALTED)
    assert indicative(world.state, 1) == expected, "whatever the phase"


def test_what_is_kept_of_controls_accounts_and_levers() -> None:
    """Lists stand in the order of their keys, whatever the order in which they were set."""
    world = World(accounts=(), terms=({"contract_size": 1}, {"symbol": "A", "group": "G"}), phase=None)
    for account, said in (("Z", {"ccy": "USD"}), ("B", {"ccy": "EUR"}), ("A", {})):
        world.act(A.ACCOUNT_DEFINE, account=account, member="M", owner=f"O{account}", **said)
    for ccy, per, rate in (("USD", "USD", "100"), ("USD", "EUR", "90.50"), ("EUR", "USD", "110")):
        world.act(A.FIXING_SET, date="2026-11-25", ccy=ccy, per=per, rate=rate)
    world.act(A.FIXING_SET, date="2026-11-26", ccy="USD", per="USD", rate="100.0")
    for symbol, ccy, per_lot in (("A", "USD", 0), ("W320", "USD", 7), ("W320", "EUR", 9)):
        world.act(A.MARGIN_SET, symbol=symbol, ccy=ccy, per_lot=per_lot)
    world.act(A.FEE_SET, group="G", ccy="USD", basis="bps", taker=1, maker=-1, auction=0)
    world.act(A.FEE_SET, symbol="W320", ccy="USD", basis="lot", taker=5, maker=2, auction=1)
    for said in ({"owner": "OZ", "lots": 5}, {"lots": 9}, {"owner": "new", "lots": 7}):
        world.act(A.CAP_SET, None, commodity="G", **said)
    world.act(A.CONTROL_SET, symbol="W320", short_ticks=0, limit_steps="200", band_ticks=0)
    world.act(A.LIMIT_SET, symbol="W320", settlement="500", step=1)
    world.act(A.COLLATERAL_SET, account="Z", amount=10**9)
    world.phase("ALL", Phase.CONTINUOUS)
    world.place(3, SELL, 5, 500, display_qty=2)
    world.place(1, BUY, 2, 500)
    world.place(1, BUY, 9, 520, time_in_force=GTC, display_qty=4)
    world.place(2, SELL, 3, 900, instrument=2)
    world.act(A.KILL_SET, member="M", on=1)
    world.act(A.KILL_SET, account="Z", on=1)
    world.act(A.KILL_SET, account="B", on=1)
    for scope in ({"account": "Z"}, {"member": "M"}):
        world.act(A.KILL_SET, None, **scope, on=0)
    world.place(1, BUY, 9, 520, time_in_force=GTC, display_qty=4)
    world.place(3, SELL, 1, 505)
    world.act(A.KILL_SET, exchange=1, on=0)
    picture = dump(world.state)
    assert picture["instruments"][0]["controls"] == {"band_ticks": 0, "limit_steps": "200", "short_ticks": 0}
    assert list(picture["instruments"][0]["controls"]) == ["band_ticks", "limit_steps", "short_ticks"]
    assert picture["instruments"][0]["limits"] == {
        "settlement": 500, "step": 1, "side": 0, "locked": 0, "low": 490, "high": 510,
    }  # fmt: skip
    assert picture["accounts"] == [
        {"account": "Z", "member": "M", "owner": "OZ", "ccy": "USD", "balance": 10**9 - 10, "checked": 1},
        {"account": "B", "member": "M", "owner": "OB", "ccy": "EUR", "balance": 0, "checked": 0},
        {"account": "A", "member": "M", "owner": "OA", "balance": 0, "checked": 0},
    ]
    assert picture["positions"] == [
        {"account": "Z", "symbol": "W320", "lots": 2, "buys": 9, "sells": 0, "held": 7 * 11 + 5 * 9},
        {"account": "A", "symbol": "W320", "lots": -2, "buys": 0, "sells": 1, "held": 0},
    ]
    assert picture["fixings"] == [
        {"ccy": "EUR", "per": "USD", "date": "2026-11-25", "rate": "110"},
        {"ccy": "USD", "per": "EUR", "date": "2026-11-25", "rate": "90.50"},
        {"ccy": "USD", "per": "USD", "date": "2026-11-26", "rate": "100.0"},
    ]
    assert picture["margins"] == [
        {"symbol": "W320", "ccy": "EUR", "per_lot": 9}, {"symbol": "W320", "ccy": "USD", "per_lot": 7},
        {"symbol": "A", "ccy": "USD", "per_lot": 0},
    ]  # fmt: skip
    assert picture["fees"] == [
        {"symbol": "W320", "ccy": "USD", "basis": "lot", "taker": 5, "maker": 2, "auction": 1},
        {"symbol": "A", "ccy": "USD", "basis": "bps", "taker": 1, "maker": -1, "auction": 0},
    ]
    assert picture["caps"] == [
        {"commodity": "G", "owner": "", "lots": 9}, {"commodity": "G", "owner": "OZ", "lots": 5},
        {"commodity": "G", "owner": "new", "lots": 7},
    ]  # fmt: skip
    assert picture["kills"] == [{"scope": "account", "whom": "B"}] and picture["income"] == {"EUR": 0, "USD": 10}
    (last,) = [order for order in picture["orders"] if order["inactive"]]
    assert (last["price"], last["display_qty"], last["shown_qty"], last["leaves_qty"]) == (520, 4, 4, 9)
    assert picture["orders"][-1] == last, "what is kept aside stands last"


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
