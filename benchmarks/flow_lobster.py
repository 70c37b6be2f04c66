"""LOBSTER message files as order flow: level-N files, where everything outside the best N levels is out of sight.

New orders, partial cancels and deletes become the same commands; the displayed executions of one time stamp and side
become one IOC order of the opposite side, over their total, at the worst of their prices; hidden executions, crosses
and halts say nothing about the queue of displayed orders and are left out.

Out of sight the file is silent, so a level that comes into the window is taken over from it as one aggregate, which
stands for orders we know nothing of.  A level that was out of sight for a second at most and comes back with the size
it had is the same level.  After a difference the level is entered again in the same way, so that it counts once.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise
from math import gcd
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.flow_report import NamedFill, Report, merge, named
from benchmarks.flow_venue import Terms, Venue
from engine.schema import Side

NEW, REDUCED, DELETED, EXECUTED, HIDDEN = 1, 2, 3, 4, 5
LEFT_OUT: Final = {HIDDEN: "hidden executions", 6: "crosses", 7: "halts"}
EMPTY_PRICE: Final = 9_999_999_999
SAME_LEVEL_NS: Final = 1_000_000_000
CHECK_EVERY: Final = 1000
PRICE_SCALE: Final = 10_000  # prices are dollars × 10,000


class Message(NamedTuple):
    """One row of a message file; `side` is the resting order's, price in ticks."""

    time_ns: int
    kind: int
    order: int
    size: int
    price: int
    side: int


# Best first: (price, size) of at most N levels.
Window = list[tuple[int, int]]


class Day(NamedTuple):
    """A message file and its book file, in ticks."""

    name: str
    terms: Terms
    levels: int
    messages: list[Message]
    windows: list[dict[int, Window]]  # by row, then by side


def find(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Yield the pairs of message and book files of a folder (`*_message_N.csv` beside `*_orderbook_N.csv`)."""
    for path in sorted(folder.glob("*_message_*.csv")):
        head, _, tail = path.name.rpartition("_message_")
        book = path.with_name(f"{head}_orderbook_{tail}")
        if book.is_file():
            yield path, book


def read(messages: Path, books: Path) -> Day:
    """Read a pair of files; ValueError names the file and the line that is none of the format."""
    rows: list[tuple[int, int, int, int, int, int]] = []
    for number, fields in _lines(messages):
        try:
            seconds, kind, order, size, price, direction = fields[:6]
            side = Side.BUY if int(direction) > 0 else Side.SELL
            rows.append((int(Decimal(seconds) * 10**9), int(kind), int(order), int(size), int(price), side))
        except (ValueError, ArithmeticError) as error:
            raise ValueError(f"{messages.name}:{number}: not a LOBSTER message") from error
    depths: list[list[int]] = []
    for number, fields in _lines(books):
        try:
            depths.append([int(field) for field in fields])
            if len(fields) % 4 or len(fields) != len(depths[0]):
                raise ValueError(fields)
        except ValueError as error:
            raise ValueError(f"{books.name}:{number}: not a LOBSTER book") from error
    if len(rows) != len(depths) or not rows:
        raise ValueError(f"{books.name}: {len(depths)} books for {len(rows)} messages")
    prices = {row[4] for row in rows if row[1] in (NEW, REDUCED, DELETED, EXECUTED)}
    prices |= {price for depth in depths for price in depth[::2] if abs(price) != EMPTY_PRICE}
    unit = gcd(*prices) or 1
    tick = f"{Decimal(unit) / PRICE_SCALE:f}"
    low, high = min(prices) // unit, max(prices) // unit
    middle = sorted(row[4] for row in rows if row[1] == EXECUTED) or [low * unit]
    return Day(
        name=messages.name,
        terms=Terms(messages.name.split("_")[0], tick, low, high, middle[len(middle) // 2] // unit),
        levels=len(depths[0]) // 4,
        messages=[Message(t, kind, order, size, price // unit, side) for t, kind, order, size, price, side in rows],
        windows=[{Side.SELL: _window(depth, 0, unit), Side.BUY: _window(depth, 2, unit)} for depth in depths],
    )


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    with path.open(newline="", encoding="ascii") as file:
        first = file.readline()
        file.seek(0)
        yield from enumerate(csv.reader(file, delimiter=";" if ";" in first else ","), 1)


def _window(depth: list[int], first: int, unit: int) -> Window:
    pairs = zip(depth[first::4], depth[first + 1 :: 4], strict=True)
    return [(price // unit, size) for price, size in pairs if size and abs(price) != EMPTY_PRICE]


def replay(day: Day, venue: Venue) -> Report:
    """Send a day to a venue, comparing every aggressive event and the book after every message."""
    report = Report(day.name, f"LOBSTER, {day.levels} level{'s' * (day.levels > 1)}", len(day.messages))
    for message in day.messages[1:]:
        if message.kind not in (NEW, REDUCED, DELETED, EXECUTED):
            report.leave_out(LEFT_OUT.get(message.kind, f"type {message.kind}"))
    run = _Replay(day, venue, report)
    run.open()
    row = 1
    for stop in [*range(CHECK_EVERY, len(day.messages), CHECK_EVERY), len(day.messages)]:
        while row < stop:
            rows = run.group(row)
            run.carry_out(rows)
            row = rows[-1] + 1
        venue.check_book()
    return report


class _Replay:
    def __init__(self, day: Day, venue: Venue, report: Report) -> None:
        self.day, self.venue, self.report = day, venue, report
        self.orders: dict[int, int] = {}  # the file's order id → ours
        self.names: dict[int, int] = {}  # ours → the file's; an aggregate has none
        self.aggregates: dict[tuple[int, int], int] = {}  # side, price → our order id
        self.left: dict[tuple[int, int], int] = {}  # side, price → when the level left the window
        self.broken: set[tuple[int, int]] = set()  # levels to enter again once the group is settled
        self.row = 0

    def open(self) -> None:
        """Take over the book of the first row; what rests before it is not told apart."""
        self.venue.at(self.day.messages[0].time_ns)
        for side, window in self.day.windows[0].items():
            for price, size in window:
                self.enter(side, price, size)

    def group(self, row: int) -> list[int]:
        """The rows that are carried out together: an execution takes all of its time stamp and side with it."""
        first = self.day.messages[row]
        rows = [row]
        if first.kind == EXECUTED:
            for place in range(row + 1, len(self.day.messages)):
                message = self.day.messages[place]
                if message.time_ns != first.time_ns or message.kind not in (EXECUTED, HIDDEN):
                    break
                if message.kind == EXECUTED:
                    if message.side != first.side:
                        break
                    rows.append(place)
        return rows

    def carry_out(self, rows: list[int]) -> None:
        """Carry out one row, or the executions of one aggressive order, and compare."""
        message = self.day.messages[rows[0]]
        self.row = rows[0]
        self.venue.at(message.time_ns)
        if message.kind == EXECUTED:
            self.execute(rows)
            return
        if message.kind == NEW:
            order_id = self.venue.rest(message.side, message.price, message.size)
            self.orders[message.order], self.names[order_id] = order_id, message.order
        elif message.kind in (REDUCED, DELETED):
            self.take_away(message)
        self.admit(rows[0] - 1, rows[0])
        self.compare(rows[0], count=message.kind in (NEW, REDUCED, DELETED))
        self.mend(rows[0])

    def take_away(self, message: Message) -> None:
        """Cancel or lessen an order; one that the file did not bring in is part of its level's aggregate."""
        order_id = self.orders.get(message.order, 0)
        if order_id in self.venue.where:
            if message.kind == DELETED:
                self.venue.cancel(order_id)
            else:
                self.venue.reduce(order_id, message.size)
            return
        aggregate = self.aggregates.get((message.side, message.price), 0)
        if aggregate in self.venue.where:
            self.venue.reduce(aggregate, message.size)
        else:
            self.report.leave_out("cancels of orders out of sight")

    def execute(self, rows: list[int]) -> None:
        """Send one IOC for the executions `rows` and compare its fills; then the book after each of them."""
        messages = [self.day.messages[row] for row in rows]
        side = messages[0].side
        # What a sweep uncovers has to stand before the sweep.
        for before, after in pairwise([rows[0] - 1, *rows[:-1]]):
            self.admit(before, after)
        prices = {message.price for message in messages}
        decisive = any(order_id in self.names for price in prices for order_id in self.venue.queue(side, price))
        expected: list[NamedFill] = []
        for message in messages:
            known = self.orders.get(message.order, 0) in self.venue.where
            expected.append((message.order if known else None, message.price, message.size))
        worst = min(prices) if side == Side.BUY else max(prices)
        taker = Side.SELL if side == Side.BUY else Side.BUY
        fills = self.venue.aggress(taker, worst, sum(message.size for message in messages))
        where = f"row {rows[0] + 1}"
        if not self.report.event(where, merge(expected), named(fills, self.names), decisive=decisive):
            self.broken |= {(side, price) for price in prices | {fill.price for fill in fills}}
        for row in rows:
            self.venue.settle(self.day.messages[row].size)
            if row == rows[-1]:
                self.venue.settle_all()
                self.admit(row - 1, row)
            self.compare(row, count=True)
        self.mend(rows[-1])

    # --- the window -------------------------------------------------------------------------------

    def in_sight(self, side: int, price: int, row: int) -> bool:
        """Whether the file showed a price of `side` after `row`: inside its N levels, or fewer than N are there."""
        window = self.day.windows[row][side]
        if len(window) < self.day.levels:
            return True
        return price >= window[-1][0] if side == Side.BUY else price <= window[-1][0]

    def compare(self, row: int, *, count: bool) -> None:
        """Compare with the book after `row` where the file also showed it before; note the levels that differ."""
        wrong: list[str] = []
        for side, window in self.day.windows[row].items():
            shown = dict(window)
            for price, qty in self.in_sight_levels(side, row):
                if price not in shown and self.in_sight(side, price, row - 1):
                    wrong.append(f"nothing at {price} is {qty} with us")
                    self.broken.add((side, price))
            for price, size in window:
                if self.in_sight(side, price, row - 1) and (ours := self.venue.qty(side, price)) != size:
                    wrong.append(f"{size} at {price} is {ours} with us")
                    self.broken.add((side, price))
        if count:
            self.report.book(f"row {row + 1}", wrong)

    def admit(self, before: int, row: int) -> None:
        """Drop what came into sight between the rows `before` and `row` and is found gone; take over what is there."""
        now = self.day.messages[row].time_ns
        arrivals: list[tuple[int, int, int]] = []
        for side, window in self.day.windows[row].items():
            for price, _ in self.day.windows[before][side]:
                if not self.in_sight(side, price, row):
                    self.left[side, price] = now
            shown = dict(window)
            for price, _ in self.in_sight_levels(side, row):
                if price not in shown and not self.in_sight(side, price, before):
                    self.venue.clear_level(side, price)
            for price, size in window:
                if not self.in_sight(side, price, before):
                    recent = now - self.left.get((side, price), -SAME_LEVEL_NS - 1) <= SAME_LEVEL_NS
                    if not (recent and self.venue.qty(side, price) == size):
                        arrivals.append((side, price, size))
        for side, price, size in arrivals:
            self.report.levels_taken_over += 1
            self.enter(side, price, size)

    def in_sight_levels(self, side: int, row: int) -> list[tuple[int, int]]:
        """Our levels (price, quantity) where the file shows the book after `row`."""
        levels = []
        for price, qty in self.venue.levels(side):
            if not self.in_sight(side, price, row):
                break
            levels.append((price, qty))
        return levels

    def enter(self, side: int, price: int, size: int) -> None:
        """Make a level one aggregate of `size` lots."""
        self.venue.clear_level(side, price)
        self.aggregates[side, price] = self.venue.rest(side, price, size)

    def mend(self, row: int) -> None:
        """Enter the levels that differ again as the file has them."""
        for side, price in sorted(self.broken):
            self.venue.clear_level(side, price)
        for side, price in sorted(self.broken):
            self.report.levels_entered_again += 1
            if size := dict(self.day.windows[row][side]).get(price, 0):
                self.enter(side, price, size)
        self.broken.clear()
