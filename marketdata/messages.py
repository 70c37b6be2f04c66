"""The messages of `/ws/v1/md` that the server sends, as marketdata/FEED.md describes them.

The structs are the single source of field names and order.  A Frame is one message as it goes over the wire, made once
and shared by every reader that it goes to.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

__all__ = [
    "CHANNELS",
    "DEPTHS",
    "LEVELS_PER_MESSAGE",
    "TRADES_PER_MESSAGE",
    "Auction",
    "Book",
    "Error",
    "Frame",
    "Heartbeat",
    "Pong",
    "Status",
    "Subscribed",
    "Trade",
    "Trades",
    "Unsubscribed",
    "encode",
    "frame",
    "parts",
]

CHANNELS: Final = ("book", "trades", "status", "auction")
DEPTHS: Final = (0, 10, 50)
# So that no frame passes 1 MiB: a level takes at most 63 bytes, a trade at most 160.
LEVELS_PER_MESSAGE: Final = 16_384
TRADES_PER_MESSAGE: Final = 6_144

LevelRow = tuple[str, int, int]
"""Price, lots, number of orders."""


class _Message(msgspec.Struct, frozen=True, tag_field="ev", omit_defaults=True):
    pass


class Book(_Message, frozen=True, tag="book"):
    """A snapshot (prev 0: it replaces what the reader holds) or the levels that one command changed.

    Of a long message all parts but the last bear `more` and no crc; the parts after the first are updates.
    """

    symbol: str
    type: str
    seq: int
    prev: int
    ts: int
    bids: list[LevelRow]
    asks: list[LevelRow]
    crc: int | None = None
    tick: str | None = None
    depth: int | None = None
    more: bool = False


class Trade(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One trade; aggressor_side is the side of the incoming order. A trade of an auction has none, but `auction`."""

    trade_id: int
    price: str
    qty: int
    aggressor_side: str | None = None
    auction: bool = False
    ts: int


class Trades(_Message, frozen=True, tag="trade"):
    """The last trades (snapshot) or those of one command (update), oldest first."""

    symbol: str
    type: str
    seq: int
    prev: int
    trades: list[Trade]
    more: bool = False


class Status(_Message, frozen=True, tag="status"):
    """The trading phase and the reason that was given for it."""

    symbol: str
    type: str
    seq: int
    prev: int
    ts: int
    phase: str
    reason: str | None


class Auction(_Message, frozen=True, tag="auction"):
    """What an uncross would do now (state indicative), or did (uncrossed); without a price: null, and no lots."""

    symbol: str
    type: str
    seq: int
    prev: int
    ts: int
    state: str
    price: str | None
    qty: int
    surplus: int
    surplus_side: str | None
    step: str


class Heartbeat(_Message, frozen=True, tag="hb"):
    """The last durable seq and the server's clock, each second."""

    seq: int
    ts: int


class Subscribed(_Message, frozen=True, tag="subscribed"):
    """The answer to a subscribe; the snapshots follow it."""

    id: int
    ok: bool
    seq: int


class Unsubscribed(_Message, frozen=True, tag="unsubscribed"):
    """The answer to an unsubscribe; nothing of it follows any more."""

    id: int
    ok: bool


class Pong(_Message, frozen=True, tag="pong"):
    """The answer to a ping."""

    id: int


class Error(_Message, frozen=True, tag="error"):
    """A request that was not carried out, in no part."""

    id: int | None
    ok: bool
    code: str
    text: str
    fate: str


class Frame(NamedTuple):
    """One message as a server's WebSocket text frame, unmasked and not compressed: the same bytes fit every reader."""

    wire: bytes
    head: int
    """Bytes before the JSON."""

    @property
    def text(self) -> str:
        """The JSON alone."""
        return self.wire[self.head :].decode()


_encoder: Final = msgspec.json.Encoder()


def encode(message: _Message) -> Frame:
    """Encode a message once for all its readers."""
    return frame(_encoder.encode(message))


def frame(data: bytes) -> Frame:
    """Put JSON text into a WebSocket frame (RFC 6455, 5.2: final, opcode text, length in the shortest form).

    >>> frame(b"[]").wire
    b'\\x81\\x02[]'
    """
    size = len(data)
    if size < 126:
        return Frame(bytes((0x81, size)) + data, 2)
    if size < 1 << 16:
        return Frame(b"\x81\x7e" + size.to_bytes(2, "big") + data, 4)
    return Frame(b"\x81\x7f" + size.to_bytes(8, "big") + data, 10)


def parts(bids: int, asks: int) -> list[tuple[slice, slice]]:
    """Divide so many bids and asks over messages of at most LEVELS_PER_MESSAGE levels; at least one message.

    >>> parts(2, 1)
    [(slice(0, 2, None), slice(0, 1, None))]
    """
    size = LEVELS_PER_MESSAGE // 2
    count = max(1, -(-bids // size), -(-asks // size))
    return [
        (slice(i * size, min(bids, (i + 1) * size)), slice(i * size, min(asks, (i + 1) * size))) for i in range(count)
    ]
