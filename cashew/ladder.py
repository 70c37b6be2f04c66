"""The live ladder of one instrument: what a terminal shows of a book, its last trades and its phase."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cashew.book import Book, Level
from cashew.messages import Auction, Instrument, PhaseChange, Trade

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["Ladder", "auction_text"]

BAR_WIDTH = 12


class Ladder:
    """What is known of one instrument, to be drawn at any moment."""

    def __init__(self, instrument: Instrument, book: Book, *, depth: int = 10) -> None:
        self.instrument = instrument
        self.book = book
        self.depth = depth
        self.phase: PhaseChange | None = None
        self.auction: Auction | None = None
        self.trades: deque[Trade] = deque(maxlen=depth)
        self.connected = True

    def render(self) -> RenderableType:
        """Draw it with asks above bids, best prices in the middle, last trades beside them."""
        from rich.columns import Columns
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        terms = self.instrument
        head = Text(terms.symbol, style="bold")
        head.append(f"  {terms.name}  " if terms.name else "  ", style="")
        head.append(f"{terms.ccy}/{terms.unit}, lot {terms.contract_size} {terms.unit}, tick {terms.tick}", style="dim")
        asks, bids = self.book.asks(self.depth), self.book.bids(self.depth)
        most = max((level.qty for level in asks + bids), default=1)
        ladder = Table(box=None, padding=(0, 1))
        for column in ("orders", "lots", "bid", "ask", "lots", "orders"):
            ladder.add_column(column, justify="right")
        ladder.add_column("")
        for level in reversed(asks):
            right = (Text(level.price, "red"), str(level.qty), str(level.orders), bar(level, most, "red"))
            ladder.add_row("", "", "", *right)
        ladder.add_row("", "", "", "", "", "", Text(self.spread(), "dim"))
        for level in bids:
            ladder.add_row(
                str(level.orders), str(level.qty), Text(level.price, "green"), "", "", "", bar(level, most, "green")
            )
        tape = Table(box=None, padding=(0, 1))
        for column in ("time UTC", "price", "lots", ""):
            tape.add_column(column, justify="left" if column in ("time UTC", "") else "right")
        for trade in reversed(self.trades):
            style = {"buy": "green", "sell": "red"}.get(trade.aggressor_side, "yellow")
            came = "auction" if trade.auction else trade.aggressor_side
            tape.add_row(clock(trade.ts), Text(trade.price, style), str(trade.qty), came)
        call = [Text(auction_text(self.auction), "yellow")] if self.in_call and self.auction else []
        parts = [head, self.phase_text(), *call, Columns([ladder, tape], padding=(0, 4)), Text(self.foot(), "dim")]
        return Group(*parts)

    @property
    def in_call(self) -> bool:
        """Whether orders are being collected for an uncross."""
        return self.auction is not None and self.auction.state == "indicative"

    def spread(self) -> str:
        bid, ask = self.book.best_bid, self.book.best_ask
        if bid is None or ask is None:
            return "no bids and no asks" if bid is ask is None else "no bids" if bid is None else "no asks"
        ticks = (self.book.tick.ticks(ask.price) or 0) - (self.book.tick.ticks(bid.price) or 0)
        if ticks <= 0:
            return f"crossed by {self.book.tick.text(-ticks)}"
        return f"spread {self.book.tick.text(ticks)}"

    def phase_text(self) -> RenderableType:
        from rich.text import Text

        if not self.connected:
            return Text("connection lost, coming back", "bold yellow")
        if self.phase is None:
            return Text("")
        style = {"continuous": "green", "halted": "bold red", "closed": "dim"}.get(self.phase.phase, "yellow")
        why = f" ({self.phase.reason})" if self.phase.reason else ""
        return Text(f"{self.phase.phase}{why}", style)

    def foot(self) -> str:
        return f"seq {self.book.seq} · Ctrl-C ends"

    def line(self) -> str:
        """One plain line: the best bid and ask, for pipes."""
        bid, ask = self.book.best_bid, self.book.best_ask
        left = f"{bid.qty} @ {bid.price}" if bid else "-"
        right = f"{ask.qty} @ {ask.price}" if ask else "-"
        return f"{self.instrument.symbol} book seq {self.book.seq}: bid {left} | ask {right}"


def auction_text(auction: Auction) -> str:
    """What a call would trade, or what its uncross did, in one sentence.

    >>> auction_text(Auction(symbol="X", state="indicative", price="3.005", qty=4, surplus=6, surplus_side="buy"))
    'would trade 4 @ 3.005, 6 more to buy'
    """
    did = "traded" if auction.state == "uncrossed" else "would trade"
    if auction.price is None:
        return f"{did} nothing"
    more = f", {auction.surplus} more to {auction.surplus_side}" if auction.surplus_side else ""
    return f"{did} {auction.qty} @ {auction.price}{more}"


def bar(level: Level, most: int, style: str) -> RenderableType:
    from rich.text import Text

    return Text("█" * max(1, round(BAR_WIDTH * level.qty / most)), style)


def clock(micros: int) -> str:
    """The time of day of a time in microseconds UTC.

    >>> clock(1764208800000000)
    '02:00:00'
    """
    return datetime.fromtimestamp(micros // 1_000_000, UTC).strftime("%H:%M:%S")
