"""What the bots think: prices that stay plausible, quotes that never cross, takers that reach a little."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from cashew.book import Book
from cashew.bots_market import FairPrice, Maker, Taker, World, level_of_trade
from cashew.errors import NotDone
from cashew.messages import Execution, Instrument, Order, record
from tests.cashew.fake_exchange import INSTRUMENT

SYMBOL = "W320F2703"


def instrument(**terms: Any) -> Instrument:
    return record({**INSTRUMENT, **terms}, Instrument)


class Market:
    """Stands in for the market data: books that a test fills."""

    def __init__(self) -> None:
        self.books: dict[str, Book] = {}


class Exchange:
    """Stands in for the client: takes what bots send, refuses what a test says."""

    def __init__(self) -> None:
        self.placed: list[dict[str, Any]] = []
        self.amended: list[dict[str, Any]] = []
        self.canceled: list[int] = []
        self.live: list[Order] = []
        self.refusal: NotDone | None = None
        self.cannot_cancel = False

    async def place(self, symbol: str, side: str, order_qty: int, **terms: Any) -> Order:
        if self.refusal is not None:
            raise self.refusal
        self.placed.append({"symbol": symbol, "side": side, "order_qty": order_qty, **terms})
        return Order(order_id=len(self.placed), order_qty=order_qty, status="new")

    async def amend(self, *, order_id: int, price: str, order_qty: int) -> Order:
        if self.refusal is not None:
            raise self.refusal
        self.amended.append({"order_id": order_id, "price": price})
        return Order(order_id=order_id, order_qty=order_qty, status="new")

    async def cancel(self, *, order_id: int) -> Order:
        if self.cannot_cancel:
            raise NotDone("PHASE", "not now")
        self.canceled.append(order_id)
        return Order(order_id=order_id)

    async def mass_status(self) -> list[Order]:
        return self.live


def make_world(phase: str = "continuous") -> World:
    market: Any = Market()
    world = World(market, {SYMBOL: FairPrice(instrument(), 1)})
    world.phases[SYMBOL] = phase
    return world


def act(bot: Maker | Taker, exchange: Any, times: int = 1) -> list[bool]:
    async def run() -> list[bool]:
        return [await bot.act(exchange) for _ in range(times)]

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("terms", "ticks"),
    [
        ({}, 600),
        ({"symbol": "W320S", "tick": "0.01"}, 300),
        ({"symbol": "RAFF2701", "tick": "1", "min_price": "900", "max_price": "2500"}, 1370),
        ({"symbol": "RBPF2703", "tick": "50", "min_price": "20000", "max_price": "80000"}, 800),
        ({"symbol": "NEW", "reference_price": "2.000"}, 400),
        ({"symbol": "NEW"}, 1000),
        ({"min_price": "5.000", "reference_price": "6.000"}, 1200),
    ],
    ids=["futures", "spot", "raw", "dong", "reference", "middle", "level outside the band"],
)
def test_level_is_that_of_the_trade(terms: dict[str, Any], ticks: int) -> None:
    assert level_of_trade(instrument(**terms)) == ticks


def test_fair_price_wanders_within_bounds_and_repeats_with_its_seed() -> None:
    one, same, other = FairPrice(instrument(), 1), FairPrice(instrument(), 1), FairPrice(instrument(), 2)
    walk = [one.step() for _ in range(20_000)]
    assert walk == [same.step() for _ in range(20_000)]
    assert walk != [other.step() for _ in range(20_000)]
    assert 576 <= min(walk) < 599
    assert 601 < max(walk) <= 624
    assert abs(sum(walk) / len(walk) - 600) < 6


def test_maker_fills_its_slots_without_crossing_itself_then_rests() -> None:
    exchange = Exchange()
    maker = Maker(make_world(), random.Random(1), levels=3)
    assert act(maker, exchange, 7) == [True] * 6 + [False]
    assert not maker.is_behind
    prices = {side: [one["price"] for one in exchange.placed if one["side"] == side] for side in ("buy", "sell")}
    assert len(set(prices["buy"])) == len(set(prices["sell"])) == 3
    assert max(prices["buy"]) < min(prices["sell"])
    assert all(one["post_only"] for one in exchange.placed)


def test_maker_follows_the_fair_price_by_amending() -> None:
    exchange, world = Exchange(), make_world()
    maker = Maker(world, random.Random(1), levels=2)
    act(maker, exchange, 4)
    world.fairs[SYMBOL].value += 10
    assert act(maker, exchange, 9) == [True] * 4 + [False] * 5
    assert sorted(one["order_id"] for one in exchange.amended) == [1, 2, 3, 4]
    assert len(exchange.placed) == 4
    sells = [one["order_id"] for one in exchange.amended if exchange.placed[one["order_id"] - 1]["side"] == "sell"]
    assert {one["order_id"] for one in exchange.amended[:2]} == set(sells)


def test_taker_enters_a_few_crossing_limit_orders_for_an_opening_call_only() -> None:
    exchange, world = Exchange(), make_world("pre_open")
    taker = Taker(world, random.Random(1))
    assert act(taker, exchange, 5) == [True, True, True, False, False]
    assert {(one["time_in_force"], one.get("ord_type")) for one in exchange.placed} == {("at_open", None)}
    for one in exchange.placed:
        ticks = world.fairs[SYMBOL].tick.ticks(one["price"])
        assert ticks is not None and 1 <= (ticks - 600) * (1 if one["side"] == "buy" else -1) <= 4
    assert not taker.is_behind
    for phase, acted in (("no_cancel", False), ("opening_auction", False), ("pre_open", True), ("pre_close", False)):
        world.phases[SYMBOL] = phase
        assert act(taker, exchange) == [acted], phase


def test_orders_of_makers_and_takers_cross_in_a_call() -> None:
    exchange, world = Exchange(), make_world("pre_open")
    for seed in range(4):
        act(Maker(world, random.Random(seed)), exchange, 8)
        act(Taker(world, random.Random(seed)), exchange, 3)
    prices = {side: [float(one["price"]) for one in exchange.placed if one["side"] == side] for side in ("buy", "sell")}
    assert max(prices["buy"]) > min(prices["sell"])
    assert all("ioc" not in one.values() and one.get("ord_type") is None for one in exchange.placed)


def test_maker_quotes_on_but_moves_nothing_where_nothing_can_be_amended() -> None:
    exchange, world = Exchange(), make_world("no_cancel")
    maker = Maker(world, random.Random(1), levels=2)
    act(maker, exchange, 4)
    world.fairs[SYMBOL].value += 10
    assert act(maker, exchange) == [False] and len(exchange.placed) == 4
    world.phases[SYMBOL] = "continuous"
    assert act(maker, exchange) == [True] and len(exchange.amended) == 1


def test_maker_quotes_around_the_fair_price_in_a_call_however_its_book_is_crossed() -> None:
    exchange, world = Exchange(), make_world("pre_open")
    book = Book(SYMBOL, "0.005")
    book.take({"type": "snapshot", "seq": 1, "prev": 0, "bids": [["3.030", 9, 1]], "asks": [["2.970", 9, 1]]})
    world.market.books[SYMBOL] = book
    act(Maker(world, random.Random(1), levels=1), exchange, 2)
    assert all("2.980" < one["price"] < "3.020" for one in exchange.placed)


def test_taker_leaves_to_the_exchange_what_it_cannot_cancel() -> None:
    exchange, world = Exchange(), make_world()
    exchange.live = [Order(order_id=11, symbol=SYMBOL, side="buy", order_qty=5, leaves_qty=5, status="new")]
    exchange.cannot_cancel = True
    taker = Taker(world, random.Random(1))
    asyncio.run(taker.reconcile(exchange))  # type: ignore[arg-type]
    assert taker.refusals == 1


@pytest.mark.parametrize("phase", ["halted", "closed"])
def test_bots_wait_while_nothing_can_be_placed_and_go_on_afterwards(phase: str) -> None:
    exchange, world = Exchange(), make_world(phase)
    maker, taker = Maker(world, random.Random(1)), Taker(world, random.Random(1))
    assert act(maker, exchange) + act(taker, exchange) == [False, False]
    world.phases[SYMBOL] = "continuous"
    assert act(maker, exchange) == [True]


def test_filled_quote_is_replaced_and_a_partly_filled_one_is_kept() -> None:
    exchange = Exchange()
    maker = Maker(make_world(), random.Random(1), levels=1)
    act(maker, exchange, 2)
    maker.heed(Execution(order_id=1, exec="trade", order_qty=5, leaves_qty=2, cum_qty=3))
    assert act(maker, exchange) == [False]
    maker.heed(Execution(order_id=1, exec="trade", order_qty=5, leaves_qty=0, cum_qty=5))
    maker.heed(Execution(order_id=99, exec="canceled"))
    assert act(maker, exchange) == [True]
    assert exchange.placed[2]["side"] == exchange.placed[0]["side"]


def test_amend_of_a_vanished_order_forgets_it() -> None:
    exchange, world = Exchange(), make_world()
    maker = Maker(world, random.Random(1), levels=1)
    act(maker, exchange, 2)
    world.fairs[SYMBOL].value += 10
    exchange.refusal = NotDone("UNKNOWN_ORDER", "no such live order")
    with pytest.raises(NotDone):
        act(maker, exchange)
    exchange.refusal = None
    act(maker, exchange)
    assert len(exchange.placed) == 3


def test_after_a_lost_connection_live_orders_are_adopted_and_the_rest_canceled() -> None:
    exchange = Exchange()
    maker = Maker(make_world(), random.Random(1), levels=1)
    order = {"symbol": SYMBOL, "side": "buy", "order_qty": 5, "leaves_qty": 5, "status": "new"}
    exchange.live = [
        Order(order_id=11, price="2.990", **order),
        Order(order_id=12, price="2.985", **order),
        Order(order_id=13, price="2.985", **{**order, "symbol": "GONE"}),
    ]
    asyncio.run(maker.reconcile(exchange))  # type: ignore[arg-type]
    assert exchange.canceled == [12, 13]
    assert act(maker, exchange) == [True]
    assert [one["side"] for one in exchange.placed] == ["sell"]


def test_taker_takes_a_few_lots_at_most_two_ticks_beyond_the_best_price() -> None:
    exchange, world = Exchange(), make_world()
    book = Book(SYMBOL, "0.005")
    book.take({"type": "snapshot", "seq": 1, "prev": 0, "bids": [["2.995", 9, 1]], "asks": [["3.005", 9, 1]]})
    world.market.books[SYMBOL] = book
    taker = Taker(world, random.Random(1))
    assert all(act(taker, exchange, 200))
    buys = {one["price"] for one in exchange.placed if one["side"] == "buy"}
    sells = {one["price"] for one in exchange.placed if one["side"] == "sell"}
    assert buys == {"3.005", "3.010", "3.015"}
    assert sells == {"2.995", "2.990", "2.985"}
    assert all(one["time_in_force"] == "ioc" and 1 <= one["order_qty"] <= 5 for one in exchange.placed)


def test_taker_leaves_a_one_sided_book_alone() -> None:
    exchange, world = Exchange(), make_world()
    book = Book(SYMBOL, "0.005")
    book.take({"type": "snapshot", "seq": 1, "prev": 0, "bids": [["2.995", 9, 1]], "asks": []})
    world.market.books[SYMBOL] = book
    assert act(Taker(world, random.Random(1)), exchange) == [False]


def test_maker_stays_on_its_side_of_the_public_book() -> None:
    exchange, world = Exchange(), make_world()
    book = Book(SYMBOL, "0.005")
    book.take({"type": "snapshot", "seq": 1, "prev": 0, "bids": [["3.030", 9, 1]], "asks": [["3.035", 9, 1]]})
    world.market.books[SYMBOL] = book
    act(Maker(world, random.Random(1), levels=2), exchange, 4)
    assert all(one["price"] >= "3.035" for one in exchange.placed if one["side"] == "sell")


def test_refused_side_rests_and_starves_no_other() -> None:
    exchange, world = Exchange(), make_world()
    maker = Maker(world, random.Random(1), levels=1)
    exchange.refusal = NotDone("POST_ONLY", "it would trade at once")
    for _ in range(2):
        with pytest.raises(NotDone):
            act(maker, exchange)
    assert act(maker, exchange) == [False]
    assert not maker.is_behind
    exchange.refusal = None
    assert act(maker, exchange, 20)[-1] is True
