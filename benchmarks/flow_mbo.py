"""Market-by-order files as order flow: every order by its id, from an empty book or a cleared one.

Actions: R clear, A add, C cancel (the size taken away), M modify, T trade (the aggressor), F fill of a resting order,
followed by the C that takes it off.  Fills of one time stamp and resting side become one IOC order of the opposite
side, over their total, at the worst of their prices; a T without an F hit something hidden and is left out.  Beside it
may lie the true book of some levels (`*_mbp*.csv`), which is compared after every message that it has.

The file tells each order's place, so a level that differs is entered again order by order.
"""

from __future__ import annotations

import csv
from collections import defaultdict, deque
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from math import gcd
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.flow_report import NamedFill, Report, merge, named
from benchmarks.flow_venue import Terms, Venue
from engine.schema import Side

CHECK_EVERY: Final = 1000
PRICE_SCALE: Final = 10**9
SIDES: Final = {"B": Side.BUY, "A": Side.SELL}


class Message(NamedTuple):
    """One row of a market-by-order file; price in ticks, side 0 if the row has none."""

    time_ns: int
    action: str
    side: int
    price: int
    size: int
    order: int
    sequence: int


# Per side the levels (price, quantity, number of orders), best first.
Depth = dict[int, list[tuple[int, int, int]]]


class Day(NamedTuple):
    """A market-by-order file and, where there is one, the book after its messages by (sequence, action)."""

    name: str
    terms: Terms
    levels: int
    messages: list[Message]
    books: dict[tuple[int, str], list[Depth]]


def find(folder: Path) -> Iterator[tuple[Path, Path | None]]:
    """Yield the market-by-order files of a folder (`*_mbo*.csv`), each with its book file (`*_mbp*.csv`) if any."""
    for path in sorted(folder.glob("*_mbo*.csv")):
        head = path.name.rpartition("_mbo")[0]
        books = sorted(folder.glob(f"{head}_mbp*.csv"))
        yield path, books[0] if books else None


def read(messages: Path, books: Path | None) -> Day:
    """Read a market-by-order file and its book; ValueError names the file and the line that is none of the format."""
    rows: list[tuple[int, str, int, int, int, int, int]] = []
    symbol = messages.name.rpartition("_mbo")[0]
    for number, row in _rows(messages):
        try:
            side = SIDES.get(row["side"], 0)
            numbers = (_price(row["price"]), int(row["size"] or 0), int(row["order_id"]), int(row["sequence"]))
            rows.append((_time_ns(row["ts_event"]), row["action"], side, *numbers))
        except (KeyError, ValueError, ArithmeticError) as error:
            raise ValueError(f"{messages.name}:{number}: not a market-by-order row") from error
    prices = {row[3] for row in rows if row[1] in "ACMF" and row[3]}
    if not prices:
        raise ValueError(f"{messages.name}: no orders")
    unit = gcd(*prices)
    trades = sorted(row[3] for row in rows if row[1] == "F") or sorted(prices)
    scaled = [Message(t, action, side, price // unit, *rest) for t, action, side, price, *rest in rows]
    levels, depths = _read_books(books, unit) if books else (0, {})
    low, high = min(prices) // unit, max(prices) // unit
    terms = Terms(symbol, f"{Decimal(unit) / PRICE_SCALE:f}", low, high, trades[len(trades) // 2] // unit)
    return Day(messages.name, terms, levels, scaled, depths)


def _read_books(path: Path, unit: int) -> tuple[int, dict[tuple[int, str], list[Depth]]]:
    levels = 0
    books: dict[tuple[int, str], list[Depth]] = defaultdict(list)
    for number, row in _rows(path):
        try:
            levels = levels or sum(name.startswith("bid_px_") for name in row)
            depth: Depth = {}
            for side, word in ((Side.BUY, "bid"), (Side.SELL, "ask")):
                names = [(f"{word}_px_{n:02}", f"{word}_sz_{n:02}", f"{word}_ct_{n:02}") for n in range(levels)]
                depth[side] = [(_price(row[p]) // unit, int(row[q]), int(row[c])) for p, q, c in names if int(row[q])]
            books[int(row["sequence"]), row["action"]].append(depth)
        except (KeyError, ValueError, ArithmeticError) as error:
            raise ValueError(f"{path.name}:{number}: not a market-by-price row") from error
    return levels, books


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    with path.open(newline="", encoding="utf-8") as file:
        yield from enumerate(csv.DictReader(file), 2)


def _price(text: str) -> int:
    return int(Decimal(text) * PRICE_SCALE) if text else 0


def _time_ns(text: str) -> int:
    if text.isdigit():
        return int(text)
    whole, _, fraction = text.rstrip("Z").partition(".")
    return int(datetime.fromisoformat(whole + "+00:00").timestamp()) * 10**9 + int(fraction.ljust(9, "0")[:9])


def replay(day: Day, venue: Venue) -> Report:
    """Send a day to a venue; compare every aggressive event, and the book after every message that has one."""
    report = Report(day.name, f"market by order, {day.levels} levels compared", len(day.messages))
    run = _Replay(day, venue, report)
    row = 0
    for stop in [*range(CHECK_EVERY, len(day.messages), CHECK_EVERY), len(day.messages)]:
        while row < stop:
            row = run.carry_out(row)
        venue.check_book()
    return report


class _Replay:
    def __init__(self, day: Day, venue: Venue, report: Report) -> None:
        self.day, self.venue, self.report = day, venue, report
        self.books = {key: deque(depths) for key, depths in day.books.items()}
        self.orders: dict[int, int] = {}  # the file's order id → ours
        self.names: dict[int, int] = {}  # ours → the file's
        # The exchange's own queues, to enter a level again from: side, price → file's order id → size.
        self.queues: dict[tuple[int, int], dict[int, int]] = defaultdict(dict)
        self.places: dict[int, tuple[int, int]] = {}
        self.broken: set[tuple[int, int]] = set()

    def carry_out(self, row: int) -> int:
        """Carry out the message at `row`, with all fills of its aggressive order; the row to go on with."""
        message = self.day.messages[row]
        self.venue.at(message.time_ns)
        if message.action == "F":
            return self.execute(row)
        if message.action == "R":
            for place in [place for place, queue in self.queues.items() if queue]:
                self.venue.clear_level(*place)
            self.queues.clear()
            self.places.clear()
        elif message.action == "A" and message.side:
            self.add(message)
        elif message.action == "M" and message.side:
            self.modify(message)
        elif message.action == "C":
            self.take_away(message)
        elif message.action == "T":
            if not message.side:
                self.report.leave_out("trades with hidden orders")
        else:
            self.report.leave_out(f"action {message.action}")
        self.compare(message)
        self.mend()
        return row + 1

    def add(self, message: Message) -> None:
        order_id = self.venue.rest(message.side, message.price, message.size)
        self.orders[message.order], self.names[order_id] = order_id, message.order
        self.queues[message.side, message.price][message.order] = message.size
        self.places[message.order] = message.side, message.price

    def modify(self, message: Message) -> None:
        """A smaller size at the same price keeps the place; anything else joins its level last."""
        place = self.places.get(message.order)
        if place is None:
            self.add(message)
            return
        had = self.queues[place][message.order]
        if place == (message.side, message.price) and message.size <= had:
            self.lessen(message.order, had - message.size)
            self.venue.reduce(self.orders[message.order], had - message.size)
        else:
            self.lessen(message.order, had)
            if self.orders[message.order] in self.venue.where:
                self.venue.cancel(self.orders[message.order])
            self.add(message)

    def take_away(self, message: Message) -> None:
        if message.order not in self.places:
            self.report.leave_out("cancels of unknown orders")
            return
        self.lessen(message.order, message.size)
        if self.orders[message.order] in self.venue.where:
            self.venue.reduce(self.orders[message.order], message.size)

    def lessen(self, order: int, lots: int) -> None:
        """Take lots off the exchange's own queue."""
        place = self.places[order]
        queue = self.queues[place]
        queue[order] -= lots
        if queue[order] <= 0:
            del queue[order], self.places[order]

    def execute(self, row: int) -> int:
        """Send one IOC for all fills of this time stamp and side, and compare; the row after what belongs to it."""
        first = self.day.messages[row]
        fills: list[Message] = []
        pending: dict[int, int] = defaultdict(int)  # what the C rows to come take off because of a fill
        members: list[tuple[Message, bool]] = []
        end = row
        for message in self.day.messages[row:]:
            its_cancel = message.action == "C" and pending[message.order] >= message.size
            its_fill = message.action == "F" and message.side == first.side
            if message.time_ns != first.time_ns or not (its_cancel or its_fill or message.action == "T"):
                break
            if its_fill:
                fills.append(message)
                pending[message.order] += message.size
            elif its_cancel:
                pending[message.order] -= message.size
            elif not message.side:
                self.report.leave_out("trades with hidden orders")
            members.append((message, its_cancel))
            end += 1
        expected: list[NamedFill] = [(fill.order, fill.price, fill.size) for fill in fills]
        prices = [fill.price for fill in fills]
        worst = min(prices) if first.side == Side.BUY else max(prices)
        taker = Side.SELL if first.side == Side.BUY else Side.BUY
        got = self.venue.aggress(taker, worst, sum(fill.size for fill in fills))
        where = f"sequence {first.sequence}"
        if not self.report.event(where, merge(expected), named(got, self.names), decisive=True):
            self.broken |= {(first.side, price) for price in prices} | {(first.side, fill.price) for fill in got}
        for message, its_cancel in members:
            if its_cancel:
                self.lessen(message.order, message.size)
                self.venue.settle(message.size)
                self.compare(message)
        self.venue.settle_all()
        self.mend()
        return end

    def compare(self, message: Message) -> None:
        """Compare with the book which the book file has after this message, price, quantity and number of orders."""
        depths = self.books.get((message.sequence, message.action))
        if not depths or message.action not in "ACM":
            return
        wrong = []
        for side, theirs in depths.popleft().items():
            ours = self.venue.depth(side, self.day.levels)
            if ours != theirs:
                missing, extra = sorted(set(theirs) - set(ours)), sorted(set(ours) - set(theirs))
                wrong.append(f"{missing} of side {side} are {extra} with us")
                self.broken |= {(side, price) for price, _, _ in missing + extra}
        self.report.book(f"sequence {message.sequence}", wrong)

    def mend(self) -> None:
        """Enter the levels that differ again, every order as the file has it."""
        for place in sorted(self.broken):
            self.venue.clear_level(*place)
        for side, price in sorted(self.broken):
            self.report.levels_entered_again += 1
            for order, size in self.queues[side, price].items():
                order_id = self.venue.rest(side, price, size)
                self.orders[order], self.names[order_id] = order_id, order
        self.broken.clear()
