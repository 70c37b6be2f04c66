"""The facts that the library hands to its user, named as in gateway/PROTOCOL.md and marketdata/FEED.md.

Prices are decimal strings in the quote unit, quantities integer lots, times integer microseconds UTC.
Fields that the exchange sends and that are not named here are ignored, so that it may grow.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

__all__ = [
    "Auction", "Execution", "Gap", "Instrument", "MassCanceled", "Order", "PhaseChange", "Session", "Trade", "record",
]  # fmt: skip

T = TypeVar("T")


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a logon."""

    member: str = ""
    role: str = ""
    accounts: tuple[str, ...] = ()
    trading_day: str = ""
    client_session: int = 0
    seq: int = 0
    heartbeat_ms: int = 0
    sync: bool = True


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """The state of an order as of command `seq`.

    `inactive`: it is not in the book yet, as a stop that waits or an order kept aside for the closing call.
    `dup`: the cl_ord_id had been used before and this is the original's state. `recovered`: the connection was lost
    before the answer, and this state was asked for afterwards.
    """

    order_id: int = 0
    cl_ord_id: str = ""
    account: str = ""
    symbol: str = ""
    side: str = ""
    ord_type: str = ""
    time_in_force: str = ""
    price: str | None = None
    stop_price: str | None = None
    order_qty: int = 0
    display_qty: int = 0
    leaves_qty: int = 0
    cum_qty: int = 0
    expire_time: int = 0
    status: str = ""
    inactive: bool = False
    reason: str = ""
    seq: int = 0
    ts: int = 0
    dup: bool = False
    recovered: bool = False

    @property
    def is_live(self) -> bool:
        """Whether some of it can still trade."""
        return self.status in ("new", "partially_filled")


class MassCanceled(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a mass cancel: how many orders it took off the book."""

    count: int = 0
    account: str = ""
    seq: int = 0


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to an own order, as `exec` says.

    That is one of: accepted, amended, triggered (a stop), activated (it is in the book from now on, or has its price),
    refreshed (an iceberg shows `shown_qty` anew), suspended (its price is outside new daily limits), trade (with the
    `fee` of its side in minor units), prevented, canceled, expired.
    """

    exec_id: str = ""
    seq: int = 0
    i: int = 0
    exec: str = ""
    account: str = ""
    symbol: str = ""
    side: str = ""
    order_id: int = 0
    cl_ord_id: str = ""
    ord_type: str = ""
    status: str = ""
    inactive: bool = False
    price: str | None = None
    stop_price: str | None = None
    order_qty: int = 0
    shown_qty: int = 0
    leaves_qty: int = 0
    cum_qty: int = 0
    last_px: str | None = None
    last_qty: int = 0
    trade_id: int = 0
    fee: int = 0
    aggressor: bool = False
    auction: bool = False
    reason: str = ""
    ts: int = 0


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """Stands in a stream of executions where the connection was lost: events after `seq` may be missing."""

    seq: int = 0
    why: str = ""


class Trade(msgspec.Struct, frozen=True, kw_only=True):
    """A trade as the public sees it; one of an `auction` has no aggressor."""

    trade_id: int
    price: str
    qty: int
    symbol: str = ""
    aggressor_side: str = ""
    auction: bool = False
    seq: int = 0
    ts: int = 0


class Auction(msgspec.Struct, frozen=True, kw_only=True):
    """What a call would trade now (state indicative), or the last uncross did (uncrossed); `price` None: nothing."""

    symbol: str
    state: str
    price: str | None = None
    qty: int = 0
    surplus: int = 0
    surplus_side: str | None = None
    step: str = ""
    seq: int = 0
    ts: int = 0


class PhaseChange(msgspec.Struct, frozen=True, kw_only=True):
    """The trading phase of an instrument, and why it was entered."""

    symbol: str
    phase: str
    reason: str | None = None
    seq: int = 0


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """The terms of an instrument."""

    symbol: str
    tick: str
    min_price: str
    max_price: str
    max_order_qty: int = 0
    ccy: str = ""
    unit: str = ""
    contract_size: int = 0
    name: str = ""
    group: str = ""
    reference_price: str | None = None
    phase: str = ""


def record(data: dict[str, Any], kind: type[T]) -> T:
    """Make a record of a decoded message, ignoring fields that it does not know."""
    return msgspec.convert(data, kind)
