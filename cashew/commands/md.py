"""`cashew md` and `cashew instruments`: the market in a terminal, or as lines."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from cashew.commands.common import DEFAULT_URL, JsonOption, UrlOption, is_terminal, put, put_table

if TYPE_CHECKING:
    from cashew.book import Book
    from cashew.ladder import Ladder
    from cashew.market import MarketData
    from cashew.messages import Auction, PhaseChange, Trade
    from cashew.streams import Latest, Stream

__all__ = ["instruments", "md"]

FRAMES_PER_SECOND = 10


def md(
    symbol: Annotated[str, typer.Argument(help="The instrument, such as W320F2703.", metavar="SYMBOL")],
    depth: Annotated[int, typer.Option("--depth", help="How many price levels of each side.", min=1, max=100)] = 10,
    url: UrlOption = DEFAULT_URL,
    json_lines: JsonOption = False,
) -> None:
    """Watch book, trades, phase and auctions live.

    A ladder on a terminal, else one line per change. In a call it shows price, volume and surplus of its uncross as it
    would be now. Needs no key.
    """
    asyncio.run(watch(symbol, depth, url, json_lines))


def instruments(url: UrlOption = DEFAULT_URL, json_lines: JsonOption = False) -> None:
    """List the instruments and their terms.

    Needs no key.
    """
    from cashew.commands.order import as_record
    from cashew.market import fetch_instruments

    listed = asyncio.run(fetch_instruments(url))
    if json_lines:
        for one in listed.values():
            put({"ev": "instrument", **as_record(one)}, "", True)
        return
    columns = ("symbol", "phase", "quote", "tick", "min price", "max price", "max lots", "lot", "name", "group")
    put_table(
        columns,
        [
            (
                one.symbol,
                one.phase,
                f"{one.ccy}/{one.unit}",
                one.tick,
                one.min_price,
                one.max_price,
                one.max_order_qty,
                f"{one.contract_size} {one.unit}",
                one.name,
                one.group,
            )
            for one in listed.values()
        ],
    )


async def watch(symbol: str, depth: int, url: str, json_lines: bool) -> None:
    """Follow one instrument until it is interrupted or the connection is gone for good."""
    from cashew.ladder import Ladder
    from cashew.market import MarketData

    market = MarketData(url)
    try:
        books = await market.watch_book(symbol)
        trades = await market.watch_trades(symbol)
        phases = await market.watch_status(symbol)
        auctions = await market.watch_auction(symbol)
        ladder = Ladder(market.instruments[symbol], market.books[symbol], depth=depth)
        live = is_terminal() and not json_lines
        tasks = [
            asyncio.create_task(follow_book(ladder, books, live, json_lines)),
            asyncio.create_task(follow_trades(ladder, trades, live, json_lines)),
            asyncio.create_task(follow_phase(ladder, phases, live, json_lines)),
            asyncio.create_task(follow_auction(ladder, auctions, live, json_lines)),
        ]
        if live:
            tasks.append(asyncio.create_task(draw(ladder, market)))
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        await market.close()


async def draw(ladder: Ladder, market: MarketData) -> None:
    """Redraw the ladder at a steady, modest rate, whatever the market does."""
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(), auto_refresh=False, screen=True) as screen:
        while True:
            ladder.connected = market.connected
            screen.update(ladder.render(), refresh=True)
            await asyncio.sleep(1 / FRAMES_PER_SECOND)


async def follow_book(ladder: Ladder, books: Latest[Book], live: bool, json_lines: bool) -> None:
    async for book in books:
        if not live:
            record = {
                "ev": "book",
                "symbol": book.symbol,
                "seq": book.seq,
                "bids": book.bids(ladder.depth),
                "asks": book.asks(ladder.depth),
            }
            put(record, ladder.line(), json_lines)


async def follow_trades(ladder: Ladder, trades: Stream[Trade], live: bool, json_lines: bool) -> None:
    from cashew.commands.order import as_record
    from cashew.ladder import clock

    async for trade in trades:
        ladder.trades.append(trade)
        if not live:
            came = "in the auction" if trade.auction else f"{trade.aggressor_side} came in"
            text = f"{trade.symbol} trade {trade.trade_id}: {trade.qty} @ {trade.price}, {came}"
            put({"ev": "trade", **as_record(trade)}, f"{text}, {clock(trade.ts)} UTC", json_lines)


async def follow_phase(ladder: Ladder, phases: Stream[PhaseChange], live: bool, json_lines: bool) -> None:
    from cashew.commands.order import as_record

    async for phase in phases:
        ladder.phase = phase
        if not live:
            why = f" ({phase.reason})" if phase.reason else ""
            put({"ev": "status", **as_record(phase)}, f"{phase.symbol} is {phase.phase}{why}", json_lines)


async def follow_auction(ladder: Ladder, auctions: Stream[Auction], live: bool, json_lines: bool) -> None:
    from cashew.commands.order import as_record
    from cashew.ladder import auction_text

    async for auction in auctions:
        ladder.auction = auction
        if not live and (json_lines or auction.state != "none"):
            record = {"ev": "auction", **as_record(auction), "qty": auction.qty, "surplus": auction.surplus}
            what = "auction" if auction.state == "uncrossed" else "call"
            put(record, f"{auction.symbol} {what}: {auction_text(auction)}", json_lines)
