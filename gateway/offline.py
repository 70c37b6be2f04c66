"""`cashew match`: the rules offline, requests in, events out; no server, no disk, no clock.

Floor 3.  A pure function over lines and a matcher.  The matcher is the compiled core or the readable reference:
both run blocks of rows and give EVENT rows, and both show a book.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from msgspec import UNSET

from engine.schema import COMMAND, AuctionStep, Side
from gateway.codec import (
    BadRequest,
    Directory,
    act_row,
    command_kind,
    decode_offline,
    event_to_json,
    offline_act,
    read_events,
    to_row,
)
from gateway.directory import Instrument
from gateway.events import put_auction
from gateway.reports import Reports
from gateway.requests import Act, AuctionGet, BookGet, OfflineAmend

__all__ = ["Matcher", "match_lines"]


class Matcher(Protocol):
    """What decides: `engine.reference.Reference`, or the compiled core behind the same two calls."""

    def run_block(self, commands: npt.NDArray[np.void], payload: bytes = b"") -> npt.NDArray[np.void]:
        """All EVENT rows that the COMMAND rows cause."""

    def book(self, instrument: int) -> dict[str, Any]:
        """Both sides of a book, prices in ticks, with the orders of each level in queue order."""

    def indicative(self, instrument: int) -> tuple[int, int, int, AuctionStep]:
        """Price, volume, signed surplus (buys are positive) and step of R52, as an uncross would find them now."""


def match_lines(lines: Iterable[str | bytes], matcher: Matcher) -> Iterator[dict[str, Any]]:
    """Yield the events of each request line, as dictionaries in the vocabulary of DESIGN 10.

    A line that cannot be read yields {"ev":"error","line":N,"code":…,"text":…} and the next one is read; empty lines
    are passed over.  An account or symbol that is not defined is refused by the matcher, with a sequence number like
    any other command.  `ts` absent: the time of the line before plus one microsecond.
    """
    table = _Table(matcher)
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield from table.answer(line)
        except BadRequest as bad:
            error: dict[str, Any] = {"ev": "error", "line": number, "code": bad.code, "text": bad.text}
            if bad.id is not None:
                error["id"] = bad.id
            yield error


class _Table:
    """One run of `match`: the matcher, the names it has defined so far, and the clock of the lines."""

    def __init__(self, matcher: Matcher) -> None:
        self.matcher = matcher
        self.directory = Directory()
        self.reports = Reports()
        self.seq = 0
        self.micros = 0

    def answer(self, line: str | bytes) -> list[dict[str, Any]]:
        request = decode_offline(line)
        if isinstance(request, BookGet):
            return [self._book(request)]
        if isinstance(request, AuctionGet):
            return [self._indicative(request)]
        account = 0 if request.account is UNSET else self.directory.account_numbers.get(request.account, 0)
        payload = b""
        if isinstance(request, Act):
            payload = offline_act(request)
            row = act_row(command_kind(request), len(payload))
        else:
            session = 0 if request.client_session is UNSET else request.client_session
            instrument = 0
            if isinstance(request, OfflineAmend):
                instrument = self.reports.instrument(account, request.p)
            row = to_row(request, self.directory, account, client_session=session, instrument=instrument)
        commands = np.frombuffer(bytearray(row), COMMAND)
        self.seq += 1
        micros = self.micros + 1 if request.ts is UNSET else request.ts
        self.micros = max(self.micros, micros)  # as R1 will have it
        commands["seq"] = self.seq
        commands["time"] = micros * 1000
        events = self.matcher.run_block(commands, payload)
        self.directory.learn(commands, payload, events)
        out = []
        for event in read_events(events):
            self.reports.learn(event, commands)
            told = event_to_json(event, self.directory)
            if request.id is not UNSET:
                told["id"] = request.id
            out.append(told)
        return out

    def _meant(self, request: BookGet | AuctionGet, ev: str) -> tuple[Instrument, dict[str, Any]]:
        """The instrument that a read is about, and the beginning of its answer."""
        instrument = self.directory.instrument(request.p.symbol)
        if instrument is None:
            known = None if request.id is UNSET else request.id
            raise BadRequest("UNKNOWN_SYMBOL", f"no instrument {request.p.symbol!r}", known)
        out: dict[str, Any] = {"ev": ev, "symbol": instrument.symbol}
        if request.id is not UNSET:
            out["id"] = request.id
        return instrument, out

    def _indicative(self, request: AuctionGet) -> dict[str, Any]:
        instrument, out = self._meant(request, "auction.indicative")
        price, volume, surplus, step = self.matcher.indicative(instrument.number)
        text = None if step == AuctionStep.NO_CROSS else self.directory.price_text(instrument.number, int(price))
        side = 0 if not surplus else Side.BUY if surplus > 0 else Side.SELL
        put_auction(out, text, int(volume), abs(int(surplus)), side, step)
        return out

    def _book(self, request: BookGet) -> dict[str, Any]:
        instrument, out = self._meant(request, "book")
        book = self.matcher.book(instrument.number)
        for side in ("bids", "asks"):
            out[side] = [
                {"price": self.directory.price_text(instrument.number, price), "qty": qty}
                | ({"orders": [_order(*order) for order in orders]} if request.p.orders is True else {})
                for price, qty, orders in book[side]
            ]
        return out


def _order(order_id: int, leaves_qty: int) -> dict[str, int]:
    return {"order_id": int(order_id), "leaves_qty": int(leaves_qty)}
