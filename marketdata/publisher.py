"""Who reads what: subscriptions, streams of messages with honest seq and prev, and a bounded queue per reader.

A **stream** is one channel of one symbol (for `book` at one depth).  Its messages are encoded once and shared by
all its readers; it exists while somebody reads it.  Each message names the seq of the one before it on the stream,
and a snapshot the seq at which the stream stands, so a late reader continues exactly where its snapshot ends.

A subscription becomes live when its snapshot is queued, one at a time as the reader takes frames; so memory per
reader is bounded by its queue and one (shared) snapshot, however much it asks for.  A reader whose queue is full is
closed with 4008 and forgotten at once; nobody waits for it.

Sans-I/O: the server hands in texts and the time, and takes frames out.  Not safe for threads: one loop owns it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

import numpy as np

from engine.schema import MAX_FRAME_BYTES, Phase, Side, word

from .checksum import CHECKSUM_LEVELS, book_crc
from .feed import Change, DayStarted, Feed, Levels, Market, PublicTrade
from .messages import (
    TRADES_PER_MESSAGE,
    Book,
    Error,
    Frame,
    Heartbeat,
    LevelRow,
    Pong,
    Status,
    Subscribed,
    Trade,
    Trades,
    Unsubscribed,
    encode,
    parts,
)
from .requests import Request, RequestError, parse_request

__all__ = ["CLOSE_BUSY", "CLOSE_TOO_BIG", "CLOSE_TOO_SLOW", "Publisher", "Reader", "ReaderLimits"]

CLOSE_TOO_BIG: Final = 1009
CLOSE_BUSY: Final = 1013
CLOSE_TOO_SLOW: Final = 4008
BATCH_BYTES: Final = 64 * 1024

_PHASE_WORDS: Final = {int(phase): word(phase) for phase in Phase}
_SIDE_WORDS: Final = {int(side): word(side) for side in Side}


class ReaderLimits(NamedTuple):
    """Bounds: connections, and the queue of each."""

    readers: int = 2_000
    queue_messages: int = 4_096
    queue_bytes: int = 4 << 20


class Stream:
    """The messages of one channel of one market (and depth): who reads them, and where they stand."""

    __slots__ = ("channel", "depth", "market", "readers", "seq", "snapshot", "snapshot_seq", "view")

    def __init__(self, channel: str, market: Market, depth: int) -> None:
        self.channel = channel
        self.market = market
        self.depth = depth
        self.readers: dict[Reader, None] = {}
        self.seq = {"book": market.book_seq, "trades": market.trades_seq, "status": market.status_seq}[channel]
        self.snapshot: list[Frame] = []
        self.snapshot_seq = -1
        self.view = _view(market, depth) if depth else ({}, {})


View = tuple[dict[int, tuple[int, int]], dict[int, tuple[int, int]]]
Topic = tuple[str, str]
"""Channel and symbol."""


class Reader:
    """One connection: what it reads, and what waits for it."""

    __slots__ = (
        "batch", "bytes_queued", "close", "pending", "queue", "snapshots", "subscribed", "wake", "wildcards",
    )  # fmt: skip

    def __init__(self, wake: Callable[[], None]) -> None:
        self.wake = wake
        self.queue: deque[tuple[Frame, int]] = deque()  # the frame, and what it counts against the limit
        self.bytes_queued = 0
        self.snapshots = 0  # messages of snapshots in the queue, which do not count
        self.close: tuple[int, str] | None = None
        self.batch = False
        self.subscribed: dict[Topic, int] = {}  # depth
        self.pending: dict[Topic, None] = {}  # subscribed, but the snapshot is not queued yet
        self.wildcards: dict[str, int] = {}  # channel: depth


class Publisher:
    """The public feed of one venue."""

    def __init__(self, limits: ReaderLimits | None = None) -> None:
        self.limits = limits or ReaderLimits()
        self.feed = Feed()
        self.readers: dict[Reader, None] = {}
        self.closed_slow = 0
        self._streams: dict[str, dict[tuple[str, int], Stream]] = {}  # by symbol, then (channel, depth)

    # --- the log ---------------------------------------------------------------------------------------------------

    def on_block(self, commands: np.ndarray[Any, Any], payload: bytes, events: np.ndarray[Any, Any]) -> None:
        """Take the next durable rows: COMMAND rows, their payload section, EVENT rows.  Also during recovery.

        Never hand in what is not on disk: what is queued here is public.
        """
        for change in self.feed.fold(commands, payload, events):
            if isinstance(change, DayStarted):
                self._start_day()
                continue
            if change.defined:
                self._offer(change.market.symbol)
            streams = self._streams.get(change.market.symbol)
            if streams:
                for stream in list(streams.values()):  # a reader closed for slowness may end one
                    frames = _update(stream, change)
                    if frames:
                        for reader in list(stream.readers):
                            self._push(reader, frames)

    def heartbeat(self, now_us: int) -> None:
        """Tell every reader the time (µs) and the last durable seq; the server calls this each second."""
        frame = [encode(Heartbeat(self.feed.seq, now_us))]
        for reader in list(self.readers):
            self._push(reader, frame)

    # --- readers ---------------------------------------------------------------------------------------------------

    def connect(self, wake: Callable[[], None]) -> Reader | None:
        """Admit a reader; None if there are too many.  `wake` is called when a frame or a close waits for it."""
        if len(self.readers) >= self.limits.readers:
            return None
        reader = Reader(wake)
        self.readers[reader] = None
        return reader

    def disconnect(self, reader: Reader) -> None:
        """Forget a reader; harmless to repeat."""
        self.readers.pop(reader, None)
        for topic in list(reader.subscribed):
            self._leave(reader, topic)
        reader.wildcards.clear()
        reader.queue.clear()
        reader.bytes_queued = reader.snapshots = 0

    def receive(self, reader: Reader, data: str | bytes) -> None:
        """Take one frame of a reader; the answer, always exactly one unless the frame is too big, is queued."""
        if reader.close is not None:
            return
        if len(data) > MAX_FRAME_BYTES:
            self._close(reader, CLOSE_TOO_BIG, "frame too big")
            return
        try:
            if isinstance(data, bytes):
                raise RequestError("BINARY_FRAME")
            request = parse_request(data)
            if request.op == "ping":
                self._push(reader, [encode(Pong(request.id))])
            elif request.op == "subscribe":
                self._subscribe(reader, request)
            else:
                self._unsubscribe(reader, request)
        except RequestError as refusal:
            error = Error(refusal.request_id, False, refusal.code, refusal.text, "not_done")
            self._push(reader, [encode(error)])

    def take(self, reader: Reader) -> str | None:
        """Give the next text to send, None if nothing waits.  With `batch`, all that waits, as one array."""
        if reader.pending and not reader.snapshots and not self.feed.restating and reader.close is None:
            self._activate(reader)
        queue = reader.queue
        if not queue:
            return None
        text = self._pop(reader)
        if not reader.batch or not queue:
            return text
        texts, size = [text], len(text)
        while queue and size + queue[0][0].size < BATCH_BYTES:
            text = self._pop(reader)
            texts.append(text)
            size += len(text)
        return f"[{','.join(texts)}]" if len(texts) > 1 else text

    def figures(self) -> dict[str, int]:
        """Give the figures for health and metrics."""
        return {
            "seq": self.feed.seq,
            "instruments": len(self.feed.markets),
            "readers": len(self.readers),
            "streams": sum(map(len, self._streams.values())),
            "queued_messages": sum(len(reader.queue) for reader in self.readers),
            "queued_bytes": sum(reader.bytes_queued for reader in self.readers),
            "closed_slow": self.closed_slow,
        }

    # --- subscriptions ---------------------------------------------------------------------------------------------

    def _subscribe(self, reader: Reader, request: Request) -> None:
        symbols = self._named(request)
        if request.symbols == ("*",):
            for channel in request.channels:
                reader.wildcards[channel] = request.depth if channel == "book" else 0
        if request.batch is not None:
            reader.batch = request.batch
        self._push(reader, [encode(Subscribed(request.id, True, self.feed.seq))])
        for symbol in symbols:
            for channel in request.channels:
                self._want(reader, (channel, symbol), request.depth if channel == "book" else 0)

    def _unsubscribe(self, reader: Reader, request: Request) -> None:
        if request.symbols == ("*",):
            for channel in request.channels:
                reader.wildcards.pop(channel, None)
            gone = [topic for topic in reader.subscribed if topic[0] in request.channels]
        else:
            symbols = self._named(request)
            gone = [(channel, symbol) for symbol in symbols for channel in request.channels]
        for topic in gone:
            self._leave(reader, topic)
        self._push(reader, [encode(Unsubscribed(request.id, True))])

    def _named(self, request: Request) -> Iterable[str]:
        if self.feed.restating:
            raise RequestError("BUSY", request.id)
        if request.symbols == ("*",):
            return list(self.feed.markets)
        if not all(symbol in self.feed.markets for symbol in request.symbols):
            raise RequestError("UNKNOWN_SYMBOL", request.id)
        return request.symbols

    def _want(self, reader: Reader, topic: Topic, depth: int) -> None:
        """Subscribe anew: what the reader had of this topic ends, a snapshot will come."""
        self._leave(reader, topic)
        reader.subscribed[topic] = depth
        reader.pending[topic] = None
        reader.wake()

    def _leave(self, reader: Reader, topic: Topic) -> None:
        channel, symbol = topic
        depth = reader.subscribed.pop(topic, None)
        reader.pending.pop(topic, None)
        streams = self._streams.get(symbol)
        stream = streams.get((channel, depth)) if streams and depth is not None else None
        if streams and stream and depth is not None:
            stream.readers.pop(reader, None)
            if not stream.readers:
                del streams[channel, depth]
                if not streams:
                    del self._streams[symbol]

    def _activate(self, reader: Reader) -> None:
        """Make the reader's next pending subscription live: join its stream and queue the stream's snapshot."""
        topic = next(iter(reader.pending))
        del reader.pending[topic]
        channel, symbol = topic
        depth = reader.subscribed[topic]
        streams = self._streams.setdefault(symbol, {})
        stream = streams.get((channel, depth))
        if stream is None:
            stream = streams[channel, depth] = Stream(channel, self.feed.markets[symbol], depth)
        stream.readers[reader] = None
        if stream.snapshot_seq != stream.seq:
            stream.snapshot = _snapshot(stream)
            stream.snapshot_seq = stream.seq
        for frame in stream.snapshot:
            reader.queue.append((frame, 0))
        reader.snapshots += len(stream.snapshot)

    def _offer(self, symbol: str) -> None:
        """Subscribe those who asked for all symbols to a new one."""
        for reader in list(self.readers):
            for channel, depth in reader.wildcards.items():
                self._want(reader, (channel, symbol), depth)

    def _start_day(self) -> None:
        """A new world: every subscription starts again with a snapshot; what is listed no more is dropped."""
        self._streams.clear()
        for reader in list(self.readers):
            reader.subscribed = {t: depth for t, depth in reader.subscribed.items() if t[1] in self.feed.markets}
            reader.pending = dict.fromkeys(reader.subscribed)
            for channel, depth in reader.wildcards.items():
                for symbol in self.feed.markets:
                    if (channel, symbol) not in reader.subscribed:
                        self._want(reader, (channel, symbol), depth)
            reader.wake()

    # --- queues ----------------------------------------------------------------------------------------------------

    def _push(self, reader: Reader, frames: list[Frame]) -> None:
        limits, queue = self.limits, reader.queue
        for frame in frames:
            size = frame.size
            reader.bytes_queued += size
            if reader.bytes_queued > limits.queue_bytes or len(queue) - reader.snapshots >= limits.queue_messages:
                self.closed_slow += 1
                self._close(reader, CLOSE_TOO_SLOW, "too slow")
                return
            queue.append((frame, size))
        reader.wake()

    def _pop(self, reader: Reader) -> str:
        frame, counted = reader.queue.popleft()
        if counted:
            reader.bytes_queued -= counted
        else:
            reader.snapshots -= 1
        return frame.text

    def _close(self, reader: Reader, code: int, why: str) -> None:
        """Forget the reader and let its server close the connection; what waited is not sent."""
        reader.close = (code, why)
        self.disconnect(reader)
        reader.wake()


# --- messages of a stream ------------------------------------------------------------------------------------------


def _snapshot(stream: Stream) -> list[Frame]:
    market, seq = stream.market, stream.seq
    if stream.channel == "trades":
        return [encode(Trades(market.symbol, "snapshot", seq, 0, _trades(market, market.recent)))]
    if stream.channel == "status":
        phase = _PHASE_WORDS[market.phase]
        return [encode(Status(market.symbol, "snapshot", seq, 0, market.status_time // 1000, phase, market.why))]
    bids = _rows(market, market.bids, market.bids.best(stream.depth))
    asks = _rows(market, market.asks, market.asks.best(stream.depth))
    return _book(stream, "snapshot", 0, bids, asks)


def _update(stream: Stream, change: Change) -> list[Frame]:
    """Encode what a change means for a stream, and move the stream on; nothing if it means nothing."""
    market, seq, prev = change.market, change.seq, stream.seq
    if stream.channel == "trades":
        if not change.trades:
            return []
        stream.seq = seq
        chunks = [change.trades[i : i + TRADES_PER_MESSAGE] for i in range(0, len(change.trades), TRADES_PER_MESSAGE)]
        return [
            encode(Trades(market.symbol, "update", seq, prev, _trades(market, chunk), more=chunk is not chunks[-1]))
            for chunk in chunks
        ]
    if stream.channel == "status":
        if not change.status:
            return []
        stream.seq = seq
        phase = _PHASE_WORDS[market.phase]
        return [encode(Status(market.symbol, "update", seq, prev, change.time // 1000, phase, market.why))]
    if not change.book:
        return []
    if not stream.depth:
        bid_keys, ask_keys = market.bids.changed(), market.asks.changed()
        bids, asks = _rows(market, market.bids, bid_keys), _rows(market, market.asks, ask_keys)
    else:
        old, new = stream.view, _view(market, stream.depth)
        bids = _differences(market, 1, old[0], new[0])
        asks = _differences(market, -1, old[1], new[1])
        if not (bids or asks):
            return []
        stream.view = new
    stream.seq = seq
    return _book(stream, "update", prev, bids, asks)


def _book(stream: Stream, kind: str, prev: int, bids: list[LevelRow], asks: list[LevelRow]) -> list[Frame]:
    """Encode a book message, in several parts if it is long; the last part bears no `more`."""
    market, seq = stream.market, stream.seq
    crc = book_crc(_best(market.bids), _best(market.asks))
    tick, depth = (market.tick_text, stream.depth) if kind == "snapshot" else (None, None)
    slices = parts(len(bids), len(asks))
    ts = market.book_time // 1000
    return [
        encode(Book(market.symbol, kind, seq, prev, ts, bids[b], asks[a], crc, tick, depth, more=(b, a) != slices[-1]))
        for b, a in slices
    ]


def _best(levels: Levels) -> Iterator[tuple[int, int]]:
    return ((key * levels.sign, levels.at[key][0]) for key in levels.best(CHECKSUM_LEVELS))


def _rows(market: Market, levels: Levels, keys: list[int]) -> list[LevelRow]:
    at, sign, text = levels.at, levels.sign, market.price_text
    return [(text(key * sign), *at.get(key, (0, 0))) for key in keys]


def _view(market: Market, depth: int) -> View:
    bids, asks = market.bids, market.asks
    return {key: bids.at[key] for key in bids.best(depth)}, {key: asks.at[key] for key in asks.best(depth)}


def _differences(
    market: Market, sign: int, old: dict[int, tuple[int, int]], new: dict[int, tuple[int, int]]
) -> list[LevelRow]:
    """List what turns one view into another, best first; a level that leaves the view has quantity 0."""
    if old == new:
        return []
    keys = sorted((key for key in old.keys() | new.keys() if old.get(key) != new.get(key)), reverse=True)
    return [(market.price_text(key * sign), *new.get(key, (0, 0))) for key in keys]


def _trades(market: Market, trades: Iterable[PublicTrade]) -> list[Trade]:
    return [
        Trade(t.trade_id, market.price_text(t.price), t.qty, _SIDE_WORDS[t.aggressor], t.time // 1000) for t in trades
    ]
