"""Market data against a stand-in exchange: books, trades and phases, and how gaps mend themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import cashew
from cashew.market import MarketData, fetch_instruments
from tests.cashew.fake_exchange import FakeExchange, crc, fake_exchange

SYMBOL = "W320F2703"
Scene = Callable[[FakeExchange, MarketData], Awaitable[None]]


def play(scene: Scene) -> None:
    async def run() -> None:
        async with asyncio.timeout(20), fake_exchange() as exchange:
            market = MarketData(exchange.url)
            try:
                await scene(exchange, market)
            finally:
                await market.close()

    asyncio.run(run())


def book(seq: int, prev: int, lots: int, *, kind: str = "update", wrong: bool = False) -> dict[str, Any]:
    check = crc([(601, lots)], [(602, 7)]) + wrong
    asks = [["3.010", 7, 1]] if kind == "snapshot" else []
    head = {"ev": "book", "symbol": SYMBOL, "type": kind, "seq": seq, "prev": prev}
    return {**head, "bids": [["3.005", lots, 1]], "asks": asks, "crc": check}


def trades(seq: int, prev: int, *ids: int, kind: str = "update") -> dict[str, Any]:
    rows = [{"trade_id": n, "price": "3.005", "qty": n, "aggressor_side": "buy", "ts": n} for n in ids]
    return {"ev": "trade", "symbol": SYMBOL, "type": kind, "seq": seq, "prev": prev, "trades": rows}


def test_book_follows_the_feed() -> None:
    async def scene(exchange: FakeExchange, market: MarketData) -> None:
        exchange.snapshots["book", SYMBOL] = book(5, 0, 10, kind="snapshot")
        books = await market.watch_book(SYMBOL)
        seen = await anext(books)
        assert (seen.seq, seen.best_bid.qty, seen.best_ask.qty) == (5, 10, 7)
        await exchange.feed(book(9, 5, 11), {"ev": "hb", "seq": 9, "ts": 1})
        assert (await anext(books)).best_bid.qty == 11
        again = await market.watch_book(SYMBOL)
        assert (await anext(again)).seq == 9
        assert exchange.subscriptions == [("book", SYMBOL)]
        assert market.resyncs == 0

    play(scene)


@pytest.mark.parametrize("wrong", [{"prev": 8}, {"wrong": True}], ids=["gap", "checksum"])
def test_book_mends_itself_by_a_new_snapshot(wrong: dict[str, Any]) -> None:
    async def scene(exchange: FakeExchange, market: MarketData) -> None:
        exchange.snapshots["book", SYMBOL] = book(5, 0, 10, kind="snapshot")
        books = await market.watch_book(SYMBOL)
        await anext(books)
        exchange.snapshots["book", SYMBOL] = book(12, 0, 20, kind="snapshot")
        await exchange.feed(book(9, wrong.get("prev", 5), 11, wrong=wrong.get("wrong", False)), book(10, 9, 12))
        seen = await anext(books)
        while seen.seq < 12:
            seen = await anext(books)
        assert (seen.ready, seen.best_bid.qty, market.resyncs) == (True, 20, 1)
        await exchange.feed(book(13, 12, 21))
        assert (await anext(books)).best_bid.qty == 21

    play(scene)


def test_trades_begin_with_recent_ones_and_never_repeat() -> None:
    async def scene(exchange: FakeExchange, market: MarketData) -> None:
        exchange.snapshots["trades", SYMBOL] = trades(5, 0, 1, 2, kind="snapshot")
        stream = await market.watch_trades(SYMBOL)
        await exchange.until_subscribed(1)
        await exchange.feed(trades(6, 5, 3))
        assert [(await anext(stream)).trade_id for _ in range(3)] == [1, 2, 3]
        late = await market.watch_trades(SYMBOL)
        assert [(await anext(late)).trade_id for _ in range(3)] == [1, 2, 3]
        exchange.snapshots["trades", SYMBOL] = trades(9, 0, 2, 3, 4, 5, kind="snapshot")
        await exchange.feed(trades(9, 8, 5))
        assert [(await anext(stream)).trade_id for _ in range(2)] == [4, 5]
        assert market.resyncs == 1

    play(scene)


def test_status_gives_the_present_phase_and_each_change() -> None:
    async def scene(exchange: FakeExchange, market: MarketData) -> None:
        status = {"ev": "status", "symbol": SYMBOL, "type": "snapshot", "seq": 3, "prev": 0, "phase": "continuous"}
        exchange.snapshots["status", SYMBOL] = {**status, "reason": None}
        stream = await market.watch_status(SYMBOL)
        assert (await anext(stream)).phase == "continuous"
        await exchange.feed({**status, "type": "update", "seq": 8, "prev": 3, "phase": "halted", "reason": "fire"})
        change = await anext(stream)
        assert (change.phase, change.reason) == ("halted", "fire")
        late = await market.watch_status(SYMBOL)
        assert (await anext(late)).phase == "halted"

    play(scene)


def test_auction_gives_how_the_call_stands_and_each_change() -> None:
    async def scene(exchange: FakeExchange, market: MarketData) -> None:
        told = {"ev": "auction", "symbol": SYMBOL, "type": "snapshot", "seq": 3, "prev": 0, "state": "indicative"}
        told |= {"price": "3.005", "qty": 4, "surplus": 6, "surplus_side": "buy", "step": "volume"}
        exchange.snapshots["auction", SYMBOL] = told
        stream = await market.watch_auction(SYMBOL)
        first = await anext(stream)
        assert (first.price, first.qty, first.surplus, first.surplus_side) == ("3.005", 4, 6, "buy")
        await exchange.feed({**told, "type": "update", "seq": 8, "prev": 3, "state": "uncrossed"})
        assert (await anext(stream)).state == "uncrossed"
        late = await market.watch_auction(SYMBOL)
        assert (await anext(late)).state == "uncrossed"

    play(scene)


def test_trade_of_an_auction_has_no_aggressor() -> None:
    async def scene(exchange: FakeExchange, market: MarketData) -> None:
        message = trades(5, 0, 1, kind="snapshot")
        message["trades"] = [{"trade_id": 1, "price": "3.005", "qty": 2, "auction": True, "ts": 1}]
        exchange.snapshots["trades", SYMBOL] = message
        trade = await anext(await market.watch_trades(SYMBOL))
        assert (trade.auction, trade.aggressor_side) == (True, "")

    play(scene)


def test_lost_connection_is_followed_by_new_subscriptions() -> None:
    async def scene(exchange: FakeExchange, market: MarketData) -> None:
        exchange.snapshots["book", SYMBOL] = book(5, 0, 10, kind="snapshot")
        books = await market.watch_book(SYMBOL)
        await anext(books)
        exchange.snapshots["book", SYMBOL] = book(50, 0, 30, kind="snapshot")
        exchange.readers[0].transport.abort()
        assert (await anext(books)).seq == 50
        assert exchange.subscriptions == [("book", SYMBOL)] * 2

    play(scene)


def test_unknown_symbol_is_said_with_the_list() -> None:
    async def scene(exchange: FakeExchange, market: MarketData) -> None:
        with pytest.raises(cashew.NotDone, match=f"no instrument 'XYZ'; listed are: {SYMBOL}"):
            await market.watch_book("XYZ")

    play(scene)


def test_instruments_are_fetched_by_symbol() -> None:
    async def scene(exchange: FakeExchange, market: MarketData) -> None:
        listed = await fetch_instruments(exchange.url)
        assert listed[SYMBOL].tick == "0.005"

    play(scene)


def test_instruments_of_nobody_is_cannot_connect() -> None:
    async def run() -> None:
        async with fake_exchange() as exchange:
            url = exchange.url
        with pytest.raises(cashew.CannotConnect):
            await fetch_instruments(url)

    asyncio.run(run())
