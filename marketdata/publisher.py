"""Who reads what: subscriptions, and a bounded queue per reader.

A subscription becomes live when its snapshot is queued, one at a time as the reader takes frames; so memory per
reader is bounded by its queue and one (shared) snapshot, however much it asks for.  A reader whose queue is full is
closed with 4008 and forgotten at once; nobody waits for it.

Sans-I/O: the server hands in texts and the time, and takes frames out.  Not safe for threads: one loop owns it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

import numpy as np

from engine.schema import MAX_FRAME_BYTES

from .feed import DayStarted, Feed
from .messages import Error, Frame, Heartbeat, Pong, Subscribed, Unsubscribed, encode
from .requests import Request, RequestError, parse_request
from .streams import Stream

__all__ = ["CLOSE_BUSY", "CLOSE_TOO_BIG", "CLOSE_TOO_SLOW", "Publisher", "Reader", "ReaderLimits"]

CLOSE_TOO_BIG: Final = 1009
CLOSE_BUSY: Final = 1013
CLOSE_TOO_SLOW: Final = 4008
TAKE_BYTES: Final = 64 * 1024


class ReaderLimits(NamedTuple):
    """Bounds: connections, and the queue of each."""

    readers: int = 2_000
    queue_messages: int = 4_096
    queue_bytes: int = 4 << 20


Topic = tuple[str, str]
"""Channel and symbol."""


class Reader:
    """One connection: what it reads, and what waits for it."""

    __slots__ = (
        "bytes_queued", "close", "pending", "queue", "snapshots", "subscribed", "wake", "wildcards",
    )  # fmt: skip

    def __init__(self, wake: Callable[[], None]) -> None:
        self.wake = wake
        self.queue: deque[tuple[Frame, int]] = deque()  # the frame, and what it counts against the limit
        self.bytes_queued = 0
        self.snapshots = 0  # messages of snapshots in the queue, which do not count
        self.close: tuple[int, str] | None = None
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
                    frames = stream.update(change)
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

    def take(self, reader: Reader) -> list[Frame]:
        """Give the frames to send next, TAKE_BYTES of them at most (but always one); none if nothing waits."""
        if reader.pending and not reader.snapshots and not self.feed.restating and reader.close is None:
            self._activate(reader)
        queue, size = reader.queue, 0
        frames: list[Frame] = []
        while queue and (not frames or size + len(queue[0][0].wire) <= TAKE_BYTES):
            frame, counted = queue.popleft()
            if counted:
                reader.bytes_queued -= counted
            else:
                reader.snapshots -= 1
            frames.append(frame)
            size += len(frame.wire)
        return frames

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
        frames = stream.snapshot()
        reader.queue.extend((frame, 0) for frame in frames)
        reader.snapshots += len(frames)

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
            size = len(frame.wire)
            reader.bytes_queued += size
            if reader.bytes_queued > limits.queue_bytes or len(queue) - reader.snapshots >= limits.queue_messages:
                self.closed_slow += 1
                self._close(reader, CLOSE_TOO_SLOW, "too slow")
                return
            queue.append((frame, size))
        reader.wake()

    def _close(self, reader: Reader, code: int, why: str) -> None:
        """Forget the reader and let its server close the connection; what waited is not sent."""
        reader.close = (code, why)
        self.disconnect(reader)
        reader.wake()
