"""The public market as a client sees it, over one connection that is verified and repaired by itself.

Books, trades, phases and auctions.
Each channel and symbol is watched for gaps (`prev` must be the `seq` seen last) and each book for its checksum; on a
difference that channel alone is subscribed again. Nobody can read more than the bounded streams hold.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection

from cashew.book import Book, BookError
from cashew.errors import CannotConnect, CashewError, NotDone, from_answer
from cashew.link import Link, encode, http_base, socket_url
from cashew.messages import Auction, Instrument, PhaseChange, Trade, record
from cashew.streams import Latest, Stream

__all__ = ["MarketData", "fetch_instruments"]

RECENT_TRADES = 50
CHANNEL_OF = {"book": "book", "trade": "trades", "status": "status", "auction": "auction"}
STATES: dict[str, type[Any]] = {"status": PhaseChange, "auction": Auction}  # channels of which only the newest counts


async def fetch_instruments(url: str, timeout: float = 10.0) -> dict[str, Instrument]:
    """Ask the exchange which instruments it lists, by symbol, in the order of its list."""
    base = http_base(url)
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=timeout) as http:
            reply = await http.get(f"{base}/instruments")
            reply.raise_for_status()
            rows = reply.json()
    except httpx.ConnectError as error:
        raise CannotConnect("REFUSED", f"no exchange answers at {base}") from error
    except (httpx.HTTPError, ValueError) as error:
        raise CannotConnect("NO_EXCHANGE", f"{base} answers, but not as an exchange: {error}") from error
    return {row["symbol"]: record(row, Instrument) for row in (rows["instruments"] if isinstance(rows, dict) else rows)}


class Watched:
    """What is known of one channel and symbol, and who listens to it."""

    def __init__(self) -> None:
        self.seq = 0
        self.more = False  # the message is one of several parts, and not the last
        self.asked = False  # a subscription is under way: messages before its snapshot do not count
        self.listeners: list[Any] = []
        self.recent: deque[Any] = deque(maxlen=RECENT_TRADES)


class MarketData:
    """Books, trades, phases, auctions. Connects when the first thing is watched; `resyncs` counts its repairs."""

    def __init__(self, url: str, *, reconnect: bool = True, timeout: float = 10.0) -> None:
        self.url = url
        self.instruments: dict[str, Instrument] = {}
        self.books: dict[str, Book] = {}
        self.resyncs = 0
        self._timeout = timeout
        self._ids = itertools.count(1)
        self._watched: dict[tuple[str, str], Watched] = {}
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._opening = asyncio.Lock()
        self._opened = False
        self._link = Link(
            socket_url(url, "/ws/v1/md"),
            on_open=self._greet,
            on_message=self._take,
            on_lost=self._lost,
            reconnect=reconnect,
            open_timeout=timeout,
        )

    async def open(self) -> None:
        """Connect and learn the instruments, unless that has been done."""
        async with self._opening:
            if not self._opened:
                self.instruments = await fetch_instruments(self.url, self._timeout)
                await self._link.open()
                self._opened = True

    async def close(self) -> None:
        """Close the connection and end every stream."""
        await self._link.close()
        for task in self._tasks:
            task.cancel()
        for watched in self._watched.values():
            for listener in list(watched.listeners):
                listener.close()

    @property
    def connected(self) -> bool:
        """Whether the market can be seen at this moment."""
        return self._link.ready.is_set()

    async def watch_book(self, symbol: str) -> Latest[Book]:
        """Watch a book: an async iterator that gives the Book after each change; a slow reader skips to the newest."""
        await self.open()
        if symbol not in self.books:
            self.books[symbol] = Book(symbol, (await self._known(symbol)).tick)
        stream: Latest[Book] = Latest()
        watched = await self._listen("book", symbol, stream)
        if self.books[symbol].ready and watched.seq:
            stream.put(self.books[symbol])
        return stream

    async def watch_trades(self, symbol: str, limit: int = 10_000) -> Stream[Trade]:
        """Watch trades: an async iterator, beginning with up to 50 recent ones, oldest first."""
        await self.open()
        await self._known(symbol)
        stream: Stream[Trade] = Stream(limit)
        await self._listen("trades", symbol, stream)
        return stream

    async def watch_status(self, symbol: str, limit: int = 1_000) -> Stream[PhaseChange]:
        """Watch the trading phase: an async iterator, beginning with the present phase."""
        await self.open()
        await self._known(symbol)
        stream: Stream[PhaseChange] = Stream(limit)
        await self._listen("status", symbol, stream)
        return stream

    async def watch_auction(self, symbol: str, limit: int = 10_000) -> Stream[Auction]:
        """Watch what calls would trade and what their uncrosses traded, beginning with how that stands."""
        await self.open()
        await self._known(symbol)
        stream: Stream[Auction] = Stream(limit)
        await self._listen("auction", symbol, stream)
        return stream

    async def _known(self, symbol: str) -> Instrument:
        if symbol not in self.instruments:
            self.instruments = await fetch_instruments(self.url, self._timeout)
        if symbol not in self.instruments:
            listed = ", ".join(self.instruments) or "none"
            raise NotDone("UNKNOWN_SYMBOL", f"there is no instrument {symbol!r}; listed are: {listed}")
        return self.instruments[symbol]

    async def _listen(self, channel: str, symbol: str, stream: Any) -> Watched:
        """Add a listener; the first one subscribes, later ones begin with what is known."""
        watched = self._watched.get((channel, symbol))
        if watched is None:
            watched = self._watched[channel, symbol] = Watched()
            self._attach(watched, stream)
            await self._subscribe(channel, symbol)
        else:
            for item in watched.recent:
                stream.put(item)
            self._attach(watched, stream)
        return watched

    @staticmethod
    def _attach(watched: Watched, stream: Any) -> None:
        watched.listeners.append(stream)
        stream.on_close(watched.listeners.remove)

    async def _subscribe(self, channel: str, symbol: str) -> None:
        self._watched[channel, symbol].asked = True
        number = next(self._ids)
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[number] = future
        try:
            async with asyncio.timeout(self._timeout):
                if await self._link.send(subscription(number, channel, symbol)):
                    answer = await future
                    if answer.get("ev") == "error":
                        raise from_answer(answer)
        except TimeoutError:
            raise CannotConnect("TIMEOUT", f"no answer to a subscription within {self._timeout:g} s") from None
        finally:
            del self._answers[number]

    async def _greet(self, socket: ClientConnection) -> None:
        """Subscribe again, on a new connection, to all that is watched."""
        for (channel, symbol), watched in self._watched.items():
            watched.asked = True
            await socket.send(encode(subscription(next(self._ids), channel, symbol)), text=True)

    def _lost(self, error: CashewError, coming_back: bool) -> None:
        for future in self._answers.values():
            if not future.done():
                future.set_exception(error)
        for book in self.books.values():
            book.ready = False
        if not coming_back:
            for watched in self._watched.values():
                for listener in watched.listeners:
                    listener.fail(error)

    def _take(self, message: dict[str, Any]) -> None:
        event = message.get("ev", "")
        channel = CHANNEL_OF.get(event)
        if channel is None:
            future = self._answers.get(message.get("id") or -1)
            if future is not None and not future.done():
                future.set_result(message)
            return
        watched = self._watched.get((channel, message["symbol"]))
        if watched is None:
            return
        is_snapshot = message.get("type", "snapshot" if message["prev"] == 0 else "") == "snapshot"
        if watched.asked and not is_snapshot:
            return
        is_part = watched.more and message["seq"] == watched.seq
        if not (is_snapshot or is_part) and message["prev"] != watched.seq:
            self._repair(channel, message["symbol"])
            return
        watched.asked = False
        watched.seq = message["seq"]
        watched.more = message.get("more", False)
        if channel == "book":
            self._take_book(watched, message)
        elif channel == "trades":
            self._take_trades(watched, message)
        else:
            watched.recent.clear()
            self._publish(watched, record(message, STATES[channel]))

    def _take_book(self, watched: Watched, message: dict[str, Any]) -> None:
        book = self.books[message["symbol"]]
        try:
            book.take(message)
        except BookError:
            self._repair("book", message["symbol"])
            return
        if book.ready:
            for listener in watched.listeners:
                listener.put(book)

    def _take_trades(self, watched: Watched, message: dict[str, Any]) -> None:
        newest = watched.recent[-1].trade_id if watched.recent else 0
        for row in message["trades"]:
            if row["trade_id"] > newest:
                trade = record({"symbol": message["symbol"], "seq": message["seq"], **row}, Trade)
                self._publish(watched, trade)

    def _publish(self, watched: Watched, item: Any) -> None:
        watched.recent.append(item)
        for listener in watched.listeners:
            listener.put(item)

    def _repair(self, channel: str, symbol: str) -> None:
        """Subscribe to one channel again, in a task of its own so that reading goes on."""
        self.resyncs += 1
        self._watched[channel, symbol].asked = True
        task = asyncio.create_task(self._resubscribe(channel, symbol), name=f"resubscribe {channel} {symbol}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _resubscribe(self, channel: str, symbol: str) -> None:
        try:
            await self._subscribe(channel, symbol)
        except CannotConnect:
            return  # the connection is gone, and its successor subscribes to everything
        except CashewError as error:
            for listener in self._watched[channel, symbol].listeners:
                listener.fail(error)


def subscription(number: int, channel: str, symbol: str) -> dict[str, Any]:
    return {"op": "subscribe", "id": number, "p": {"channels": [channel], "symbols": [symbol]}}
